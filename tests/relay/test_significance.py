"""Significance of relay scores: p-values, false discoveries, number of relays, intervals."""

from itertools import combinations

import numpy as np
import pytest
from test_map import map_problem, planted
from test_throughput import error_free, reference_conditional_entropy, reference_halves, votes

from relayestimators import relay_map
from relayestimators._intervals import subsampling_interval
from relayestimators.relay import METHODS, RelayMapWarning
from relayestimators.relay._codes import Codes, make_codes
from relayestimators.relay._methods import TESTABLE
from relayestimators.relay._significance import (
    half_scores,
    n_beyond_chance,
    observed_terms,
    permuted_among,
    permuted_terms,
    permuted_within,
    pooled_pvalues,
)


def test_statistics_of_the_tests_equal_their_reference_implementation():
    """Classes refine the concept, the margin refines what is said, and "heard" has no sets."""
    rng = np.random.default_rng(0)
    labels, states = rng.integers(0, 4, 120), rng.integers(0, 3, (120, 5))
    b = (labels // 2) ^ (rng.random(120) < 0.2)
    codes = make_codes(labels // 2, b, states[:, 0] + rng.normal(size=120), labels)
    pairs = list(combinations(range(5), 2))
    enters, leaves, beyond = observed_terms(
        codes, states.astype(np.uint8), (np.empty((1, 0), dtype=np.int64), np.array(pairs))
    )

    def shared(y, x, given):
        with_x, without = np.column_stack([given, x]), np.column_stack([given, 0 * y])
        return reference_conditional_entropy(y, without) - reference_conditional_entropy(y, with_x)

    halves = reference_halves(states)
    for node, y in enumerate(states.T):
        sets = [list(pair) for pair in pairs if node not in pair]
        for found, x in ((enters[node], codes.a), (leaves[node], codes.b)):
            terms = np.array([shared(y, x, halves[:, s]) for s in sets])
            square = np.mean(terms * np.abs(terms))
            of_pairs = np.sign(square) * np.sqrt(np.abs(square))
            assert found == pytest.approx((shared(y, x, 0 * y) + of_pairs) / 2, abs=1e-10)
        assert beyond[node] == pytest.approx(shared(y, codes.said, labels), abs=1e-10)


def reference_pooled_pvalues(observed, nulls):
    """Compare each null value with the others of its node, and observed values with all."""
    m, n_nodes = nulls.shape
    pool = []
    for k in range(n_nodes):
        for i in range(m):
            others = np.delete(nulls[:, k], i)
            pool.append((nulls[i, k] - others.mean()) / others.std(ddof=1) / np.sqrt(m / (m - 1)))
    standard = (observed - nulls.mean(axis=0)) / nulls.std(axis=0, ddof=1) / np.sqrt((m + 1) / m)
    return [(1 + sum(p >= z for p in pool)) / (1 + len(pool)) for z in standard]


@pytest.mark.parametrize("m", [3, 5, 40])
def test_pooled_pvalues_equal_their_reference_implementation(m):
    rng = np.random.default_rng(m)
    observed, nulls = rng.normal(size=6), rng.normal(size=(m, 6)) * np.arange(1, 7)
    expected = reference_pooled_pvalues(observed, nulls)
    np.testing.assert_allclose(pooled_pvalues(observed, nulls), expected)


def test_pvalues_by_hand():
    """Null values -1, 0, 1: standardized by the two others they are -1.7, 0 and 1.7."""
    nulls = np.array([[-1.0], [0.0], [1.0]])
    assert pooled_pvalues(np.array([2.5]), nulls) == pytest.approx(1 / 4)  # 2.5 / sqrt(4/3) > 1.7
    assert pooled_pvalues(np.array([1.0]), nulls) == pytest.approx(2 / 4)
    assert pooled_pvalues(np.array([-9.0]), nulls) == pytest.approx(1.0)


def test_constant_nodes_are_never_significant():
    nulls = np.zeros((20, 3))
    nulls[:, 0] = np.random.default_rng(0).normal(size=20)
    nulls[3, 2] = 1.0  # seen once in twenty permutations
    pvalues = pooled_pvalues(np.array([9.0, 5.0, 0.0]), nulls)
    assert pvalues[0] < 0.05
    assert pvalues[1] == 1.0
    assert pvalues[2] > 0.5


def test_states_are_permuted_within_true_classes():
    rng = np.random.default_rng(0)
    classes, order = rng.integers(0, 3, 60), rng.permutation(60)
    source = permuted_within(classes, order)
    np.testing.assert_array_equal(np.sort(source), np.arange(60))
    np.testing.assert_array_equal(classes[source], classes)
    assert (source != np.arange(60)).sum() > 40


def test_permutations_keep_instances_together_that_are_present():
    rng = np.random.default_rng(0)
    sources = np.array([rng.permutation(50) for _ in range(20)])
    np.testing.assert_array_equal(permuted_among(np.ones(50, dtype=bool), sources), sources)
    present = rng.random(50) < 0.7
    among = permuted_among(present, sources)
    rows = np.flatnonzero(present)
    np.testing.assert_array_equal(np.sort(among, axis=1), [np.arange(len(rows))] * 20)
    kept = present[sources[:, rows]]
    np.testing.assert_array_equal(rows[among][kept], sources[:, rows][kept])


def test_chance_keeps_true_and_predicted_class_together():
    """Without errors, what a node knows of A by chance it also knows of B."""
    rng = np.random.default_rng(0)
    a, states = rng.integers(0, 2, 200), rng.integers(0, 2, (200, 5)).astype(np.uint8)
    orders = np.array([rng.permutation(200) for _ in range(5)])
    plan = (np.empty((1, 0), dtype=np.int64),)
    nulls = permuted_terms(make_codes(a, a), states, plan, orders, orders)
    assert nulls.shape == (5, 3, 5)
    np.testing.assert_allclose(nulls[:, 0], nulls[:, 1], atol=1e-12)
    np.testing.assert_allclose(nulls[:, 2], 0.0, atol=1e-12)  # nothing is said beyond the class


def test_number_of_relays_by_steps():
    pvalues = np.array([0.001, 0.6, 0.001, 0.7, 0.001, 0.8, 0.5, 0.9, 0.4, 0.3])
    scores = np.array([9.0, 0.1, 8.0, -0.3, 7.0, 0.2, 0.0, -1.0, 0.3, 0.4])
    assert n_beyond_chance(scores, pvalues, 0.05) == 3
    assert n_beyond_chance(scores, pvalues + 0.1, 0.05) == 0
    assert n_beyond_chance(scores, pvalues / 100, 0.05) == 10
    # Steps as in Holm's method: two p-values of .02 pass after the eight others, and not before.
    falling = np.arange(10, 0, -1.0)
    assert n_beyond_chance(falling, np.array([0.001] * 8 + [0.02] * 2), 0.05) == 10
    assert n_beyond_chance(falling, np.full(10, 0.02), 0.05) == 0


def test_interval_has_the_deviation_of_halves_from_the_whole():
    draws = np.random.default_rng(0).normal(7.0, 2.0, size=(5000, 1))
    low, high = subsampling_interval(np.array([7.0]), draws, 0.05)
    assert low[0] == pytest.approx(7 - 1.96 * 2, abs=0.1)
    assert high[0] == pytest.approx(7 + 1.96 * 2, abs=0.1)
    low, high = subsampling_interval(np.array([6.0]), draws, 0.05)  # halves are biased by 1
    assert high[0] - 6 == pytest.approx(1.96 * np.sqrt(2**2 + 1), abs=0.1)
    two = subsampling_interval(np.array([0.0]), np.array([[1.0], [-1.0]]), 0.05)
    assert two[1, 0] == pytest.approx(12.7062)  # Student's t with one degree of freedom


def test_halves_are_halves():
    seen = []

    def score(codes, states, plan):
        seen.append(states[:, 0])
        return states.mean(axis=0), None

    states = np.arange(20)[:, None]
    orders = [np.random.default_rng(k).permutation(20) for k in range(3)]
    codes = Codes(*[np.zeros(20, dtype=int)] * 4)
    assert half_scores(score, codes, states, None, orders).shape == (3, 1)
    for half, order in zip(seen, orders, strict=True):
        np.testing.assert_array_equal(half, order[:10])


def one_step(seed, n, n_nodes):
    a, b, states, relays = planted(seed, n, n_nodes)
    return a[:, None], b[:, None], states[:, None], relays


def test_planted_relays_are_significant_and_counted():
    counted = []
    for seed in range(3):
        a, b, states, relays = one_step(seed, 500, 16)
        result = relay_map(a, b, states, n_permutations=39, random_state=0)
        assert relays <= set(np.flatnonzero(result.significant[0, 0]).tolist())
        assert result.significant.sum() <= 4
        counted.append(result.n_beyond)
    assert np.median(counted) == 2


def test_nodes_that_only_know_the_input_are_not_relays():
    """Two nodes encode A, but B is independent of A, so that nothing is relayed."""
    hits = 0
    for seed in range(8):
        a, _, states, _ = one_step(seed, 500, 16)
        b = np.random.default_rng(seed + 99).integers(0, 4, 500)[:, None]
        result = relay_map(a, b, states, n_permutations=39, random_state=0)
        hits += result.significant.any()
    assert hits <= 2


@pytest.mark.parametrize("method", METHODS)
def test_resampling_of_every_method_does_not_depend_on_workers(method):
    problem = map_problem(n=60)
    n_permutations = 4 if method in TESTABLE else 0
    options = {"method": method, "n_resamples": 4, "random_state": 0}
    options["n_permutations"] = n_permutations
    one = relay_map(*problem, **options)
    two = relay_map(*problem, n_jobs=2, **options)
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])
    assert one.confidence_interval.shape == (2, 2, 4, 6)
    assert ("pvalues" in one) == (n_permutations > 0)
    if n_permutations:
        assert one.pvalues.shape == one.significant.shape == (2, 4, 6)
        assert ((one.pvalues > 0) & (one.pvalues <= 1)).all()


