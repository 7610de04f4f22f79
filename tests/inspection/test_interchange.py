"""Exchange of states: by hand, in networks with known nodes, its statistics, bad arguments."""

from itertools import product

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel
from known_nets import BITS, hand_made_net, latches, two_bit_net

from relayestimators import GRUClassifier, LSTMClassifier, RNNClassifier
from relayestimators._exchange import Exchange, Layer, pairs_of, predictions
from relayestimators.inspection import interchange_information
from relayestimators.relay import conditional_mutual_information
from relayestimators.relay._coverage import CoverageWarning
from relayestimators.relay._transfer import enough, transferred

# ---------------------------------------------------------------- the exchange


def glued(net, X, base, source, nodes, t, state):
    """Return the class of a base that goes on from the states of a source, by torch's cells."""
    module = net.module_
    weights = dict(module.recurrent.named_parameters())
    kind = {"rnn": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}
    cell = kind[module.cell](X.shape[1], module.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): w for name, w in weights.items()})

    def step(x, now):
        if module.cell != "lstm":
            return {"h": cell(x[None], now["h"])}
        gates = x @ cell.weight_ih.T + cell.bias_ih + now["h"] @ cell.weight_hh.T + cell.bias_hh
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * now["c"] + i.sigmoid() * g.tanh()
        return {"c": c, "o": o.sigmoid(), "h": o.sigmoid() * c.tanh()}

    def states_of(instance, until):
        now = {name: torch.zeros(1, module.hidden_size) for name in "hc"}
        for x in torch.from_numpy(X[instance, :, :until]).T:
            now = step(x, now)
        return now

    with torch.no_grad():
        now, other = states_of(base, t + 1), states_of(source, t + 1)
        now[state][0, nodes] = other[state][0, nodes]
        if state == "c":
            now["h"] = now["o"] * now["c"].tanh()
        length = (~np.isnan(X[base]).any(axis=0)).sum()
        for x in torch.from_numpy(X[base, :, t + 1 : length]).T:
            now = step(x, now)
        return int(module.readout(now["h"]).argmax())


@pytest.mark.parametrize(
    ("classifier", "state"),
    [(RNNClassifier, "h"), (GRUClassifier, "h"), (LSTMClassifier, "h"), (LSTMClassifier, "c")],
)
def test_an_exchange_is_two_runs_glued_together(classifier, state):
    X, y = make_panel()
    X = cut_short(X, np.random.default_rng(0).integers(3, X.shape[2] + 1, len(X)))
    net = classifier(max_epochs=8, lr=0.05, module__hidden_size=6, random_state=0).fit(X, y)
    hidden = net.unroll(X, state=state).hidden
    order = np.random.default_rng(1).permutation(len(X))
    exchanges = [
        Exchange(np.array(nodes), t, shift)
        for nodes, t, shift in product(([0, 4], range(6)), (1, X.shape[2] - 1), (1, 3))
    ]
    found = predictions(Layer(net, X, hidden, -1, state), exchanges, order)
    for (nodes, t, shift), classes in zip(exchanges, found, strict=True):
        for base, source in order[pairs_of(hidden, t, shift, order)]:
            assert classes[base] == glued(net, X, base, source, nodes, t, state)
        alone = np.isnan(hidden[:, t, 0])
        np.testing.assert_array_equal(classes[alone], net.unroll(X).proba.argmax(axis=1)[alone])


def test_every_instance_is_base_and_source_equally_often():
    hidden = np.zeros((9, 3, 2))
    hidden[2:5, 2] = np.nan
    order = np.random.default_rng(0).permutation(9)
    for t, n_present in ((0, 9), (2, 6)):
        for shift in range(1, n_present):
            pairs = order[pairs_of(hidden, t, shift, order)]
            assert (pairs[:, 0] != pairs[:, 1]).all()
            present = np.flatnonzero(~np.isnan(hidden[:, t, 0]))
            for column in pairs.T:
                np.testing.assert_array_equal(np.sort(column), present)
        assert len(pairs_of(hidden, t, n_present, order)) == 0


