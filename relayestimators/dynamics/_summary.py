"""Drift of several networks of one kind, with confidence intervals over networks."""

import numpy as np
from scipy.special import stdtrit
from sklearn.utils import Bunch

from .._docs import fill_docs
from .._validation import check_alpha
from ._lifetime import half_life, relay_lifetime
from ._localization import localization, mean_of_known, participation
from ._similarity import chance_similarity, check_lags, relay_similarity

_MEANS = ("similarity", "drift", "chance", "stability", "ceiling", "localization", "participation")
_RATES = ("lifetime", "half_life")


@fill_docs
def drift_summary(
    maps,
    others=None,
    *,
    lags=None,
    metric="cosine",
    n_relays=None,
    per_concept=False,
    alpha=0.05,
):
    """Summarize localization and drift of relays over networks trained with different seeds.

    Parameters
    ----------
    maps : sequence of array-like of shape (n_concepts, n_timepoints, n_nodes)
        One relay map per network, in bits. The networks may differ in their number of nodes.
    others : sequence of array-like of the same shapes, default=None
        A second map of each network from other instances, to correct for estimation errors.
    %(lags)s
    %(metric)s
    n_relays : int or float, default=None
        Number of relays at a time step for the lifetime, or their fraction of all nodes; None are
        the nodes near the strongest one. See :func:`relay_lifetime`.
    per_concept : bool, default=False
        Whether to report concepts separately. By default, every network counts with its mean over
        concepts.
    %(alpha)s

    Returns
    -------
    summary : :class:`~sklearn.utils.Bunch`
        lags : ndarray of shape (n_lags,)
            Lags in time steps.
        alpha : float
            The parameter `alpha`.
        similarity, drift, chance : :class:`~sklearn.utils.Bunch`
            For every lag: the similarity, one minus the similarity, and the similarity expected of
            relays at random nodes.
        stability : :class:`~sklearn.utils.Bunch`
            For every lag: the similarity above chance, divided by its value at lag 0. 0 is chance,
            1 means that relays stay. With `others` it is free of estimation errors, and may exceed
            1; without them, estimation errors look like drift.
        ceiling : :class:`~sklearn.utils.Bunch`
            Similarity at lag 0. It is 1 without `others`, and is reduced by estimation errors with
            them.
        localization, participation : :class:`~sklearn.utils.Bunch`
            Means over time steps of :func:`localization`, from 0 to 1, and of the effective number
            of nodes that relay (participation ratio).
        lifetime, half_life : :class:`~sklearn.utils.Bunch`
            Lifetime of relays, and half-life of the stability, in time steps.

        Each of these Bunches has ``per_net`` of shape (n_nets, ...), ``mean`` of shape (...) and
        ``confidence_interval`` of shape (2, ...). Here (...) ends with n_lags if there is a value
        for every lag, and begins with n_concepts if `per_concept` is True.

    Raises
    ------
    TypeError
        If `lags` are not integers.
    ValueError
        If the maps do not fit together, or an option is not allowed.

    See Also
    --------
    relay_similarity : The similarity of one network, and how to correct for estimation errors.
    DriftDisplay : Figure of a summary.

    Notes
    -----
    The confidence intervals are Student's, over networks. Networks with NaN are left out; the mean
    of one network has no interval. Lifetimes and half-lives are averaged as rates, which are their
    inverses (harmonic mean), because relays that never leave have an infinite lifetime and a rate
    of 0. If the interval of the rate includes 0, that of the time ends at inf.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.dynamics import drift_summary
    >>> rng = np.random.default_rng(0)
    >>> stay = [np.tile(rng.permuted(np.eye(8)[:1], axis=1), (1, 10, 1)) for _ in range(5)]
    >>> move = [np.eye(8)[rng.integers(8, size=(1, 10))] for _ in range(5)]
    >>> drift_summary(stay, lags=[1], n_relays=1).drift.mean
    array([0.])
    >>> summary = drift_summary(move, lags=[0, 1], n_relays=1)
    >>> low, high = summary.stability.confidence_interval[:, 1]
    >>> bool(low < 0 < high)
    True
    """
    maps = _check_maps(maps)
    if others is not None:
        others = _check_maps(others, name="others")
        if [m.shape for m in maps] != [m.shape for m in others]:
            raise ValueError(
                f"others has shapes {[m.shape for m in others]}; expected the shapes of maps, "
                f"{[m.shape for m in maps]}."
            )
    check_alpha(alpha)
    lags = check_lags(lags, maps[0].shape[1])
    values = {name: [] for name in _RATES + _MEANS}
    for i, relay_map in enumerate(maps):
        other = None if others is None else others[i]
        of_net = _of_one_net(relay_map, other, lags, metric, n_relays, per_concept)
        for name, value in of_net.items():
            values[name].append(value)
    summary = Bunch(lags=lags, alpha=alpha)
    for name in _MEANS:
        summary[name] = _with_interval(np.stack(values[name]), alpha)
    for name in _RATES:
        with np.errstate(divide="ignore"):
            rates = _with_interval(1.0 / np.stack(values[name]), alpha)
            ends = 1.0 / np.maximum(rates.confidence_interval[::-1], 0.0)
            summary[name] = Bunch(
                per_net=np.stack(values[name]), mean=1.0 / rates.mean, confidence_interval=ends
            )
    return summary


