"""Relay information: the measure, the published search, scores per node, and maps over time.

Floor 1: pure functions on arrays, on top of `information`.
"""

import warnings
from itertools import combinations
from math import comb

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils import Bunch, check_random_state
from tqdm.auto import tqdm

from ._validation import (
    NO_STATE,
    check_choice,
    check_codes,
    check_integer,
    check_nodes,
    check_states,
)
from .information import (
    conditional_mutual_information,
    context_contributions,
    indicator_planes,
    log_table,
    occupied_cells,
    shrink,
)

#: Below this many instances per occupied cell, plug-in information is not to be trusted.
MIN_COVERAGE = 4
#: Contexts hold at most this many nodes, however many instances there are.
MAX_CONTEXT_SIZE = 4


class CoverageWarning(UserWarning):
    """Too few instances per cell: plug-in information there says little."""


def relay_information(concept_in, concept_out, states, nodes):
    r"""Relay information of a set of nodes, exactly as defined.

    .. math:: I_R(A; B; Y_R | Y_0) = I(A; B | Y_0) - I(A; B | Y_R, Y_0)

    where :math:`Y_R` are the relay nodes and :math:`Y_0` all others.

    Parameters
    ----------
    concept_in : array-like of shape (n_instances,)
        A: the concept value of the true class. Any discrete values.
    concept_out : array-like of shape (n_instances,)
        B: the concept value of the predicted class.
    states : array-like of shape (n_instances, n_nodes)
        Y: discretised states of all nodes at one time step, whole numbers from 0.
    nodes : int or array-like of int
        The relay nodes R.

    Returns
    -------
    float
        Bits. Plug-in estimate; negative values mean synergy.

    Raises
    ------
    ValueError
        For arrays of different length, or nodes that do not exist.

    See Also
    --------
    shrinking_subset_aggregation : The published search for the nodes.
    relay_scores : A value for every node.

    References
    ----------
    .. [1] A. Hintze, C. Adami (2023). Detecting information relays in deep neural networks.
       Entropy 25(3), 401. arXiv:2301.00911.
    .. [2] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.

    Examples
    --------
    Node 0 copies the input to the output, node 1 tosses coins:

    >>> from relayestimators import relay_information
    >>> a = b = [0, 0, 1, 1]
    >>> states = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> relay_information(a, b, states, nodes=0)
    1.0
    >>> relay_information(a, b, states, nodes=1)
    0.0
    """
    a, b, states = _check_problem(concept_in, concept_out, states)
    relays = check_nodes(nodes, states.shape[1])
    others = np.delete(states, relays, axis=1)
    return conditional_mutual_information(a, b, others) - conditional_mutual_information(
        a, b, states
    )


def shrinking_subset_aggregation(concept_in, concept_out, states):
    """Order nodes by the published greedy search for the relay set.

    Starting from all nodes as relays, the node whose removal loses the least relay information
    is moved to the rest, one at a time. The last ones left are the strongest relays.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances,)
        A and B: concept values of the true and of the predicted class.
    states : array-like of shape (n_instances, n_nodes)
        Discretised states at one time step, whole numbers from 0.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        order : ndarray of shape (n_nodes,)
            Nodes in the order of removal, weakest first. Of equals the lowest number goes first.
        relay_information : ndarray of shape (n_nodes + 1,)
            Bits: I_R of the nodes still in the relay set, before the first removal and after
            each.
        coverage : ndarray of shape (n_nodes + 1,)
            Instances per occupied cell of the nodes already removed.
        reliable : ndarray of shape (n_nodes + 1,), bool
            Whether the coverage is at least 4.

    Notes
    -----
    Plug-in information in cells with one instance is 0. Once about log2(n_instances) independent
    binary nodes have been removed nothing is left to decide on, and the end of the order is
    chance: look at `reliable`. :func:`relay_scores` with ``method="contexts"`` does not have
    this fault.

    References
    ----------
    .. [1] A. Hintze, C. Adami (2023). Detecting information relays in deep neural networks.
       Entropy 25(3), 401, Algorithm 1. arXiv:2301.00911.

    Examples
    --------
    >>> from relayestimators import shrinking_subset_aggregation
    >>> a = b = [0, 0, 1, 1] * 4
    >>> states = [[0, 0], [0, 1], [1, 0], [1, 1]] * 4
    >>> result = shrinking_subset_aggregation(a, b, states)
    >>> result.order
    array([1, 0])
    >>> result.relay_information
    array([1., 1., 0.])
    """
    a, b, states = _check_problem(concept_in, concept_out, states)
    order, information, n_cells = _shrink(a, b, states)
    coverage = len(a) / n_cells
    return Bunch(
        order=order,
        relay_information=information - information[-1],
        coverage=coverage,
        reliable=coverage >= MIN_COVERAGE,
    )