# ---------------------------------------------------------------- networks with known nodes


def test_the_bit_moves_from_node_to_node():
    net, X, y = hand_made_net()
    result = interchange_information(net, X, y, nodes=range(8), random_state=0)
    assert result.carried.min() > 0.95
    moving = np.eye(8)[:, :4]
    for concept in range(2):
        np.testing.assert_allclose(result.transferred[:, concept], moving, atol=0.05)
        np.testing.assert_allclose(result.kept[:, concept], 1 - moving, atol=0.05)


def test_copies_carry_together_what_neither_carries_alone():
    net, X, y = two_bit_net()
    groups = [[0], [1], [0, 1], [2], [3, 4, 5]]
    result = interchange_information(net, X, y, groups=groups, concepts=BITS, random_state=0)
    np.testing.assert_allclose(result.carried, result.information[:, None] + np.zeros(5), atol=0.03)
    first, second = result.transferred[:, 0].T, result.transferred[:, 1].T
    assert (first[:, :2] < 0.6 * result.information[0]).all()
    np.testing.assert_allclose(first[:, 2], result.carried[0], atol=1e-12)
    np.testing.assert_allclose(second[:, 3], result.carried[1], atol=1e-12)
    assert np.abs(first[:, 3:]).max() < 0.02
    assert np.abs(second[:, [0, 1, 2, 4]]).max() < 0.02


def test_nodes_that_are_not_heard_carry_nothing():
    net, X, y = latches(n_instances=400)
    result = interchange_information(net, X, y, groups=[[0, 1, 2], [3, 4]], random_state=0)
    np.testing.assert_allclose(result.transferred[0], result.carried, atol=1e-12)
    assert np.abs(result.transferred[1]).max() < 0.02
    np.testing.assert_allclose(result.kept[1, 0], result.information[0], atol=0.02)


