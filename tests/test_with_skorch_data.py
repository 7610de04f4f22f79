"""Data formats of skorch's user guide: tensors, Datasets, dicts, slices and validation data."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from conftest import as_frames
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import SliceDataset, SliceDict, predefined_split
from sktime.datatypes import convert
from test_with_skorch import (
    CODES,
    LABELS,
    RAGGED,
    SIZES,
    X,
    Y,
    assert_same,
    history_without_times,
    ours,
    same_weights,
    seeded,
    theirs,
)
from torch.utils.data import TensorDataset

from relayestimators import GRUClassifier
from relayestimators.networks import RecurrentNetwork

# ---------------------------------------------------------------- X and y of any kind


KINDS_OF_X = {
    "tensor": torch.from_numpy(X),
    "float64": X.astype(float),
    "float64 tensor": torch.from_numpy(X.astype(float)),
    "tensor with a gradient": torch.from_numpy(X.copy()).requires_grad_(),
    "nested frame": convert(as_frames(X), "df-list", "nested_univ", as_scitype="Panel"),
    "slices of a dataset": SliceDataset(Dataset(X, CODES)),
}
KINDS_OF_Y = {
    "codes": CODES,
    "tensor": torch.from_numpy(CODES),
    "bytes": CODES.astype(np.uint8),
    "floats": CODES.astype(float),
    "list": list(Y),
    "objects": Y.astype(object),
    "series": pd.Series(Y),
    "categorical": pd.Series(Y, dtype="category"),
    "slices of a dataset": SliceDataset(Dataset(X, CODES), idx=1),
}


@pytest.mark.parametrize("kind", KINDS_OF_X)
def test_kinds_of_X_mix(kind):
    expected, net = ours().fit(X, Y), ours().fit(KINDS_OF_X[kind], Y)
    assert same_weights(net, expected)
    for name in KINDS_OF_X:
        np.testing.assert_array_equal(net.predict(KINDS_OF_X[name]), expected.predict(X))
        assert torch.equal(net.forward(KINDS_OF_X[name]), expected.forward(X))


@pytest.mark.parametrize("kind", KINDS_OF_Y)
def test_kinds_of_y(kind):
    expected, net = ours().fit(X, Y), ours().fit(torch.from_numpy(X), KINDS_OF_Y[kind])
    assert same_weights(net, expected)
    assert net.score(X, np.asarray(KINDS_OF_Y[kind])) == expected.score(X, Y)


def test_booleans_and_column_vectors():
    high = Y == "high"
    net = ours().fit(X, high)
    assert net.predict(X).dtype == bool
    assert same_weights(ours().fit(X, torch.from_numpy(high)), net)
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        assert same_weights(ours().fit(X, high[:, None]), net)


class Rows(torch.utils.data.Dataset):
    """A Dataset without attributes X and y."""

    def __init__(self, X=X, y=CODES):
        self.rows = list(zip(X, y))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


DATASETS = {
    "skorch": Dataset(X, CODES),
    "torch": TensorDataset(torch.from_numpy(X), torch.from_numpy(CODES)),
    "own": Rows(),
}


@pytest.mark.parametrize("kind", DATASETS)
def test_datasets_speak_in_codes_as_in_skorch(kind):
    net, plain = ours(**SIZES).fit(DATASETS[kind]), theirs()
    seeded(lambda: plain.fit(DATASETS[kind], None))
    assert same_weights(net, plain)
    for data in (X, *DATASETS.values()):
        np.testing.assert_array_equal(net.predict(data), plain.predict(data))
        np.testing.assert_array_equal(net.hidden_states(data), net.hidden_states(X))
    assert net.knock_out(X, []).proba.shape == (0, 60, 3)
    assert len(net.partial_fit(DATASETS[kind]).history) == 6
    assert len(net.set_params(warm_start=True).fit(DATASETS[kind]).history) == 9


def test_codes_of_a_dataset_may_have_gaps():
    some = CODES != 1
    net = ours(**SIZES, max_epochs=20).fit(Dataset(X[some], CODES[some]))
    assert net.classes_.tolist() == [0, 2]  # the codes that skorch infers
    assert (net.predict(X[some]) == CODES[some]).mean() > 0.9
    named = ours(**SIZES, max_epochs=20, classes=LABELS).fit(Dataset(X[some], CODES[some]))
    assert (named.predict(X[some]) == Y[some]).mean() > 0.9


def test_a_dataset_and_y_give_labels():
    """As skorch recommends for stratification: the Dataset is for training, y for the split."""
    net = ours(**SIZES, train_split=ValidSplit(5, stratified=True)).fit(Rows(), Y)
    assert same_weights(net, ours(train_split=ValidSplit(5, stratified=True)).fit(X, Y))
    assert net.classes_.tolist() == LABELS.tolist()
    assert set(net.predict(Rows())) <= set(LABELS)
    net.set_params(train_split=None).partial_fit(Rows())  # labels are still known
    assert net.classes_.tolist() == LABELS.tolist()


def test_fit_removes_the_results_of_an_earlier_fit():
    net = ours().fit(X, Y)
    with pytest.raises(ValueError, match="infers input_size"):
        net.fit(Rows(X[:, :1]))
    net = ours().fit(X, Y).set_params(module__input_size=1, module__n_classes=3)
    assert set(net.fit(Rows(X[:, :1])).predict(X[:, :1])) <= {0, 1, 2}
    assert not hasattr(net, "n_features_in_")


class TwoInputs(RecurrentNetwork):
    """A module that takes a panel and, for the loss only, weights."""

    def forward(self, panel, weight=None):
        return super().forward(panel)


def test_dicts_and_their_slices():
    inputs, options = SliceDict(panel=X), {"module": TwoInputs, **SIZES}
    net = ours(**options).fit(inputs, Y)
    assert same_weights(net, ours().fit(X, Y))
    assert set(net.predict(inputs)) <= set(LABELS)
    assert same_weights(ours(**options).fit({"panel": X}, Y), net)
    with pytest.raises(TypeError, match="X is a SliceDict; expected a panel or a Dataset"):
        net.hidden_states(inputs)
    with pytest.raises(ValueError, match="requires y to be passed.*Only a Dataset"):
        net.fit(inputs)
    net.partial_fit(inputs, Y)
    with pytest.raises(ValueError, match=r"y contains \['new'\]"):
        net.partial_fit(inputs, ["new"] * 60)


def test_sample_weights_as_in_the_faq():
    class Weighted(GRUClassifier):
        def get_loss(self, y_pred, y_true, X, **options):
            losses = super().get_loss(y_pred, y_true, X, **options)
            return (X["weight"] * losses).mean()

    def train(weight):
        net = Weighted(
            TwoInputs, **SIZES, criterion__reduction="none", max_epochs=3, random_state=0
        )
        return net.fit({"panel": X, "weight": weight.astype(np.float32)}, Y)

    assert same_weights(train(np.ones(60)), GRUClassifier(max_epochs=3, random_state=0).fit(X, Y))
    assert "low" not in train(Y != "low").set_params(max_epochs=9).partial_fit(
        {"panel": X, "weight": (Y != "low").astype(np.float32)}, Y
    ).predict({"panel": X, "weight": np.ones(60, dtype=np.float32)})


@pytest.mark.parametrize(
    "data", [SliceDataset(Dataset(X, CODES)), SliceDict(panel=X)], ids=["dataset", "dict"]
)
def test_searches_over_slices(data):
    options = {"module": TwoInputs, **SIZES, "max_epochs": 5}
    search = GridSearchCV(ours(**options), {"lr": [0.003, 0.03]}, cv=2)
    expected = GridSearchCV(ours(**options), {"lr": [0.003, 0.03]}, cv=2).fit(X, Y)
    search.fit(data, Y)
    for score in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(search.cv_results_[score], expected.cv_results_[score])
    predicted = cross_val_predict(ours(**options), data, Y, cv=2)
    np.testing.assert_array_equal(predicted, cross_val_predict(ours(**options), X, Y, cv=2))


class Doubled(Dataset):
    def transform(self, X, y):
        X, y = super().transform(X, y)
        return 2 * X, y


def test_a_dataset_class_of_your_own():
    net, plain = ours(dataset=Doubled).fit(X, Y), theirs(dataset=Doubled)
    seeded(lambda: plain.fit(X, CODES))
    assert_same(net, plain)
    proba = net.predict_proba(X)
    np.testing.assert_array_equal(net.set_params(dataset=Dataset).predict_proba(2 * X), proba)


# ---------------------------------------------------------------- validation data


def frames(X):
    return convert(as_frames(X), "df-list", "nested_univ", as_scitype="Panel")


@pytest.mark.parametrize("form", [np.asarray, torch.tensor, frames, lambda X: X.astype(float)])
def test_validation_data_have_the_labels_of_the_user(form):
    valid = Dataset(form(RAGGED[40:]), Y[40:])
    net = ours(train_split=predefined_split(valid)).fit(RAGGED[:40], Y[:40])
    plain = theirs(train_split=predefined_split(Dataset(RAGGED[40:], CODES[40:])))
    seeded(lambda: plain.fit(RAGGED[:40], CODES[:40]))
    assert_same(net, plain, RAGGED)
    assert net.history[-1, "valid_acc"] == net.score(RAGGED[40:], Y[40:])


def test_numeric_labels_in_validation_data():
    """Labels 1, 2 and 3 could be confused with codes."""
    valid = Dataset(X[40:], CODES[40:] + 1)
    net = ours(train_split=predefined_split(valid), max_epochs=20).fit(X[:40], CODES[:40] + 1)
    assert net.history[-1, "valid_acc"] == net.score(X[40:], CODES[40:] + 1) > 0.7
    unknown_labels = predefined_split(Dataset(X[40:], CODES[40:] + 7))
    with pytest.raises(ValueError, match=r"y of the validation data contains \[7, 8, 9\]"):
        ours(train_split=unknown_labels).fit(X, CODES + 1)


def test_opaque_validation_data_are_not_changed():
    net = ours(train_split=predefined_split(Rows(X[40:], CODES[40:]))).fit(X[:40], Y[:40])
    assert net.history[-1, "valid_acc"] == net.score(X[40:], Y[40:])
    split = {"train_split": predefined_split(Rows())}
    both = ours(**SIZES, **split, classes=LABELS).fit(Rows())
    assert both.history[-1, "valid_acc"] == both.score(X, Y)
    with pytest.raises(AttributeError, match="a possible solution is to provide the 'classes'"):
        theirs(**SIZES, **split).fit(Rows(), None)  # scikit-learn's accuracy needs labels
    without = ours(**SIZES, **split).fit(Rows(), None)
    assert without.history[-1, "valid_acc"] == np.mean(without.predict(X) == CODES)


def test_a_split_function_receives_the_panel_and_codes():
    def split(dataset, y=None):
        assert dataset.X.dtype == np.float32
        assert set(y) == {0, 1, 2}
        parts = (slice(40), slice(40, None))
        return tuple(Dataset(dataset.X[rows], dataset.y[rows]) for rows in parts)

    net = ours(train_split=split).fit(X.astype(float), CODES + 1)
    assert net.history[-1, "valid_acc"] == net.score(X[40:], CODES[40:] + 1)


def test_groups_reach_the_split():
    groups = np.arange(60) // 10
    with sklearn.config_context(enable_metadata_routing=True):
        split = ValidSplit(GroupKFold(3).set_split_request(groups=True))
        nets = [ours(module=TwoInputs, train_split=split), theirs(train_split=split)]
        nets[1].set_params(module=TwoInputs)
        for net, y in zip(nets, (Y, CODES)):
            net.set_fit_request(groups=True)
            net.infer = lambda x, groups=None, net=net: type(net).infer(net, x)
            seeded(lambda net=net, y=y: net.fit(X, y, groups=groups))
        assert history_without_times(nets[0]) == history_without_times(nets[1])
        assert nets[0].history[-1, "batches", 0, "train_batch_size"] == 16
