"""Relay scores, searches and maps against reference implementations and planted relays."""

from itertools import combinations

import numpy as np
import pytest
from test_information import reference_cmi

from relayestimators import relay_map
from relayestimators.relay import (
    METHODS,
    RelayMapWarning,
    relay_group,
    relay_information,
    relay_pairs,
    relay_scores,
    shrinking_subset_aggregation,
)
from relayestimators.relay._concepts import concept_log_odds, concept_values
from relayestimators.relay._counting import sort_problem
from relayestimators.relay._methods import default_context_size, draw_contexts
from relayestimators.relay._order import n_tied, ranking_of, strongest_nodes
from relayestimators.relay._removal import order_contributions


def reference_shrink(a, b, states):
    """Return the order and relay information of the published search, by its definition."""
    n_nodes = states.shape[1]
    everything = reference_cmi(a, b, states)
    relays, rest, curve = (
        list(range(n_nodes)),
        [],
        [reference_cmi(a, b, states[:, []]) - everything],
    )
    while relays:
        values = [reference_cmi(a, b, states[:, [*rest, node]]) - everything for node in relays]
        best = next(i for i, value in enumerate(values) if value > max(values) - 1e-9)
        rest.append(relays.pop(best))
        curve.append(values[best])
    return rest, curve


def reference_contexts(a, b, states, size):
    """Return the average contribution of every node over all contexts of a size."""
    n_nodes = states.shape[1]
    return [
        np.mean(
            [
                reference_cmi(a, b, states[:, list(s)]) - reference_cmi(a, b, states[:, [*s, node]])
                for s in combinations([k for k in range(n_nodes) if k != node], size)
            ]
        )
        for node in range(n_nodes)
    ]


def random_problem(seed, n=70, n_nodes=5, n_states=2, n_a=3, n_b=4):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, n_a, n)
    b = np.where(rng.random(n) < 0.6, a % n_b, rng.integers(0, n_b, n))
    states = rng.integers(0, n_states, (n, n_nodes))
    states[:, 0] = np.minimum(a, n_states - 1)
    return a, b, states


PROBLEMS = {
    "binary": random_problem(0),
    "three states": random_problem(1, n_states=3),
    "many states": random_problem(2, n_states=9, n_nodes=3),
    "large alphabets": random_problem(3, n_a=60, n_b=50),
    "constant node": (lambda a, b, y: (a, b, y * [1, 0, 1, 0, 1]))(*random_problem(4)),
    "one class": (lambda a, b, y: (a * 0, b, y))(*random_problem(5)),
    "one prediction": (lambda a, b, y: (a, b * 0, y))(*random_problem(6)),
    "one instance": random_problem(7, n=1),
    "one node": random_problem(8, n_nodes=1),
    "more nodes than log2(n)": random_problem(9, n=20, n_nodes=8),
}
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


@every_problem
def test_relay_information_is_the_definition(problem):
    a, b, states = problem
    n_nodes = states.shape[1]
    for nodes in ([], [0], list(range(n_nodes)), list(range(0, n_nodes, 2))):
        others = np.delete(states, np.array(nodes, dtype=int), axis=1)
        expected = reference_cmi(a, b, others) - reference_cmi(a, b, states)
        assert relay_information(a, b, states, nodes) == pytest.approx(expected, abs=1e-10)


@every_problem
def test_shrink_equals_its_reference_implementation(problem):
    a, b, states = problem
    order, curve = reference_shrink(a, b, states)
    result = shrinking_subset_aggregation(a, b, states)
    assert result.order.tolist() == order
    np.testing.assert_allclose(result.relay_information, curve, atol=1e-10)
    for k in range(len(order) + 1):
        n_cells = len({tuple(row) for row in states[:, order[:k]]})
        assert result.coverage[k] == pytest.approx(len(a) / n_cells)
    np.testing.assert_array_equal(result.reliable, result.coverage >= 4)


@every_problem
def test_contexts_equal_their_reference_implementation(problem):
    a, b, states = problem
    size = min(2, states.shape[1] - 1)
    options = {"method": "contexts", "n_contexts": 1000, "context_size": size}
    scores = relay_scores(a, b, states, **options)
    np.testing.assert_allclose(scores, reference_contexts(a, b, states, size), atol=1e-10)


def test_nodes_of_many_levels_are_halved():
    levels = np.arange(200, dtype=np.uint8)
    problem = sort_problem(np.zeros(200, int), np.zeros(200, int), levels[:, None], halves=True)
    np.testing.assert_array_equal(problem.states[:, 0], levels >= 100)


