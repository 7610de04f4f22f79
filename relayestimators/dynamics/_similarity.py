"""Similarity of relay maps over time: drift, its level by chance, and its noise ceiling."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._validation import check_choice, check_integer
from ._localization import check_cost, mean_of_known, shares_of, transport_distance

METRICS = ("cosine", "transport")


def relay_similarity(relay_map, other=None, *, lags=None, metric="cosine", cost=None):
    """How similar the shares of nodes are at time steps that are so many steps apart.

    Drift is 1 less the similarity: relays that move from node to node make maps that are similar at
    short lags only, relays that stay make maps that are similar at all.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_timepoints, n_nodes)
        Relay information in bits; negative estimates count as 0. Hand in the time steps that are
        meant, such as those of a delay.
    other : array-like of the same shape, optional
        Another estimate of the same map from other instances. Then only different estimates are
        compared, also at lag 0, which is the similarity to expect of relays that do not move.
    lags : int or array-like of int, optional
        Time steps between the two, from 0; by default all there are.
    metric : {"cosine", "transport"}, default="cosine"
        Cosine of the angle between the two, or 1 less :func:`transport_distance`; without `cost`
        that is the overlap of the shares, the sum of the smaller ones.
    cost : array-like of shape (n_nodes, n_nodes), optional
        Of "transport": cost of moving everything from one node to another, 0 to 1.

    Returns
    -------
    ndarray of shape (..., n_lags)
        Mean over all pairs of time steps, 0 to 1; NaN if there is no pair at which something is
        relayed at both.

    See Also
    --------
    chance_similarity : What to expect of relays at random nodes.
    half_life : The lag after which half is left.
    drift_summary : All of it, over nets.

    Notes
    -----
    Errors of estimation are a drift that is not there: a net that relays little looks as if its
    relays moved. And errors at two time steps of the same instances are alike if states are, which
    hides drift. Both go if the map is estimated twice, on random halves of the instances:
    ``relay_similarity(map_a, map_b)`` falls from a ceiling at lag 0 that has the same errors, and
    with C the level by chance at each lag, (S(lag) - C(lag)) / (S(0) - C(0)) is the similarity on a
    scale from chance, 0, to relays that stay, 1: the correction for attenuation [1]_.
    It is exact for the cosine if the length of the estimates is the same at all time steps, and
    close to it otherwise.
    Below 0, relays are elsewhere more than by chance, as when they go round in a cycle.

    References
    ----------
    .. [1] C. Spearman (1904). The proof and measurement of association between two things.
       American Journal of Psychology 15(1), 72-101.

    Examples
    --------
    One relay, that moves on after three time steps:

    >>> import numpy as np
    >>> from relayestimators.dynamics import relay_similarity
    >>> relay_map = np.eye(4)[[0, 0, 0, 1, 1, 1]]
    >>> relay_similarity(relay_map, lags=[0, 1, 3])
    array([1. , 0.8, 0. ])
    """
    first, second, lags = _check_maps(relay_map, other, lags)
    similarity = _pair_measure(metric, cost, first.shape[-1])
    return _over_lags(first, second, lags, similarity)


def chance_similarity(
    relay_map,
    other=None,
    *,
    lags=None,
    metric="cosine",
    cost=None,
    n_permutations=20,
    random_state=None,
):
    """Return the similarity to expect if the relays of every time step sat at random nodes.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_timepoints, n_nodes)
        As in :func:`relay_similarity`, like all up to `cost`.
    other : array-like of the same shape, optional
        Another estimate of the same map.
    lags : int or array-like of int, optional
        Time steps apart.
    metric : {"cosine", "transport"}, default="cosine"
        The measure.
    cost : array-like of shape (n_nodes, n_nodes), optional
        Of "transport".
    n_permutations : int, default=20
        With `cost`, random permutations of the nodes of each pair. Without, the expectation over
        all permutations is exact.
    random_state : int, RandomState instance or None, default=None
        Draws the permutations.

    Returns
    -------
    ndarray of shape (..., n_lags)
        Mean over pairs of time steps and over permutations of node labels.

    See Also
    --------
    relay_similarity : What is seen.
    similarity_test : Whether it is more than chance.

    Notes
    -----
    It is not 0: shares that are spread over many nodes overlap wherever they are.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.dynamics import chance_similarity
    >>> chance_similarity(np.eye(4)[[0, 0, 0, 1, 1, 1]], lags=[1])
    array([0.25])
    """
    first, second, lags = _check_maps(relay_map, other, lags)
    n_nodes = first.shape[-1]
    similarity = _pair_measure(metric, cost, n_nodes)
    if cost is None:
        # a sum over nodes: that every node meets every node equally often is all that counts
        def chance(a, b):
            return sum(similarity(a, np.roll(b, k, axis=-1)) for k in range(n_nodes)) / n_nodes

        return _over_lags(first, second, lags, chance)
    check_integer(n_permutations, name="n_permutations", low=1)
    rng = check_random_state(random_state)

    def sampled(a, b):
        return np.mean([similarity(a, _permuted(b, rng)) for _ in range(n_permutations)], axis=0)

    return _over_lags(first, second, lags, sampled)


def similarity_test(
    relay_map,
    *,
    lags=1,
    metric="cosine",
    cost=None,
    n_permutations=999,
    random_state=None,
):
    """Test whether relays stay at their nodes more than by chance.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_timepoints, n_nodes)
        As in :func:`relay_similarity`, like all up to `cost`.
    lags : int or array-like of int, default=1
        Time steps apart, from 1; None is all there are.
    metric : {"cosine", "transport"}, default="cosine"
        The measure.
    cost : array-like of shape (n_nodes, n_nodes), optional
        Of "transport".
    n_permutations : int, default=999
        How often the node labels are permuted, at every time step and concept on its own.
    random_state : int, RandomState instance or None, default=None
        Draws the permutations.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        similarity : ndarray of shape (..., n_lags)
            What is seen.
        permuted : ndarray of shape (n_permutations, ..., n_lags)
            What is seen with permuted labels.
        pvalue : ndarray of shape (..., n_lags)
            Share of the permutations, the map itself included, at least as similar as it is. One
            test per value, not corrected for many. NaN where the similarity is.

    See Also
    --------
    chance_similarity : The mean over all permutations, without drawing any.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.dynamics import similarity_test
    >>> test = similarity_test(np.eye(4)[[0, 0, 0, 1, 1, 1]], random_state=0)
    >>> test.similarity, bool(test.pvalue[0] < 0.05)
    (array([0.8]), True)
    """
    first, _, lags = _check_maps(relay_map, None, lags, low=1)
    check_integer(n_permutations, name="n_permutations", low=1)
    measure = _pair_measure(metric, cost, first.shape[-1])
    rng = check_random_state(random_state)
    similarity = _over_lags(first, None, lags, measure)
    permuted = np.stack(
        [_over_lags(_permuted(first, rng), None, lags, measure) for _ in range(n_permutations)]
    )
    # permutations sum in another order, so equal values differ by rounding
    as_similar = (permuted >= similarity - 1e-9).sum(axis=0)
    pvalue = np.where(np.isnan(similarity), np.nan, (1 + as_similar) / (1 + n_permutations))
    return Bunch(similarity=similarity, permuted=permuted, pvalue=pvalue)


def _check_maps(relay_map, other, lags, *, low=0):
    """Return the shares of the map and of the other one, and the lags."""
    first, second = shares_of(relay_map, n_axes=2), None
    if other is not None:
        second = shares_of(other, n_axes=2, name="other")
        if second.shape != first.shape:
            raise ValueError(
                f"other has shape {second.shape} where relay_map has {first.shape}; expected the "
                "same."
            )
    n_timepoints = first.shape[-2]
    return first, second, check_lags(lags, n_timepoints, low=low)


def check_lags(lags, n_timepoints, *, low=0):
    """Return lags as an array, or refuse them.

    Parameters
    ----------
    lags : None, int or array-like of int
        None is all there are.
    n_timepoints : int
    low : int
        The lowest lag allowed.

    Returns
    -------
    ndarray of shape (n_lags,), int
    """
    lags = np.atleast_1d(np.arange(low, n_timepoints) if lags is None else np.asarray(lags))
    allowed = f"whole numbers from {low} to {n_timepoints - 1}, one less than the time steps"
    if lags.ndim != 1 or lags.dtype.kind not in "iu" or lags.size == 0:
        raise TypeError(f"lags={lags.tolist()!r}; expected {allowed}.")
    if ((lags < low) | (lags >= n_timepoints)).any():
        raise ValueError(f"lags={lags.tolist()!r}; expected {allowed}.")
    return lags.astype(int)


def _pair_measure(metric, cost, n_nodes):
    """Return the function of two arrays of shares that gives their similarities."""
    check_choice(metric, name="metric", choices=METRICS)
    if metric == "cosine":
        if cost is not None:
            raise ValueError("cost is given, but metric='cosine' has none; use 'transport'.")
        return _cosine
    cost = None if cost is None else check_cost(cost, n_nodes, high=1.0)
    return lambda a, b: 1.0 - transport_distance(a, b, cost=cost)


def _cosine(a, b):
    lengths = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return (a * b).sum(axis=-1) / lengths


def _over_lags(first, second, lags, measure):
    """Return the mean of a measure over the pairs of time steps of every lag."""
    values = []
    for lag in lags:
        early, late = slice(0, first.shape[-2] - lag), slice(lag, None)
        if second is None:
            pairs = measure(first[..., early, :], first[..., late, :])
        else:
            ways = [(first, second), (second, first)][: 2 if lag else 1]
            pairs = np.concatenate(
                [measure(a[..., early, :], b[..., late, :]) for a, b in ways], axis=-1
            )
        values.append(mean_of_known(pairs))
    return np.stack(values, axis=-1)


def _permuted(shares, rng):
    """Return shares with the node labels of every row permuted on their own."""
    order = rng.random_sample(shares.shape).argsort(axis=-1)
    return np.take_along_axis(shares, order, axis=-1)
