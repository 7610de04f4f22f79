"""Exchange of states: by hand, in networks with known nodes, its statistics, bad arguments."""

import tracemalloc
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel
from known_nets import BITS, hand_made_net, latches, two_bit_net

from relayestimators import GRUClassifier, LSTMClassifier, RNNClassifier
from relayestimators._exchange import Exchange, Layer, pairs_of, predictions
from relayestimators.inspection import interchange_information
from relayestimators.networks import Clamp
from relayestimators.panels._panel import aligned_timepoints
from relayestimators.relay import conditional_mutual_information, mutual_information
from relayestimators.relay._coverage import CoverageWarning
from relayestimators.relay._transfer import transferred

# ---------------------------------------------------------------- the exchange


def glued(net, X, base, source, nodes, state):
    """Return the class of a base that goes on from the states of a source, by torch's cells.

    Base and source are pairs of an instance and its time step.
    """
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
        (base, t), (source, t_source) = base, source
        now, other = states_of(base, t + 1), states_of(source, t_source + 1)
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
    lengths = (~np.isnan(X[:, 0])).sum(axis=1)
    timepoints = np.array([1, X.shape[2] - 3, X.shape[2] - 1])
    exchanges = [
        Exchange(np.array(nodes), step, shift)
        for nodes, step, shift in product(([0, 4], range(6)), range(3), (1, 3))
    ]
    for align in ("start", "end"):
        when = aligned_timepoints(timepoints, lengths, X.shape[2], align)
        found = predictions(Layer(net, X, hidden, when, -1, state), exchanges, order)
        for (nodes, step, shift), classes in zip(exchanges, found, strict=True):
            for base, source in order[pairs_of(when[:, step], shift, order)]:
                pair = (base, when[base, step]), (source, when[source, step])
                assert classes[base] == glued(net, X, *pair, nodes, state)
            alone = when[:, step] < 0
            intact = net.unroll(X).proba.argmax(axis=1)
            np.testing.assert_array_equal(classes[alone], intact[alone])


def test_every_instance_is_base_and_source_equally_often():
    when = np.tile([0, 1, 2], (9, 1))
    when[2:5, 2] = -1
    order = np.random.default_rng(0).permutation(9)
    for t, n_present in ((0, 9), (2, 6)):
        for shift in range(1, n_present):
            pairs = order[pairs_of(when[:, t], shift, order)]
            assert (pairs[:, 0] != pairs[:, 1]).all()
            present = np.flatnonzero(when[:, t] >= 0)
            for column in pairs.T:
                np.testing.assert_array_equal(np.sort(column), present)
        assert len(pairs_of(when[:, t], n_present, order)) == 0


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


@pytest.mark.parametrize(("n_values", "n"), [(2, 200), (3, 100), (2, 12)])
def test_bits_are_those_of_the_definition_less_their_bias(n_values, n):
    x, z, b, pairs, _ = drawn(np.random.default_rng(0), n, n_values)
    groups, without = pairs % min(40, n), []
    whole = conditional_mutual_information(x, b, given=z)
    for group in range(min(40, n)):
        left = (groups != group).all(axis=1)
        without.append(conditional_mutual_information(x[left], b[left], given=z[left]))
    cells = [len(set(zip(*c, strict=True))) for c in ((x, b, z), (z,), (x, z), (b, z))]
    of_pairs = (cells[0] + cells[1] - cells[2] - cells[3]) / (2 * np.log(2) * len(x))
    expected = whole - (len(without) - 1) * (np.mean(without) - whole) + of_pairs
    p = {k: v / len(x) for k, v in Counter(zip(z, x, b, strict=True)).items()}

    def marginal(*kept):
        found = Counter()
        for key, value in p.items():
            found[tuple(key[k] for k in kept)] += value
        return found

    pz, pzx, pzb = marginal(0), marginal(0, 1), marginal(0, 2)
    ratios = [
        np.log2(p[k] * pz[k[:1]] / (pzx[k[:2]] * pzb[k[::2]])) for k in zip(z, x, b, strict=True)
    ]
    variance = (len(without) - 1) * np.var(without) - np.var(ratios) / len(x)
    np.testing.assert_allclose(
        transferred(x, z, b, pairs), (expected, np.sqrt(max(variance, 0))), atol=1e-10
    )


def test_bits_of_a_concept_with_many_values_need_no_table_of_all_of_them():
    x, z, b, pairs, _ = drawn(np.random.default_rng(0), 400, 200)
    tracemalloc.start()
    transferred(x, z, b, pairs)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize(("n_values", "n", "n_sources"), [(2, 64, 63), (4, 256, 4), (4, 256, 100)])
