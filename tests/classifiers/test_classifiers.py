"""The classifiers are those of skorch, with any labels and panels, and with hidden states."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from conftest import CELLS, as_frames, cut_short, make_panel, small_net
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from skorch.callbacks import Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import Dataset, ValidSplit
from sktime.datatypes import convert
from torch import nn

from relayestimators import GRUClassifier, LSTMClassifier, RecurrentClassifier, RNNClassifier
from relayestimators.networks import Clamp, RecurrentNetwork


def small(cell="gru", **options):
    defaults = {"module__hidden_size": 6, "max_epochs": 5, "random_state": 0}
    return CELLS[cell](**(defaults | options))


@pytest.fixture(scope="module")
def gru():
    """A trained network, for tests that do not depend on the cell."""
    return small_net(lr=0.01, max_epochs=15, batch_size=16).fit(*make_panel())


def weights(net):
    return {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}


def same_weights(one, two):
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


# ---------------------------------------------------------------- labels and panels


@pytest.mark.parametrize(
    "labels",
    [["low", "mid", "high"], [10, -3, 7], [0.0, 1.0, 2.0], [True, False, True], ["1", "0", "2"]],
    ids=str,
)
def test_any_labels(labels):
    X, names = make_panel()
    y = np.array(labels)[np.unique(names, return_inverse=True)[1]]
    net = small(max_epochs=20).fit(X, y)
    assert set(net.classes_) == set(labels)
    assert net.predict(X).dtype == y.dtype
    assert net.score(X, y) > 0.9
    np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(net.classes_[net.predict_proba(X).argmax(1)], net.predict(X))


@pytest.mark.parametrize("mtype", ["numpy3D", "nested_univ", "df-list"])
def test_panel_formats_give_one_answer(mtype, gru):
    X, y = make_panel()
    converted = convert(as_frames(X), "df-list", mtype, as_scitype="Panel")
    np.testing.assert_array_equal(gru.predict_proba(converted), gru.predict_proba(X))
    again = clone(gru).fit(converted, y)
    assert same_weights(weights(again), weights(gru))


def test_error_for_multiindex_panels_gives_the_reason(gru):
    X, y = make_panel()
    rows = convert(as_frames(X), "df-list", "pd-multiindex", as_scitype="Panel")
    for call in (lambda: small().fit(rows, y), lambda: gru.predict(rows)):
        with pytest.raises(ValueError, match="leak every series.*X = panel_to_tensor"):
            call()


def test_two_dimensional_input_is_one_channel():
    X, y = make_panel(n_channels=1)
    flat, deep = small().fit(X[:, 0], y), small().fit(X, y)
    assert same_weights(weights(flat), weights(deep))
    np.testing.assert_array_equal(flat.predict_proba(X[:, 0]), deep.predict_proba(X))
    assert (flat.n_features_in_, deep.n_features_in_) == (10, 1)
    with pytest.raises(ValueError, match="X has 3 dimensions; expected 2"):
        flat.predict(X)
    with pytest.raises(ValueError, match="X has 2 features, but .* is expecting 1"):
        deep.predict(np.repeat(X, 2, axis=1))


def test_padding_does_not_reach_the_answer(fitted):
    X, _ = make_panel()
    short = X[:, :, :6]
    padded = cut_short(X, [6] * len(X))
    np.testing.assert_allclose(fitted.predict_proba(padded), fitted.predict_proba(short), atol=1e-6)
    mixed = cut_short(X, 1 + np.arange(len(X)) % 10)
    for i in range(10):
        single = fitted.predict_proba(X[i : i + 1, :, : 1 + i % 10])
        np.testing.assert_allclose(fitted.predict_proba(mixed)[i], single[0], atol=1e-6)


def test_series_of_unequal_length_can_be_learned(cell, ragged_panel):
    X, y = ragged_panel
    assert small(cell, max_epochs=30).fit(X, y).score(X, y) > 0.85


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        (lambda X, y: (X, None), "requires y to be passed, but the target y is None"),
        (lambda X, y: (X, y[:5]), "inconsistent numbers of samples"),
        (lambda X, y: (X, ["low"] * len(y)), "at least 2 classes, but the data contain only one"),
        (lambda X, y: (np.where(X > 2, np.nan, X), y), "NaN inside a series.*first at instance"),
        (lambda X, y: (X * np.inf, y), "infinity|NaN"),
        (lambda X, y: (X[..., None], y), "expected three dimensions"),
    ],
)
def test_broken_input_leaves_a_fitted_net_as_it_was(broken, match, gru):
    net = copy.deepcopy(gru)
    X, y = make_panel()
    before, proba = weights(net), net.predict_proba(X)
    with pytest.raises(ValueError, match=match):
        net.fit(*broken(X, y))
    assert same_weights(weights(net), before)
    np.testing.assert_array_equal(net.predict_proba(X), proba)


def test_unfitted_networks_raise_an_error():
    X, _ = make_panel()
    for method in ("predict", "predict_proba", "hidden_states", "unroll"):
        with pytest.raises(NotFittedError):
            getattr(small(), method)(X)


# ---------------------------------------------------------------- seeds


def test_training_depends_on_the_seed_only_and_keeps_the_global_generator(panel):
    X, y = panel
    torch.manual_seed(7)
    generator = torch.get_rng_state()
    one, two, other = small().fit(X, y), small().fit(X, y), small(random_state=1).fit(X, y)
    one.predict(X), one.hidden_states(X)
    assert torch.equal(generator, torch.get_rng_state())
    assert same_weights(weights(one), weights(two))
    assert not same_weights(weights(one), weights(other))
    assert same_weights(weights(clone(one).fit(X, y)), weights(one))
    assert same_weights(weights(one.fit(X, y)), weights(two))  # fit starts from new weights


def test_partial_fit_continues_the_training(panel):
    X, y = panel
    at_once = small(max_epochs=4).fit(X, y)
    in_steps = small(max_epochs=2).partial_fit(X, y).partial_fit(X, y)
    assert len(in_steps.history) == 4
    assert same_weights(weights(at_once), weights(in_steps))


# ---------------------------------------------------------------- features of skorch


def test_is_a_skorch_classifier(gru):
    assert isinstance(gru, NeuralNetClassifier)
    assert len(gru.history) == 15
    assert gru.history[-1, "train_loss"] < gru.history[0, "train_loss"]


def test_partial_fit_with_classes_announced(panel):
    X, y = panel
    some = y != "mid"
    net = small().partial_fit(X[some], y[some], classes=["low", "mid", "high"])
    assert net.classes_.tolist() == ["high", "low", "mid"]
    net.partial_fit(X, y)
    assert net.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match=r"y contains \['new'\]; expected labels in"):
        net.partial_fit(X, ["new"] * 60)


def test_classes_parameter_keeps_its_order(panel):
    X, y = panel
    net = small(max_epochs=20, classes=["mid", "low", "high", "never"]).fit(X, y)
    assert net.classes_.tolist() == ["mid", "low", "high", "never"]
    assert net.predict_proba(X).shape == (60, 4)
    assert net.score(X, y) > 0.9


def test_set_params_takes_effect_on_a_fitted_network(panel):
    X, y = panel
    net = small().fit(X, y)
    net.set_params(lr=1e-4)
    assert net.optimizer_.param_groups[0]["lr"] == 1e-4
    net.set_params(optimizer__weight_decay=0.1)
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.1
    net.set_params(module__hidden_size=9)
    assert net.module_.hidden_size == 9


def test_early_stopping_stops_with_string_labels(panel):
    X, y = panel
    stopping = EarlyStopping(monitor="valid_acc", lower_is_better=False, patience=3)
    split = ValidSplit(5, stratified=True)
    net = small(max_epochs=200, train_split=split, callbacks=[stopping]).fit(X, y)
    assert 3 < len(net.history) < 200
    assert max(net.history[:, "valid_acc"]) > 0.7


@pytest.mark.parametrize("scoring", ["f1_macro", "accuracy", "roc_auc_ovr", "neg_log_loss"])
def test_epoch_scoring_with_string_labels(scoring, panel):
    X, y = panel
    score = EpochScoring(scoring, lower_is_better=False, name="score", on_train=True)
    net = small(max_epochs=20, callbacks=[score]).fit(X, y)
    assert net.history[-1, "score"] > net.history[0, "score"]
    if scoring == "accuracy":
        assert net.history[-1, "score"] > 0.9


def test_epoch_scoring_of_two_string_classes(panel):
    X, y = panel
    y = np.where(y == "low", "no", "yes")
    score = EpochScoring("f1", lower_is_better=False, name="f1", on_train=True)
    assert small(max_epochs=20, callbacks=[score]).fit(X, y).history[-1, "f1"] > 0.9


def test_checkpoint_and_resume(panel, tmp_path):
    X, y = panel
    checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
    net = small(callbacks=[checkpoint]).fit(X, y)
    known = {"module__input_size": 2, "module__n_classes": 3, "classes": net.classes_}
    fresh = small(**known).initialize()
    fresh.load_params(checkpoint=checkpoint)
    np.testing.assert_array_equal(fresh.predict(X), net.predict(X))
    np.testing.assert_array_equal(fresh.hidden_states(X), net.hidden_states(X))
    fresh.partial_fit(X, y)
    assert len(fresh.history) == 10


def test_save_and_load_params(panel, tmp_path):
    X, y = panel
    net = small().fit(X, y)
    net.save_params(f_params=tmp_path / "weights.pt")
    other = small(random_state=1).fit(X, y)
    assert not same_weights(weights(other), weights(net))
    other.load_params(f_params=tmp_path / "weights.pt")
    assert same_weights(weights(other), weights(net))


def test_initialize_without_sizes_names_what_is_missing():
    with pytest.raises(ValueError, match="input_size.*module__input_size"):
        small().initialize()


def test_pickle_and_deepcopy(gru):
    X, _ = make_panel()
    for other in (pickle.loads(pickle.dumps(gru)), copy.deepcopy(gru)):
        np.testing.assert_array_equal(other.predict_proba(X), gru.predict_proba(X))
        assert len(other.history) == len(gru.history)


def test_schedulers_and_clipping(panel):
    X, y = panel
    schedule = LRScheduler("StepLR", step_size=2, gamma=0.1)
    net = small(callbacks=[schedule]).fit(X, y)
    assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-4)
    names = [name for name, _ in net.callbacks_]
    assert "gradient_clipping" in names
    off = small(callbacks__gradient_clipping=None).fit(X, y)
    assert "gradient_clipping" not in dict(off.callbacks_)


def test_datasets_are_accepted(panel):
    X, y = panel
    codes = np.unique(y, return_inverse=True)[1]
    sizes = {"module__input_size": 2, "module__n_classes": 3}
    net = small(**sizes, max_epochs=20).fit(Dataset(X, codes), None)
    assert (net.predict(Dataset(X)) == codes).mean() > 0.9


def test_tensors_and_lists(panel):
    X, y = panel
    net = small().fit(torch.as_tensor(X), list(y))
    np.testing.assert_array_equal(net.predict(torch.as_tensor(X)), net.predict(X.tolist()))


def test_warm_start_continues(panel):
    X, y = panel
    net = small(warm_start=True).fit(X, y).fit(X, y)
    assert len(net.history) == 10


def test_device_is_passed_on(panel):
    X, y = panel
    net = small(device="cpu").fit(X, y)
    assert next(net.module_.parameters()).device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_gpu(panel):
    X, y = panel
    net = small(device="cuda", max_epochs=20).fit(X, y)
    assert net.score(X, y) > 0.9
    assert net.hidden_states(X).shape == (60, 10, 6)
    clamps = [Clamp([0], [0.3], start=2), Clamp([1, 2], np.zeros((60, 10, 2), dtype=np.float32))]
    there = net.knock_out(X, clamps)
    for i, clamp in enumerate(clamps):
        np.testing.assert_allclose(there.proba[i], net.unroll(X, clamp=clamp).proba, atol=1e-4)
    here = copy.deepcopy(net).set_params(device="cpu")
    here.module_.to("cpu")
    np.testing.assert_allclose(here.knock_out(X, clamps).proba, there.proba, atol=1e-4)


def test_parameters_are_complete_and_public():
    net = small(optimizer__weight_decay=0.1)
    params = net.get_params()
    assert not [name for name in params if name.startswith("_")]
    assert {"lr", "module__hidden_size", "optimizer__weight_decay", "random_state"} <= set(params)
    assert "module__cell" not in params  # the cell is the class
    assert clone(net).get_params(deep=False).keys() == net.get_params(deep=False).keys()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"hiden_size": 3}, r"unexpected argument\(s\) hiden_size"),
        ({"hidden_size": 3}, "hidden_size=.*expected module__hidden_size"),
        ({"num_layers": 2, "lr": 0.1}, "num_layers=.*expected module__num_layers"),
        ({"criterion_weight": None}, "did you mean criterion__weight"),
    ],
)
def test_errors_for_unknown_parameters_name_the_prefix(options, match, panel):
    with pytest.raises(ValueError, match=match):
        small(**options).fit(*panel)


class Averager(nn.Module):
    """A module of a user, without hidden states, that returns probabilities."""

    def __init__(self, input_size, n_classes):
        super().__init__()
        self.linear = nn.Linear(input_size, n_classes)

    def forward(self, X):
        return self.linear(X.mean(dim=2)).softmax(dim=1)


def test_a_module_without_hidden_states(panel):
    X, y = panel
    net = RecurrentClassifier(Averager, max_epochs=30, lr=0.5, verbose=0, random_state=0).fit(X, y)
    assert net.criterion is nn.NLLLoss
    assert "valid_acc" in net.history[-1]
    assert net.score(X, y) > 0.9
    with pytest.raises(TypeError, match=r"module Averager has no method unroll\(X"):
        net.hidden_states(X)


def test_recurrent_classifier_with_the_network(panel):
    X, y = panel
    net = RecurrentClassifier(
        RecurrentNetwork,
        module__cell="lstm",
        module__hidden_size=5,
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        verbose=0,
    ).fit(X, y)
    assert net.hidden_states(X).shape == (60, 10, 5)


# ---------------------------------------------------------------- hidden states and knockouts


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_hidden_states(cell, layers, bidirectional, ragged_panel):
    X, y = ragged_panel
    net = small(cell, module__num_layers=layers, module__bidirectional=bidirectional)
    net.set_params(module__dropout=0.2, max_epochs=2).fit(X, y)
    for layer in range(layers):
        hidden = net.hidden_states(X, layer=layer)
        assert hidden.shape == (60, 10, 12 if bidirectional else 6)
        assert hidden.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(hidden[:, :, 0]), np.isnan(X[:, 0]))
        np.testing.assert_array_equal(np.isnan(hidden).any(axis=2), np.isnan(hidden).all(axis=2))
    run = net.unroll(X)
    np.testing.assert_allclose(run.proba, net.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(run.hidden, net.hidden_states(X))
    assert run.logits.shape == (60, 3)


def test_memory_cells(ragged_panel):
    X, y = ragged_panel
    net = small("lstm", max_epochs=1).fit(X, y)
    h, c = net.hidden_states(X), net.hidden_states(X, state="c")
    seen = ~np.isnan(c)
    assert (np.abs(h[seen]) <= np.abs(np.tanh(c[seen])) + 1e-6).all()
    with pytest.raises(ValueError, match="state='c'"):
        small("gru", max_epochs=1).fit(X, y).hidden_states(X, state="c")


def test_diverged_networks_raise_an_error(panel):
    X, y = panel
    net = small("rnn", module__nonlinearity="relu", lr=1e20, callbacks__gradient_clipping=None)
    net.fit(X * 1e3, y)
    with pytest.raises(ValueError, match="NaN or infinity; training has diverged"):
        net.hidden_states(X * 1e3)


def test_seeds_hold_in_threads_too(panel):
    X, y = panel
    grid = {"lr": [0.003, 0.01], "module__hidden_size": [4, 8]}
    scores = []
    for jobs in (None, 4):
        with joblib.parallel_config(backend="threading", n_jobs=jobs):
            search = GridSearchCV(small(module__dropout=0.2), grid, cv=3, scoring="neg_log_loss")
            scores.append(search.fit(X, y).cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)


def test_read_only_panels(gru):
    X, _ = make_panel()
    X.setflags(write=False)
    assert gru.hidden_states(X).shape == (60, 10, 6)


def test_size_of_batches_does_not_matter(fitted, monkeypatch):
    X, _ = make_panel()
    whole = fitted.hidden_states(X)
    monkeypatch.setattr("relayestimators.classifiers._recurrent._BATCH", 7)
    np.testing.assert_allclose(fitted.hidden_states(X), whole, atol=1e-6)


def test_the_three_cells():
    X, y = make_panel()
    for classifier, kind in (
        (RNNClassifier, nn.RNN),
        (GRUClassifier, nn.GRU),
        (LSTMClassifier, nn.LSTM),
    ):
        assert isinstance(classifier(max_epochs=1).fit(X, y).module_.recurrent, kind)
    relu = RNNClassifier(module__nonlinearity="relu", max_epochs=1).fit(X, y)
    assert relu.module_.recurrent.nonlinearity == "relu"
    with pytest.raises(ValueError, match="nonlinearity='relu'"):
        GRUClassifier(module__nonlinearity="relu").fit(X, y)


def test_many_knockouts(fitted):
    X, y = make_panel()
    clamps = [Clamp([0], [0.3]), Clamp([1, 2], np.zeros((60, 10, 2)), start=4), Clamp([], [])]
    result = fitted.knock_out(X, clamps)
    assert result.logits.shape == result.proba.shape == (3, 60, 3)
    for i, clamp in enumerate(clamps):
        run = fitted.unroll(X, clamp=clamp)
        np.testing.assert_allclose(result.logits[i], run.logits, atol=1e-6)
        np.testing.assert_allclose(result.proba[i], run.proba, atol=1e-6)
    np.testing.assert_allclose(result.proba[2], fitted.predict_proba(X), atol=1e-6)
    assert fitted.knock_out(X, []).proba.shape == (0, 60, 3)
    with pytest.raises(TypeError, match=r"clamp=\[0\]; expected a Clamp"):
        fitted.knock_out(X, Clamp([0], [0.3]))


def test_clamp_values_per_instance_follow_the_batches(fitted):
    X, _ = make_panel(n_instances=1100)
    values = np.random.default_rng(0).normal(size=(1100, 10, 1)).astype(np.float32)
    run = fitted.unroll(X, clamp=Clamp([2], values))
    np.testing.assert_array_equal(run.hidden[:, :, 2], values[:, :, 0])
    last = fitted.unroll(X[1090:], clamp=Clamp([2], values[1090:]))
    np.testing.assert_allclose(run.logits[1090:], last.logits, atol=1e-6)


def test_modules_without_knock_out_are_unrolled():
    class UserModule(nn.Module):
        def __init__(self, input_size, n_classes):
            super().__init__()
            self.network = RecurrentNetwork(input_size, n_classes, hidden_size=4)

        def forward(self, X):
            return self.network(X)

        def unroll(self, X, *, clamp=None, layer=-1, state="h"):
            return self.network.unroll(X, clamp=clamp, layer=layer, state=state)

    X, y = make_panel(n_channels=1)
    options = {"criterion": nn.CrossEntropyLoss, "max_epochs": 1, "random_state": 0, "verbose": 0}
    net = RecurrentClassifier(UserModule, **options).fit(X[:, 0], y)
    clamps = [Clamp([0], [0.3]), Clamp([1], [0.1], start=3)]
    many = net.knock_out(X[:, 0], clamps)
    expected = net.module_.network.knock_out(torch.from_numpy(X.astype(np.float32)), clamps)
    np.testing.assert_allclose(many.logits, expected, atol=1e-6)
