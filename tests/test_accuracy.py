"""Accuracy on data sets of sktime, and the networks with known relays of the benchmarks.

Accuracy is that of default parameters on official splits, and the median of three seeds is tested.
The quick suite runs one data set; the others take minutes.
"""

import numpy as np
import pytest
from benchmarks import constructed, nulls, truth
from benchmarks.good_nets import GOOD_NETS, IMPOSSIBLE, make_good
from conftest import CELLS

from relayestimators import load_panel

QUICK = ("ItalyPowerDemand", "rnn", 0.94)
SLOW = [
    ("ItalyPowerDemand", "gru", 0.94),
    ("ItalyPowerDemand", "lstm", 0.94),
    ("BasicMotions", "gru", 0.90),
    ("BasicMotions", "lstm", 0.90),
    ("JapaneseVowels", "gru", 0.95),
]


@pytest.mark.parametrize(
    ("name", "cell", "lowest"),
    [QUICK, *(pytest.param(*row, marks=pytest.mark.slow) for row in SLOW)],
)
def test_median_accuracy(name, cell, lowest):
    X_train, y_train, X_test, y_test = load_panel(name)
    scores = [
        CELLS[cell](random_state=seed).fit(X_train, y_train).score(X_test, y_test)
        for seed in range(3)
    ]
    assert np.median(scores) >= lowest, scores


# ---------------------------------------------------------------- networks with known relays


@pytest.mark.parametrize("name", GOOD_NETS | IMPOSSIBLE)
def test_models_have_what_their_names_say(name):
    case = make_good(name, 0, 2000, 32)
    assert len(case.relays) == len(set(case.relays)) and np.isin(case.relays, range(32)).all()
    errors = np.mean(case.concept_in != case.concept_out)
    assert errors < 0.25
    if "copies" in name or "error-free" in name:
        assert errors == 0
    if name not in IMPOSSIBLE:
        assert (case.log_odds is not None) == ("margin" in name)
    if case.log_odds is not None and "one-hot" not in name:
        assert (case.log_odds >= 0).all()  # they are those of the value that is predicted


@pytest.mark.parametrize(
    "name", ["2 copies", "8 copies", "vote of 3, margin", "error-free, margin"]
)
def test_default_score_finds_relays_of_models(name):
    assert truth.of_model(name, 1)[0] == 1.0


def _hand_made(name, n=200):
    network, options = truth.NETWORKS[name]
    return network(seed=0, n=n, **options)


@pytest.mark.parametrize("name", truth.NETWORKS)
def test_relays_of_networks_are_the_nodes_that_are_heard(name):
    net = _hand_made(name)
    effects = constructed.effects(net)
    for t in {t for _, t in net.truth}:
        relays = np.concatenate([relays for (_, step), relays in net.truth.items() if step == t])
        heard = np.isin(np.arange(len(effects)), relays)
        assert (effects[heard, t] > 0).all()
        assert (effects[~heard, t] == 0).all()


def test_latches_and_register_know_their_bits():
    for name in ("latches, GRU, noise 0.3", "register, RNN"):
        for case in constructed.cases(_hand_made(name)).values():
            signs = 2 * case.concept_in - 1
            correct = (np.sign(case.hidden[:, case.relays]) == signs[:, None]).mean()
            assert correct > 0.95, name


def test_automaton_computes_parity():
    net = _hand_made("automaton, RNN")
    (case,) = constructed.cases(net).values()
    assert (case.concept_in == case.concept_out).all()
    assert 0.3 < case.concept_in.mean() < 0.7
    on = case.hidden[:, case.relays] > 0
    assert (on.sum(axis=1) == 1).all()  # one (state, symbol) at a time


@pytest.mark.parametrize("cell", CELLS)
def test_unheard_copies_change_nothing(cell):
    net = constructed.widened(cell, 0, 100, twins=False)
    nodes, copies = net.pairs.T
    weights = dict(net.module.named_parameters())
    assert (weights["readout.weight"][:, copies] == 0).all()
    assert (weights["recurrent.weight_hh_l0"][:, copies] == 0).all()
    entry = weights["recurrent.weight_ih_l0"].reshape(-1, len(nodes) * 2, net.X.shape[1])
    assert (entry[:, nodes, 0] == entry[:, copies, 0]).all()
    effects = constructed.effects(net)
    assert (effects[copies] == 0).all()
    assert (effects[nodes] > 0).all()


@pytest.mark.parametrize("twins", [False, True])
def test_exact_copies_have_the_states_of_their_nodes_and_keep_the_output(cell, twins):
    net = constructed.widened(cell, 0, 100, twins=twins, noise=0.0)
    trained = constructed._trained(cell, 0, net.X.shape[2])
    np.testing.assert_allclose(
        net.module(net.X).detach(), trained(net.X[:, :1]).detach(), atol=1e-12
    )
    for case in constructed.cases(net).values():
        nodes, copies = case.hidden[:, net.pairs].transpose(2, 0, 1)
        np.testing.assert_allclose(nodes, copies, atol=1e-12)


def test_scores_tell_copies_with_noise_of_their_own_and_keep_twins_together():
    _, by_step, _ = truth.of_copies("own noise only", "gru", 0)
    assert by_step[:, 0].min() == 1.0
    _, by_step, difference = truth.of_network("halved twins, GRU", 0)
    assert by_step[:, 0].min() > 0.9
    assert difference < 0.1


@pytest.mark.parametrize("kind", sorted({s.get("kind", "noise") for s in nulls.SETTINGS}))
def test_null_models_depend_on_what_their_kind_says(kind):
    a, b, states, _, _, chance, heard = nulls.null_model(
        0, {"kind": kind, "n": 4000, "n_classes": 2}
    )
    a, b, states = a[:, 0], b[:, 0], states[:, 0].astype(float)

    def related(nodes, values):
        """Return whether nodes are correlated with values, by five standard errors."""
        r = np.array([np.corrcoef(states[:, node], values)[0, 1] for node in nodes])
        return np.abs(r) * np.sqrt(len(values)) > 5

    every = np.arange(len(chance))
    both = related(every, a) & related(every, b)
    np.testing.assert_array_equal(both, ~chance)
    beyond = np.zeros(len(heard), dtype=bool)
    for value in (0, 1):
        rows = a == value
        for node in every:
            r = np.corrcoef(states[rows, node], b[rows])[0, 1]
            beyond[node] |= abs(r) * np.sqrt(rows.sum()) > 5
    np.testing.assert_array_equal(beyond, ~heard)