@pytest.mark.parametrize("agreement", [0.9, 0.975, 1.0])
def test_random_nodes_of_an_accurate_network_are_not_significant(agreement):
    """At 20 time steps of a network that is nearly always right."""
    beyond, fraction = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 2, 300)
        b = a ^ (rng.random(300) < 1 - agreement)
        states = rng.integers(0, 2, (300, 20, 8))
        options = {"n_permutations": 20, "random_state": 0}
        result = relay_map(a[:, None], b[:, None], states, **options)
        beyond.append(result.n_beyond)
        fraction.append((result.pvalues <= 0.05).mean())
        assert not (result.pvalues_heard <= 0.05).mean() > 0.12
        assert result.n_heard == 0
    assert sum(n > 0 for n in beyond) <= 2
    assert np.mean(fraction) < 0.07


def test_auto_takes_no_noise_of_a_network_that_is_nearly_always_right():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 300)
    b = a ^ (rng.random(300) < 0.025)
    states = rng.integers(0, 2, (300, 20, 16)).astype(np.uint8)
    result = relay_map(a[:, None], b[:, None], states, n_permutations=39, random_state=0)
    assert (result.n_beyond, result.n_heard) == (0, 0)


def test_the_size_of_the_test_at_an_agreement_of_95_percent():
    fractions = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 2, 300)
        b = a ^ (rng.random(300) < 0.05)
        states = rng.integers(0, 2, (300, 1, 16))
        result = relay_map(a[:, None], b[:, None], states, n_permutations=39, random_state=0)
        fractions.append([(p <= 0.05).mean() for p in (result.pvalues, result.pvalues_heard)])
    assert np.mean(fractions, axis=0).max() < 0.07  # two standard errors above .05


