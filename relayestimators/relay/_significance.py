"""Relays or chance: permutations of A and of B, the number of relays, confidence intervals."""

import numpy as np


def recoded(*columns):
    """Return columns of codes without the gaps that leaving out instances makes.

    Parameters
    ----------
    *columns : ndarray of shape (n_instances,)

    Returns
    -------
    list of ndarray of shape (n_instances,)
    """
    return [(np.cumsum(np.bincount(codes) > 0) - 1)[codes] for codes in columns]


def permuted_scores(score, a, b, states, rows, plan, shuffles):
    """Score with A, and then with B, permuted over instances.

    Parameters
    ----------
    score : callable
        A method: (a, b, states, plan) -> (scores, coverage).
    a, b : ndarray of shape (n_instances,)
        Codes.
    states : ndarray of shape (n_instances, n_nodes)
        States.
    rows : ndarray of shape (n_present,)
        The instances that have the time step.
    plan : ndarray
        Of the method.
    shuffles : ndarray of shape (n_permutations, n_instances)
        Permutations of all instances.

    Returns
    -------
    ndarray of shape (2, n_permutations, n_nodes)
        With A permuted, and with B permuted.
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
    """Return how many of the strongest nodes to take until the rest looks like chance.

    Parameters
    ----------
    scores : ndarray of shape (n_nodes,)
    nulls : ndarray of shape (2, n_permutations, n_nodes)
        Scores of the same kind with A, and with B, permuted.
    alpha : float
        Chance of taking a node too many where none is left to take.

    Returns
    -------
    int
        Nodes are taken from the strongest on, as long as the smallest p-value among those left,
        times their number, is at most `alpha` (the test of Bonferroni, in steps as Holm's).
    """
    pvalues = permutation_pvalues(scores, nulls)[np.argsort(-scores, kind="stable")]
    for taken in range(len(pvalues)):
        rest = pvalues[taken:]
        if rest.min() * len(rest) > alpha:
            return taken
    return len(pvalues)


def _standardized(scores, nulls):
    """Return scores and permuted scores less the mean, over the deviation, of the permuted."""
    mean = nulls.mean(axis=1)
    deviation = nulls.std(axis=1)
    deviation[deviation < 1e-12] = np.inf  # a constant node is never beyond chance
    return (scores - mean) / deviation, (nulls - mean[:, None]) / deviation[:, None]


def half_scores(score, a, b, states, rows, plan, shuffles):
    """Score random halves of the instances.

    Parameters
    ----------
    score : callable
        A method: (a, b, states, plan) -> (scores, coverage).
    a, b : ndarray of shape (n_instances,)
        Codes.
    states : ndarray of shape (n_instances, n_nodes)
        States.
    rows : ndarray of shape (n_present,)
        The instances that have the time step.
    plan : ndarray
        Of the method.
    shuffles : ndarray of shape (n_halves, n_instances)
        Permutations of all instances; the first half of those present is scored.

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