def test_a_map_that_shows_nothing_says_so():
    """The parity of four nodes passes, of which no three show anything."""
    rng = np.random.default_rng(0)
    states = rng.integers(0, 2, (500, 8))
    a = states[:, :4].sum(axis=1) % 2
    b = a ^ (rng.random(500) < 0.02)
    with pytest.warns(
        RelayMapWarning, match=r"predictions have 0\.8\d bits .*about concept 0, but"
    ):
        relay_scores(a, b, states, random_state=0)
    with pytest.warns(RelayMapWarning, match="does not show how the concept is carried") as caught:
        result = relay_map(a[:, None], b[:, None], states[:, None], random_state=0)
    assert len(caught) == len(result.remarks) == 1
    assert result.information[0] == pytest.approx(0.87, abs=0.05)


def test_a_map_that_shows_its_relays_gives_no_warning(recwarn):
    a, b, states, _ = planted(0, 1000, 16)
    result = relay_map(a[:, None], b[:, None], states[:, None], n_permutations=20, random_state=0)
    assert result.remarks == []
    assert not recwarn.list


def test_ties_are_counted_and_broken_by_priority():
    scores = np.array([0.2, 0.5, 0.2 + 1e-12, 0.2, -0.1, np.nan])
    assert strongest_nodes(scores).tolist() == [1, 0, 2, 3, 4, 5]
    priority = np.array([5, 4, 3, 2, 1, 0])
    assert strongest_nodes(scores, priority=priority).tolist() == [1, 3, 2, 0, 4, 5]
    assert ranking_of(scores, priority=priority).tolist() == [4, 1, 3, 2, 5, 6]
    assert [int(n_tied(scores, k)) for k in range(1, 7)] == [0, 3, 3, 0, 0, 0]
    assert n_tied(scores, 2, floor=0.3) == 0
    assert n_tied(np.stack([scores, scores]), 3).tolist() == [3, 3]
    assert n_tied(np.zeros(6), 3) == 0  # nodes that relay nothing are not tied relays


@every_problem
def test_shapley_equals_its_reference_implementation(problem):
    a, b, states = problem
    codes = [np.unique(values, return_inverse=True)[1] for values in (a, b)]
    n_nodes = states.shape[1]
    orders = np.array([np.random.default_rng(k).permutation(n_nodes) for k in range(6)])
    contributions, cells = order_contributions(
        sort_problem(*codes, states.astype(np.uint8)), orders
    )
    expected, n_cells = np.zeros(n_nodes), np.zeros(n_nodes)
    for order in orders:
        curve = [reference_cmi(a, b, states[:, order[:k]]) for k in range(n_nodes + 1)]
        expected[order] -= np.diff(curve) / len(orders)
        for k, node in enumerate(order):
            occupied = {tuple(row) for row in states[:, order[: k + 1]]}
            n_cells[node] += len(occupied) / len(orders)
    np.testing.assert_allclose(contributions, expected, atol=1e-10)
    np.testing.assert_allclose(cells, n_cells)


def reference_gaussian(a, b, states):
    """Return scores of backward elimination by determinants of conditional covariances."""
    n_nodes = states.shape[1]
    columns = [np.eye(max(v) + 1)[v][:, 1:] for v in (a, b)]
    table = np.column_stack([*columns, states.astype(float)])
    covariance = np.cov(table, rowvar=False, bias=True) + 1e-6 * np.eye(table.shape[1])
    n_a, n_ab = columns[0].shape[1], columns[0].shape[1] + columns[1].shape[1]

    def information(given):
        index = [n_ab + node for node in given]
        schur = covariance[:n_ab, :n_ab].copy()
        if index:
            block = covariance[np.ix_(index, range(n_ab))]
            schur -= block.T @ np.linalg.solve(covariance[np.ix_(index, index)], block)
        dets = [np.linalg.slogdet(m)[1] for m in (schur[:n_a, :n_a], schur[n_a:, n_a:], schur)]
        return 0.5 * (dets[0] + dets[1] - dets[2]) / np.log(2)

    remaining, moved, scores = list(range(n_nodes)), [], np.empty(n_nodes)
    while remaining:
        best = max(remaining, key=lambda node: information([*moved, node]))
        moved.append(best)
        remaining.remove(best)
        scores[best] = information([]) - information(moved)
    return scores


