"""The features in skorch's user guide work as in a plain NeuralNetClassifier.

`ours` and `theirs` make the same network: one with a classifier of this package and labels, one
with skorch alone and codes. With the same seed they must agree bit for bit.
"""

import copy
import pickle

import numpy as np
import pytest
import torch
from conftest import CELLS, cut_short, make_panel
from sklearn.metrics import f1_score, make_scorer, recall_score
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    BatchScoring,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LRScheduler,
    ParamMapper,
    PassthroughScoring,
    Unfreezer,
    WarmRestartLR,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.exceptions import NotInitializedError, SkorchTrainingImpossibleError
from skorch.helper import SkorchDoctor
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader

from relayestimators import GRUClassifier, RecurrentClassifier
from relayestimators.networks import RecurrentNetwork

X, Y = make_panel()
LABELS, CODES = np.unique(Y, return_inverse=True)
RAGGED = cut_short(X, 4 + np.arange(60) % 7)
SIZES = {"module__input_size": 2, "module__n_classes": 3}
SEED = np.random.RandomState(0).randint(2**31 - 1)  # seed of torch for random_state=0


def ours(cell="gru", **options):
    defaults = {"module__hidden_size": 4, "max_epochs": 3, "random_state": 0}
    return CELLS[cell](**(defaults | options))


def theirs(cell="gru", callbacks=(), **options):
    """Return the same network as `ours`, written with skorch alone."""
    if callbacks != "disable":
        callbacks = [GradientNormClipping(gradient_clip_value=1.0), *callbacks]
    defaults = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "batch_size": 16,
        "iterator_train__shuffle": True,
        "iterator_valid__batch_size": 1024,
        "train_split": None,
        "max_epochs": 3,
        "module__hidden_size": 4,
        "verbose": 0,
    }
    options = defaults | SIZES | options
    return NeuralNetClassifier(RecurrentNetwork, module__cell=cell, callbacks=callbacks, **options)


def seeded(call):
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return call()


def weights(net):
    return net.module_.state_dict()


def same_weights(one, two):
    one, two = (net if isinstance(net, dict) else weights(net) for net in (one, two))
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def history_without_times(net):
    """Return the history without durations."""
    return [{k: v for k, v in row.items() if k != "dur"} for row in net.history]


def assert_same(one, two, X=X):
    assert history_without_times(one) == history_without_times(two)
    assert same_weights(one, two)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    np.testing.assert_array_equal(one.predict(X), LABELS[two.predict(X)])


# ---------------------------------------------------------------- one fit, with many options


def recall_of_the_second(net, X, y):
    return recall_score(y == 1, net.predict(X) == 1)


def scores(**options):
    """Return scorers of every kind."""
    macro = make_scorer(f1_score, average="macro")
    kinds = {"acc": "accuracy", "auc": "roc_auc_ovr", "f1": macro, "own": recall_of_the_second}
    kinds["default"] = None
    made = {"lower_is_better": False} | options
    return [(name, EpochScoring(scoring, name=name, **made)) for name, scoring in kinds.items()]


def rates(policy, **options):
    return [LRScheduler(policy, **options)]


