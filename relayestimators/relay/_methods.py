"""Methods of crediting relay information to nodes: (codes, states, plan) -> (scores, coverage).

A *plan* holds what a method draws at random before it sees data: sets or orders of nodes.
"""

from itertools import combinations
from math import comb

import numpy as np
from sklearn.utils import check_random_state

from .._validation import check_choice, check_integer
from ._counting import (
    BEYOND,
    CONCEPT_CELLS,
    ENTERS,
    LEAVES,
    contribution_averages,
    degrees_of_freedom,
    flow_averages,
    sort_problem,
)
from ._coverage import MIN_COVERAGE
from ._order import TIE
from ._removal import occupied_cells, order_contributions, shrink

DEFAULT_METHOD = "throughput"

#: Largest size of sets for each method, for any number of instances.
_LARGEST_CONTEXT = {"throughput": 2, "contexts": 4}

# How "throughput" weights a node by the evidence that it is heard; see `hearing`. Chosen on the
# models and seeds that docs/benchmarks.md names, and shown on others.
_SURE, _NOISE = 6.0, 4.0

#: Largest number of values of a concept for "gaussian", the cost of which grows with its cube.
_MOST_VALUES = 128


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
    n_contexts : int or None
        Number of sets or orders; None derives it from the number of nodes.
    context_size : int or None
        Number of nodes per set; None derives it from the numbers of instances and states.
    random_state : int or RandomState instance
        Controls the randomness of the sets or orders.

    Returns
    -------
    tuple of ndarray of shape (n_drawn, n_nodes or size), int64
        "throughput": the set of no node, and sets of `context_size` nodes unless this is 0. Other
        methods: one array.

    Raises
    ------
    ValueError
        If the method or the size is not allowed.
    """
    check_choice(method, name="method", choices=METHODS)
    if n_contexts is None:
        n_contexts = default_n_contexts(method, n_nodes)
    check_integer(n_contexts, name="n_contexts", low=1)
    if context_size is not None:
        check_integer(context_size, name="context_size", low=0, high=n_nodes - 1)
    if method == "shapley":
        rng = check_random_state(random_state)
        return (np.array([rng.permutation(n_nodes) for _ in range(n_contexts)], dtype=np.int64),)
    if method not in _LARGEST_CONTEXT:
        context_size = 0
    elif context_size is None:
        context_size = default_context_size(method, n_instances, n_nodes, n_states, n_values)
    if method != "throughput":
        return (draw_contexts(n_nodes, context_size, n_contexts, random_state),)
    sizes = sorted({0, context_size})
    return tuple(draw_contexts(n_nodes, size, n_contexts, random_state) for size in sizes)


def default_n_contexts(method, n_nodes):
    """Return the number of sets or orders: 64, or with "throughput" as many as nodes if fewer.

    With as many sets as nodes, a node is in about two sets of two. There are no fewer than 16.
    """
    return min(64, max(16, n_nodes)) if method == "throughput" else 64


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
        there are no more cells than a quarter of the instances. "contexts" counts cells of the set
        and one more node. "throughput" also splits these by a concept, but conditions on two
        states of each node.
    """
    values, n_given = (n_values, 2) if method == "throughput" else (1, n_states)
    size = 0
    while (
        size < min(_LARGEST_CONTEXT[method], n_nodes // 2)
        and MIN_COVERAGE * values * n_states * n_given ** (size + 1) <= n_instances
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
        Sorted rows. A random choice cuts permutations of all nodes into sets, so that nodes are in
        about the same number of sets. It has at least `n_contexts` sets, and enough of them for
        every node to be outside of one.
    """
    if comb(n_nodes, size) <= n_contexts:
        sets = list(combinations(range(n_nodes), size))
        return np.array(sets, dtype=np.int64).reshape(len(sets), size)
    rng = check_random_state(random_state)
    n_inside, sets = np.zeros(n_nodes, dtype=np.int64), []
    while len(sets) < n_contexts or n_inside.max() == len(sets):
        if len(sets) % (n_nodes // size) == 0:
            order = rng.permutation(n_nodes)
        start = len(sets) % (n_nodes // size) * size
        sets.append(np.sort(order[start : start + size]))
        n_inside[sets[-1]] += 1
    return np.array(sets, dtype=np.int64)


# ---------------------------------------------------------------- methods


def mean_over_sets(problem, plan, rows):
    """Return averages over sets of nodes, as means over the sizes of sets.

    Parameters
    ----------
    problem : Problem
        With the true class as c, and what the network says as d.
    plan : tuple of ndarray of shape (n_sets, size)
        Sets of nodes, one array for each size.
    rows : list of int
        Which averages, as rows of `flow_averages`.

    Returns
    -------
    ndarray of shape (n_rows, n_nodes)
    """
    joint = BEYOND in rows
    return np.nanmean([flow_averages(problem, sets, joint)[rows] for sets in plan], axis=0)


def hearing(problem, beyond):
    r"""Return the weight of every node by the evidence that the output depends on it.

    The evidence in nats, :math:`E = n \ln(2) I(D; Y | C, S)` or 0 if this is negative, is the mean
    log-likelihood ratio of what the network says, with and without the state of the node, given
    the true class. For a node that is not heard the mean is near 0 and the standard deviation is
    :math:`\sigma = \sqrt{f / 2}` with f degrees of freedom. Six standard deviations are asked for,
    but not more than by how much the best node exceeds four, which the best of many nodes may
    reach by chance. Evidence that is lacking reduces the weight as it reduces a likelihood:

    .. math:: w = e^{\min(0, E - E_0)}, \quad E_0 = \min(6 \sigma, \max(0, \max E - 4 \sigma))

    Parameters
    ----------
    problem : Problem
        With the true class as c, and what the network says as d.
    beyond : ndarray of shape (n_nodes,)
        I(D;Y|C,S) in bits.

    Returns
    -------
    ndarray of shape (n_nodes,)
        From 0, not heard, to 1, heard. It is 1 for all nodes if no node is seen to be heard.
    """
    evidence = len(problem.states) * np.log(2.0) * np.maximum(beyond, 0.0)
    deviation = np.sqrt(np.maximum(degrees_of_freedom(problem), 1) / 2)
    beyond_noise = np.maximum(0.0, np.max(evidence - _NOISE * deviation))
    return np.exp(np.minimum(0.0, evidence - np.minimum(_SURE * deviation, beyond_noise)))


def _throughput(codes, states, plan):
    refined = {"classes": codes.classes, "said": codes.said}
    problem = sort_problem(codes.a, codes.b, states, **refined, halves=True)
    rows = [ENTERS, LEAVES, BEYOND, CONCEPT_CELLS]
    enters, leaves, beyond, cells = mean_over_sets(problem, plan, rows)
    return np.minimum(enters, leaves) * hearing(problem, beyond), len(states) / cells


def _contexts(codes, states, plan):
    contributions, cells = contribution_averages(sort_problem(codes.a, codes.b, states), *plan)
    return contributions, len(states) / cells


def _shapley(codes, states, plan):
    contributions, cells = order_contributions(sort_problem(codes.a, codes.b, states), *plan)
    return contributions, len(states) / cells


def _shrink(codes, states, plan):
    problem = sort_problem(codes.a, codes.b, states)
    order, information = shrink(problem)
    cells = occupied_cells(problem.states, problem.n_levels, order)
    scores, coverage = np.empty(len(order)), np.empty(len(order))
    scores[order] = information[0] - information[1:]
    coverage[order] = len(states) / cells[1:]
    return scores, coverage


def _gaussian(codes, states, plan):
    r"""Remove nodes backwards with log-determinants of covariances instead of counts.

    Given the nodes removed so far, let A, B and both explain the fractions r_a, r_b and r_ab of
    the variance of a node. Then the removal of this node changes I(A;B) by

    .. math:: \tfrac{1}{2} \log_2 \frac{(1 - r_a)(1 - r_b)}{1 - r_{ab}}
    """
    n, n_nodes = states.shape
    n_values = 1 + max(int(codes.a.max()), int(codes.b.max()))
    if n_values > _MOST_VALUES:
        raise ValueError(
            f"a concept has {n_values} values with method='gaussian'; expected at most "
            f"{_MOST_VALUES}, because every value has an indicator of its own."
        )
    columns = [_indicators(codes.a), _indicators(codes.b), states.astype(np.float64)]
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
        best = int(np.argmax(change >= change.max() - TIE))  # the lowest number among equal ones
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


#: Methods with p-values: those of which the null distribution is known to be right.
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