@pytest.mark.parametrize("seed", range(3))
def test_gaussian_equals_its_reference_implementation(seed):
    a, b, states = random_problem(seed, n=300, n_nodes=5)
    scores = relay_scores(a, b, states, method="gaussian")
    np.testing.assert_allclose(scores, reference_gaussian(a, b, states), atol=1e-6)


@every_problem
def test_single_is_an_empty_context(problem):
    a, b, states = problem
    expected = reference_contexts(a, b, states, 0)
    np.testing.assert_allclose(relay_scores(a, b, states, method="single"), expected, atol=1e-10)


@every_problem
def test_shrink_scores_are_the_information_lost_by_the_removal(problem):
    a, b, states = problem
    result = shrinking_subset_aggregation(a, b, states)
    lost = result.relay_information[0] - result.relay_information[1:]
    scores = relay_scores(a, b, states, method="shrink")
    np.testing.assert_allclose(scores[result.order], lost, atol=1e-10)


def test_copying_node_relays_everything_and_a_random_node_nothing():
    a = np.tile([0, 0, 1, 1], 8)
    states = np.c_[a, np.tile([0, 1, 0, 1], 8)]
    assert relay_information(a, a, states, [0]) == pytest.approx(1.0)
    assert relay_information(a, a, states, [1]) == pytest.approx(0.0)
    for method in ("contexts", "shapley", "shrink", "single"):
        np.testing.assert_allclose(relay_scores(a, a, states, method=method), [1, 0], atol=1e-12)
    for method in METHODS:
        assert relay_scores(a, a, states, method=method).argmax() == 0


def test_two_copies_relay_only_together():
    a = np.tile([0, 1], 8)
    states = np.c_[a, a]
    assert relay_information(a, a, states, [0]) == pytest.approx(0.0)
    assert relay_information(a, a, states, [0, 1]) == pytest.approx(1.0)
    np.testing.assert_allclose(relay_scores(a, a, states, method="single"), [1, 1])


