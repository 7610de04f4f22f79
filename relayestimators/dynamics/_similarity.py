"""Similarity of relay maps over time, and the similarity expected by chance."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._validation import check_choice, check_integer
from ._localization import check_cost, fractions_of, mean_of_known, transport_distance

METRICS = ("cosine", "transport")


@fill_docs
def relay_similarity(relay_map, other=None, *, lags=None, metric="cosine", cost=None):
    r"""Compute the similarity of relay maps at time steps that are a given lag apart.

    Drift is one minus the similarity. If relays move from node to node, maps are similar at short
    lags only; if relays stay at their nodes, maps are similar at all lags.

    Parameters
    ----------
    %(map_over_time)s
    %(other_map)s
    %(lags)s
    %(metric)s
    %(cost)s

    Returns
    -------
    ndarray of shape (..., n_lags)
        Mean over all pairs of time steps, from 0 to 1; NaN if no pair of time steps has something
        relayed at both.

    Raises
    ------
    TypeError
        If `lags` are not integers.
    ValueError
        If a shape or an option is not allowed.

    See Also
    --------
    chance_similarity : Similarity expected of relays at random nodes.
    half_life : Lag after which half of the similarity is left.
    drift_summary : Similarity of several networks, with confidence intervals.

    Notes
    -----
    Estimation errors look like drift: a network that relays little seems to have moving relays. On
    the other hand, estimation errors at two time steps of the same instances are similar if the
    states are, which hides drift. Both effects vanish if the map is estimated twice, on random
    halves of the instances: ``relay_similarity(map_a, map_b)`` falls from a ceiling at lag 0 that
    has the same errors. Let :math:`S` be the similarity and :math:`C` the similarity expected by
    chance at a lag :math:`\tau`. The correction for attenuation [1]_

    .. math:: \frac{S(\tau) - C(\tau)}{S(0) - C(0)}

    is the similarity on a scale from 0 (chance) to 1 (relays that stay). It is exact for the
    cosine if the length of the estimates is the same at all time steps, and close to exact
    otherwise. It is below 0 if relays are at other nodes more often than by chance, for example if
    they move in a cycle.

    References
    ----------
    .. [1] C. Spearman (1904). The proof and measurement of association between two things.
       American Journal of Psychology 15(1), 72-101.

    Examples
    --------
    A relay moves to another node after three time steps:

    >>> import numpy as np
    >>> from relayestimators.dynamics import relay_similarity
    >>> relay_map = np.eye(4)[[0, 0, 0, 1, 1, 1]]
    >>> relay_similarity(relay_map, lags=[0, 1, 3])
    array([1. , 0.8, 0. ])
    """
    first, second, lags = _check_maps(relay_map, other, lags)
    similarity = _pair_measure(metric, cost, first.shape[-1])
    return _over_lags(first, second, lags, similarity)


@fill_docs
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
    """Compute the similarity expected if relays were at random nodes at every time step.

    Parameters
    ----------
    %(map_over_time)s
    %(other_map)s
    %(lags)s
    %(metric)s
    %(cost)s
    n_permutations : int, default=20
        Number of random permutations of the nodes for each pair of time steps, with `cost` only.
        Without `cost`, the expectation over all permutations is exact.
    %(random_state)s the permutations

    Returns
    -------
    ndarray of shape (..., n_lags)
        Mean over pairs of time steps and over permutations of nodes.

    Raises
    ------
    TypeError
        If `lags` or `n_permutations` are not integers.
    ValueError
        If a shape or an option is not allowed.

    See Also
    --------
    relay_similarity : The observed similarity.
    similarity_test : Test whether the observed similarity is above chance.

    Notes
    -----
    The similarity expected by chance is above 0, because maps that are spread over many nodes
    always overlap.

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
        # The similarity is a sum over nodes. Cyclic shifts pair every node with every node equally
        # often, so their mean is the mean over all permutations.
        def exact_chance(a, b):
            return sum(similarity(a, np.roll(b, k, axis=-1)) for k in range(n_nodes)) / n_nodes

        return _over_lags(first, second, lags, exact_chance)
    check_integer(n_permutations, name="n_permutations", low=1)
    rng = check_random_state(random_state)

    def sampled_chance(a, b):
        return np.mean([similarity(a, _permuted(b, rng)) for _ in range(n_permutations)], axis=0)

    return _over_lags(first, second, lags, sampled_chance)