HALVED = ValidSplit(2, stratified=True)
USES = {
    "defaults": lambda: {},
    "lstm of two layers": lambda: {
        "cell": "lstm",
        "module__num_layers": 2,
        "module__bidirectional": True,
        "module__dropout": 0.3,
    },
    "rnn": lambda: {"cell": "rnn", "module__nonlinearity": "relu"},
    "validation": lambda: {"train_split": ValidSplit(5, stratified=True)},
    "validation on a fraction": lambda: {"train_split": ValidSplit(0.3, random_state=0)},
    "momentum": lambda: {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.1},
    "decay": lambda: {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
    "lr of the optimizer": lambda: {"optimizer__lr": 0.003},
    "lbfgs": lambda: {"optimizer": torch.optim.LBFGS, "batch_size": -1, "lr": 0.1},
    "groups of weights": lambda: {"optimizer__param_groups": [("recurrent.*", {"lr": 1e-4})]},
    "class weights": lambda: {"criterion__weight": torch.tensor([1.0, 2.0, 5.0])},
    "label smoothing": lambda: {"criterion__label_smoothing": 0.2},
    "criterion made before": lambda: {"criterion": nn.CrossEntropyLoss(reduction="sum")},
    "margin": lambda: {"criterion": nn.MultiMarginLoss},
    "no shuffling": lambda: {"iterator_train__shuffle": False},
    "incomplete batches dropped": lambda: {"iterator_train__drop_last": True, "batch_size": 25},
    "batch sizes": lambda: {
        "train_split": HALVED,
        "iterator_train__batch_size": 5,
        "iterator_valid__batch_size": 7,
    },
    "torch's loader": lambda: {"iterator_train": DataLoader, "iterator_valid": DataLoader},
    "a worker": lambda: {"iterator_train__num_workers": 1, "max_epochs": 1},
    "steps": lambda: {"callbacks": rates("StepLR", step_size=1, gamma=0.3)},
    "plateau": lambda: {
        "callbacks": rates("ReduceLROnPlateau", monitor="train_loss", patience=0, threshold=0.9)
    },
    "cosine": lambda: {"callbacks": rates(lr_scheduler.CosineAnnealingLR, T_max=3)},
    "one cycle": lambda: {
        "callbacks": rates(lr_scheduler.OneCycleLR, max_lr=0.05, total_steps=12, step_every="batch")
    },
    "warm restarts": lambda: {"callbacks": rates(WarmRestartLR, min_lr=0.001, base_period=2)},
    "frozen": lambda: {"callbacks": [Freezer("recurrent.weight_hh*")]},
    "unfrozen": lambda: {"callbacks": [Freezer("recurrent.*"), Unfreezer("recurrent.*", at=2)]},
    "mapped": lambda: {
        "callbacks": [ParamMapper("readout.*", fn=lambda w: w.data.mul_(0.5), at=2)]
    },
    "initialized": lambda: {
        "callbacks": [Initializer("recurrent.weight*", fn=nn.init.orthogonal_)]
    },
    "scores": lambda: {"callbacks": scores(), "train_split": HALVED},
    "scores on train": lambda: {"callbacks": scores(on_train=True)},
    "scores without caching": lambda: {
        "callbacks": scores(use_caching=False),
        "train_split": HALVED,
    },
    "no caching at all": lambda: {"callbacks": scores(on_train=True), "use_caching": False},
    "scores of batches": lambda: {
        "callbacks": [BatchScoring("accuracy", name="batch", on_train=True, lower_is_better=False)]
    },
    "scores from the history": lambda: {
        "callbacks": [PassthroughScoring("train_batch_size", on_train=True)]
    },
    "early stopping": lambda: {
        "callbacks": [
            EarlyStopping("valid_acc", lower_is_better=False, patience=2, load_best=True)
        ],
        "train_split": HALVED,
        "max_epochs": 30,
        "lr": 0.1,
    },
    "no callbacks": lambda: {"callbacks": "disable"},
    "no epochs": lambda: {"max_epochs": 0},
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_the_same_net(use):
    net, plain = ours(**USES[use]()).fit(X, Y), theirs(**USES[use]())
    seeded(lambda: plain.fit(X, CODES))
    assert_same(net, plain)


@pytest.mark.parametrize("use", ["defaults", "scores without caching", "batch sizes"])
def test_the_same_net_of_ragged_panels(use, cell):
    options = USES[use]()
    net, plain = ours(cell, **USES[use]()).fit(RAGGED, Y), theirs(cell, **options)
    seeded(lambda: plain.fit(RAGGED, CODES))
    assert_same(net, plain, RAGGED)


@pytest.mark.filterwarnings("ignore")  # warnings of torch while it traces
def test_compiled():
    """The graph is traced, and the backend "eager" runs it without a compiler."""
    net = ours(compile=True, compile__backend="eager", max_epochs=1).fit(X, Y)
    plain = ours(max_epochs=1).fit(X, Y)
    np.testing.assert_allclose(net.predict_proba(X), plain.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(net.hidden_states(X), plain.hidden_states(X), atol=1e-6)


# ---------------------------------------------------------------- continued training


def test_partial_fit_is_skorchs():
    net, plain = ours(), theirs()
    for rows in (slice(30), slice(30, None), slice(None)):
        net.partial_fit(X[rows], Y[rows])
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        for rows in (slice(30), slice(30, None), slice(None)):
            plain.partial_fit(X[rows], CODES[rows])
    assert_same(net, plain)


def test_the_global_generator_does_not_matter():
    net = ours(module__num_layers=2, module__dropout=0.3)
    net.partial_fit(X, Y)
    torch.rand(3)
    ours(random_state=5).fit(X, Y)
    net.predict(X)
    net.partial_fit(X, Y)
    whole = ours(module__num_layers=2, module__dropout=0.3, max_epochs=6).fit(X, Y)
    assert same_weights(net, whole)


def test_warm_start_and_refit_have_the_histories_of_skorch():
    for options in ({}, {"warm_start": True}):
        net, plain = ours(**options).fit(X, Y).fit(X, Y), theirs(**options)
        seeded(lambda plain=plain: plain.fit(X, CODES))
        if options:
            assert len(net.history) == 6
            assert net.history[:3, "train_loss"] == plain.history[:, "train_loss"]
            assert same_weights(net, ours(max_epochs=6).fit(X, Y))
        else:
            assert_same(net, plain)


def test_fit_loop_for_some_epochs():
    net = ours().fit(X, Y)
    assert net.fit_loop(X.astype(float), Y, epochs=4) is net
    assert same_weights(net, ours(max_epochs=7).fit(X, Y))
    with pytest.raises(ValueError, match=r"y contains \['new'\]"):
        net.fit_loop(X, ["new"] * 60)


def test_initialize_is_the_beginning_of_fit():
    begun = ours(**SIZES).initialize()
    assert same_weights(begun, ours(**SIZES).initialize())
    fitted = ours().fit(X, Y)
    assert same_weights(copy.deepcopy(begun).partial_fit(X, Y), fitted)
    assert same_weights(copy.deepcopy(begun).set_params(warm_start=True).fit(X, Y), fitted)
    assert not same_weights(begun, ours(**SIZES, random_state=1).initialize())
    np.testing.assert_array_equal(begun.predict(X), begun.predict_proba(X).argmax(axis=1))


def test_announced_classes_do_not_change_the_order_of_classes():
    net = ours(classes=["mid", "low", "high"], max_epochs=20)
    net.partial_fit(X, Y, classes=["high", "low", "mid"])
    assert net.classes_.tolist() == ["mid", "low", "high"]
    assert net.score(X, Y) > 0.9


# ---------------------------------------------------------------- parameters of a fitted network


def test_what_is_made_anew_is_said_and_seeded(capsys):
    net, plain = ours(verbose=1).fit(X, Y), theirs(verbose=1)
    seeded(lambda: plain.fit(X, CODES))
    capsys.readouterr()
    printed = []
    for changed in (net, plain):
        changed.set_params(module__hidden_size=7)
        changed.set_params(criterion__label_smoothing=0.1)
        changed.set_params(lr=0.5, max_epochs=1, optimizer__weight_decay=0.1)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "module because the following parameters were re-set: module__hidden_size" in printed[0]
    twice = [ours().fit(X, Y).set_params(module__hidden_size=7) for _ in range(2)]
    assert same_weights(*twice)
    assert same_weights(*(net.partial_fit(X, Y) for net in twice))


def test_what_is_made_when_used_is_set_at_once():
    """skorch alone does not allow the first three, and calls a callback that is None."""
    live = ours(random_state=1).fit(X, Y)
    live.set_params(iterator_train__shuffle=False, iterator_valid__batch_size=9, dataset=Dataset)
    live.set_params(callbacks__gradient_clipping=None, random_state=1).partial_fit(X, Y)
    at_once = ours(random_state=1).fit(X, Y)
    at_once.iterator_train__shuffle, at_once.callbacks__gradient_clipping = False, None
    del at_once._generator_state
    at_once.initialize_callbacks().partial_fit(X, Y)
    assert same_weights(live, at_once)
    with pytest.raises(ValueError, match="did you mean iterator_train__shufle"):
        live.set_params(iterator_train_shufle=True)
    shape = InputShapeSetter(param_name="input_size", input_dim_fn=lambda X: X.shape[1])
    assert ours(callbacks=[shape]).fit(X, Y).fit(X[:, :1], Y).module_.recurrent.input_size == 1


def test_a_new_seed_takes_effect_at_once():
    nets = [ours().fit(X, Y).set_params(random_state=seed) for seed in (0, 1, 1)]
    for net in nets:
        net.partial_fit(X, Y)
    assert same_weights(nets[1], nets[2])
    assert not same_weights(nets[0], nets[1])


def test_params_are_those_of_skorch():
    options = {"optimizer__weight_decay": 0.1, "callbacks": [("own", Freezer("readout.*"))]}
    net = ours(**options).fit(X, Y)
    given, plain = net.get_params(), theirs(**options).initialize().get_params()
    assert set(plain) - set(given) == {
        "_params_to_validate",
        "module__cell",
        "module__input_size",
        "module__n_classes",
        *(name for name in plain if name.startswith("callbacks__GradientNormClipping")),
    }
    assert {"callbacks__own", "callbacks__gradient_clipping__gradient_clip_value"} <= set(given)
    live = pickle.loads(pickle.dumps(ours().fit(X, Y)))
    assert live.get_params(deep=False).keys() == ours().get_params(deep=False).keys()


def test_typos_are_found():
    with pytest.raises(ValueError, match="did you mean iterator_train__shufle"):
        ours(iterator_train_shufle=True).fit(X, Y)
    with pytest.raises(TypeError, match="hiden_size"):
        ours(module__hiden_size=3).fit(X, Y)
    with pytest.warns(UserWarning, match="iterator_valid__shuffle=True"):
        ours(iterator_valid__shuffle=True).fit(X, Y)


# ---------------------------------------------------------------- modules and criteria


class Averager(nn.Module):
    def __init__(self, input_size, n_classes, nonlinearity=None):
        super().__init__()
        self.linear, self.nonlinearity = nn.Linear(input_size, n_classes), nonlinearity

    def forward(self, X):
        output = self.linear(X.mean(dim=2))
        return output if self.nonlinearity is None else self.nonlinearity(output)


class Renamed(RecurrentNetwork):
    """A subclass that passes on its arguments."""

    def __init__(self, input_size, n_classes, **options):
        super().__init__(input_size, n_classes, **options)


def test_modules_of_your_own_in_the_three_classifiers(cell):
    net = ours(cell, max_epochs=30, lr=0.1)
    net.set_params(module=Averager, module__hidden_size=None)
    del net.module__hidden_size
    assert net.fit(X, Y).score(X, Y) > 0.9  # it has no `cell`
    assert same_weights(ours(cell, module=Renamed).fit(X, Y), ours(cell).fit(X, Y))
    made = seeded(lambda: RecurrentNetwork(2, 3, hidden_size=4, cell=cell))
    net = CELLS[cell](made, max_epochs=1, random_state=0).fit(X, Y)
    assert net.module_ is made
    before = copy.deepcopy(weights(net))
    assert not same_weights(net.fit(X, Y), before)  # continues, as in skorch


def test_probabilities_are_those_of_the_criterion():
    soft = {"module__nonlinearity": nn.Softmax(dim=1)}

    def train(module, criterion, **options):
        options = {"max_epochs": 3, "random_state": 0, "train_split": None, "verbose": 0} | options
        return RecurrentClassifier(module, criterion=criterion, **options).fit(X, Y)

    logits, probabilities = (
        train(Averager, nn.CrossEntropyLoss),
        train(Averager, nn.NLLLoss, **soft),
    )
    np.testing.assert_allclose(logits.predict_proba(X), probabilities.predict_proba(X), atol=1e-5)
    raw = logits.forward(X)
    np.testing.assert_array_equal(logits.predict_proba(X), raw.softmax(dim=-1).numpy())
    assert torch.equal(torch.cat(list(logits.forward_iter(X.astype(float)))), raw)
    assert torch.equal(logits.infer(torch.from_numpy(X)), raw)
    margin = train(Averager, nn.MultiMarginLoss)
    assert (margin.predict_proba(X) < 0).any()  # skorch needs to be told the nonlinearity
    margin.set_params(predict_nonlinearity=lambda output: output.softmax(dim=-1))
    np.testing.assert_allclose(margin.predict_proba(X).sum(axis=1), 1, atol=1e-6)


class Regularized(GRUClassifier):
    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        return loss + 10 * self.module_.readout.weight.abs().sum()

    def initialize_module(self):
        super().initialize_module()
        self.second_ = nn.Linear(2, 2)
        return self


def test_subclasses_change_the_loss_and_add_modules():
    net = Regularized(max_epochs=20, random_state=0).fit(X, Y)
    plain = GRUClassifier(max_epochs=20, random_state=0).fit(X, Y)
    assert net.module_.readout.weight.abs().sum() < 0.3 * plain.module_.readout.weight.abs().sum()
    assert "second" in net.prefixes_
    assert len(net.optimizer_.param_groups[0]["params"]) == 8
    assert pickle.loads(pickle.dumps(net)).predict(X).tolist() == net.predict(X).tolist()


def test_trimmed_for_prediction():
    net = ours().fit(X, Y)
    proba, hidden = net.predict_proba(X), net.hidden_states(X)
    net.trim_for_prediction()
    for trimmed in (net, pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(trimmed.predict_proba(X), proba)
        np.testing.assert_array_equal(trimmed.hidden_states(X), hidden)
        np.testing.assert_allclose(trimmed.unroll(X).proba, proba, atol=1e-6)
    net.trim_for_prediction()  # the second time changes nothing
    with pytest.raises(SkorchTrainingImpossibleError, match="trimmed for prediction"):
        net.partial_fit(X, Y)


def test_errors_before_fit_are_those_of_skorch():
    net, plain = ours(), theirs()
    assert str(net).replace("GRU", "NeuralNet").split("[")[1].startswith("uninitialized")
    for method in ("check_is_fitted", "predict", "predict_proba", "hidden_states"):
        with pytest.raises(NotInitializedError, match="GRUClassifier instance is not initialized"):
            getattr(net, method)(*() if method == "check_is_fitted" else (X,))
    net.fit(X, Y).check_is_fitted()
    seeded(lambda: plain.fit(X, CODES))
    assert str(net).split("[")[1] == str(plain).split("[")[1]


def test_the_doctor_comes():
    doctor = SkorchDoctor(ours(**SIZES, max_epochs=1)).fit(X, Y)
    updates = doctor.param_update_recs_["module"][0]
    assert set(updates) == set(dict(doctor.net.module_.named_parameters()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_seeds_on_the_gpu():
    options = {"device": "cuda", "module__num_layers": 2, "module__dropout": 0.4}
    net = ours(**options).partial_fit(X, Y)
    torch.rand(3, device="cuda")
    generator = torch.cuda.get_rng_state()
    net.partial_fit(X, Y)
    assert torch.equal(generator, torch.cuda.get_rng_state())
    assert same_weights(net, ours(**options, max_epochs=6).fit(X, Y))