def planted(seed, n, n_nodes):
    """Return a problem with two relays, one per bit of the input, among random nodes."""
    rng = np.random.default_rng(seed)
    relays = rng.permutation(n_nodes)[:2]
    a = rng.integers(0, 4, n)
    states = rng.integers(0, 2, (n, n_nodes))
    states[:, relays] = np.c_[a % 2, a // 2] ^ (rng.random((n, 2)) < 0.05)
    read = states[:, relays] @ [1, 2]
    b = np.where(rng.random(n) < 0.1, rng.integers(0, 4, n), read)
    return a, b, states, set(relays.tolist())


def precision(method, n_nodes, seeds=10, n=1000):
    hits = 0
    for seed in range(seeds):
        a, b, states, relays = planted(seed, n, n_nodes)
        scores = relay_scores(a, b, states, method=method, random_state=0)
        hits += len(relays & set(strongest_nodes(scores, 2).tolist()))
    return hits / (2 * seeds)


@pytest.mark.parametrize("method", ["throughput", "contexts", "gaussian", "single"])
def test_planted_relays_are_found(method):
    assert precision(method, 32) == 1.0
    assert precision(method, 64, seeds=5) == 1.0


def test_the_published_search_loses_planted_relays_among_many_nodes():
    assert precision("shrink", 8) == 1.0
    assert precision("shrink", 32) < 0.5  # cells with one instance give no information


def with_decoys(seed, n=1000, n_nodes=16):
    """Return a planted problem with two more nodes that know the input but have no influence."""
    a, b, states, relays = planted(seed, n, n_nodes)
    rng = np.random.default_rng(seed + 1000)
    free = [k for k in range(n_nodes) if k not in relays][:2]
    states[:, free] = np.c_[a % 2, a // 2] ^ (rng.random((n, 2)) < 0.02)
    return a, b, states, relays


def test_decoys_do_not_rank_first_if_the_network_makes_errors():
    hits = {"throughput": 0, "gaussian": 0}
    for seed in range(20):
        a, b, states, relays = with_decoys(seed)
        for method in hits:
            scores = relay_scores(a, b, states, method=method, random_state=0)
            hits[method] += len(relays & set(strongest_nodes(scores, 2).tolist()))
    assert hits["throughput"] >= 38
    assert hits["gaussian"] < 30  # it sees only redundancy with the input


def test_pairs_and_groups_find_planted_codes():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        i, j, k = rng.permutation(32)[:3]
        states = rng.integers(0, 2, (500, 32))
        a = (states[:, i] ^ states[:, j]) + 2 * states[:, k]
        b = np.where(rng.random(500) < 0.1, rng.integers(0, 4, 500), a)
        pairs = relay_pairs(a, b, states)
        assert set(pairs.pairs[0]) == {i, j}
        assert pairs.synergy.argmax() in (32 * i + j, 32 * j + i)
        np.testing.assert_array_equal(pairs.synergy, pairs.synergy.T)
        assert np.isfinite(pairs.synergy).all()
        assert pairs.coverage[i, j] == 500 / len({tuple(row) for row in states[:, [i, j]]})
        np.testing.assert_array_equal(pairs.coverage.diagonal(), 250)
        group = relay_group(a, b, states, 3)
        assert set(group.nodes) == {i, j, k}
        for size in range(4):
            bits = reference_cmi(a, b, states[:, group.nodes[:size]])
            assert group.information[size] == pytest.approx(bits, abs=1e-10)


def test_searches_need_two_nodes():
    with pytest.raises(ValueError, match="states has 1 node; expected at least 2"):
        relay_pairs([0, 1], [0, 1], [[0], [1]])
    with pytest.raises(ValueError, match="n_nodes=9; expected an integer from 2 to 5"):
        relay_group(*random_problem(0), 9)


def test_steps_with_low_coverage_are_marked():
    a, b, states, _ = planted(0, 200, 12)
    result = shrinking_subset_aggregation(a, b, states)
    assert result.coverage[0] == 200
    assert result.reliable[0]
    assert not result.reliable[-1]


def map_problem(seed=0, n=120, n_timepoints=4, n_nodes=6):
    rng = np.random.default_rng(seed)
    concept_in = rng.integers(0, 2, (n, 2))
    concept_out = concept_in ^ (rng.random((n, 2)) < 0.2)
    states = rng.integers(0, 3, (n, n_timepoints, n_nodes)).astype(np.uint8)
    states[:, 1, 2] = concept_in[:, 0]
    states[:, 3, 5] = concept_in[:, 1]
    return concept_in, concept_out, states


@pytest.mark.parametrize("method", METHODS)
def test_map_is_scores_over_concepts_and_time(method):
    concept_in, concept_out, states = map_problem()
    options = {"method": method, "context_size": 2, "n_contexts": 8, "random_state": 3}
    result = relay_map(concept_in, concept_out, states, **options)
    for concept in range(2):
        for t in range(4):
            expected = relay_scores(
                concept_in[:, concept], concept_out[:, concept], states[:, t], **options
            )
            np.testing.assert_allclose(result.relay_map[concept, t], expected, atol=1e-12)


def test_map_shows_planted_relays():
    relays = relay_map(*map_problem(), random_state=0).relay_map
    for concept, timepoint, node in ((0, 1, 2), (1, 3, 5)):
        assert np.unravel_index(relays[concept].argmax(), (4, 6)) == (timepoint, node)


def test_map_does_not_depend_on_workers():
    problem = map_problem()
    one = relay_map(*problem, random_state=0)
    two = relay_map(*problem, random_state=0, n_jobs=2)
    np.testing.assert_array_equal(one.relay_map, two.relay_map)
    np.testing.assert_array_equal(one.coverage, two.coverage)


def test_an_instance_counts_only_at_the_time_steps_it_has():
    concept_in, concept_out, states = map_problem()
    states[40:, 2] = 255
    states[:, 3] = 255
    options = {"method": "single"}
    result = relay_map(concept_in, concept_out, states, **options)
    head = relay_map(concept_in[:40], concept_out[:40], states[:40, :3], **options)
    assert result.n_instances.tolist() == [120, 120, 40, 0]
    np.testing.assert_allclose(result.relay_map[:, 2], head.relay_map[:, 2])
    assert np.isnan(result.relay_map[:, 3]).all()


@pytest.mark.parametrize(
    ("method", "values", "largest"), [("contexts", 1, 4), ("throughput", 5, 2)]
)
def test_context_sizes_keep_cells_filled(method, values, largest):
    for n in (10, 67, 500, 10_000):
        for q in (2, 3, 10):
            size = default_context_size(method, n, 64, q, 5)
            assert 0 <= size <= largest
            n_cells = q ** (size + 1) if method == "contexts" else q * 2**size
            assert size == 0 or 4 * values * n_cells <= n
    assert default_context_size(method, 10_000, 2, 2, 5) == 1
    assert default_context_size(method, 10_000, 32, 2, 5) == largest


@pytest.mark.parametrize(("n_nodes", "size"), [(4, 2), (32, 4), (2, 1), (5, 4), (1, 0), (130, 129)])
def test_every_node_is_outside_some_context(n_nodes, size):
    contexts = draw_contexts(n_nodes, size, 16, random_state=0)
    assert contexts.shape[1] == size
    assert all((np.diff(context) > 0).all() for context in contexts)
    inside = np.array([(contexts == node).any(axis=1).sum() for node in range(n_nodes)])
    assert (inside < len(contexts)).all()


def test_contexts_are_balanced():
    contexts = draw_contexts(32, 4, 16, random_state=0)
    assert np.bincount(contexts.ravel()).tolist() == [2] * 32


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "best"}, ValueError, "method='best'; expected one of 'throughput'"),
        ({"n_contexts": 0}, ValueError, "n_contexts=0; expected an integer >= 1"),
        ({"context_size": 5}, ValueError, "context_size=5; expected an integer from 0 to 4"),
        ({"context_size": 1.0}, TypeError, "context_size=1.0"),
    ],
)
def test_bad_options(options, error, match):
    with pytest.raises(error, match=match):
        relay_scores(*random_problem(0), **options)


