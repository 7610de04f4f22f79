"""Callbacks, interruptions and files of skorch work as in a plain NeuralNetClassifier."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EpochScoring,
    GradientNormClipping,
    LoadInitState,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
)
from skorch.dataset import Dataset
from skorch.exceptions import NotInitializedError, SkorchException
from skorch.helper import predefined_split
from test_with_skorch import (
    CODES,
    HALVED,
    LABELS,
    SIZES,
    X,
    Y,
    assert_same,
    history_without_times,
    ours,
    same_weights,
    scores,
    seeded,
    theirs,
)
from torch import nn

from relayestimators.inspection import relay_strength_scorer

# ---------------------------------------------------------------- callbacks


class Witness(Callback):
    """Record the arguments of callbacks."""

    def initialize(self):
        self.seen = []
        return self

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.seen.append(("begin", X.shape, X.dtype.name, set(y)))

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        self.seen.append(("epoch", len(dataset_train), net.predict(X).tolist()))
        assert net.classes_.tolist() == [0, 1, 2]

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append(("gradient", sum(1 for _ in named_parameters)))

    def on_train_end(self, net, **kwargs):
        self.seen.append(("end",))


def test_callbacks_are_told_what_they_are_told_in_skorch():
    net, plain = (make(callbacks=[("own", Witness())]) for make in (ours, theirs))
    net.fit(X, Y)
    seeded(lambda: plain.fit(X, CODES))
    seen, expected = (dict(net.callbacks_)["own"].seen for net in (net, plain))
    assert seen == expected
    assert seen[0] == ("begin", (60, 2, 10), "float32", {0, 1, 2})
    assert net.classes_.tolist() == LABELS.tolist()  # labels again after training


def test_hidden_states_after_every_epoch():
    paths = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            paths.append(net.hidden_states(X.astype(float)))
            assert net.module_.training  # as the last batch left it

    net = ours(callbacks=[Watch]).fit(X, Y)
    assert same_weights(net, ours().fit(X, Y))
    np.testing.assert_array_equal(paths[-1], net.hidden_states(X))
    assert np.abs(paths[-1] - paths[0]).max() > 0.01


@pytest.mark.parametrize("flat", [False, True])
def test_relays_as_a_score(flat):
    data = X[:, 0] if flat else X
    score = EpochScoring(relay_strength_scorer, on_train=True, use_caching=False, name="relays")
    net = ours(callbacks=[score]).fit(data, Y)
    assert net.history[-1, "relays"] == pytest.approx(relay_strength_scorer(net, data, Y))
    kept = ours(callbacks=[EpochScoring(relay_strength_scorer, on_train=True, name="relays")])
    with pytest.raises(ValueError, match="use_caching=False"):
        kept.fit(data, Y)


def test_gradient_clipping_can_be_changed():
    def names(net):
        return [name for name, _ in net.callbacks_]

    assert names(ours().initialize_callbacks())[0] == "gradient_clipping"
    off = ours(callbacks__gradient_clipping=None, lr=0.1).fit(X, Y)
    plain = theirs(lr=0.1).set_params(callbacks=[])
    seeded(lambda: plain.fit(X, CODES))
    assert_same(off, plain)
    tight = ours(callbacks__gradient_clipping__gradient_clip_value=0.01).fit(X, Y)
    own = ("own", GradientNormClipping(0.01))
    replaced = ours(callbacks__gradient_clipping=None, callbacks=[own]).fit(X, Y)
    swapped = ours(callbacks__gradient_clipping=GradientNormClipping(0.01)).fit(X, Y)
    assert same_weights(tight, replaced)
    assert same_weights(tight, swapped)
    assert not same_weights(tight, ours().fit(X, Y))
    assert names(replaced)[-2:] == ["own", "print_log"]
    with pytest.raises(ValueError, match="duplicate user-set callback name 'gradient_clipping'"):
        ours(callbacks=[("gradient_clipping", own[1])]).fit(X, Y)
    search = GridSearchCV(
        ours(), {"callbacks__gradient_clipping__gradient_clip_value": [0.01, 1.0]}, cv=2
    )
    assert search.fit(X, Y).best_params_


def without_seconds(table):
    return [line.rsplit(maxsplit=1)[0] for line in table.splitlines() if line.strip()]


def test_the_same_table_is_printed(capsys):
    options = {"verbose": 1, "train_split": HALVED}
    net, plain = (make(**options, callbacks=scores()) for make in (ours, theirs))
    tables = []
    for call in (lambda: net.fit(X, Y), lambda: seeded(lambda: plain.fit(X, CODES))):
        call(), call()  # the second time, skorch prints a message
        tables.append(without_seconds(capsys.readouterr().out))
    assert tables[0][0].split()[:2] == ["epoch", "acc"]
    assert [line.replace("cell, ", "") for line in tables[0]] == [
        line.replace("cell, ", "") for line in tables[1]
    ]
    ours().fit(X, Y)
    assert capsys.readouterr().out == ""
    lines = []
    ours(verbose=1, callbacks__print_log=PrintLog(sink=lines.append)).fit(X, Y)
    assert len(lines) == 2 + 3


def test_progress_bar(capsys):
    ours(callbacks=[ProgressBar(detect_notebook=False)], max_epochs=1).fit(X, Y)
    assert "0/4" in capsys.readouterr().err


def test_missing_validation_data_is_an_error_of_skorch(tmp_path):
    with pytest.raises(
        SkorchException, match="valid_loss_best.*Make sure you have validation data"
    ):
        ours(callbacks=[Checkpoint(dirname=tmp_path)]).fit(X, Y)


# ---------------------------------------------------------------- interruptions


class StopAt(Callback):
    def __init__(self, error, epoch=2):
        self.error, self.epoch = error, epoch

    def on_batch_end(self, net, training, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


def test_ctrl_c_keeps_the_net():
    net = ours(callbacks=[("stop", StopAt(KeyboardInterrupt()))]).fit(X, Y)
    assert len(net.history) == 2
    assert set(net.predict(X)) <= set(LABELS)
    assert len(net.set_params(callbacks__stop=None).partial_fit(X, Y).history) == 5


def test_an_error_in_a_callback_restores_labels_and_seeds():
    net = ours(callbacks=[("stop", StopAt(RuntimeError("stop it")))])
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="stop it"):
        net.fit(X, Y)
    assert torch.equal(before, torch.get_rng_state())
    assert net.classes_.tolist() == LABELS.tolist()
    assert set(net.predict(X)) <= set(LABELS)
    assert_same(net.set_params(callbacks__stop=None).fit(X, Y), _plain_fit())


def _plain_fit():
    plain = theirs()
    seeded(lambda: plain.fit(X, CODES))
    return plain


class Keep(Callback):
    """Keep copies of the network of the second epoch."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            kept.append((copy.deepcopy(net), pickle.loads(pickle.dumps(net))))