@fill_docs
def similarity_test(
    relay_map,
    *,
    lags=1,
    metric="cosine",
    cost=None,
    n_permutations=999,
    random_state=None,
):
    """Test whether relays stay at their nodes more than expected by chance.

    Parameters
    ----------
    %(map_over_time)s
    lags : int, array-like of int or None, default=1
        Numbers of time steps between the two maps that are compared, from 1. None takes all.
    %(metric)s
    %(cost)s
    n_permutations : int, default=999
        Number of permutations of the nodes, independent for every time step and concept.
    %(random_state)s the permutations

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        similarity : ndarray of shape (..., n_lags)
            Observed similarity.
        permuted : ndarray of shape (n_permutations, ..., n_lags)
            Similarity with permuted nodes.
        pvalue : ndarray of shape (..., n_lags)
            Fraction of the permutations, with the observed map as one of them, that are at least
            as similar as the observed map. Every value is one test, not corrected for multiple
            testing. NaN where the similarity is NaN.

    Raises
    ------
    TypeError
        If `lags` or `n_permutations` are not integers.
    ValueError
        If a shape or an option is not allowed.

    See Also
    --------
    chance_similarity : Mean over all permutations, without sampling.

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
    # Equal values may differ by rounding, because permuted nodes are summed in another order.
    n_as_similar = (permuted >= similarity - 1e-9).sum(axis=0)
    pvalue = np.where(np.isnan(similarity), np.nan, (1 + n_as_similar) / (1 + n_permutations))
    return Bunch(similarity=similarity, permuted=permuted, pvalue=pvalue)


def _check_maps(relay_map, other, lags, *, low=0):
    """Return the fractions of the nodes in both maps, and the lags."""
    first, second = fractions_of(relay_map, n_axes=2), None
    if other is not None:
        second = fractions_of(other, n_axes=2, name="other")
        if second.shape != first.shape:
            raise ValueError(
                f"other has shape {second.shape}; expected {first.shape}, as in relay_map."
            )
    n_timepoints = first.shape[-2]
    return first, second, check_lags(lags, n_timepoints, low=low)


def check_lags(lags, n_timepoints, *, low=0):
    """Return checked lags as an array.

    Parameters
    ----------
    lags : None, int or array-like of int
        None takes all lags from `low`.
    n_timepoints : int
        Number of time steps.
    low : int
        Smallest allowed lag.

    Returns
    -------
    ndarray of shape (n_lags,), int
    """
    lags = np.atleast_1d(np.arange(low, n_timepoints) if lags is None else np.asarray(lags))
    allowed = f"integers from {low} to {n_timepoints - 1}, because there are {n_timepoints} time "
    allowed += "steps"
    if lags.ndim != 1 or lags.dtype.kind not in "iu" or lags.size == 0:
        raise TypeError(f"lags={lags.tolist()!r}; expected {allowed}.")
    if ((lags < low) | (lags >= n_timepoints)).any():
        raise ValueError(f"lags={lags.tolist()!r}; expected {allowed}.")
    return lags.astype(int)


def _pair_measure(metric, cost, n_nodes):
    """Return the function that computes the similarities of two arrays of fractions."""
    check_choice(metric, name="metric", choices=METRICS)
    if metric == "cosine":
        if cost is not None:
            raise ValueError(
                f"cost has shape {np.shape(cost)}; expected None, because metric='cosine'."
            )
        return _cosine
    cost = None if cost is None else check_cost(cost, n_nodes, high=1.0)
    return lambda a, b: 1.0 - transport_distance(a, b, cost=cost)


def _cosine(a, b):
    lengths = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return (a * b).sum(axis=-1) / lengths


def _over_lags(first, second, lags, measure):
    """Return the mean of a measure over the pairs of time steps at every lag."""
    values = []
    for lag in lags:
        early, late = slice(0, first.shape[-2] - lag), slice(lag, None)
        if second is None:
            pairs = measure(first[..., early, :], first[..., late, :])
        else:
            # At lag 0, both orders compare the same pairs.
            orders = [(first, second), (second, first)][: 2 if lag else 1]
            pairs = np.concatenate(
                [measure(a[..., early, :], b[..., late, :]) for a, b in orders], axis=-1
            )
        values.append(mean_of_known(pairs))
    return np.stack(values, axis=-1)


def _permuted(fractions, rng):
    """Return fractions with the nodes of every row permuted independently."""
    order = rng.random_sample(fractions.shape).argsort(axis=-1)
    return np.take_along_axis(fractions, order, axis=-1)