def _check_maps(maps, *, name="maps"):
    maps = [np.asarray(relay_map, dtype=float) for relay_map in maps]
    if not maps:
        raise ValueError(f"{name} is empty; expected one relay map per network.")
    if any(m.ndim != 3 or m.shape[:2] != maps[0].shape[:2] for m in maps):
        raise ValueError(
            f"{name} has shapes {[m.shape for m in maps]}; expected (n_concepts, n_timepoints, "
            "n_nodes), with the same n_concepts and n_timepoints for all networks."
        )
    return maps


def _of_one_net(relay_map, other, lags, metric, n_relays, per_concept):
    """Return all values of one network, averaged over concepts unless `per_concept`."""
    estimates = [relay_map] if other is None else [relay_map, other]

    def average(values):
        return values if per_concept else mean_of_known(values, axis=0)

    def of_map(measure):
        return average(np.mean([measure(m) for m in estimates], axis=0))

    lags_with_0 = np.append(0, lags)
    similarity = average(relay_similarity(relay_map, other, lags=lags_with_0, metric=metric))
    chance = average(chance_similarity(relay_map, other, lags=lags_with_0, metric=metric))
    above_chance = similarity - chance
    # If the similarity is at chance already at lag 0, the stability is not defined.
    at_lag_0 = np.where(above_chance[..., :1] > 1e-12, above_chance[..., :1], np.nan)
    result = {
        "similarity": similarity[..., 1:],
        "drift": 1.0 - similarity[..., 1:],
        "chance": chance[..., 1:],
        "stability": above_chance[..., 1:] / at_lag_0,
        "ceiling": similarity[..., 0],
        "localization": of_map(lambda m: mean_of_known(localization(m))),
        "participation": of_map(lambda m: mean_of_known(participation(m))),
    }
    with np.errstate(divide="ignore"):
        turnover = of_map(lambda m: 1.0 / relay_lifetime(m, n_relays))
        result["lifetime"] = 1.0 / turnover
    times, order = np.unique(lags_with_0, return_index=True)
    result["half_life"] = half_life((above_chance / at_lag_0)[..., order], lags=times)
    return result


def _with_interval(values, alpha):
    """Return values, their mean over networks, and Student's confidence interval of the mean."""
    n = (~np.isnan(values)).sum(axis=0)
    mean = mean_of_known(values, axis=0)
    squares = np.nan_to_num((values - mean) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)
    half = stdtrit(np.maximum(n - 1, 1), 1 - alpha / 2) * error
    return Bunch(
        per_net=values, mean=mean, confidence_interval=np.stack([mean - half, mean + half])
    )