kept = []


def test_copies_made_in_training_continue_like_the_network():
    """Their shuffling and dropout are also those of the network."""
    options = {"module__num_layers": 2, "module__dropout": 0.4, "callbacks": [Keep]}
    net = ours(**options, max_epochs=5).fit(X, Y)
    for copied in kept.pop():
        assert copied.classes_.tolist() == LABELS.tolist()
        assert set(copied.predict(X)) <= set(LABELS)
        copied.set_params(max_epochs=3).partial_fit(X, Y)
        assert same_weights(copied, net)
        assert history_without_times(copied) == history_without_times(net)


def test_pickled_by_a_checkpoint(tmp_path):
    checkpoint = Checkpoint(monitor=None, f_pickle="net.pkl", dirname=tmp_path)
    net = ours(callbacks=[checkpoint]).fit(X, Y)
    with open(tmp_path / "net.pkl", "rb") as file:
        read = pickle.load(file)
    np.testing.assert_array_equal(read.predict(X), net.predict(X))


@pytest.mark.parametrize("make", [ours, theirs])
def test_resuming_is_as_if_nothing_had_happened(make, tmp_path):
    """From files only, and without shuffling, because files contain no random generator."""
    y = Y if make is ours else CODES
    known = {**SIZES, "iterator_train__shuffle": False}
    whole, checkpoint = make(**known, max_epochs=6), Checkpoint(monitor=None, dirname=tmp_path)
    seeded(lambda: whole.fit(X, y))
    first = make(**known, callbacks=[checkpoint, ("stop", StopAt(KeyboardInterrupt(), 4))])
    seeded(lambda: first.set_params(max_epochs=6).fit(X, y))
    assert len(first.history) == 4  # the last one incomplete
    second = make(**known, callbacks=[LoadInitState(checkpoint)], max_epochs=3).fit(X, y)
    assert same_weights(second, whole)
    assert [row["train_loss"] for row in second.history] == whole.history[:, "train_loss"]


@pytest.mark.parametrize("safe", [False, True])
def test_checkpoints_at_the_end_and_the_best(safe, tmp_path):
    if safe:
        pytest.importorskip("safetensors")
    files = {"use_safetensors": safe, "f_optimizer": None} if safe else {}
    last = TrainEndCheckpoint(dirname=tmp_path, **files)
    best = Checkpoint("valid_loss_best", dirname=tmp_path / "best", load_best=True, **files)
    split = predefined_split(Dataset(X[40:], Y[40:]))
    net = ours(train_split=split, callbacks=[best], lr=0.1, max_epochs=12)
    net.fit(X[:40], np.random.default_rng(0).permutation(Y[:40]))
    assert len(net.history) < 12  # the history is also that of the best epoch
    output = torch.from_numpy(net.predict_proba(X[40:])).log()
    loss = nn.functional.nll_loss(output, torch.from_numpy(CODES[40:]))
    assert float(loss) == pytest.approx(net.history[-1, "valid_loss"], rel=1e-4)
    net = ours(callbacks=[last], random_state=3).fit(X, Y)
    read = ours(**SIZES, classes=LABELS).initialize()
    read.load_params(checkpoint=last.checkpoint_, use_safetensors=safe)
    np.testing.assert_array_equal(read.predict(X), net.predict(X))


@pytest.mark.parametrize("safe", [False, True])
def test_weights_in_files(safe, tmp_path):
    if safe:
        pytest.importorskip("safetensors")
    net, file = ours().fit(X, Y), tmp_path / "weights"
    net.save_params(f_params=file, f_history=tmp_path / "history", use_safetensors=safe)
    other = clone(net).set_params(**SIZES).initialize()
    other.load_params(f_params=file, f_history=tmp_path / "history", use_safetensors=safe)
    assert same_weights(net, other)
    assert history_without_times(net) == history_without_times(other)
    np.testing.assert_array_equal(other.predict(X), np.searchsorted(LABELS, net.predict(X)))
    other.set_params(classes=LABELS)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    with pytest.raises(NotInitializedError, match="Cannot load state of an un-initialized model"):
        clone(net).load_params(f_params=file, use_safetensors=safe)