def test_bits_of_nothing_are_0_whatever_the_number_of_sources(n_values, n, n_sources):
    """What a source says has nothing to do with its class, but is the same for all bases."""
    rng, found = np.random.default_rng(5), []
    for _ in range(60):
        x, z, _, pairs, _ = drawn(rng, n, n_values, n_sources)
        said = rng.integers(0, n_values, n)
        found.append(transferred(x, z, said[pairs[:, 1]], pairs))
    bits, errors = np.array(found).T
    assert abs(bits.mean()) < 3 * bits.std() / np.sqrt(60)
    assert bits.std() < 1.1 * errors.mean()


def test_where_nothing_could_be_transferred_nothing_is_known():
    x, z, b, pairs, _ = drawn(np.random.default_rng(0), 40)
    assert np.isnan(transferred(0 * x, z, b, pairs)).all()
    few = (pairs < 4).all(axis=1)
    assert np.isnan(transferred(x[few], z[few], b[few], pairs[few])).all()


@pytest.mark.parametrize("carries", [0, 0.5, 1])
@pytest.mark.parametrize(("n", "n_sources"), [(100, 4), (300, 1), (300, 4)])
def test_the_standard_error_is_that_of_new_instances(n, n_sources, carries):
    rng = np.random.default_rng(0)
    found = np.array([transferred(*drawn(rng, n, 2, n_sources, carries)[:4]) for _ in range(200)])
    assert 0.85 < found[:, 1].mean() / found[:, 0].std() < 2.0
    if not carries:  # with one source per base, the estimate is a little too low
        assert abs(found[:, 0].mean()) < found[:, 1].mean() / (2 if n_sources == 1 else 4)


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
    assert np.isnan(result.carried[:, 3:]).all()
    assert np.isfinite(result.carried[:, :3]).all()


def test_more_sources_do_not_make_up_for_few_instances():
    net, X, y = two_bit_net(n_instances=100)
    options = {"concepts": "class", "timepoints": [0], "n_sources": 500, "random_state": 0}
    with pytest.warns(CoverageWarning, match="9900 pairs of 100 .* 4 values.*1024 pairs or 256"):
        assert not interchange_information(net, X, y, **options).reliable.any()
    net, X, y = two_bit_net(n_instances=256)
    assert interchange_information(net, X, y, **options).reliable.all()


def test_a_class_without_instances_is_not_known():
    net, X, y = two_bit_net(n_instances=200)
    result = interchange_information(net, X[y != 3], y[y != 3], timepoints=[1], random_state=0)
    assert np.isnan(result.carried[3]).all()
    assert result.carried[:3].min() > 0.1


def test_every_field_has_its_own_values():
    """In the lower of two layers, from single knockouts and the statistics of pairs."""
    X, y = make_panel(n_instances=90)
    options = {"module__hidden_size": 6, "module__num_layers": 2, "random_state": 0}
    net = GRUClassifier(max_epochs=15, lr=0.05, **options).fit(X, y)
    result = interchange_information(
        net, X, y, groups=[[0, 3, 5]], timepoints=[2, 6], n_sources=2, layer=0, random_state=0
    )
    order, hidden = np.random.RandomState(0).permutation(90), net.unroll(X, layer=0).hidden
    truth = (y[:, None] == net.classes_).astype(int)
    for i, t in enumerate([2, 6]):
        for nodes, names in ((np.array([0, 3, 5]), "transferred kept"), (np.arange(6), "carried")):
            pairs = [pairs_of(np.full(90, t), shift, order) for shift in (1, 2)]
            pairs = np.concatenate(pairs)
            base, source = order[pairs].T
            said = []
            for shift in (0, 1):
                rows = slice(90 * shift, 90 * (shift + 1))
                clamp = Clamp(nodes, hidden[source[rows], t][:, None, nodes], t, t + 1, layer=0)
                said.append(net.unroll(X[base[rows]], clamp=clamp).proba.argmax(axis=1))
            said = np.eye(3, dtype=int)[np.concatenate(said)]
            for k in range(3):
                of_source = transferred(truth[source, k], truth[base, k], said[:, k], pairs)
                of_base = transferred(truth[base, k], truth[source, k], said[:, k], pairs)
                for name, expected in zip(names.split(), (of_source, of_base), strict=False):
                    where = (k, i) if name == "carried" else (0, k, i)
                    found = result[name][where], result[f"{name}_error"][where]
                    np.testing.assert_allclose(found, expected, atol=1e-12)
    intact = net.predict(X)
    expected = [mutual_information(y == label, intact == label) for label in net.classes_]
    np.testing.assert_allclose(result.information, expected, atol=1e-12)
    default = interchange_information(net, X, y, timepoints=[2], random_state=0)
    assert default.n_pairs.tolist() == [4 * 90]


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
