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
    r"""Fill the cuts of a sorted column if it forms clusters; leave them NaN otherwise.

    First, the smallest or largest value is a cluster of its own if it is at least as frequent as an
    average state. Then, every cluster that is larger than an average state is divided into the
    fewest clusters, k, whose variance within is smaller than that of k equal parts of a uniform
    distribution:

    .. math:: \frac{W}{n - k} < \frac{1}{k^2} \frac{T}{n - 1}

    with the sums of squares W about the centers of the clusters and T about the mean. Clusters have
    a fiftieth of all values at least, because single outliers are none. States that are left divide
    clusters that are larger than an average state into equal parts.
    """
    n_states, n = len(cuts) + 1, len(x)
    starts = np.zeros(n_states + 1, np.int64)  # of the clusters, and the end of the last one
    starts[1], n_clusters = n, 1
    low, high = 0, n
    while n_clusters < n_states and x[low] < x[high - 1]:
        n_lowest = np.searchsorted(x[low:high], x[low], side="right")
        n_highest = high - low - np.searchsorted(x[low:high], x[high - 1], side="left")
        if max(n_lowest, n_highest) * (n_states - n_clusters + 1) < high - low:
            break
        if n_lowest >= n_highest:
            low += n_lowest
            n_clusters = _insert(starts, n_clusters, low)
        else:
            high -= n_highest
            n_clusters = _insert(starts, n_clusters, high)
    c = 0
    while c < n_clusters and n_clusters < n_states:
        begin, end = starts[c], starts[c + 1]
        ends = np.empty(0, np.int64)
        if (end - begin) * n_states > n:
            ends = _divide(x[begin:end], n_states - n_clusters + 1, n)
        for position in ends:
            n_clusters = _insert(starts, n_clusters, begin + position)
        if len(ends) == 0:
            c += 1
    if n_clusters == 1 and x[0] < x[-1]:
        return
    parts = np.ones(n_clusters, np.int64)
    sizes = np.diff(starts[: n_clusters + 1]).astype(np.float64)
    for c in range(n_clusters):
        if x[starts[c]] == x[starts[c + 1] - 1]:
            sizes[c] = 0.0  # cannot be divided
    for _ in range(n_states - n_clusters):
        largest = np.argmax(sizes / parts)
        if sizes[largest] * n_states <= parts[largest] * n:
            break
        parts[largest] += 1
    cuts[:], n_cuts = np.inf, 0
    for c in range(n_clusters):
        begin, end = starts[c], starts[c + 1]
        for part in range(0 if c else 1, parts[c] if sizes[c] else 1):
            wanted = begin + int(round(part * (end - begin) / parts[c]))
            position = wanted if part == 0 else _nearest_step(x, begin, end, wanted)
            if 0 < position < n:
                cut = _between(x[position - 1], x[position])
                if n_cuts == 0 or cut > cuts[n_cuts - 1]:
                    cuts[n_cuts] = cut
                    n_cuts += 1


@njit(cache=True, nogil=True)
def _insert(starts, n_clusters, position):
    """Insert the start of a cluster, and return the new number of clusters."""
    at = np.searchsorted(starts[: n_clusters + 1], position)
    starts[at + 1 : n_clusters + 2] = starts[at : n_clusters + 1].copy()
    starts[at] = position
    return n_clusters + 1


@njit(cache=True, nogil=True)
def _divide(x, most, n_all):
    """Return the starts of the clusters of sorted values after the first; empty if there are none.

    See `_cut_demandingly`; there are `most` clusters at most.
    """
    n, total = len(x), ((x - x.mean()) ** 2).sum()
    for k in range(2, most + 1):
        if n <= k or x[0] == x[-1]:
            break
        cuts, within = _lloyd(x, k)
        positions = np.searchsorted(x, cuts, side="right")
        edges = np.concatenate((np.zeros(1, np.int64), positions, np.full(1, n)))
        large = np.diff(edges).min() * 50 >= n_all
        if len(cuts) == k - 1 and large and within * (n - 1) * k**2 < total * (n - k):
            return positions
    return np.empty(0, np.int64)


@njit(cache=True, nogil=True)
def _nearest_step(x, begin, end, wanted):
    """Return the position closest to the wanted one, inside a cluster, at which values increase."""
    for away in range(end - begin):
        for position in (wanted - away, wanted + away):
            if begin < position < end and x[position - 1] < x[position]:
                return position
    return -1


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
