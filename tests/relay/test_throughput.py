"""The default score against its reference implementation, and on good networks."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from test_map import PROBLEMS, every_problem, map_problem

from relayestimators import StateDiscretizer, relay_map
from relayestimators.relay import RelayMapWarning, relay_scores
from relayestimators.relay._order import strongest_nodes


def reference_conditional_entropy(y, given):
    """Return H(Y|Z) in bits, with the Miller-Madow correction of H(Y,Z) and of H(Z)."""
    z = [tuple(row) for row in np.asarray(given).reshape(len(y), -1)]
    joint, of_z = Counter(zip(y.tolist(), z)), Counter(z)
    plug_in = -math.fsum(c / len(y) * math.log2(c / of_z[k]) for (_, k), c in joint.items())
    return plug_in + (len(joint) - len(of_z)) / (2 * len(y) * math.log(2))


def reference_halves(states):
    """Return whether a state is at or above the one that comes closest to the median split."""

    def cut(node):
        return min(
            range(1, max(2, states.max() + 1)), key=lambda s: abs(2 * sum(node >= s) - len(node))
        )

    return np.column_stack([node >= cut(node) for node in states.T])


def reference_throughput(a, b, said, classes, states, largest):
    """Return bits carried, weighted by the evidence that a node is heard, by the definition."""
    n, n_nodes = states.shape
    halves = reference_halves(states)
    carried, evidence, deviation = [], [], []
    for node in range(n_nodes):
        y, of_sizes = states[:, node], []
        for size in {0, largest}:
            terms = []
            for s in combinations([k for k in range(n_nodes) if k != node], size):
                z = halves[:, list(s)]
                h, h_a, h_b, h_c, h_cb = (
                    reference_conditional_entropy(y, np.column_stack(given))
                    for given in (
                        (z, y * 0),
                        (z, a),
                        (z, b),
                        (z, classes),
                        (z, classes, said),
                    )
                )
                terms.append([h - h_a, h - h_b, h_c - h_cb])
            squares = np.mean(np.sign(terms) * np.square(terms), axis=0)
            of_sizes.append(np.sign(squares) * np.sqrt(np.abs(squares)))
        enters, leaves, beyond = np.mean(of_sizes, axis=0)
        carried.append(min(enters, leaves))
        evidence.append(n * math.log(2) * max(0, beyond))
        freedom = sum(
            (len(set(y[classes == c])) - 1) * (len(set(said[classes == c])) - 1)
            for c in set(classes.tolist())
        )
        deviation.append(math.sqrt(max(freedom, 1) / 2))
    best = max(0, *(e - 4 * d for e, d in zip(evidence, deviation, strict=True)))
    asked = [min(6 * d, best) for d in deviation]
    return [c * math.exp(min(0, e - x)) for c, e, x in zip(carried, evidence, asked, strict=True)]


@every_problem
def test_throughput_equals_its_reference_implementation(problem):
    a, b, states = problem
    size = min(2, states.shape[1] - 1)
    scores = relay_scores(a, b, states, n_contexts=1000, context_size=size)
    expected = reference_throughput(a, b, b, a, states, size)
    np.testing.assert_allclose(scores, expected, atol=1e-10)


def reference_margin(b, log_odds, classes):
    """Return (what is said, whether the margin is above the median of those alike)."""
    large = []
    for said, odds, c in zip(b, log_odds, classes, strict=True):
        alike = sorted(log_odds[(b == said) & (classes == c)])
        below = sum(x < odds for x in alike) + (sum(x == odds for x in alike) + 1) / 2
        large.append(below > (len(alike) + 1) / 2)
    return 2 * b + np.array(large)


@every_problem
def test_throughput_with_margins_and_classes_equals_its_reference_implementation(problem):
    a, b, states = problem
    rng = np.random.default_rng(0)
    labels = 2 * a + rng.integers(0, 2, len(a))  # classes that the concept joins
    log_odds = rng.normal(size=len(a)).round(1) + states[:, 0]  # with ties
    size = min(1, states.shape[1] - 1)
    options = {"log_odds": log_odds, "labels": labels, "n_contexts": 1000, "context_size": size}
    said = reference_margin(b, log_odds, labels)
    expected = reference_throughput(a, b, said, labels, states, size)
    np.testing.assert_allclose(relay_scores(a, b, states, **options), expected, atol=1e-10)


def test_equal_margins_change_nothing():
    a, b, states = PROBLEMS["binary"]
    same = relay_scores(a, b, states, log_odds=np.full(len(a), 3.0), random_state=0)
    np.testing.assert_array_equal(same, relay_scores(a, b, states, random_state=0))


def test_a_network_that_always_says_the_same_relays_nothing():
    """Its margin goes with the states of nodes that know the class, but the prediction does not."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 1000)
    hidden = 2 * a[:, None] + rng.normal(size=(1000, 8))
    states = (hidden > 1).astype(int) + (hidden > 0) + (hidden > 2)
    options = {"log_odds": 5 + hidden[:, 0], "random_state": 0}
    assert np.abs(relay_scores(a, np.zeros(1000, dtype=int), states, **options)).max() < 0.01


def test_a_map_of_what_predictions_do_not_say_is_remarked():
    """Node 0 has both the class and an output that has nothing to do with it."""
    a, b = np.random.default_rng(0).integers(0, 2, (2, 1000))
    states = np.c_[2 * a + b, a, b]
    with pytest.warns(
        RelayMapWarning, match=r"only 0\.00 bits .*concept 0.*nodes have up to 0\.85"
    ):
        assert relay_scores(a, b, states)[0] == pytest.approx(0.5 + 0.5 * 0.5**0.5, abs=0.01)


