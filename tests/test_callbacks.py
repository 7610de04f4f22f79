"""RelayHistory records what an analyzer finds, and does not change the training."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CELLS, as_frames, cut_short, make_panel
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils import check_random_state
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, Initializer, PrintLog
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn

from relayestimators import CoverageWarning, RelayAnalyzer, RelayHistory
from relayestimators.inspection import localization_scorer, relay_strength_scorer
from relayestimators.networks import RecurrentNetwork
from relayestimators.relay._information import mutual_information

X, Y = make_panel(160)
X_HELD, Y_HELD = make_panel(160, seed=1)
NOISE = np.random.default_rng(2).normal(size=X.shape).astype(np.float32)
X, X_HELD = X + 2 * NOISE, X_HELD + 2 * NOISE[::-1]  # some errors
SEVERAL = {"timepoints": [2, 9], "method": "single"}  # fast, and with sufficient coverage
NUMPY_GENERATOR = check_random_state(None)  # numpy's global generator
HALVED = ValidSplit(2, stratified=True)


def make(cell="gru", relays=None, *others, **options):
    callbacks = [] if relays is None else [("relays", relays)]
    callbacks += list(others)
    defaults = {"module__hidden_size": 4, "max_epochs": 3, "batch_size": 40, "random_state": 0}
    return CELLS[cell](**(defaults | {"lr": 0.03} | options), callbacks=callbacks)


def on_held_out(**options):
    return RelayHistory(X_HELD, Y_HELD, **(SEVERAL | options))


def by_hand(net, X=X_HELD, y=Y_HELD, **options):
    options = SEVERAL | {"random_state": 0} | options
    return RelayAnalyzer(FrozenEstimator(net), **options).fit(X, y)


def weights(net):
    return net.module_.state_dict()


def same_weights(one, two):
    one, two = weights(one), weights(two)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def assert_same_record(one, two):
    for name in ("epochs_", "maps_", "coverage_", "accuracy_", "information_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


# ---------------------------------------------------------------- recorded values


@pytest.mark.parametrize("method", ["throughput", "single"])
def test_maps_are_those_of_nets_trained_so_far(cell, method):
    relays = on_held_out(every=2, method=method, strategy="sign")
    make(cell, relays, max_epochs=5).fit(X, Y)
    assert relays.epochs_.tolist() == [0, 2, 4, 5]
    assert relays.maps_.shape == relays.coverage_.shape == (4, 3, 2, 4)
    for i, epoch in enumerate(relays.epochs_):
        net = make(cell, max_epochs=int(epoch)).fit(X, Y)
        analyzer = by_hand(net, method=method, strategy="sign")
        np.testing.assert_array_equal(relays.maps_[i], analyzer.relay_map_)
        np.testing.assert_array_equal(relays.coverage_[i], analyzer.coverage_)
        assert relays.accuracy_[i] == pytest.approx(net.score(X_HELD, Y_HELD))
        predicted = net.predict(X_HELD)
        bits = [mutual_information(k == Y_HELD, k == predicted) for k in net.classes_]
        np.testing.assert_allclose(relays.information_[i], bits, atol=1e-12)
    assert relays.accuracy_[-1] > relays.accuracy_[0]
    np.testing.assert_array_equal(relays.concepts_, np.eye(3))
    assert relays.timepoints_.tolist() == [2, 9]
    assert relays.n_instances_.tolist() == [160, 160]
    assert not relays.in_sample_


def test_options_are_those_of_the_analyzer():
    options = {
        "concepts": "class",
        "method": "throughput",
        "n_states": 3,
        "strategy": "kmeans",
        "timepoints": [-1, -3],
        "align": "end",
        "layer": 0,
        "state": "c",
        "random_state": 7,
    }
    ragged = cut_short(X_HELD, 4 + np.arange(160) % 7)
    relays = RelayHistory(ragged, Y_HELD, every=3, n_jobs=2, **options)
    net = make("lstm", relays, module__num_layers=2).fit(X, Y)
    analyzer = by_hand(net, ragged, **options)
    np.testing.assert_array_equal(relays.maps_[-1], analyzer.relay_map_)
    np.testing.assert_array_equal(relays.n_instances_, analyzer.n_instances_)


def test_by_default_relays_are_found_on_the_validation_part():
    relays = RelayHistory(every=3, **SEVERAL)
    net = make("gru", relays, train_split=HALVED).fit(X, Y)
    codes = np.unique(Y, return_inverse=True)[1]
    valid = HALVED(Dataset(X, codes), codes)[1].indices
    np.testing.assert_array_equal(relays.maps_[-1], by_hand(net, X[valid], Y[valid]).relay_map_)
    assert not relays.in_sample_


def test_without_a_validation_part_on_the_training_data():
    relays = RelayHistory(every=3, **SEVERAL)
    ragged = cut_short(X, 4 + np.arange(160) % 7)
    net = make("gru", relays).fit(ragged, Y)
    np.testing.assert_array_equal(relays.maps_[-1], by_hand(net, ragged, Y).relay_map_)
    assert relays.in_sample_


class Rows(torch.utils.data.Dataset):
    """A Dataset that returns rows and has no attributes X and y."""

    def __init__(self, X, y):
        self.rows, self.codes = X, y

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i], self.codes[i]


def test_datasets():
    codes = np.unique(Y, return_inverse=True)[1]
    sizes = {"module__input_size": 2, "module__n_classes": 3, "classes": ["high", "low", "mid"]}
    expected = RelayHistory(**SEVERAL)
    make("gru", expected).fit(X, Y)
    for dataset in (Rows(X, codes), Dataset(X, codes), Dataset(X, torch.from_numpy(codes))):
        relays = RelayHistory(**SEVERAL)
        make("gru", relays, **sizes).fit(dataset, None)
        assert_same_record(relays, expected)
    relays, expected = RelayHistory(**SEVERAL), on_held_out()
    split = predefined_split(Dataset(X_HELD.astype(float), Y_HELD))
    make("gru", relays, train_split=split).fit(X, Y)
    make("gru", expected, train_split=split).fit(X, Y)
    assert_same_record(relays, expected)


# ---------------------------------------------------------------- labels and panels


@pytest.mark.parametrize(
    "labels",
    [np.array([7, -3, 50]), np.array(["b", "a", "c"]), np.array(["b", None, "c"])[[0, 2, 0]]],
    ids=["numbers", "strings", "objects, two classes"],
)
def test_labels_of_any_kind(labels):
    codes, held_codes = (np.unique(y, return_inverse=True)[1] for y in (Y, Y_HELD))
    y, y_held = labels[codes], labels[held_codes]
    relays = RelayHistory(X_HELD, list(y_held), every=3, **SEVERAL)
    net = make("gru", relays).fit(X, y)
    np.testing.assert_array_equal(relays.maps_[-1], by_hand(net, X_HELD, y_held).relay_map_)
    assert relays.accuracy_[-1] == pytest.approx(net.score(X_HELD, y_held))


def test_order_of_classes_given_by_the_user():
    table = [[0, 1], [1, 1], [2, 0]]  # rows as in classes_
    relays = on_held_out(every=3, concepts=table)
    net = make("gru", relays, classes=["mid", "low", "high"]).fit(X, Y)
    assert net.classes_.tolist() == ["mid", "low", "high"]
    analyzer = by_hand(net, concepts=table)
    np.testing.assert_array_equal(relays.maps_[-1], analyzer.relay_map_)
    np.testing.assert_array_equal(relays.concepts_, table)


def test_panels_of_any_kind():
    expected = on_held_out(every=3)
    make("gru", expected).fit(X, Y)
    for panel in (X_HELD.tolist(), torch.from_numpy(X_HELD), as_frames(X_HELD)):
        relays = RelayHistory(panel, Y_HELD, every=3, **SEVERAL)
        make("gru", relays).fit(X, Y)
        assert_same_record(relays, expected)


@pytest.mark.parametrize("given", [True, False])
def test_two_dimensional_arrays_and_tables(given):
    rows, held_rows = X[:, 0], X_HELD[:, 0]
    names = [f"hour {i}" for i in range(10)]
    for made in (np.asarray, lambda values: pd.DataFrame(values, columns=names)):
        data = (made(held_rows), Y_HELD) if given else ()
        relays = RelayHistory(*data, every=3, **SEVERAL)
        net = make("gru", relays).fit(made(rows), Y)
        X_found, y_found = data if given else (made(rows), Y)
        np.testing.assert_array_equal(relays.maps_[-1], by_hand(net, X_found, y_found).relay_map_)


# ---------------------------------------------------------------- training is not changed


class Witness(Callback):
    """Record modes and generators between epochs."""

    def initialize(self):
        self.seen_ = []
        return self

    def on_epoch_begin(self, net, **kwargs):
        modes = [part.training for part in (*net.module_.modules(), net.criterion_)]
        self.seen_.append(
            (modes, torch.get_rng_state().tolist(), NUMPY_GENERATOR.get_state()[1].tolist())
        )

    on_epoch_end = on_epoch_begin


def history_without_times(net):
    return [
        {k: v for k, v in row.items() if k != "dur" and not k.startswith("relay")}
        for row in net.history
    ]


@pytest.mark.parametrize("seed", [0, None])
def test_training_is_the_same_bit_for_bit(cell, seed):
    options = {"module__num_layers": 2, "module__dropout": 0.4, "random_state": seed}
    nets, after = [], []
    for relays in (None, on_held_out(random_state=None), RelayHistory(method="throughput")):
        witness = Witness()
        net = make(cell, relays, ("witness", witness), train_split=HALVED, **options)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            NUMPY_GENERATOR.seed(3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CoverageWarning)
                nets.append(net.fit(X, Y))
            after.append((torch.rand(2).tolist(), NUMPY_GENERATOR.rand(), witness.seen_))
    for net, state in zip(nets[1:], after[1:]):
        assert same_weights(net, nets[0])
        assert history_without_times(net) == history_without_times(nets[0])
        assert state == after[0]


class FailingHistory(RelayHistory):
    def _analyze(self, net):
        net.predict(X)
        torch.rand(1), NUMPY_GENERATOR.rand()
        raise ValueError("analysis failed")


def test_training_is_the_same_if_the_analysis_fails():
    plain, found = make().fit(X, Y), on_held_out(every=3)
    failed = make("gru", FailingHistory())
    net = make("gru", found).fit(X, Y)
    with torch.random.fork_rng():
        before = torch.get_rng_state(), NUMPY_GENERATOR.get_state()[1]
        with pytest.raises(ValueError, match="analysis failed"):
            failed.fit(X, Y)
        assert failed.module_.training  # predict had switched the network to evaluation mode
        assert torch.equal(before[0], torch.get_rng_state())
        np.testing.assert_array_equal(before[1], NUMPY_GENERATOR.get_state()[1])
    assert same_weights(net, plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_the_gpu():
    options = {"device": "cuda", "module__num_layers": 2, "module__dropout": 0.4}
    relays = on_held_out()
    net, plain = make("gru", relays, **options).fit(X, Y), make(**options).fit(X, Y)
    assert same_weights(net, plain)
    np.testing.assert_array_equal(relays.maps_[-1], by_hand(net).relay_map_)


# ---------------------------------------------------------------- training with skorch


def test_continued_and_repeated_training():
    whole = on_held_out()
    make("gru", whole, max_epochs=6).fit(X, Y)
    assert whole.epochs_.tolist() == list(range(7))
    warm, part, again, looped = on_held_out(), on_held_out(), on_held_out(), on_held_out()
    make("gru", warm, warm_start=True).fit(X, Y).fit(X, Y)
    make("gru", part).partial_fit(X, Y).partial_fit(X, Y)
    make("gru", again, max_epochs=6).fit(X, Y).fit(X, Y)
    make("gru", looped).fit(X, Y).fit_loop(X, Y)
    for relays in (warm, part, again, looped):
        assert_same_record(relays, whole)


def test_the_end_of_training_is_a_checkpoint():
    relays = on_held_out(every=4)
    net = make("gru", relays).partial_fit(X, Y).partial_fit(X, Y)
    assert relays.epochs_.tolist() == [0, 3, 4, 6]
    np.testing.assert_array_equal(relays.maps_[-1], by_hand(net).relay_map_)


def test_copies_record_independently():
    whole, relays = on_held_out(), on_held_out()
    make("gru", whole, max_epochs=6).fit(X, Y)
    net = make("gru", relays).fit(X, Y)
    for copied in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        own = dict(copied.callbacks_)["relays"]
        assert_same_record(own, relays)
        copied.partial_fit(X, Y)
        assert_same_record(own, whole)
    assert len(relays.epochs_) == 4
    cloned = clone(net)
    assert not hasattr(dict(cloned.callbacks)["relays"], "maps_")
    assert_same_record(dict(cloned.fit(X, Y).callbacks_)["relays"], relays)


def test_copies_made_during_training_contain_no_data(tmp_path):
    path = tmp_path / "net.pkl"
    saved = Checkpoint(monitor=None, f_pickle="net.pkl", dirname=tmp_path)
    whole = RelayHistory(**SEVERAL)
    net = make("gru", whole, saved).fit(X, Y)
    copied = pickle.loads(path.read_bytes())
    own = dict(copied.callbacks_)["relays"]
    assert_same_record(own, whole)
    assert "_datasets_" not in vars(own)
    net.partial_fit(X, Y)
    copied.partial_fit(X, Y)
    assert_same_record(own, whole)


def test_parameters_by_name():
    net = make("gru", on_held_out(), callbacks__relays__every=3).fit(X, Y)
    relays = dict(net.callbacks_)["relays"]
    assert relays.epochs_.tolist() == [0, 3]
    net.set_params(callbacks__relays__every=2, max_epochs=2, callbacks__print_log=None)
    net.partial_fit(X, Y)  # continues the record
    assert relays.epochs_.tolist() == [0, 3, 4, 5]
    with pytest.raises(ValueError, match="every=0; expected"):
        net.set_params(callbacks__relays__every=0).partial_fit(X, Y)
    off = make("gru", on_held_out(), callbacks__relays=None).fit(X, Y)
    assert "relays" not in dict(off.callbacks_)
    inside = make(max_epochs=1, callbacks__relays__every=1)
    inside.set_params(callbacks=[("relays", RelayHistory)])
    found = dict(inside.set_params(callbacks__relays__timepoints=[3]).fit(X, Y).callbacks_)
    assert found["relays"].maps_.shape == (2, 3, 1, 4)


def test_in_a_grid_search():
    search = GridSearchCV(make("gru", RelayHistory(**SEVERAL)), {"callbacks__relays__every": [2]})
    search.set_params(cv=2).fit(X, Y)
    relays = dict(search.best_estimator_.callbacks_)["relays"]
    assert relays.epochs_.tolist() == [0, 2, 3]


def test_another_size_starts_a_new_record():
    relays = on_held_out()
    net = make("gru", relays).fit(X, Y)
    net.set_params(module__hidden_size=5).partial_fit(X, Y)
    assert relays.epochs_.tolist() == [4, 5, 6]
    assert relays.maps_.shape == (3, 3, 2, 5)


def test_checkpoints_of_epochs_that_were_undone_are_removed(tmp_path):
    relays = on_held_out()
    saved = Checkpoint(monitor=lambda net: len(net.history) == 2, dirname=tmp_path, load_best=True)
    net = make("gru", relays, saved, max_epochs=4).fit(X, Y)
    assert len(net.history) == 2
    assert relays.epochs_.tolist() == [0, 1, 2, 3, 4]
    net.set_params(max_epochs=1, callbacks__Checkpoint=None)
    net.partial_fit(X, Y)
    assert relays.epochs_.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(relays.maps_[-1], by_hand(net).relay_map_)


@pytest.mark.parametrize("first", [True, False])
def test_early_stopping(first):
    relays, stop = on_held_out(every=5), EarlyStopping("train_loss", patience=2, threshold=10)
    callbacks = [("relays", relays), ("stop", stop)]
    net = make(max_epochs=50, callbacks__gradient_clipping=None)
    net.set_params(callbacks=callbacks if first else callbacks[::-1]).fit(X, Y)
    assert len(net.history) == 2 + 1 == relays.epochs_[-1]
    np.testing.assert_array_equal(relays.maps_[-1], by_hand(net).relay_map_)
    assert net.history[-1, "relay_strength"] == relay_strength_scorer(
        net, X_HELD, Y_HELD, **SEVERAL
    )


# ---------------------------------------------------------------- history


def test_the_history_has_the_values_of_scorers():
    relays, second = on_held_out(every=2, name="cell", state="c"), on_held_out(every=2)
    net = make("lstm", relays, ("second", second), max_epochs=4)
    for epochs in (2, 2):
        net.partial_fit(X, Y) if epochs == 4 else net.set_params(max_epochs=2).partial_fit(X, Y)
        row = net.history[-1]
        for name, state in (("cell", "c"), ("relay", "h")):
            options = SEVERAL | {"state": state}
            expected = relay_strength_scorer(net, X_HELD, Y_HELD, **options)
            assert row[f"{name}_strength"] == pytest.approx(expected, abs=1e-12)
            expected = localization_scorer(net, X_HELD, Y_HELD, **options)
            assert row[f"{name}_localization"] == pytest.approx(expected, abs=1e-12)
    scores = net.history[:, "cell_strength"]
    assert [score is None for score in scores] == [True, False, True, False]


def test_callbacks_can_use_the_history(tmp_path, capsys):
    lines = []
    log = PrintLog(sink=lines.append)
    net = make("gru", on_held_out(every=2), max_epochs=3, verbose=1, callbacks__print_log=log).fit(
        X, Y
    )
    assert "relay_localization" in lines[0]
    assert [len(line.split()) for line in lines[-3:]] == [
        3,
        5,
        3,
    ]  # the last epoch is recorded after the log
    assert isinstance(net.history[-1, "relay_strength"], float)
    net.history.to_file(tmp_path / "history.json")
    stop = EarlyStopping("relay_strength", patience=1, lower_is_better=False, threshold=100)
    net = make("gru", on_held_out(), stop, max_epochs=9).fit(X, Y)
    assert len(net.history) == 2


# ---------------------------------------------------------------- warnings


def constant_readout(value=0.0):
    return Initializer("readout.*", fn=lambda weight: nn.init.constant_(weight, value))


@pytest.mark.parametrize("method", ["throughput", "single"])
def test_a_network_with_constant_predictions(method):
    relays = on_held_out(method=method)
    net = make("gru", relays, constant_readout(), lr=0.0).fit(X, Y)
    assert len(np.unique(net.predict(X_HELD))) == 1
    assert relays.epochs_.tolist() == [0, 1, 2, 3]
    least = -0.01 if method == "throughput" else -1e-12  # entropies are corrected there
    assert (relays.maps_[1:] < 1e-12).all() and (relays.maps_[1:] >= least).all()
    np.testing.assert_allclose(relays.information_[1:], 0, atol=1e-12)
    assert net.history[-1, "relay_localization"] == 0


def test_a_validation_part_of_one_class():
    relays = RelayHistory(X_HELD[::3], Y_HELD[::3], **SEVERAL)
    make("gru", relays).fit(X, Y)
    np.testing.assert_allclose(relays.maps_, 0, atol=1e-12)


def test_one_warning_of_low_coverage_per_training():
    relays = RelayHistory(X_HELD[:6], Y_HELD[:6], **SEVERAL)
    net = make("gru", relays)
    for train in (net.fit, net.fit):
        with pytest.warns(CoverageWarning, match="fewer than 4 instances") as caught:
            train(X, Y)
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.partial_fit(X, Y)
    assert (relays.coverage_ < 4).any(axis=(1, 2, 3)).all()


def test_a_training_that_diverges_continues():
    relays = on_held_out()
    options = {"module__nonlinearity": "relu", "lr": 1e20, "callbacks__gradient_clipping": None}
    net = make("rnn", relays, **options)
    with pytest.warns(UserWarning, match="no relay map after epoch 1: .*diverged") as caught:
        net.fit(X, Y)
    assert len(caught) == 1
    assert len(net.history) == 3
    assert relays.epochs_.tolist() == [0, 1, 2, 3]
    assert np.isfinite(relays.maps_[0]).all()
    assert np.isnan(relays.maps_[1:]).all() and np.isnan(relays.coverage_[1:]).all()
    assert np.isnan(relays.accuracy_[1:]).all() and np.isnan(relays.information_[1:]).all()
    assert np.isnan(net.history[-1, "relay_strength"])


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("relays", "error", "match"),
    [
        (RelayHistory(X_HELD), ValueError, "received X without y"),
        (RelayHistory(y=Y_HELD), ValueError, "received y without X"),
        (on_held_out(every=0), ValueError, "every=0; expected an integer >= 1"),
        (on_held_out(every=0.5), TypeError, "every=0.5; expected an integer >= 1"),
        (on_held_out(method="guess"), ValueError, "method='guess'; expected one of"),
        (on_held_out(state="c"), ValueError, "state='c'"),
        (on_held_out(timepoints=[10]), ValueError, r"timepoints contains \[10\]"),
        (on_held_out(concepts=[[0], [1]]), ValueError, "n_classes=3"),
        (
            RelayHistory(X_HELD, np.where(Y_HELD == "low", "lower", Y_HELD)),
            ValueError,
            r"y of RelayHistory contains \['lower'\]; expected labels in \['high', 'low', 'mid'\]",
        ),
        (RelayHistory(X_HELD[:, :1], Y_HELD), ValueError, "1 features, but GRUClassifier"),
        (RelayHistory(X_HELD[:9], Y_HELD), ValueError, "inconsistent numbers of samples"),
    ],
)
def test_errors_are_raised_before_the_first_epoch(relays, error, match):
    net = make("gru", relays)
    with pytest.raises(error, match=match):
        net.fit(X, Y)
    assert len(net.history) == 1 and not net.history[-1]["batches"]
    assert not hasattr(relays, "maps_")


def test_networks_without_hidden_states():
    net = NeuralNetClassifier(
        RecurrentNetwork,
        module__input_size=2,
        module__n_classes=3,
        criterion=nn.CrossEntropyLoss,
        callbacks=[RelayHistory()],
    )
    with pytest.raises(TypeError, match="NeuralNetClassifier has no hidden states"):
        net.fit(X, np.unique(Y, return_inverse=True)[1])