def relay_scores(
    concept_in,
    concept_out,
    states,
    *,
    method="contexts",
    n_contexts=64,
    context_size=None,
    random_state=None,
):
    """Relay information of every node, for one concept at one time step.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances,)
        A and B: concept values of the true and of the predicted class.
    states : array-like of shape (n_instances, n_nodes)
        Discretised states at one time step, whole numbers from 0.
    method : {"contexts", "shrink", "single"}, default="contexts"
        What a node is credited with.

        "contexts"
            I(A;B|S) - I(A;B|S,node), averaged over random small sets S of other nodes. Its cells
            stay filled, whatever the number of nodes.
        "shrink"
            What relay information is gone once :func:`shrinking_subset_aggregation` has removed
            the node, and all those before it: the order of removal, in bits.
        "single"
            I(A;B) - I(A;B|node): the node on its own.
    n_contexts : int, default=64
        Number of sets S. If there are not more different sets than that, each is used once and
        the average is exact.
    context_size : int, optional
        Nodes per set. By default as many as keep four instances per possible cell, at most 4.
    random_state : int, RandomState instance or None, default=None
        Draws the sets.

    Returns
    -------
    ndarray of shape (n_nodes,)
        Bits. Plug-in estimates: values of nodes that relay nothing scatter around 0, mostly a
        little below.

    See Also
    --------
    relay_map : The same over concepts and time steps, with coverage.

    Examples
    --------
    >>> from relayestimators import relay_scores
    >>> a = b = [0, 0, 1, 1] * 4
    >>> states = [[0, 0], [0, 1], [1, 0], [1, 1]] * 4
    >>> relay_scores(a, b, states)
    array([1., 0.])
    """
    a, b, states = _check_problem(concept_in, concept_out, states)
    seed = check_random_state(random_state).randint(2**31 - 1)
    contexts = _check_contexts(
        *states.shape, _n_states(states), method, n_contexts, context_size, seed
    )
    return METHODS[method](a, b, states, contexts)[0]


