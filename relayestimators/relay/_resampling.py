"""Relays or chance: permutations of A and of B, the number of relays, bootstrap intervals."""

import numpy as np


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
    shuffles : list of ndarray of shape (n_instances,)
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
            codes = [np.unique(values, return_inverse=True)[1] for values in (x, y)]
            nulls.append(score(*codes, states, plan)[0])
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
    standard, null_standard = _standardised(scores, nulls)
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
        Level.

    Returns
    -------
    int
        Nodes are taken from the strongest on, as long as the best of those left exceeds, under
        permuted A and under permuted B, all but a fraction `alpha` of the best permuted scores of
        the same nodes (a step-down test of the maximum).
    """
    standard, null_standard = _standardised(scores, nulls)
    order = np.argsort(-scores, kind="stable")
    for taken in range(len(order)):
        rest = order[taken:]
        best = standard[:, rest].max(axis=1)
        highest = null_standard[:, :, rest].max(axis=2)
        pvalues = (1 + (highest >= best[:, None]).sum(axis=1)) / (1 + highest.shape[1])
        if pvalues.max() > alpha:
            return taken
    return len(order)


def _standardised(scores, nulls):
    """Return scores and permuted scores less the mean, over the deviation, of the permuted."""
    mean = nulls.mean(axis=1)
    deviation = nulls.std(axis=1)
    deviation[deviation < 1e-12] = np.inf  # a constant node is never beyond chance
    return (scores - mean) / deviation, (nulls - mean[:, None]) / deviation[:, None]


def resampled_scores(score, a, b, states, present, plan, samples):
    """Score instances drawn with replacement.

    Parameters
    ----------
    score : callable
        A method: (a, b, states, plan) -> (scores, coverage).
    a, b : ndarray of shape (n_instances,)
        Codes.
    states : ndarray of shape (n_instances, n_nodes)
        States.
    present : ndarray of shape (n_instances,), bool
        Instances that have the time step.
    plan : ndarray
        Of the method.
    samples : list of ndarray of shape (n_instances,)
        Drawn instances.

    Returns
    -------
    ndarray of shape (n_samples, n_nodes)
        Samples in which no instance has the time step are left out.
    """
    draws = []
    for sample in samples:
        rows = sample[present[sample]]
        if rows.size:
            codes = [np.unique(values, return_inverse=True)[1] for values in (a[rows], b[rows])]
            draws.append(score(*codes, states[rows], plan)[0])
    return np.array(draws)


def basic_interval(scores, draws, alpha):
    """Return the basic bootstrap interval, which takes the bias of resampling off twice.

    Parameters
    ----------
    scores : ndarray of shape (n_nodes,)
    draws : ndarray of shape (n_samples, n_nodes)
    alpha : float
        Share outside.

    Returns
    -------
    ndarray of shape (2, n_nodes)
        Lower and upper end: twice the score less the upper and lower quantile of the draws.
    """
    high, low = np.quantile(draws, [1 - alpha / 2, alpha / 2], axis=0)
    return np.stack([2 * scores - high, 2 * scores - low])