@pytest.mark.parametrize("n_copies", [2, 8, 32])
def test_copies_of_what_passes_are_credited(n_copies):
    """One bit passes through every node, and the network makes no errors."""
    a = np.array([0, 1] * 100)
    scores = relay_scores(a, a, np.repeat(a[:, None], n_copies, axis=1))
    assert scores.min() > 0.49
    np.testing.assert_allclose(scores, scores[0])


def votes(seed, n_voters, flips, decoy_flips, n=1000, n_nodes=32):
    """Return a problem where the majority of noisy copies of A is said, and better ones are not."""
    rng = np.random.default_rng(seed)
    a, where = rng.integers(0, 2, n), rng.permutation(n_nodes)
    states = rng.integers(0, 2, (n, n_nodes))
    for nodes, fraction in (
        (where[:n_voters], flips),
        (where[n_voters : n_voters + 3], decoy_flips),
    ):
        states[:, nodes] = a[:, None] ^ (rng.random((n, len(nodes))) < fraction)
    b = (states[:, where[:n_voters]].mean(axis=1) > 0.5).astype(int)
    return a, b, states, where[:n_voters]


@pytest.mark.parametrize(("n_voters", "flips"), [(3, 0.1), (5, 0.2), (9, 0.3)])
def test_votes_come_before_decoys_that_know_more(n_voters, flips):
    found = []
    for seed in range(5):
        a, b, states, relays = votes(seed, n_voters, flips, 0.02)
        scores = relay_scores(a, b, states, random_state=0)
        found.append(np.isin(strongest_nodes(scores, n_voters), relays).mean())
    assert np.mean(found) >= 0.95


def error_free(seed, n=1000):
    """Return a problem without errors where three of six latches are heard, and the margin."""
    rng = np.random.default_rng(seed)
    a, where = rng.integers(0, 2, n), rng.permutation(32)
    hidden = rng.normal(size=(n, 32))
    hidden[:, where[:6]] = 3 * (2 * a[:, None] - 1) + 0.6 * hidden[:, where[:6]]
    odds = hidden[:, where[:3]].sum(axis=1)
    assert ((odds > 0) == a).all()
    states = StateDiscretizer().fit_transform(hidden[:, None])[:, 0]
    return a, states, np.abs(odds), where[:3], where[3:6]


def test_the_margin_shows_who_is_heard_where_there_are_no_errors():
    for seed in range(5):
        a, states, margin, heard, unheard = error_free(seed)
        scores = relay_scores(a, a, states, log_odds=margin, random_state=0)
        assert set(strongest_nodes(scores, 3)) == set(heard)
        with pytest.warns(RelayMapWarning, match="says the same of all instances of a true class"):
            blind = relay_scores(a, a, states, random_state=0)
        assert blind[[*heard, *unheard]].min() > 0.3  # without a margin all of them have the bit


def shaped(rng, shape, value, a):
    """Return activations that encode a noisy bit in a shape that a median cannot see."""
    if shape in ("one-hot", "saturated"):
        return np.where(a == 1, 0.9, -0.9) + 0.05 * rng.normal(size=len(a))
    if shape == "sparse":
        return np.maximum(value - 0.5, 0.0)
    if shape == "U":
        return np.exp(0.7 * value) * rng.choice([-1.0, 1.0], len(a))
    return np.where(a == 1, 0.999, np.where(value > -1.2, -0.999, -1.0))  # saturated levels


@pytest.mark.parametrize(
    ("shape", "kept"),
    [("one-hot", 0.99), ("saturated", 0.99), ("levels", 0.99), ("sparse", 0.7), ("U", 0.6)],
)
def test_codes_of_any_shape_survive_the_cut(shape, kept):
    """The concept is on in a tenth of the instances, two fifths ("saturated"), or a half."""
    rng = np.random.default_rng(0)
    fraction = {"one-hot": 0.1, "saturated": 0.4}.get(shape, 0.5)
    a = (rng.random(1000) < fraction).astype(int)
    value = 2.0 * a - 1 + 0.4 * rng.normal(size=1000)
    hidden = rng.normal(size=(1000, 1, 16))
    hidden[:, 0, 5] = shaped(rng, shape, value, a)
    states = StateDiscretizer().fit_transform(hidden)[:, 0]
    scores = relay_scores(a, a, states, random_state=0)
    assert scores.argmax() == 5
    assert scores[5] > kept * relay_scores(a, a, a[:, None])[0]


def test_large_alphabets_have_a_low_coverage():
    a = np.arange(260) % 26
    states = np.random.default_rng(0).integers(0, 2, (260, 1, 4))
    assert relay_map(a[:, None], a[:, None], states).coverage.max() < 6


def test_coverage_counts_the_cells_that_are_counted():
    """Cells of the concept, the context in two states, and the node."""
    concept_in, concept_out, states = map_problem()
    a, b, y = concept_in[:, 0], concept_out[:, 0], states[:, 0].astype(int)
    options = {"n_contexts": 100, "context_size": 1}
    result = relay_map(a[:, None], b[:, None], states[:, :1], **options)
    for node in range(6):
        n_cells = []
        for context in ([], *([k] for k in range(6) if k != node)):
            joint = np.column_stack([y[:, context] * 2 // 3, y[:, node]])
            n_cells.append(
                max(
                    len({(*row, v) for row, v in zip(joint.tolist(), x, strict=True)})
                    for x in (a, b)
                )
            )
        mean = (n_cells[0] + np.mean(n_cells[1:])) / 2  # over sizes
        assert result.coverage[0, 0, node] == pytest.approx(120 / mean)