def relay_map(
    concept_in,
    concept_out,
    states,
    *,
    method="contexts",
    n_contexts=64,
    context_size=None,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Relay information of every node, for every concept at every time step.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances, n_concepts)
        Concept values of the true and of the predicted class, one column per concept.
    states : array-like of shape (n_instances, n_timepoints, n_nodes)
        Discretised states, whole numbers from 0; 255 where a series has ended. An instance
        counts only at the time steps it has.
    method : {"contexts", "shrink", "single"}, default="contexts"
        As in :func:`relay_scores`.
    n_contexts : int, default=64
        Number of sets. The same are used for every concept, and for all time steps with the same
        number of instances.
    context_size : int, optional
        Nodes per set; by default decided at every time step by its number of instances.
    random_state : int, RandomState instance or None, default=None
        Draws the sets.
    n_jobs : int, optional
        Number of joblib workers; they are threads unless another backend is configured.
        The result does not depend on it.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        relay_map : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Bits; NaN at time steps no instance has.
        coverage : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Instances per occupied cell behind each value: of the nodes conditioned on,
            the node itself included. Below 4 the value says little.
        n_instances : ndarray of shape (n_timepoints,)
            Instances that have the time step.

    Examples
    --------
    The concept is in node 0 at the first step and in node 1 at the second:

    >>> import numpy as np
    >>> from relayestimators import relay_map
    >>> a = np.array([0, 0, 1, 1] * 4)
    >>> coin = np.array([0, 1, 0, 1] * 4)
    >>> states = np.stack([np.c_[a, coin], np.c_[coin, a]], axis=1)
    >>> relay_map(a[:, None], a[:, None], states).relay_map
    array([[[1., 0.],
            [0., 1.]]])
    """
    states = check_states(states, ndim=3)
    columns_a, columns_b = _check_concept_columns(concept_in, concept_out, len(states))
    present = ~(states == NO_STATE).any(axis=2)
    n_timepoints, n_nodes = states.shape[1:]
    n_instances = present.sum(axis=0)
    n_states = _n_states(states[states != NO_STATE])
    seed = check_random_state(random_state).randint(2**31 - 1)
    contexts = {  # as large as the instances of a time step allow
        n: _check_contexts(n, n_nodes, n_states, method, n_contexts, context_size, seed)
        for n in set(n_instances.tolist())
    }
    problems = [
        (a, b, t) for a, b in zip(columns_a, columns_b, strict=True) for t in range(n_timepoints)
    ]
    results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(_scores_of_step)(
            method, a, b, states[:, t], present[:, t], contexts[int(n_instances[t])]
        )
        for a, b, t in problems
    )
    bar = tqdm(results, total=len(problems), disable=not verbose, desc="relay map", unit="step")
    values = np.array(list(bar)).reshape(len(columns_a), n_timepoints, 2, n_nodes)
    return Bunch(
        relay_map=values[:, :, 0],
        coverage=values[:, :, 1],
        n_instances=n_instances,
    )


def concept_values(labels, classes, concepts):
    """Return the value of every concept for every label.

    Parameters
    ----------
    labels : array-like of shape (n_instances,)
        True or predicted labels.
    classes : ndarray of shape (n_classes,)
        The labels there are.
    concepts : ndarray of shape (n_classes, n_concepts)
        The concept table.

    Returns
    -------
    ndarray of shape (n_instances, n_concepts), int64

    Raises
    ------
    ValueError
        If a label is none of the classes.
    """
    labels = np.asarray(labels)
    unknown = np.setdiff1d(labels, classes)
    if unknown.size:
        raise ValueError(f"y contains {unknown.tolist()}; the classes are {classes.tolist()}.")
    order = np.argsort(classes)
    return concepts[order[np.searchsorted(classes, labels, sorter=order)]]


def strongest_nodes(scores, n_nodes=None):
    """Return nodes by falling score, equals by number, NaN last.

    Parameters
    ----------
    scores : ndarray of shape (n_all_nodes,)
    n_nodes : int, optional
        How many to return; all by default.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
    """
    return np.argsort(-np.asarray(scores), kind="stable")[:n_nodes]


def warn_if_uncovered(coverage):
    """Warn once if any value of a relay map rests on too few instances per cell.

    Parameters
    ----------
    coverage : ndarray
        Instances per occupied cell behind each value.
    """
    poor = coverage < MIN_COVERAGE
    if poor.any():
        warnings.warn(
            f"{poor.mean():.0%} of the relay map rests on fewer than {MIN_COVERAGE} instances per "
            "occupied cell and says little there (see coverage_); use more instances, fewer "
            "states, or method='contexts'.",
            CoverageWarning,
            stacklevel=3,
        )


# ---------------------------------------------------------------- workers


def _check_problem(concept_in, concept_out, states):
    states = check_states(states, ndim=2)
    a = check_codes(concept_in, name="concept_in", n_instances=len(states))
    b = check_codes(concept_out, name="concept_out", n_instances=len(states))
    return a, b, states


def _check_concept_columns(concept_in, concept_out, n_instances):
    """Return the columns of both concept arrays as lists of codes."""
    tables = {"concept_in": np.asarray(concept_in), "concept_out": np.asarray(concept_out)}
    for name, table in tables.items():
        if table.ndim != 2 or table.shape[1] == 0:
            raise ValueError(f"{name} has shape {table.shape}; expected (n_instances, n_concepts).")
    shapes = [table.shape for table in tables.values()]
    if shapes[0] != shapes[1]:
        raise ValueError(f"concept_in and concept_out differ in shape: {shapes[0]}, {shapes[1]}.")
    return (
        [check_codes(column, name=name, n_instances=n_instances) for column in table.T]
        for name, table in tables.items()
    )


def _n_states(states):
    return max(int(states.max(initial=0)) + 1, 2)


def _check_contexts(n_instances, n_nodes, n_states, method, n_contexts, context_size, random_state):
    """Return the sets of nodes, (n_contexts, context_size), a method conditions on."""
    check_choice(method, name="method", choices=METHODS)
    check_integer(n_contexts, name="n_contexts", low=1)
    if context_size is not None:
        check_integer(context_size, name="context_size", low=0, high=n_nodes - 1)
    if method == "single":
        context_size = 0
    elif context_size is None:
        context_size = default_context_size(n_instances, n_nodes, n_states)
    return draw_contexts(n_nodes, context_size, n_contexts, random_state)


def default_context_size(n_instances, n_nodes, n_states):
    """Return how many nodes a context may hold so that its cells stay filled.

    Parameters
    ----------
    n_instances, n_nodes, n_states : int

    Returns
    -------
    int
        The largest size up to 4 at which a context and one more node make no more cells than a
        quarter of the instances.
    """
    size = 0
    while (
        size < min(MAX_CONTEXT_SIZE, n_nodes - 1)
        and MIN_COVERAGE * n_states ** (size + 2) <= n_instances
    ):
        size += 1
    return size


def draw_contexts(n_nodes, size, n_contexts, random_state):
    """Return different sets of nodes, all there are or a random choice of them.

    Parameters
    ----------
    n_nodes, size, n_contexts : int
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of shape (n_drawn, size), int64
        Sorted rows. If a random choice leaves a node in every set, sets without it are added.
    """
    if comb(n_nodes, size) <= n_contexts:
        sets = list(combinations(range(n_nodes), size))
        return np.array(sets, dtype=np.int64).reshape(len(sets), size)
    rng = check_random_state(random_state)
    drawn = set()
    while len(drawn) < n_contexts:
        drawn.add(tuple(sorted(rng.permutation(n_nodes)[:size].tolist())))
    contexts = np.array(sorted(drawn), dtype=np.int64)
    for node in range(n_nodes):
        if (contexts == node).any(axis=1).all():
            others = np.delete(np.arange(n_nodes), node)
            extra = np.sort(rng.permutation(others)[:size])
            contexts = np.vstack([contexts, extra])
    return contexts


def _scores_of_step(method, a, b, states, present, contexts):
    """Score one concept at one time step: (2, n_nodes), values and their coverage."""
    if not present.any():
        return np.full((2, states.shape[1]), np.nan)
    a, b = (np.unique(codes[present], return_inverse=True)[1] for codes in (a, b))
    return np.stack(METHODS[method](a, b, states[present], contexts))


def _sorted_problem(a, b, states):
    """Sort instances by (a, b), as the counting kernels want them."""
    order = np.lexsort((b, a))
    states = np.ascontiguousarray(states[order])
    n_levels = _n_states(states)
    return (
        a[order],
        b[order],
        int(b.max()) + 1,
        states,
        n_levels,
        indicator_planes(states, n_levels),
    )


def _context_scores(a, b, states, contexts):
    a, b, n_b, states, n_levels, planes = _sorted_problem(a, b, states)
    n = len(a)
    contributions, occupied, n_used = context_contributions(
        states, n_levels, planes, a, b, n_b, contexts, log_table(n)
    )
    return contributions / (n * n_used), n * n_used / occupied


def _shrink(a, b, states):
    a, b, n_b, states, n_levels, planes = _sorted_problem(a, b, states)
    order, information = shrink(states.shape[1], n_levels, planes, a, b, n_b, log_table(len(a)))
    return order, information, occupied_cells(states, n_levels, order)


def _shrink_scores(a, b, states, contexts):
    order, information, n_cells = _shrink(a, b, states)
    scores, coverage = np.empty(len(order)), np.empty(len(order))
    scores[order] = information[0] - information[1:]
    coverage[order] = len(a) / n_cells[1:]
    return scores, coverage


#: What `method` may be, each a function (a, b, states, contexts) -> (scores, coverage).
METHODS = {
    "contexts": _context_scores,
    "shrink": _shrink_scores,
    "single": _context_scores,
}
