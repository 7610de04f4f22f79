"""Drift against reference implementations, closed forms, and maps with planted movements."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from relayestimators.dynamics import (
    chance_similarity,
    drift_summary,
    half_life,
    localization,
    relay_lifetime,
    relay_similarity,
    similarity_test,
)
from relayestimators.dynamics._localization import participation, transport_distance

LINE = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) / 4


def some_map(seed=0, shape=(2, 6, 5)):
    """Return a map with negative estimates, a step without relays, and one without values."""
    relay_map = np.random.default_rng(seed).normal(0.3, 0.5, size=shape)
    relay_map[0, 2] = -1.0
    relay_map[1, -2] = np.nan
    return relay_map


def wandering(n_nets, leave, *, n_timepoints=12, n_nodes=16, noise=0.0, seed=0):
    """Return two estimates of maps whose relay moves to a random node with probability `leave`."""
    rng = np.random.default_rng(seed)
    shape = n_nets, 3, n_timepoints
    node, moves = rng.integers(n_nodes, size=shape), rng.random(shape) < leave
    for t in range(1, n_timepoints):
        node[..., t] = np.where(moves[..., t], node[..., t], node[..., t - 1])
    return [np.eye(n_nodes)[node] + noise * rng.normal(size=(*shape, n_nodes)) for _ in range(2)]


def reference_similarity(first, second, lag, metric, cost):
    """Return the similarity of one concept by the definition."""
    values = []
    for t in range(len(first) - lag):
        pairs = {(t, t + lag): (first[t], second[t + lag])}
        if lag and second is not first:
            pairs[t + lag, t] = first[t + lag], second[t]
        for a, b in pairs.values():
            a, b = np.maximum(a, 0), np.maximum(b, 0)
            if not (a.sum() > 0 and b.sum() > 0):
                continue
            if metric == "cosine":
                values.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            elif cost is None:
                values.append(np.minimum(a / a.sum(), b / b.sum()).sum())
            else:
                places = np.arange(5) / 4
                values.append(1 - stats.wasserstein_distance(places, places, a, b))
    return np.mean(values) if values else np.nan


MEASURES = [("cosine", None), ("transport", None), ("transport", LINE)]


@pytest.mark.parametrize(("metric", "cost"), MEASURES)
@pytest.mark.parametrize("halves", [False, True])
def test_similarity_by_the_definition(metric, cost, halves):
    first = some_map()
    second = some_map(1) if halves else first
    result = relay_similarity(first, second if halves else None, metric=metric, cost=cost)
    expected = [
        [reference_similarity(a, b, lag, metric, cost) for lag in range(6)]
        for a, b in zip(first, second)
    ]
    np.testing.assert_allclose(result, expected, rtol=1e-9)
    chosen = relay_similarity(
        first, second if halves else None, lags=[3, 1], metric=metric, cost=cost
    )
    np.testing.assert_allclose(chosen, result[:, [3, 1]])


def test_similarity_of_relays_that_stay_and_that_never_return():
    stay, never_return = np.tile([1.0, 0, 0, 2.0], (4, 1)), np.eye(4)
    for metric in ("cosine", "transport"):
        np.testing.assert_allclose(relay_similarity(stay, metric=metric), 1)
        np.testing.assert_array_equal(relay_similarity(never_return, metric=metric), [1, 0, 0, 0])
    nothing = np.zeros((4, 3))
    assert np.isnan(relay_similarity(nothing)).all()
    assert np.isnan(chance_similarity(nothing)).all()
    assert np.isnan(similarity_test(nothing, n_permutations=3).pvalue).all()


@pytest.mark.parametrize(("metric", "cost"), MEASURES[:2])
@pytest.mark.parametrize("halves", [False, True])
def test_chance_is_the_mean_over_all_permutations(metric, cost, halves):
    """Compare with all permutations of the nodes of the second map of every pair."""
    relay_map = some_map(shape=(2, 4, 5))
    other = some_map(5, (2, 4, 5)) if halves else None
    relay_map[1, 1] = [0, 0, 1, 2, 0]
    result = chance_similarity(relay_map, other, metric=metric, cost=cost, lags=[0, 1])
    second = other if halves else relay_map
    for lag, found in zip([0, 1], result.T):
        pairs = [(relay_map[:, t], second[:, t + lag]) for t in range(4 - lag)]
        if lag and halves:
            pairs += [(second[:, t], relay_map[:, t + lag]) for t in range(4 - lag)]
        expected = [
            np.mean(
                [
                    relay_similarity(a[:, None], b[:, None][..., p], lags=0, metric=metric)[:, 0]
                    for p in map(list, permutations(range(5)))
                ],
                axis=0,
            )
            for a, b in pairs
        ]
        np.testing.assert_allclose(found, np.nanmean(expected, axis=0))


def test_chance_with_costs_is_sampled():
    a, b, cost = np.array([3.0, 1, 0, 1]), np.array([0, 0, 1.0, 1]), LINE[:4, :4]
    exact = np.mean(
        [1 - transport_distance(a, b[list(p)], cost=cost) for p in permutations(range(4))]
    )
    sampled = chance_similarity(
        [a, b], lags=1, metric="transport", cost=cost, n_permutations=50, random_state=0
    )
    assert sampled[0] == pytest.approx(exact, abs=0.05)
    assert sampled[0] != exact


def test_permutations_agree_with_the_exact_chance_level():
    relay_map = np.random.default_rng(0).random((2, 8, 6)) ** 3
    test = similarity_test(relay_map, lags=[1, 4], n_permutations=2000, random_state=0)
    exact = chance_similarity(relay_map, lags=[1, 4])
    error = test.permuted.std(axis=0) / np.sqrt(2000)
    assert (np.abs(test.permuted.mean(axis=0) - exact) < 4 * error).all()
    np.testing.assert_array_equal(test.similarity, relay_similarity(relay_map, lags=[1, 4]))
    n_as_similar = (test.permuted >= test.similarity).sum(axis=0)
    np.testing.assert_allclose(test.pvalue, (1 + n_as_similar) / 2001)


def test_false_positives_and_power():
    """300 maps with relays at random nodes, and 300 maps with relays that rarely move."""
    for leave, low, high in [(1.0, 0.02, 0.08), (0.3, 0.95, 1.0)]:
        maps = wandering(100, leave, noise=0.1)[0].reshape(300, 12, 16)
        pvalue = similarity_test(maps, n_permutations=99, random_state=0).pvalue
        assert low <= (pvalue <= 0.05).mean() <= high


def test_similarity_test_is_reproducible_and_leaves_the_global_generator_alone():
    relay_map, before = some_map(), np.random.get_state()  # noqa: NPY002
    first, again = (similarity_test(relay_map, n_permutations=9, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first.permuted, again.permuted)
    assert all(np.array_equal(a, b) for a, b in zip(before, np.random.get_state()))  # noqa: NPY002


def test_participation_by_hand():
    np.testing.assert_allclose(
        participation([[1, 0, 0, 0], [1, 1, 0, -5], [2, 2, 2, 2], [3, 1, 0, 0]]), [1, 2, 4, 1.6]
    )
    assert np.isnan(participation([[0.0, -0.1], [np.nan, np.nan]])).all()
    k = np.tril(np.ones((7, 7)))[None]  # k equal nodes
    np.testing.assert_allclose(participation(k)[0], np.arange(1, 8))
    assert participation(k).shape == localization(k).shape == (1, 7)


def test_transport_is_total_variation_without_costs():
    first, second = some_map(), some_map(1)
    result = transport_distance(first, second)
    by_costs = transport_distance(first, second, cost=1 - np.eye(5))
    np.testing.assert_allclose(result, by_costs, atol=1e-9)
    assert np.isnan(result).sum() == 2
    np.testing.assert_allclose(result, transport_distance(5 * second, 0.1 * first))


def test_transport_on_a_line():
    first, second = np.random.default_rng(0).random((2, 20, 5)).round(1)
    expected = [
        stats.wasserstein_distance(range(5), range(5), *pair) for pair in zip(first, second)
    ]
    np.testing.assert_allclose(transport_distance(first, second, cost=4 * LINE), expected)


def test_transport_of_equal_fractions_is_the_best_assignment():
    """The costs are not a metric, and not even symmetric."""
    rng = np.random.default_rng(0)
    for n in (2, 3, 5):
        cost = rng.random((n, n))
        best = min(cost[range(n), p].mean() for p in map(list, permutations(range(n))))
        same = np.ones(n)
        assert transport_distance(same, same, cost=cost) == pytest.approx(best)


def reference_lifetime(members):
    n_staying = n_leaving = 0
    for now, later in zip(members, members[1:]):
        if now.any() and later.any():
            n_staying += (now & later).sum()
            n_leaving += (now & ~later).sum()
    if not n_staying + n_leaving:
        return np.nan
    return (n_staying + n_leaving) / n_leaving if n_leaving else np.inf


@pytest.mark.parametrize("n_relays", [1, 2, 5, 0.4])
def test_lifetime_by_the_definition(n_relays):
    relay_map = some_map(shape=(2, 30, 5))
    k = {0.4: 2}.get(n_relays, n_relays)
    values = np.nan_to_num(np.maximum(relay_map, 0))
    members = (values >= np.sort(values)[..., -k][..., None]) & (values > 0)
    expected = [reference_lifetime(m) for m in members]
    np.testing.assert_allclose(relay_lifetime(relay_map, n_relays), expected)
    np.testing.assert_allclose(relay_lifetime(members), expected)


def test_lifetime_is_the_inverse_of_the_probability_to_leave():
    rng = np.random.default_rng(0)
    for leave in (0.5, 0.1):
        # In short windows most stays are cut off, which must not shorten the lifetime.
        maps = wandering(600, leave, n_timepoints=6, n_nodes=50)[0]
        rate = (1 / relay_lifetime(maps, 1)).mean()
        assert 1 / rate == pytest.approx(1 / (leave * 49 / 50), rel=0.06)
    chance = relay_lifetime(rng.random((20000, 8)), 3)
    assert chance == pytest.approx(8 / 5, rel=0.02)


def test_by_default_noise_beside_latches_does_not_count():
    rng = np.random.default_rng(0)
    maps = 0.01 * rng.random((200, 20, 16))
    maps[:, :, :3] = 0.5 + 0.1 * rng.normal(size=(200, 20, 3))
    assert np.isinf(relay_lifetime(maps)).mean() > 0.9
    assert np.median(relay_lifetime(maps, n_relays=8)) < 4  # a fixed number counts noise
    late = maps.copy()
    late[:, :10] = 0.01 * rng.random((200, 10, 16))  # nothing is relayed before
    assert np.isinf(relay_lifetime(late)).mean() > 0.9


def test_by_default_a_bit_that_moves_has_the_time_it_stays():
    moving = np.zeros((30, 10))
    moving[np.arange(30), np.arange(30) // 3 % 10] = 0.4
    noise = 0.01 * np.random.default_rng(0).random((30, 10))
    assert relay_lifetime(moving + noise) == pytest.approx(29 / 9)
    noise = np.random.default_rng(1).normal(size=(50, 16))
    assert relay_lifetime(noise) < 2


def test_lifetime_if_no_relay_leaves_or_nothing_is_relayed():
    assert relay_lifetime(np.ones((5, 4)), 2) == np.inf
    assert relay_lifetime(np.zeros((5, 4), dtype=bool)).shape == ()
    assert np.isnan(relay_lifetime(np.zeros((5, 4)), 2))
    assert np.isnan(relay_lifetime([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]], 1))


def test_half_life_of_a_decay():
    lags = np.linspace(0, 10, 2001)
    for life in (0.5, 3.0, 9.9):
        similarity = 0.2 + 0.6 * 0.5 ** (lags / life)
        assert half_life(similarity, lags=lags, chance=0.2) == pytest.approx(life, abs=1e-4)
        assert half_life(similarity, lags=lags + 5, chance=0.2) == pytest.approx(life, abs=1e-4)
    assert half_life(0.5 ** (lags / 11), lags=lags) == np.inf


def test_half_life_by_hand():
    values = [[4, 3, 1], [1, np.nan, 0], [1, 0.5, 0.9], [1, 1, 1], [0, 0, 0], [np.nan, 1, 0]]
    np.testing.assert_allclose(half_life(values), [1.5, 1, 1, np.inf, np.nan, np.nan])
    np.testing.assert_allclose(half_life([1.0, 0.7, 0.4], chance=[0, 0.2, 0.4]), 1.0)


def test_drift_of_planted_relays_is_found_through_noise():
    """Two estimates show how relays move; with one estimate, errors look like drift."""
    lags = np.arange(5)
    for leave in (0.0, 0.3, 1.0):
        truth = (1 - leave) ** lags
        maps, others = wandering(30, leave, noise=0.3, n_nodes=12)
        corrected = drift_summary(maps, others, lags=lags, n_relays=1)
        low, high = corrected.stability.confidence_interval
        assert ((low - 0.01 <= truth) & (truth <= high + 0.01)).all()
        assert (high - low).max() < 0.15
        assert corrected.ceiling.mean < 0.8
        uncorrected = drift_summary(maps, lags=lags, n_relays=1)
        assert uncorrected.ceiling.mean == pytest.approx(1)
        if leave < 1:
            assert uncorrected.stability.mean[1] < 0.8 * truth[1]
    life = drift_summary(*wandering(20, 0.1, noise=0.3, n_timepoints=16), n_relays=1).half_life
    # The line through the values of a convex decay lies above the decay.
    expected = np.interp(-0.5, -(0.9 ** np.arange(16)), np.arange(16))
    low, high = life.confidence_interval
    assert low < expected * 1.1
    assert high > expected * 0.9


def test_summary_agrees_with_the_single_functions():
    maps = list(np.maximum(wandering(5, 0.4, noise=0.2)[0], 0))
    maps[2] = maps[2][..., :9]  # a smaller network
    result = drift_summary(maps, lags=[2, 1], n_relays=2, per_concept=True, alpha=0.1)
    for i, relay_map in enumerate(maps):
        similarity = relay_similarity(relay_map, lags=[2, 1])
        np.testing.assert_allclose(result.similarity.per_net[i], similarity)
        np.testing.assert_allclose(result.drift.per_net[i], 1 - similarity)
        chance = chance_similarity(relay_map, lags=[0, 2, 1])
        np.testing.assert_allclose(result.chance.per_net[i], chance[:, 1:])
        stability = (similarity - chance[:, 1:]) / (1 - chance[:, :1])
        np.testing.assert_allclose(result.stability.per_net[i], stability)
        expected = half_life(np.c_[np.ones(3), stability[:, ::-1]])
        np.testing.assert_allclose(result.half_life.per_net[i], expected)
        np.testing.assert_allclose(result.lifetime.per_net[i], relay_lifetime(relay_map, 2))
        spread = [f(relay_map).mean(axis=1) for f in (localization, participation)]
        np.testing.assert_allclose(result.localization.per_net[i], spread[0])
        np.testing.assert_allclose(result.participation.per_net[i], spread[1])
    for name in ("similarity", "localization"):
        values = result[name].per_net
        expected = stats.t.interval(0.9, 4, values.mean(axis=0), stats.sem(values))
        np.testing.assert_allclose(result[name].mean, values.mean(axis=0))
        np.testing.assert_allclose(result[name].confidence_interval, expected)
    np.testing.assert_allclose(
        result.lifetime.mean, stats.hmean(result.lifetime.per_net, axis=0), rtol=1e-9
    )
    low, high = result.lifetime.confidence_interval
    assert ((low < result.lifetime.mean) & (result.lifetime.mean < high)).all()


def test_summary_averages_concepts_and_leaves_out_nan():
    maps = np.array(wandering(4, 0.5)[0])
    each = drift_summary(maps, n_relays=1, per_concept=True)
    whole = drift_summary(maps, n_relays=1)
    np.testing.assert_allclose(whole.similarity.per_net, each.similarity.per_net.mean(axis=1))
    assert whole.lags.tolist() == [*range(12)]
    maps[0, 1] = 0  # concept 1 is not relayed in network 0
    partial = drift_summary(maps, n_relays=1, per_concept=True)
    np.testing.assert_allclose(partial.drift.mean[1], each.drift.per_net[1:, 1].mean(axis=0))
    assert np.isfinite(partial.drift.confidence_interval).all()
    np.testing.assert_allclose(
        drift_summary(maps, n_relays=1).drift.per_net[0], each.drift.per_net[0, [0, 2]].mean(axis=0)
    )


def test_summary_of_relays_that_never_leave():
    maps = wandering(4, 0.0)[0]
    result = drift_summary(maps, n_relays=1)
    for name in ("lifetime", "half_life"):
        assert (result[name].per_net == np.inf).all()
        assert result[name].mean == np.inf
        assert (result[name].confidence_interval == np.inf).all()
    maps[0] = np.eye(16)[np.arange(12) % 16]
    low, high = drift_summary(maps, n_relays=1).lifetime.confidence_interval
    assert 0 < low < np.inf
    assert high == np.inf


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: relay_similarity(np.ones(4)), ValueError, r"relay_map has shape \(4,\); expected"),
        (lambda: relay_similarity(np.ones((3, 1))), ValueError, r"relay_map has shape \(3, 1\)"),
        (lambda: participation(np.ones((3, 1))), ValueError, r"relay_map has shape \(3, 1\)"),
        (lambda: participation([[np.inf, 1]]), ValueError, "relay_map contains infinity"),
        (lambda: relay_similarity(np.eye(3), np.eye(4)), ValueError, r"other has shape \(4, 4\)"),
        (lambda: relay_similarity(np.eye(3), lags=3), ValueError, r"lags=\[3\]; .* from 0 to 2"),
        (lambda: relay_similarity(np.eye(3), lags=-1), ValueError, r"lags=\[-1\]; .* from 0 to 2"),
        (lambda: relay_similarity(np.eye(3), lags=[0.5]), TypeError, r"lags=\[0.5\]; expected"),
        (lambda: similarity_test(np.eye(3), lags=0), ValueError, r"lags=\[0\]; .* from 1 to 2"),
        (lambda: similarity_test(np.eye(3), n_permutations=0), ValueError, "n_permutations=0"),
        (lambda: relay_similarity(np.eye(3), metric="l2"), ValueError, "metric='l2'; expected one"),
        (lambda: relay_similarity(np.eye(3), cost=np.eye(3)), ValueError, "cost .*metric='cosine'"),
        (
            lambda: relay_similarity(np.eye(3), metric="transport", cost=2 - np.eye(3)),
            ValueError,
            "cost has values from 1.0 to 2.0; expected finite numbers from 0 to 1",
        ),
        (
            lambda: transport_distance([1, 0], [0, 1], cost=np.eye(3)),
            ValueError,
            r"cost has shape \(3, 3\); expected \(2, 2\)",
        ),
        (
            lambda: transport_distance([1, 0], [0, 1, 2]),
            ValueError,
            "second has 3 nodes; expected 2",
        ),
        (lambda: relay_lifetime(np.eye(3), 4), ValueError, "n_relays=4; expected"),
        (lambda: relay_lifetime(np.eye(3) > 0, 1), ValueError, "n_relays=1; expected None"),
        (lambda: half_life(1.0), ValueError, r"similarity has shape \(\)"),
        (lambda: half_life([1, 0], lags=[1, 0]), ValueError, "expected 2 increasing numbers"),
        (lambda: half_life([1, 0], chance=[0, 0, 0]), ValueError, "broadcast"),
        (lambda: half_life(1.0, chance=[0.0, 0.0]), ValueError, r"chance has shape \(2,\)"),
        (lambda: drift_summary([]), ValueError, "maps is empty"),
        (lambda: drift_summary(np.ones((2, 3, 4))), ValueError, "maps has shapes"),
        (
            lambda: drift_summary(np.ones((2, 1, 3, 4)), np.ones((2, 1, 3, 5))),
            ValueError,
            r"others has shapes \[\(1, 3, 5\), \(1, 3, 5\)\]; expected",
        ),
        (lambda: drift_summary(np.ones((2, 1, 3, 4)), alpha=1), ValueError, "alpha=1; expected"),
    ],
)
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()
