"""Significance of relay scores: permutation tests, number of relays, scores of random halves."""

import numpy as np


def recoded(*columns):
    """Return columns of codes without the gaps that appear when instances are left out.

    Parameters
    ----------
    *columns : ndarray of shape (n_instances,)

    Returns
    -------
    list of ndarray of shape (n_instances,)
    """
    return [(np.cumsum(np.bincount(codes) > 0) - 1)[codes] for codes in columns]


def permuted_scores(score, a, b, states, rows, plan, shuffles):
    """Return the scores with A permuted over instances, and with B permuted.

    Parameters
    ----------
    score : callable
        A method: (a, b, states, plan) -> (scores, coverage).
    a, b : ndarray of shape (n_instances,)
        Codes of the concept values.
    states : ndarray of shape (n_instances, n_nodes)
        Discretized states.
    rows : ndarray of shape (n_present,)
        The instances that have the time step.
    plan : ndarray
        Sets or orders of nodes that the method uses.
    shuffles : ndarray of shape (n_permutations, n_instances)
        Permutations of all instances.

    Returns
    -------
    ndarray of shape (2, n_permutations, n_nodes)
        First with A permuted, then with B permuted.
    """
    states = states[rows]
    nulls = []
    for shuffle in shuffles:
        for x, y in ((a[shuffle][rows], b[rows]), (a[rows], b[shuffle][rows])):
            nulls.append(score(*recoded(x, y), states, plan)[0])
    return np.array(nulls).reshape(len(shuffles), 2, -1).swapaxes(0, 1)


def permutation_pvalues(scores, nulls):
    """Return the larger of the p-values under permuted A and under permuted B.

    Parameters
    ----------
    scores : ndarray of shape (n_nodes,)
    nulls : ndarray of shape (2, n_permutations, n_nodes)
        From `permuted_scores`.

    Returns
    -------
    ndarray of shape (n_nodes,)
        At least 1 / (1 + n_permutations * n_nodes).
    """
    standard, null_standard = _standardized(scores, nulls)
    pvalues = []
    for side in range(2):
        pool = np.sort(null_standard[side], axis=None)
        above = pool.size - np.searchsorted(pool, standard[side], side="left")
        pvalues.append((1 + above) / (1 + pool.size))
    return np.maximum(*pvalues)


def n_beyond_chance(scores, nulls, alpha):
    """Return the number of strongest nodes after which the other nodes look like chance.

    Parameters
    ----------
    scores : ndarray of shape (n_nodes,)
    nulls : ndarray of shape (2, n_permutations, n_nodes)
        Scores of the same kind with A permuted, and with B permuted.
    alpha : float
        Family-wise level of the test.

    Returns
    -------
    int
        Nodes are counted from the strongest, as long as the smallest p-value among the other nodes
        times their number is at most `alpha` (Bonferroni's test, in steps as in Holm's method).
    """
    pvalues = permutation_pvalues(scores, nulls)[np.argsort(-scores, kind="stable")]
    for taken in range(len(pvalues)):
        rest = pvalues[taken:]
        if rest.min() * len(rest) > alpha:
            return taken
    return len(pvalues)


def _standardized(scores, nulls):
    """Return scores and permuted scores, standardized by the permuted scores of each node."""
    mean = nulls.mean(axis=1)
    deviation = nulls.std(axis=1)
    deviation[deviation < 1e-12] = np.inf  # a constant node is never significant
    return (scores - mean) / deviation, (nulls - mean[:, None]) / deviation[:, None]


def half_scores(score, a, b, states, rows, plan, shuffles):
    """Return the scores of random halves of the instances.

    Parameters
    ----------
    score, a, b, states, rows, plan
        As in `permuted_scores`.
    shuffles : ndarray of shape (n_halves, n_instances)
        Permutations of all instances; the first half of the present instances is scored.

    Returns
    -------
    ndarray of shape (n_halves, n_nodes)
    """
    present = np.isin(np.arange(len(states)), rows)
    draws = []
    for shuffle in shuffles:
        half = shuffle[present[shuffle]][: max(1, len(rows) // 2)]
        draws.append(score(*recoded(a[half], b[half]), states[half], plan)[0])
    return np.array(draws)
