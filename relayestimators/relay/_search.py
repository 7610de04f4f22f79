"""Searches for codes that no single node carries: pairs, and groups."""

import numpy as np
from sklearn.utils import Bunch

from .._validation import check_integer
from ._counting import context_averages, occupied_cells, refined_information, sort_problem
from ._definition import check_problem


def relay_pairs(concept_in, concept_out, states):
    """Relay information that pairs of nodes have and neither has alone.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances,)
        A and B: concept values of the true and of the predicted class.
    states : array-like of shape (n_instances, n_nodes)
        Discretized states at one time step, whole numbers from 0; at least two nodes.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        synergy : ndarray of shape (n_nodes, n_nodes)
            Bits: what min(I(A;Y), I(B;Y)) of one node gains when the other is known, mean of both
            ways; 0 on the diagonal, negative for redundant nodes.
        pairs : ndarray of shape (n_pairs, 2), int
            All pairs of nodes, strongest synergy first.
        coverage : ndarray of shape (n_nodes, n_nodes)
            Instances per occupied cell of each pair.

    Raises
    ------
    ValueError
        If there is one node only.

    See Also
    --------
    relay_group : Grow a group from the best pair.

    Examples
    --------
    A bit that is the XOR of two nodes is in neither of them:

    >>> import numpy as np
    >>> from relayestimators.relay import relay_pairs, relay_scores
    >>> rng = np.random.default_rng(0)
    >>> states = rng.integers(0, 2, (500, 4))
    >>> a = b = states[:, 1] ^ states[:, 3]
    >>> relay_scores(a, b, states, method="single").round(1)
    array([0., 0., 0., 0.])
    >>> result = relay_pairs(a, b, states)
    >>> result.pairs[0], result.synergy[1, 3].round(1)
    (array([1, 3]), np.float64(1.0))
    """
    a, b, states = check_problem(concept_in, concept_out, states)
    n_nodes = _at_least_two(states)
    problem = sort_problem(a, b, states)
    alone, cells_alone = _passing(problem, np.empty((1, 0), dtype=np.int64))
    given, cells = map(
        np.stack, zip(*(_passing(problem, np.array([[k]])) for k in range(n_nodes)), strict=True)
    )
    gain = given - alone
    synergy = (gain + gain.T) / 2
    np.fill_diagonal(synergy, 0.0)
    np.fill_diagonal(cells, cells_alone)
    rows, columns = np.triu_indices(n_nodes, k=1)
    order = np.argsort(-synergy[rows, columns], kind="stable")
    pairs = np.column_stack([rows, columns])[order]
    return Bunch(synergy=synergy, pairs=pairs, coverage=len(a) / cells)


def _passing(problem, contexts):
    """Return min(I(A;Y|S), I(B;Y|S)) of every node for one set S, and its cells; NaN for S."""
    (_, with_a, with_b, _), cells = context_averages(problem, contexts)
    return np.minimum(with_a, with_b), cells


def relay_group(concept_in, concept_out, states, n_nodes):
    """Grow a group of nodes that together leave nothing for the rest to relay.

    The group grows by one node or by two at a time: by the pair, found among all pairs, that takes
    most away from I(A;B|group), if that is more than twice what the best single node takes.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances,)
        A and B: concept values of the true and of the predicted class.
    states : array-like of shape (n_instances, n_nodes)
        Discretized states at one time step, whole numbers from 0; at least two nodes.
    n_nodes : int
        Nodes of the group, at least 2.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        nodes : ndarray of shape (n_nodes,), int
            The group, in the order it grew.
        information : ndarray of shape (n_nodes + 1,)
            Bits: I(A;B|first nodes) of the first 0, 1, ..., all nodes.
        coverage : ndarray of shape (n_nodes + 1,)
            Instances per occupied cell behind each of them.

    Notes
    -----
    A group needs one copy of everything: of redundant relays it takes one and ignores the others.
    For a ranking of all nodes use :func:`relay_scores`.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.relay import relay_group
    >>> rng = np.random.default_rng(0)
    >>> states = rng.integers(0, 2, (1000, 8))
    >>> a = b = (states[:, 1] ^ states[:, 3]) + 2 * states[:, 6]
    >>> sorted(relay_group(a, b, states, 3).nodes.tolist())
    [1, 3, 6]
    """
    a, b, states = check_problem(concept_in, concept_out, states)
    check_integer(n_nodes, name="n_nodes", low=2, high=_at_least_two(states))
    problem = sort_problem(a, b, states)
    group = []
    while len(group) < n_nodes:
        before, alone = _left_by(problem, group)
        node = int(np.argmin(alone))
        pair = None
        if len(group) + 2 <= n_nodes:
            pair, left = _best_pair(problem, group)
        if pair and before - left > 2 * (before - alone[node]):
            group += pair
        else:
            group.append(node)
    prefixes = [group[:size] for size in range(n_nodes + 1)]
    return Bunch(
        nodes=np.array(group),
        information=np.array([_left_by(problem, prefix)[0] for prefix in prefixes]),
        coverage=len(a) / occupied_cells(problem.states, problem.n_levels, np.array(group)),
    )


def _left_by(problem, group):
    """Return I(A;B|group) and, for every node outside, I(A;B|group,Y); infinite inside."""
    information, refined = refined_information(problem, np.array(group, dtype=np.int64))
    refined[group] = np.inf
    return information, refined


def _best_pair(problem, group):
    """Return the pair of nodes that leaves least I(A;B|group,pair), and what it leaves."""
    best, left = None, np.inf
    for node in range(problem.states.shape[1]):
        if node not in group:
            _, refined = _left_by(problem, [*group, node])
            if refined.min() < left:
                best, left = [node, int(np.argmin(refined))], refined.min()
    return best, left


def _at_least_two(states):
    if states.shape[1] < 2:
        raise ValueError(f"states has {states.shape[1]} node; a pair needs at least 2.")
    return states.shape[1]
