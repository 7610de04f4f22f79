"""Significance of relay scores: p-values, false discoveries, number of relays, intervals."""

import numpy as np
import pytest
from test_map import map_problem, planted

from relayestimators import relay_map
from relayestimators._intervals import subsampling_interval
from relayestimators.relay import METHODS
from relayestimators.relay._methods import TESTABLE, make_plan
from relayestimators.relay._significance import (
    half_scores,
    n_beyond_chance,
    permutation_pvalues,
    permuted_scores,
)


def test_pvalues_by_hand():
    """Two nodes whose null scores have mean 0 and standard deviation 1."""
    nulls = np.array([[[-1.0, 1.0], [1.0, -1.0]], [[-1.0, -1.0], [1.0, 1.0]]])
    np.testing.assert_allclose(permutation_pvalues(np.array([2.0, 0.0]), nulls), [1 / 5, 3 / 5])
    far = permutation_pvalues(np.array([2.0, -2.0]), nulls)
    np.testing.assert_allclose(far, [1 / 5, 1.0])


def test_scores_must_exceed_both_permutations():
    rng = np.random.default_rng(0)
    nulls = rng.normal(size=(2, 99, 4))
    nulls[1] += 10  # a permutation of B does not lower the scores
    assert permutation_pvalues(np.full(4, 5.0), nulls).min() > 0.5
    assert permutation_pvalues(np.full(4, 15.0), nulls).max() < 0.01


def test_constant_nodes_are_never_significant():
    nulls = np.zeros((2, 20, 3))
    nulls[:, :, 0] = np.random.default_rng(0).normal(size=(2, 20))
    pvalues = permutation_pvalues(np.array([9.0, 0.0, 0.0]), nulls)
    assert pvalues[0] < 0.05 < pvalues[1:].min()


def test_number_of_relays_by_steps():
    nulls = np.random.default_rng(0).normal(size=(2, 199, 10))
    scores = np.array([9.0, 0.1, 8.0, -0.3, 7.0, 0.2, 0.0, -1.0, 0.3, 0.4])
    assert n_beyond_chance(scores, nulls, 0.05) == 3
    assert n_beyond_chance(scores[[1, 3, 5, 6, 7, 8]], nulls[:, :, :6], 0.05) == 0
    assert n_beyond_chance(scores + 20, nulls, 0.05) == 10


def test_interval_has_the_standard_deviation_of_halves():
    draws = np.random.default_rng(0).normal(7.0, 2.0, size=(5000, 1))
    low, high = subsampling_interval(np.array([1.0]), draws, 0.05)
    assert low[0] == pytest.approx(1 - 1.96 * 2, abs=0.1)
    assert high[0] == pytest.approx(1 + 1.96 * 2, abs=0.1)


def test_halves_are_halves_of_the_present_instances():
    seen = []

    def score(a, b, states, plan):
        seen.append(states[:, 0])
        return states.mean(axis=0), None

    states = np.arange(20)[:, None]
    rows = np.arange(0, 20, 2)
    shuffles = [np.random.default_rng(k).permutation(20) for k in range(3)]
    codes = np.zeros(20, dtype=int)
    assert half_scores(score, codes, codes, states, rows, None, shuffles).shape == (3, 1)
    for half in seen:
        assert len(half) == len(set(half)) == 5
        assert set(half) <= set(rows)


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


def test_why_other_methods_have_no_pvalues():
    """Permuting A removes I(A;B), so that random nodes of an accurate network look like relays."""
    fractions = {"contexts": [], "throughput": []}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 2, 200)
        b = a ^ (rng.random(200) < 0.1)
        states = rng.integers(0, 2, (200, 16)).astype(np.uint8)
        shuffles = [rng.permutation(200) for _ in range(39)]
        for method, found in fractions.items():
            plan = make_plan(method, 200, 16, 2, 2, 64, None, 0)
            nulls = permuted_scores(METHODS[method], a, b, states, np.arange(200), plan, shuffles)
            scores, _ = METHODS[method](a, b, states, plan)
            found.append((permutation_pvalues(scores, nulls) <= 0.05).mean())
    assert np.mean(fractions["contexts"]) > 0.9
    assert np.mean(fractions["throughput"]) < 0.1


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


@pytest.mark.parametrize("method", TESTABLE)
def test_random_nodes_of_an_accurate_network_are_not_significant(method):
    """Random nodes of a network that is right in nine of ten cases."""
    hits = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 2, 200)
        b = a ^ (rng.random(200) < 0.1)
        states = rng.integers(0, 2, (200, 1, 16))
        options = {"method": method, "n_permutations": 39, "random_state": 0}
        result = relay_map(a[:, None], b[:, None], states, **options)
        hits.append(result.significant.any() or result.n_beyond > 0)
    assert sum(hits) <= 2


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
        ({"n_resamples": -1}, "n_resamples=-1"),
        ({"n_resamples": 1}, "n_resamples=1; expected 0 or an integer >= 2"),
        ({"method": "shrink", "n_permutations": 9}, "n_permutations=9; expected 0.*'shrink'"),
        ({"alpha": 1.0}, "alpha=1.0; expected a number between 0 and 1"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        relay_map(*map_problem(), **options)
