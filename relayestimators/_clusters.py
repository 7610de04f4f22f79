"""Compiled one-dimensional k-means of the activations of many nodes."""

import numpy as np
from numba import njit

_MOST_ITERATIONS = 300


@njit(cache=True, nogil=True)
def kmeans_cuts(values, n_clusters, demanding):
    """Return the cuts between the clusters of every column by k-means.

    Parameters
    ----------
    values : ndarray of shape (n_values, n_columns), float64
        Columns in ascending order; NaN at the end is ignored.
    n_clusters : int
        Largest number of clusters.
    demanding : bool
        Whether columns must form clusters; see `_cut_demandingly`.

    Returns
    -------
    ndarray of shape (n_columns, n_clusters - 1), float64
        Cuts in ascending order; a value is in the cluster with the number of cuts that it exceeds.
        Cuts that are not needed are infinity. NaN for columns without values and, if `demanding`,
        without clusters.
    """
    cuts = np.full((values.shape[1], n_clusters - 1), np.nan)
    for column in range(values.shape[1]):
        x = values[:, column].copy()
        x = x[~np.isnan(x)]
        if len(x) == 0:
            continue
        if demanding:
            _cut_demandingly(x, cuts[column])
        else:
            cuts[column] = np.inf
            found, _ = _lloyd(x, n_clusters)
            cuts[column, : len(found)] = found
    return cuts


@njit(cache=True, nogil=True)
def _cut_demandingly(x, cuts):
    r"""Fill the cuts of a sorted column if it forms clusters.

    The smallest or largest value is a cluster of its own if it is at least as frequent as an
    average cluster would be, and so on with the other values. The rest has to be in k clusters
    whose variance within is smaller than that of k equal parts of a uniform distribution:

    .. math:: \frac{W}{n - k} < \frac{1}{k^2} \frac{T}{n - 1}

    with the sums of squares W about the centers of the clusters and T about the mean.
    """
    n_below, n_above, k = 0, 0, len(cuts) + 1
    found = np.full(len(cuts), np.inf)
    above = np.empty(len(cuts))
    while k > 1 and x[0] < x[-1]:
        n_lowest = np.searchsorted(x, x[0], side="right")
        n_highest = len(x) - np.searchsorted(x, x[-1], side="left")
        if max(n_lowest, n_highest) * k < len(x):
            break
        k -= 1
        if n_lowest >= n_highest:
            found[n_below] = _between(x[n_lowest - 1], x[n_lowest])
            n_below += 1
            x = x[n_lowest:]
        else:
            n_left = len(x) - n_highest
            above[n_above] = _between(x[n_left - 1], x[n_left])
            n_above += 1
            x = x[:n_left]
    if k > 1 and x[0] < x[-1]:
        rest, within = _lloyd(x, k)
        total = ((x - x.mean()) ** 2).sum()
        if len(rest) == k - 1 and within * (len(x) - 1) * k**2 >= total * (len(x) - k):
            return
        found[n_below : n_below + len(rest)] = rest
        n_below += len(rest)
    found[n_below : n_below + n_above] = above[:n_above][::-1]
    cuts[:] = found


@njit(cache=True, nogil=True)
def _between(low, high):
    """Return a number that `high` exceeds and `low` does not: halfway, if there is such a one."""
    middle = low + (high - low) / 2
    return middle if middle < high else low


@njit(cache=True, nogil=True)
def _lloyd(x, k):
    """Return the cuts between at most k clusters of sorted values, and the sum of squares within.

    The algorithm of Lloyd starts with quantiles of the distinct values as centers. Fewer distinct
    values than k are clusters of their own.
    """
    new = np.ones(len(x), np.bool_)
    new[1:] = x[1:] != x[:-1]
    distinct = x[new]
    k = min(k, len(distinct))
    mean = x.mean()
    sums = np.zeros(len(x) + 1)
    sums[1:] = np.cumsum(x - mean)
    centers = np.empty(k)
    for j in range(k):
        centers[j] = distinct[int((j + 0.5) * len(distinct) / k)]
    cuts = np.empty(k - 1)
    ends, before = np.zeros(k + 1, np.int64), np.zeros(k + 1, np.int64)
    ends[k] = len(x)
    for _ in range(_MOST_ITERATIONS):
        for j in range(k - 1):
            cuts[j] = _between(centers[j], centers[j + 1])
        ends[1:k] = np.searchsorted(x, cuts, side="right")
        if (ends == before).all():
            break
        before[:] = ends
        for j in range(k):
            if ends[j] < ends[j + 1]:
                centers[j] = mean + (sums[ends[j + 1]] - sums[ends[j]]) / (ends[j + 1] - ends[j])
    within = 0.0
    for j in range(k):
        within += ((x[ends[j] : ends[j + 1]] - centers[j]) ** 2).sum()
    return cuts, within
