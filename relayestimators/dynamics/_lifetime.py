"""Lifetime of relays and half-life of the similarity of relay maps."""

import numpy as np

from .._validation import check_size
from ._localization import positive_part

# Fractions of the bits of the strongest node of a time step: a node with the first is a relay, and
# leaves when it falls below the second. The gap prevents that errors of estimation look like moves.
_JOINS, _LEAVES = 0.5, 0.25

# Time steps whose strongest node has less than this fraction of the largest value have no relays.
_NOTHING = 0.1


def relay_lifetime(relay_map, n_relays=None):
    r"""Compute the mean time for which a node stays among the relays, in time steps.

    .. math::

        \mathrm{lifetime} =
        \frac{\text{relays with a next time step}}{\text{relays that are no longer relays then}}

    Parameters
    ----------
    relay_map : array-like of shape (..., n_timepoints, n_nodes)
        Relay information in bits, or booleans that mark the relays at each time step, such as
        ``significant`` of :func:`relay_map`.
    n_relays : int or float, optional
        Number of relays at a time step, which are the strongest nodes, or their fraction of all
        nodes. Nodes with 0 bits or less are never relays. By default the relays of a time step
        are the nodes with at least half of the bits of the strongest one, and they leave when they
        have less than a quarter of it. Must be None for a map of booleans.

    Returns
    -------
    ndarray of shape (...)
        Lifetime in time steps; inf if no relay ever leaves, NaN if nothing is relayed at two
        successive time steps.

    Raises
    ------
    TypeError, ValueError
        If `relay_map` has a wrong shape, or `n_relays` is not allowed.

    See Also
    --------
    half_life : Lifetime by similarity, which needs no number of relays.
    drift_summary : Lifetimes of several networks, with confidence intervals.

    Notes
    -----
    This is the occurrence-exposure estimate: the inverse of the probability to leave in a time
    step. Stays that are cut off by the first or last time step do not bias it, whereas they
    shorten the mean length of the observed stays.

    If relays are at random nodes, their lifetime is ``n_nodes / (n_nodes - n_relays)``. A fixed
    number of relays counts nodes that relay nothing where there are fewer relays than this, and
    these nodes change at random. By default no such number is needed; time steps whose strongest
    node has less than a tenth of the largest value of the map count as having no relays.

    Examples
    --------
    The relay at six time steps changes its node once:

    >>> import numpy as np
    >>> from relayestimators.dynamics import relay_lifetime
    >>> relay_lifetime(np.eye(4)[[0, 0, 0, 1, 1, 1]], n_relays=1).item()
    5.0
    """
    members, staying = _members(relay_map, n_relays)
    relayed = members.any(axis=-1)
    both = (relayed[..., :-1] & relayed[..., 1:])[..., None]
    exposed = members[..., :-1, :] & both
    n_leaving = (exposed & ~staying[..., 1:, :]).sum(axis=(-2, -1))
    n_exposed = exposed.sum(axis=(-2, -1))
    if_none_leaves = np.where(n_exposed > 0, np.inf, np.nan)
    return np.divide(n_exposed, n_leaving, out=if_none_leaves, where=n_leaving > 0)


def _members(relay_map, n_relays):
    """Return masks of the relays, and of the nodes that are no relays but would not have left."""
    values = positive_part(relay_map, n_axes=2)
    if np.asarray(relay_map).dtype.kind == "b":
        if n_relays is not None:
            raise ValueError(f"n_relays={n_relays!r}; expected None with a map of booleans.")
        return values > 0, values > 0
    values = np.nan_to_num(values)
    if n_relays is None:
        strongest = values.max(axis=-1, keepdims=True)
        floor = _NOTHING * values.max(axis=(-2, -1), keepdims=True)
        relays = (strongest > 0) & (strongest >= floor) & (values >= _JOINS * strongest)
        return relays, values >= _LEAVES * strongest
    n_relays = check_size(n_relays, values.shape[-1], name="n_relays")
    rank = (-values).argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    relays = (rank < n_relays) & (values > 0)
    return relays, relays


def half_life(similarity, *, lags=None, chance=0.0):
    """Compute the lag at which the similarity above chance has fallen to half of its first value.

    Parameters
    ----------
    similarity : array-like of shape (..., n_lags)
        Similarity at every lag, as from :func:`relay_similarity`. NaN is skipped.
    lags : array-like of shape (n_lags,), optional
        Lags in time steps, in increasing order, which should start at 0. By default 0, 1, ...
    chance : float or array-like that broadcasts to (..., n_lags), default=0.0
        Similarity expected by chance, as from :func:`chance_similarity`.

    Returns
    -------
    ndarray of shape (...)
        Time steps from the first lag to the point where the line through the values first falls
        to half of the value at the first lag; no model is fitted. inf if this is beyond the last
        lag, NaN if nothing is above chance at the first lag.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or `lags` do not increase.

    See Also
    --------
    relay_lifetime : Lifetime by membership among the strongest nodes.

    Examples
    --------
    >>> from relayestimators.dynamics import half_life
    >>> half_life([1.0, 0.8, 0.4, 0.2]).item()
    1.75
    >>> half_life([[1.0, 0.9, 0.8, 0.7], [1.0, 0.5, 0.25, 0.125]], lags=[0, 2, 4, 6])
    array([inf,  2.])
    """
    excess = np.asarray(similarity, dtype=float) - np.asarray(chance, dtype=float)
    if excess.ndim < 1 or excess.shape != np.shape(similarity):
        raise ValueError(
            f"similarity has shape {np.shape(similarity)} and chance has shape {np.shape(chance)}; "
            "expected (..., n_lags) and a shape that broadcasts to it."
        )
    n_lags = excess.shape[-1]
    lags = np.arange(n_lags) if lags is None else np.asarray(lags, dtype=float)
    if lags.shape != (n_lags,) or (np.diff(lags) <= 0).any():
        raise ValueError(f"lags={lags.tolist()!r}; expected {n_lags} increasing numbers.")
    result = np.empty(excess.shape[:-1])
    for where in np.ndindex(result.shape):
        result[where] = _time_to_half(excess[where], lags)
    return result


def _time_to_half(excess, lags):
    """Return the time from the first lag at which a line falls to half of its first value."""
    if not excess[0] > 0:
        return np.nan
    known = ~np.isnan(excess)
    above_half, times = excess[known] / excess[0] - 0.5, lags[known] - lags[0]
    if not (above_half <= 0).any():
        return np.inf
    i = int(np.argmax(above_half <= 0))
    before, after = above_half[i - 1], above_half[i]
    return times[i - 1] + (times[i] - times[i - 1]) * before / (before - after)
