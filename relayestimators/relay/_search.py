"""Searches for pairs and groups of nodes that carry what no single node carries."""

import numpy as np
from sklearn.utils import Bunch

from .._docs import fill_docs
from .._validation import check_integer
from ._counting import CELLS, ENTERS, LEAVES, flow_averages, sort_problem
from ._definition import check_problem
from ._removal import occupied_cells, refined_information


@fill_docs
def relay_pairs(concept_in, concept_out, states):
    r"""Compute what every pair of nodes relays beyond its single nodes.

    The synergy of nodes :math:`Y` and :math:`Z` is what the minimum mutual information of one node
    gains when the other node is known, as the mean over both nodes:

    .. math::

        \tfrac{1}{2} \bigl[m(Y | Z) - m(Y) + m(Z | Y) - m(Z)\bigr], \quad
        m(Y | Z) = \min(I(A; Y | Z), I(B; Y | Z))

    Parameters
    ----------
    %(concept_in_out)s
    %(states)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        synergy : ndarray of shape (n_nodes, n_nodes)
            Synergy in bits; 0 on the diagonal, negative for redundant nodes.
        pairs : ndarray of shape (n_pairs, 2), int
            All pairs of nodes, strongest synergy first.
        coverage : ndarray of shape (n_nodes, n_nodes)
            Instances per occupied cell of each pair.

    Raises
    ------
    ValueError
        If there is only one node.

    See Also
    --------
    relay_group : Search for a larger group of nodes.
    relay_scores : Relay information of single nodes.

    Examples
    --------
    A bit that is the XOR of two nodes is in neither of them alone:

    >>> import numpy as np
    >>> from relayestimators.relay import mutual_information, relay_pairs
    >>> rng = np.random.default_rng(0)
    >>> states = rng.integers(0, 2, (500, 4))
    >>> a = b = states[:, 1] ^ states[:, 3]
    >>> [round(mutual_information(a, states[:, node]), 1) for node in range(4)]
    [0.0, 0.0, 0.0, 0.0]
    >>> result = relay_pairs(a, b, states)
    >>> result.pairs[0], result.synergy[1, 3].round(1)
    (array([1, 3]), np.float64(1.0))
    """
    a, b, states = check_problem(concept_in, concept_out, states)
    n_nodes = _check_two_nodes(states)
    problem = sort_problem(a, b, states)
    single, single_cells = _minimum_information(problem, np.empty((1, 0), dtype=np.int64))
    given_node = [_minimum_information(problem, np.array([[node]])) for node in range(n_nodes)]
    given, cells = map(np.stack, zip(*given_node, strict=True))
    gain = given - single
    synergy = (gain + gain.T) / 2
    np.fill_diagonal(synergy, 0.0)
    np.fill_diagonal(cells, single_cells)
    rows, columns = np.triu_indices(n_nodes, k=1)
    order = np.argsort(-synergy[rows, columns], kind="stable")
    pairs = np.column_stack([rows, columns])[order]
    return Bunch(synergy=synergy, pairs=pairs, coverage=len(a) / cells)


def _minimum_information(problem, contexts):
    """Return min(I(A;Y|S), I(B;Y|S)) of every node for one set S, and the cells; NaN for S."""
    averages = flow_averages(problem, contexts, False)
    return np.minimum(averages[ENTERS], averages[LEAVES]), averages[CELLS]


@fill_docs
def relay_group(concept_in, concept_out, states, n_nodes):
    """Search for a group of nodes that together relay as much as possible.

    The group grows greedily, by the single node or the pair of nodes that reduces the remaining
    information I(A;B|group) most. All pairs are compared; the best pair is taken if it reduces the
    information by more than twice as much as the best single node.

    Parameters
    ----------
    %(concept_in_out)s
    %(states)s
    n_nodes : int
        Number of nodes in the group, at least 2.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        nodes : ndarray of shape (n_nodes,), int
            The group, in the order in which it grew.
        information : ndarray of shape (n_nodes + 1,)
            I(A;B|first nodes) in bits, for the first 0, 1, ..., n_nodes nodes of the group.
        coverage : ndarray of shape (n_nodes + 1,)
            Instances per occupied cell of these nodes.

    Raises
    ------
    TypeError
        If `n_nodes` is not an integer.
    ValueError
        If `n_nodes` is out of range, or there is only one node.

    See Also
    --------
    relay_pairs : Synergy of all pairs of nodes.
    relay_scores : Relay information of single nodes.

    Notes
    -----
    A group contains every piece of information once: of several redundant relays it contains one
    and ignores the others. For a ranking of all nodes use :func:`relay_scores`.

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
    check_integer(n_nodes, name="n_nodes", low=2, high=_check_two_nodes(states))
    problem = sort_problem(a, b, states)
    group = []
    while len(group) < n_nodes:
        before, after_node = _remaining_information(problem, group)
        node = int(np.argmin(after_node))
        pair = None
        if len(group) + 2 <= n_nodes:
            pair, after_pair = _best_pair(problem, group)
        if pair and before - after_pair > 2 * (before - after_node[node]):
            group += pair
        else:
            group.append(node)
    prefixes = [group[:size] for size in range(n_nodes + 1)]
    return Bunch(
        nodes=np.array(group),
        information=np.array([_remaining_information(problem, prefix)[0] for prefix in prefixes]),
        coverage=len(a) / occupied_cells(problem.states, problem.n_levels, np.array(group)),
    )


def _remaining_information(problem, group):
    """Return I(A;B|group), and I(A;B|group,Y) of every node Y; infinite for those in the group."""
    information, refined = refined_information(problem, np.array(group, dtype=np.int64))
    refined[group] = np.inf
    return information, refined


def _best_pair(problem, group):
    """Return the pair of nodes with the smallest I(A;B|group,pair), and this information."""
    best, smallest = None, np.inf
    for node in range(problem.states.shape[1]):
        if node not in group:
            _, refined = _remaining_information(problem, [*group, node])
            if refined.min() < smallest:
                best, smallest = [node, int(np.argmin(refined))], refined.min()
    return best, smallest


def _check_two_nodes(states):
    """Return the number of nodes, which must be at least two."""
    if states.shape[1] < 2:
        raise ValueError(f"states has {states.shape[1]} node; expected at least 2.")
    return states.shape[1]
