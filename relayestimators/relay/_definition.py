"""The definition of relay information, and the published search for a relay set."""

import numpy as np
from sklearn.utils import Bunch

from .._docs import fill_docs
from .._validation import check_codes, check_nodes, check_states
from ._counting import sort_problem
from ._coverage import MIN_COVERAGE
from ._information import conditional_mutual_information
from ._removal import occupied_cells, shrink


@fill_docs
def relay_information(concept_in, concept_out, states, nodes):
    r"""Compute the relay information of a set of nodes by its definition.

    .. math:: I_R(A; B; Y_R | Y_0) = I(A; B | Y_0) - I(A; B | Y_R, Y_0)

    Here :math:`A` and :math:`B` are the concept values of the true and of the predicted class,
    :math:`Y_R` are the states of the relay nodes, and :math:`Y_0` those of all other nodes [1]_
    [2]_.

    Parameters
    ----------
    %(concept_in_out)s
    %(states)s
    nodes : int or array-like of int
        The relay nodes R.

    Returns
    -------
    float
        Relay information in bits, as a plug-in estimate. Negative values mean synergy.

    Raises
    ------
    TypeError
        If `nodes` are not integers.
    ValueError
        If the arrays differ in length, or `nodes` contains nodes that do not exist.

    See Also
    --------
    shrinking_subset_aggregation : The published search for the relay nodes.
    relay_scores : Relay information of every single node.

    Notes
    -----
    Concept values may be any discrete values that can be sorted.

    References
    ----------
    .. [1] A. Hintze, C. Adami (2023). Detecting information relays in deep neural networks.
       Entropy 25(3), 401. arXiv:2301.00911.
    .. [2] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.

    Examples
    --------
    Node 0 copies the input to the output, and node 1 is random:

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


@fill_docs
def shrinking_subset_aggregation(concept_in, concept_out, states):
    r"""Order nodes by the published greedy search for the relay set.

    The search starts with all nodes in the relay set. In every step it removes the node whose
    removal loses the least relay information. The nodes that are removed last are the strongest
    relays [1]_.

    Parameters
    ----------
    %(concept_in_out)s
    %(states)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        order : ndarray of shape (n_nodes,)
            Nodes in the order of removal, weakest first. Among equal nodes, the lowest number is
            removed first.
        relay_information : ndarray of shape (n_nodes + 1,)
            Relay information, in bits, of the nodes in the relay set, before the first removal and
            after each removal.
        coverage : ndarray of shape (n_nodes + 1,)
            Instances per occupied cell of the removed nodes.
        reliable : ndarray of shape (n_nodes + 1,), bool
            Whether the coverage is at least 4.

    See Also
    --------
    relay_information : Relay information of a given set of nodes.
    relay_scores : Scores of all nodes by several methods.

    Notes
    -----
    Plug-in information in cells with one instance is 0. After about
    :math:`\log_2(n_\mathrm{instances})` independent binary nodes have been removed, no information
    is left to base a decision on, and the end of the order is due to chance; see `reliable`.
    :func:`relay_scores` with ``method="contexts"`` does not have this problem.

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
    """Return the checked data of one concept at one time step.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances,)
        Any discrete values.
    states : array-like of shape (n_instances, n_nodes)
        Integers from 0.

    Returns
    -------
    a, b : ndarray of shape (n_instances,), int64
        Codes from 0 without gaps.
    states : ndarray of shape (n_instances, n_nodes), uint8
    """
    states = check_states(states, ndim=2)
    a = check_codes(concept_in, name="concept_in", n_instances=len(states))
    b = check_codes(concept_out, name="concept_out", n_instances=len(states))
    return a, b, states
