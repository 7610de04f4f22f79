"""Methods of crediting relay information to nodes: (a, b, states, plan) -> (scores, coverage).

A *plan* holds what a method draws at random before it sees data: sets or orders of nodes.
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

#: Largest size of sets for each method, for any number of instances.
_LARGEST_CONTEXT = {"throughput": 2, "contexts": 4}


def make_plan(
    method, n_instances, n_nodes, n_states, n_values, n_contexts, context_size, random_state
):
    """Draw the sets or orders of nodes that a method uses.

    Parameters
    ----------
    method : str
        Key of METHODS.
    n_instances, n_nodes, n_states, n_values : int
        Sizes of the problem; `n_values` is that of the larger concept alphabet.
    n_contexts : int
        Number of sets or orders.
    context_size : int or None
        Number of nodes per set; None derives it from the numbers of instances and states.
    random_state : int or RandomState instance
        Controls the randomness of the sets or orders.

    Returns
    -------
    ndarray of shape (n_drawn, n_nodes or size), int64

    Raises
    ------
    ValueError
        If the method or the size is not allowed.
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
    """Return the number of nodes per set that leaves enough instances per cell.

    Parameters
    ----------
    method : {"throughput", "contexts"}
    n_instances, n_nodes, n_states, n_values : int

    Returns
    -------
    int
        The largest size, up to half of the nodes and 2 ("throughput") or 4 ("contexts"), at which
        a set and one more node have no more cells than a quarter of the instances. For
        "throughput", which conditions on concepts too, these cells are also split by a concept.
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
    """Return all sets of nodes of a size, or a balanced random choice of them.

    Parameters
    ----------
    n_nodes, size, n_contexts : int
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of shape (n_drawn, size), int64
        Sorted rows. A random choice cuts permutations of all nodes into sets, so that every node
        is in about the same number of sets. It has at least `n_contexts` sets, and enough of them
        for every node to be in some set and outside of another.
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
    r"""Remove nodes backwards with log-determinants of covariances instead of counts.

    Given the nodes removed so far, let A, B and both explain the fractions r_a, r_b and r_ab of
    the variance of a node. Then the removal of this node changes I(A;B) by

    .. math:: \tfrac{1}{2} \log_2 \frac{(1 - r_a)(1 - r_b)}{1 - r_{ab}}
    """
    n, n_nodes = states.shape
    columns = [_indicators(a), _indicators(b), states.astype(np.float64)]
    ends = np.cumsum([column.shape[1] for column in columns])
    n_a, n_ab = ends[:2]
    table = np.concatenate(columns, axis=1)
    covariance = np.cov(table, rowvar=False, bias=True).reshape(ends[-1], ends[-1])
    covariance += 1e-6 * np.eye(ends[-1])  # makes it regular also for constants and copies
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
    """Return indicator columns of all values except the first."""
    return (codes[:, None] == np.arange(1, codes.max() + 1)).astype(np.float64)


def _explained(with_concepts, covariance, concept):
    """Return the variance of every node that a concept's indicators explain linearly."""
    shared = with_concepts[concept]
    if not len(shared):
        return np.zeros(with_concepts.shape[1])
    return np.einsum("ij,ij->j", shared, np.linalg.solve(covariance, shared))


#: Methods with valid p-values: permuted A and B give the scores that noise has.
TESTABLE = ("throughput",)

#: Allowed values of `method`.
METHODS = {
    "throughput": _throughput,
    "contexts": _contexts,
    "shapley": _shapley,
    "shrink": _shrink,
    "single": _contexts,
    "gaussian": _gaussian,
}