def test_backward_nodes_carry_later_input_to_the_first_time_step():
    """The readout reads backward nodes only; the class is in the last two time steps."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1, 4)).astype(np.float32)
    y = (X[:, 0, 2:].sum(axis=1) > 0).astype(int)
    options = {"module__hidden_size": 4, "module__bidirectional": True, "random_state": 0}
    net = GRUClassifier(max_epochs=15, lr=0.05, **options).fit(X, y)
    with torch.no_grad():
        net.module_.readout.weight[:, :4] = 0.0
    groups = [range(4), range(4, 8)]
    result = interchange_information(net, X, y, groups=groups, random_state=0)
    assert np.abs(result.transferred[0]).max() < 0.02
    np.testing.assert_allclose(result.transferred[1], result.carried, atol=1e-12)
    assert result.carried[0, :3].min() > 0.5 * result.information[0] > 0.1
    # at time step 3 backward nodes have seen the last input only, and the others still come
    assert result.carried[0, 3] < result.carried[0, 2]


# ---------------------------------------------------------------- statistics


def drawn(rng, n, n_values=2, n_sources=4, carries=0.5):
    """Return arguments of `transferred`, where stronger instances are carried."""
    a, strength, order = rng.integers(0, n_values, n), rng.normal(size=n), np.arange(n)
    pairs = np.concatenate([np.c_[order, np.roll(order, -k)] for k in range(1, 1 + n_sources)])
    base, source = pairs.T
    level = {0: np.inf, 0.5: 0.0, 1: -np.inf}[carries]
    takes = strength[source] + 0.3 * rng.normal(size=len(pairs)) > strength[base] + level
    said = np.where(rng.random(n) < 0.9, a, rng.integers(0, n_values, n))
    return a[source], a[base], np.where(takes, said[source], said[base]), pairs, n_values


@pytest.mark.parametrize("n_values", [2, 3])
def test_bits_are_the_corrected_information_of_the_definition(n_values):
    x, z, b, pairs, _ = drawn(np.random.default_rng(0), 200, n_values)
    n_cells = [len(set(zip(*c, strict=True))) for c in ((x, z), (b, z), (x, b, z), (z,))]
    bias = (n_cells[0] + n_cells[1] - n_cells[2] - n_cells[3]) / (2 * np.log(2) * len(x))
    expected = conditional_mutual_information(x, b, given=z) + bias
    assert transferred(x, z, b, pairs, n_values)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("carries", [0, 0.5, 1])
@pytest.mark.parametrize(("n", "n_sources"), [(100, 4), (300, 1), (300, 4)])
def test_the_standard_error_is_that_of_new_instances(n, n_sources, carries):
    rng = np.random.default_rng(0)
    found = np.array([transferred(*drawn(rng, n, 2, n_sources, carries)) for _ in range(200)])
    assert 0.85 < found[:, 1].mean() / found[:, 0].std() < 2.0
    if not carries:
        assert abs(found[:, 0].mean()) < 3 * found[:, 0].std() / np.sqrt(200) + 1e-3


def test_results_do_not_depend_on_workers_and_other_sets():
    net, X, y = two_bit_net(n_instances=60)
    options = {"random_state": 0, "timepoints": [1, -1]}
    one = interchange_information(net, X, y, nodes=[0, 2, 5], **options)
    two = interchange_information(net, X, y, nodes=[2], n_jobs=2, **options)
    np.testing.assert_array_equal(one.carried, two.carried)
    np.testing.assert_array_equal(one.transferred[1], two.transferred[0])
    np.testing.assert_array_equal(one.timepoints, [1, 4])
    other = interchange_information(net, X, y, random_state=1)
    assert (other.carried != interchange_information(net, X, y, random_state=0).carried).any()
    assert other.transferred.shape[0] == 0


def test_time_steps_that_few_instances_have():
    net, X, y = two_bit_net(n_instances=80)
    X = X.copy()
    X[1:, :, 4] = np.nan
    X[4:, :, 3] = np.nan
    with pytest.warns(
        CoverageWarning, match="12 pairs of 4 .* 2 values.*128 pairs or 64 instances"
    ):
        result = interchange_information(net, X, y, n_sources=4, random_state=0)
    np.testing.assert_array_equal(result.n_pairs, [320, 320, 320, 12, 0])
    assert np.isnan(result.carried_error[:, 3:]).all()
    np.testing.assert_array_equal(result.reliable[0], [True, True, True, False, False])
    assert np.isnan(result.carried[:, 4]).all()
    assert np.isfinite(result.carried[:, :4]).all()


def test_more_sources_do_not_make_up_for_few_instances():
    """Nothing is transferred, but ten values in 130 instances look as if much were."""
    rng = np.random.default_rng(0)
    x, z, b, pairs, _ = drawn(rng, 130, 10, 129, carries=0)
    assert len(b) >= 16 * 10**3
    assert not enough(len(b), 130, 10)
    assert enough(16 * 10**3, 16 * 10**2, 10)
    assert not enough(16 * 10**3 - 1, 16 * 10**2, 10)


# ---------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_sources": 0}, ValueError, "n_sources=0; expected an integer >= 1"),
        ({"n_sources": 2.5}, TypeError, "n_sources=2.5"),
        ({"nodes": [6]}, ValueError, r"nodes contains \[6\]"),
        ({"groups": [0, 1]}, TypeError, "groups=.*expected a list of sets"),
        ({"groups": [[0]], "nodes": [1]}, ValueError, "groups cannot be combined with nodes"),
        ({"timepoints": [5]}, ValueError, "timepoints"),
        ({"layer": 1}, ValueError, "layer=1"),
        ({"state": "c"}, ValueError, "state='c'"),
    ],
)
def test_bad_arguments(options, error, message):
    net, X, y = two_bit_net(n_instances=40)
    with pytest.raises(error, match=message):
        interchange_information(net, X, y, **options)