def test_bad_concept_tables():
    concept_in, concept_out, states = map_problem()
    with pytest.raises(ValueError, match=r"concept_in has shape \(120,\); expected"):
        relay_map(concept_in[:, 0], concept_out, states)
    with pytest.raises(ValueError, match=r"concept_out has shape \(120, 2\); expected \(120, 1\)"):
        relay_map(concept_in[:, :1], concept_out, states)
    with pytest.raises(ValueError, match="concept_in has 60 instances; expected 120"):
        relay_map(concept_in[:60], concept_out[:60], states)


def test_concept_values_follow_the_table():
    classes = np.array(["b", "a"])
    table = np.array([[0, 5], [1, 6]])
    values = concept_values(["a", "b", "a"], classes, table)
    np.testing.assert_array_equal(values, [[1, 6], [0, 5], [1, 6]])
    with pytest.raises(ValueError, match=r"y contains \['c'\]; expected .*\['b', 'a'\]"):
        concept_values(["c"], classes, table)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("log_odds", np.zeros((120, 1)), r"log_odds has shape \(120, 1\); expected \(120, 2\)"),
        (
            "log_odds",
            np.full((120, 2), np.nan),
            "log_odds has .* expected one number .* without NaN",
        ),
        ("log_odds", np.full((120, 2), "a"), "log_odds has .* dtype <U1; expected one number"),
        ("labels", np.zeros(60), "labels has 60 instances; expected 120"),
    ],
)
def test_bad_margins_and_labels(name, value, match):
    with pytest.raises(ValueError, match=match):
        relay_map(*map_problem(), **{name: value})


def test_log_odds_of_concepts():
    """Of the predicted value against the others, from logits where probabilities round to 1."""
    logits = np.array([[50.0, 0.0, 1.0], [60.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = np.array([[0, 1], [1, 1], [1, 0]])  # class 0 against others, class 2 against others
    odds = concept_log_odds(logits, proba.astype(np.float32), table)
    np.testing.assert_allclose(odds[:2, 0], logits[:2, 0] - np.log(1 + np.e), atol=1e-9)
    np.testing.assert_allclose(odds[2], [np.log(np.e + np.e**2), 2 - np.log(1 + np.e)])
    plain = concept_log_odds(None, proba, table)
    np.testing.assert_allclose(plain[2], odds[2])
    # What is not a logit is not used: here the module puts out probabilities.
    np.testing.assert_allclose(concept_log_odds(proba, proba, table), plain)


def test_gaussian_keeps_equal_nodes_equal_and_has_a_bound():
    rng = np.random.default_rng(0)
    a, b, states = random_problem(0, n=300)
    states = np.column_stack([states, states[:, 1]])
    order = rng.permutation(300)
    scores = relay_scores(a, b, states, method="gaussian")
    again = relay_scores(a[order], b[order], states[order], method="gaussian")
    np.testing.assert_allclose(again, scores, atol=1e-6)
    many = np.arange(300)
    with pytest.raises(ValueError, match="a concept has 300 values with method='gaussian'"):
        relay_scores(many, many, states, method="gaussian")


def test_progress_bar_is_shown_when_asked(capsys):
    problem = map_problem()
    relay_map(*problem, verbose=0)
    assert capsys.readouterr().err == ""
    relay_map(*problem, verbose=1)
    assert "relay map" in capsys.readouterr().err
