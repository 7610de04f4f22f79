"""Relay information as it is defined, and the published search."""

import numpy as np
from sklearn.utils import Bunch

from .._validation import check_codes, check_nodes, check_states
from ._counting import occupied_cells, shrink, sort_problem
from ._coverage import MIN_COVERAGE
from ._information import conditional_mutual_information


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
        Y: discretized states of all nodes at one time step, whole numbers from 0.
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

    >>> from relayestimators.relay import relay_information
    >>> a = b = [0, 0, 1, 1]
    >>> states = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> relay_information(a, b, states, nodes=0)
    1.0
    >>> relay_information(a, b, states, nodes=1)
    0.0
    """
    a, b, states = check_problem(concept_in, concept_out, states)
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
        Discretized states at one time step, whole numbers from 0.

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
    >>> from relayestimators.relay import shrinking_subset_aggregation
    >>> a = b = [0, 0, 1, 1] * 4
    >>> states = [[0, 0], [0, 1], [1, 0], [1, 1]] * 4
    >>> result = shrinking_subset_aggregation(a, b, states)
    >>> result.order
    array([1, 0])
    >>> result.relay_information
    array([1., 1., 0.])
    """
    a, b, states = check_problem(concept_in, concept_out, states)
    problem = sort_problem(a, b, states)
    order, information = shrink(problem)
    coverage = len(a) / occupied_cells(problem.states, problem.n_levels, order)
    return Bunch(
        order=order,
        relay_information=information - information[-1],
        coverage=coverage,
        reliable=coverage >= MIN_COVERAGE,
    )


def check_problem(concept_in, concept_out, states):
    """Return one concept at one time step as codes and states.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances,)
        Any discrete values.
    states : array-like of shape (n_instances, n_nodes)
        Whole numbers from 0.

    Returns
    -------
    a, b : ndarray of shape (n_instances,), int64
    states : ndarray of shape (n_instances, n_nodes), uint8
    """
    states = check_states(states, ndim=2)
    a = check_codes(concept_in, name="concept_in", n_instances=len(states))
    b = check_codes(concept_out, name="concept_out", n_instances=len(states))
    return a, b, states
