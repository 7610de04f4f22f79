"""Drift of several nets of one kind, with confidence intervals over nets."""

import numpy as np
from scipy.special import stdtrit
from sklearn.utils import Bunch

from .._validation import check_alpha
from ._lifetime import half_life, relay_lifetime
from ._localization import localization, mean_of_known, participation
from ._similarity import chance_similarity, check_lags, relay_similarity

_MEANS = ("similarity", "drift", "chance", "stability", "ceiling", "localization", "participation")
_RATES = ("lifetime", "half_life")


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
    """Summarize how relays are spread and how they move, over nets trained with different seeds.

    Parameters
    ----------
    maps : sequence of array-like of shape (n_concepts, n_timepoints, n_nodes)
        One relay map per net, in bits. Nodes need not be equally many.
    others : sequence of array-like of the same shapes, optional
        A second map of each net from other instances, to correct for errors of estimation.
    lags : int or array-like of int, optional
        Time steps apart, from 0; by default all there are.
    metric : {"cosine", "transport"}, default="cosine"
        As in :func:`relay_similarity`.
    n_relays : int or float, optional
        As in :func:`relay_lifetime`.
    per_concept : bool, default=False
        Whether concepts are kept apart. By default every net counts with its mean over concepts.
    alpha : float, default=0.05
        Share outside of the confidence intervals.

    Returns
    -------
    summary : :class:`~sklearn.utils.Bunch`
        lags : ndarray of shape (n_lags,)
            Time steps.
        alpha : float
            As given.
        similarity, drift, chance : :class:`~sklearn.utils.Bunch`
            By lag: similarity, 1 less it, and the similarity of relays at random nodes.
        stability : :class:`~sklearn.utils.Bunch`
            By lag: similarity above chance, over what it is at lag 0: 0 is chance, 1 is relays that
            stay. With `others` free of the errors of estimation, and not bound to stay below 1;
            without them, errors look like drift.
        ceiling : :class:`~sklearn.utils.Bunch`
            Similarity at lag 0: 1, or with `others` what the errors of estimation leave of it.
        localization, participation : :class:`~sklearn.utils.Bunch`
            0 to 1, and nodes; means over time steps.
        lifetime, half_life : :class:`~sklearn.utils.Bunch`
            Time steps. The half-life is that of the stability.

        Each has ``per_net`` of shape (n_nets, ...), ``mean`` of shape (...) and
        ``confidence_interval`` of shape (2, ...); (...) ends in n_lags where it says "by lag", and
        begins with n_concepts with `per_concept`.

    See Also
    --------
    relay_similarity : What is summarized, and what to do about errors of estimation.
    DriftDisplay : Draws it.

    Notes
    -----
    Intervals are Student's, over nets; nets where a value is NaN are left out, and a mean of one
    net has no interval. Lifetimes and half-lives are averaged as rates, one over the time (harmonic
    mean), because what never left in the time there was is inf: rate 0. An interval of the rate
    that includes 0 ends at inf.

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
            raise ValueError("others has other shapes than maps; expected the same, net by net.")
    check_alpha(alpha)
    lags = check_lags(lags, maps[0].shape[1])
    values = {name: [] for name in _RATES + _MEANS}
    for i, relay_map in enumerate(maps):
        other = None if others is None else others[i]
        one = _of_one_net(relay_map, other, lags, metric, n_relays, per_concept)
        for name, value in one.items():
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
        raise ValueError(f"{name} is empty; expected one relay map per net.")
    if any(m.ndim != 3 or m.shape[:2] != maps[0].shape[:2] for m in maps):
        raise ValueError(
            f"{name} has shapes {[m.shape for m in maps]}; expected (n_concepts, n_timepoints, "
            "n_nodes) with the same concepts and time steps."
        )
    return maps


def _of_one_net(relay_map, other, lags, metric, n_relays, per_concept):
    """Return all values of one net, averaged over concepts unless they are kept apart."""
    both = [relay_map] if other is None else [relay_map, other]

    def average(values):
        return values if per_concept else mean_of_known(values, axis=0)

    def of_map(measure):
        return average(np.mean([measure(m) for m in both], axis=0))

    every = np.append(0, lags)
    similarity = average(relay_similarity(relay_map, other, lags=every, metric=metric))
    chance = average(chance_similarity(relay_map, other, lags=every, metric=metric))
    above = similarity - chance
    # at chance from the start nothing can be said of what stays
    first = np.where(above[..., :1] > 1e-12, above[..., :1], np.nan)
    result = {
        "similarity": similarity[..., 1:],
        "drift": 1.0 - similarity[..., 1:],
        "chance": chance[..., 1:],
        "stability": above[..., 1:] / first,
        "ceiling": similarity[..., 0],
        "localization": of_map(lambda m: mean_of_known(localization(m))),
        "participation": of_map(lambda m: mean_of_known(participation(m))),
    }
    with np.errstate(divide="ignore"):
        turnover = of_map(lambda m: 1.0 / relay_lifetime(m, n_relays))
        result["lifetime"] = 1.0 / turnover
    times, order = np.unique(every, return_index=True)
    result["half_life"] = half_life((above / first)[..., order], lags=times)
    return result


def _with_interval(values, alpha):
    """Return values, their mean over nets, and its Student interval."""
    n = (~np.isnan(values)).sum(axis=0)
    mean = mean_of_known(values, axis=0)
    squares = np.nan_to_num((values - mean) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)
    half = stdtrit(np.maximum(n - 1, 1), 1 - alpha / 2) * error
    return Bunch(
        per_net=values, mean=mean, confidence_interval=np.stack([mean - half, mean + half])
    )
