"""What a node is credited with: the methods, each (a, b, states, plan) -> (scores, coverage).

A *plan* is what a method draws at random before it sees data: sets of nodes, or orders.
"""

from itertools import combinations
from math import ceil, comb

import numpy as np
from sklearn.utils import check_random_state

from .._validation import check_choice, check_integer
from ._counting import (
    context_averages,
    occupied_cells,
    order_contributions,
    shrink,
    sort_problem,
)
from ._coverage import MIN_COVERAGE

DEFAULT_METHOD = "throughput"

#: Sets are at most this large, by method, however many instances there are.
_LARGEST_CONTEXT = {"throughput": 2, "contexts": 4}


def make_plan(
    method, n_instances, n_nodes, n_states, n_values, n_contexts, context_size, random_state
):
    """Draw the sets, or orders, of nodes that a method works through.

    Parameters
    ----------
    method : str
        Key of METHODS.
    n_instances, n_nodes, n_states, n_values : int
        Sizes of the problem; `n_values` is that of the larger concept alphabet.
    n_contexts : int
        How many sets or orders.
    context_size : int or None
        Nodes per set; None lets the coverage decide.
    random_state : int or RandomState instance
        Draws them.

    Returns
    -------
    ndarray of shape (n_drawn, n_nodes or size), int64

    Raises
    ------
    ValueError
        For a method or size that is not allowed.
    """
    check_choice(method, name="method", choices=METHODS)
    check_integer(n_contexts, name="n_contexts", low=1)
    if context_size is not None:
        check_integer(context_size, name="context_size", low=0, high=n_nodes - 1)
    if method == "shapley":
        rng = check_random_state(random_state)
        return np.array([rng.permutation(n_nodes) for _ in range(n_contexts)], dtype=np.int64)
    if method not in _LARGEST_CONTEXT:
        context_size = 0
    elif context_size is None:
        context_size = default_context_size(method, n_instances, n_nodes, n_states, n_values)
    return draw_contexts(n_nodes, context_size, n_contexts, random_state)


def default_context_size(method, n_instances, n_nodes, n_states, n_values):
    """Return how many nodes a set may hold so that its cells stay filled.

    Parameters
    ----------
    method : {"throughput", "contexts"}
    n_instances, n_nodes, n_states, n_values : int

    Returns
    -------
    int
        The largest size, up to half of the nodes and 2 ("throughput") or 4 ("contexts"), at which
        a set and one more node make no more cells than a quarter of the instances; "throughput",
        which also counts cells of the concepts, counts those.
    """
    values = n_values if method == "throughput" else 1
    size = 0
    while (
        size < min(_LARGEST_CONTEXT[method], n_nodes // 2)
        and MIN_COVERAGE * values * n_states ** (size + 2) <= n_instances
    ):
        size += 1
    return size


def draw_contexts(n_nodes, size, n_contexts, random_state):
    """Return sets of nodes: all there are, or a balanced random choice.

    Parameters
    ----------
    n_nodes, size, n_contexts : int
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of shape (n_drawn, size), int64
        Sorted rows. A random choice cuts permutations of all nodes into sets, so that every node
        is in, and out of, about the same number of them; it holds at least `n_contexts` sets, and
        at least as many as it takes to have every node in one, and out of one.
    """
    if comb(n_nodes, size) <= n_contexts:
        sets = list(combinations(range(n_nodes), size))
        return np.array(sets, dtype=np.int64).reshape(len(sets), size)
    rng = check_random_state(random_state)
    wanted = max(n_contexts, ceil(n_nodes / size), ceil(n_nodes / (n_nodes - size)))
    blocks = []
    while len(blocks) < wanted or not _all_are_out(blocks, n_nodes):
        order = rng.permutation(n_nodes)
        blocks += [order[k : k + size] for k in range(0, n_nodes - size + 1, size)]
    return np.sort(np.array(blocks, dtype=np.int64), axis=1)


def _all_are_out(blocks, n_nodes):
    inside = np.bincount(np.concatenate(blocks), minlength=n_nodes)
    return (inside < len(blocks)).all()


# ---------------------------------------------------------------- methods


def _throughput(a, b, states, plan):
    averages, cells = context_averages(sort_problem(a, b, states), plan)
    _, with_a, with_b, beyond_a = averages
    return np.minimum(with_a, with_b) + np.minimum(with_a, beyond_a), len(a) / cells


def _contexts(a, b, states, plan):
    averages, cells = context_averages(sort_problem(a, b, states), plan)
    return averages[0], len(a) / cells


def _shapley(a, b, states, plan):
    contributions, cells = order_contributions(sort_problem(a, b, states), plan)
    return contributions, len(a) / cells


def _shrink(a, b, states, plan):
    problem = sort_problem(a, b, states)
    order, information = shrink(problem)
    cells = occupied_cells(problem.states, problem.n_levels, order)
    scores, coverage = np.empty(len(order)), np.empty(len(order))
    scores[order] = information[0] - information[1:]
    coverage[order] = len(a) / cells[1:]
    return scores, coverage


def _gaussian(a, b, states, plan):
    """Backward elimination with log-determinants of covariances instead of counts.

    Given what has been removed so far, the share of a node's variance that A, B, or both explain
    (r_a, r_b, r_ab) changes I(A;B) by half the log of (1 - r_a)(1 - r_b) / (1 - r_ab).
    """
    n, n_nodes = states.shape
    columns = [_indicators(a), _indicators(b), states.astype(np.float64)]
    ends = np.cumsum([column.shape[1] for column in columns])
    n_a, n_ab = ends[:2]
    table = np.concatenate(columns, axis=1)
    covariance = np.cov(table, rowvar=False, bias=True).reshape(ends[-1], ends[-1])
    covariance += 1e-6 * np.eye(ends[-1])  # constants and copies have determinants too
    concepts = (slice(0, n_a), slice(n_a, n_ab), slice(0, n_ab))
    left = np.arange(n_nodes)
    scores, gone = np.empty(n_nodes), 0.0
    while left.size:
        nodes = n_ab + left
        variance = covariance[nodes, nodes]
        rest = [
            1 - _explained(covariance[:n_ab, nodes], covariance[s, s], s) / variance
            for s in concepts
        ]
        change = 0.5 * np.log2(np.maximum(rest[0] * rest[1] / rest[2], 1e-12))
        best = int(np.argmax(change))
        gone -= change[best]
        scores[left[best]] = gone
        column = covariance[:, nodes[best]].copy()
        covariance -= np.outer(column, column) / column[nodes[best]]
        left = np.delete(left, best)
    return scores, np.full(n_nodes, n / n_nodes)


def _indicators(codes):
    """Return indicator columns of all values but the first."""
    return (codes[:, None] == np.arange(1, codes.max() + 1)).astype(np.float64)


def _explained(with_concepts, covariance, concept):
    """Return the variance of every node that a concept's indicators explain linearly."""
    shared = with_concepts[concept]
    if not len(shared):
        return np.zeros(with_concepts.shape[1])
    return np.einsum("ij,ij->j", shared, np.linalg.solve(covariance, shared))


#: Methods whose scores permuted A and B bring to what they are for noise.
TESTABLE = ("throughput",)

#: What `method` may be.
METHODS = {
    "throughput": _throughput,
    "contexts": _contexts,
    "shapley": _shapley,
    "shrink": _shrink,
    "single": _contexts,
    "gaussian": _gaussian,
}