def test_nodes_that_only_know_are_told_from_nodes_that_are_heard():
    """Three nodes vote. Three others know more, and are beyond chance, but are not heard."""
    for seed in range(3):
        a, b, states, relays = votes(seed, 3, 0.1, 0.02, n_nodes=16)
        options = {"n_permutations": 39, "random_state": 0}
        result = relay_map(a[:, None], b[:, None], states[:, None], **options)
        assert result.n_beyond == 6
        assert result.n_heard == 3
        assert set(np.flatnonzero(result.heard[0, 0])) == set(relays)
        assert result.significant.sum() >= 6


def test_without_errors_and_margin_it_is_not_known_who_is_heard():
    a, states, margin, heard, _ = error_free(0)
    options = {"n_permutations": 20, "random_state": 0}
    with pytest.warns(RelayMapWarning, match="for 1 of 1 concepts|For 1 of 1 concepts"):
        blind = relay_map(a[:, None], a[:, None], states[:, None], **options)
    assert np.isnan(blind.pvalues_heard).all()
    assert not blind.heard.any()
    assert (blind.n_beyond, blind.n_heard) == (6, 0)
    seen = relay_map(a[:, None], a[:, None], states[:, None], log_odds=margin[:, None], **options)
    assert set(np.flatnonzero(seen.heard[0, 0])) == set(heard)
    assert (seen.n_beyond, seen.n_heard) == (6, 3)


def test_a_number_of_relays_needs_enough_permutations():
    few = relay_map(*map_problem(), n_permutations=19, random_state=0)
    assert few.n_beyond is few.n_heard is None
    assert few.significant.shape == (2, 4, 6)
    assert relay_map(*map_problem(), n_permutations=20, random_state=0).n_beyond == 2
    some = relay_map(*map_problem(), n_permutations=10, alpha=0.1, random_state=0)
    assert some.n_beyond == 2


def test_ended_series_are_left_out_of_permutations_and_halves():
    concept_in, concept_out, states = map_problem()
    states[40:, 2] = 255
    states[:, 3] = 255
    options = {"n_permutations": 5, "n_resamples": 5, "random_state": 0}
    result = relay_map(concept_in, concept_out, states, **options)
    assert np.isnan(result.pvalues[:, 3]).all()
    assert not result.significant[:, 3].any()
    assert np.isnan(result.confidence_interval[:, :, 3]).all()
    assert np.isfinite(result.pvalues[:, :3]).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_permutations": -1}, "n_permutations=-1"),
        ({"n_permutations": 2}, "n_permutations=2; expected 0 or an integer >= 3"),
        ({"n_resamples": -1}, "n_resamples=-1"),
        ({"n_resamples": 1}, "n_resamples=1; expected 0 or an integer >= 2"),
        ({"method": "shrink", "n_permutations": 9}, "n_permutations=9; expected 0.*'shrink'"),
        ({"alpha": 1.0}, "alpha=1.0; expected a number between 0 and 1"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        relay_map(*map_problem(), **options)
