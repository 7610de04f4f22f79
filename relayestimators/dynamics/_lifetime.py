"""How long relays stay: residence of nodes among the relays, half-life of similarity."""

import numpy as np

from .._validation import check_size
from ._localization import positive_part


def relay_lifetime(relay_map, n_relays=None):
    """How long a node stays among the relays of a concept, in time steps.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_timepoints, n_nodes)
        Relay information in bits, or booleans that say which nodes are relays at each time step,
        such as ``significant`` of :func:`relay_map`.
    n_relays : int or float, optional
        Of a map in bits: how many nodes are the relays of a time step, the strongest ones, or which
        fraction of all. By default half of them. Nodes at 0 or below are none.

    Returns
    -------
    ndarray of shape (...)
        Mean residence in time steps: relays that have a next time step, over those of them that are
        not relays then. inf if no relay ever leaves; NaN if nothing is relayed at two successive
        time steps.

    See Also
    --------
    half_life : By similarity, without a number of relays.

    Notes
    -----
    It is the occurrence-exposure estimate: one over the probability to leave in a time step. Stays
    that are cut off by the first or last time step do not shorten it, as they would shorten the
    mean length of the stays seen.

    Relays at random nodes stay for ``n_nodes / (n_nodes - n_relays)`` steps.

    Examples
    --------
    The relay of six time steps leaves once:

    >>> import numpy as np
    >>> from relayestimators.dynamics import relay_lifetime
    >>> relay_lifetime(np.eye(4)[[0, 0, 0, 1, 1, 1]], n_relays=1).item()
    5.0
    """
    members = np.asarray(relay_map)
    if members.dtype.kind == "b":
        positive_part(members, n_axes=2)
        if n_relays is not None:
            raise ValueError(f"n_relays={n_relays!r}; expected None with a map of booleans.")
    else:
        members = _strongest(relay_map, n_relays)
    relayed = members.any(axis=-1)
    both = (relayed[..., :-1] & relayed[..., 1:])[..., None]
    exposed = members[..., :-1, :] & both
    left = (exposed & ~members[..., 1:, :]).sum(axis=(-2, -1))
    exposed = exposed.sum(axis=(-2, -1))
    never = np.where(exposed > 0, np.inf, np.nan)
    return np.divide(exposed, left, out=never, where=left > 0)


def _strongest(relay_map, n_relays):
    """Return which nodes are the relays of each time step."""
    values = np.nan_to_num(positive_part(relay_map, n_axes=2))
    n_relays = check_size(n_relays, values.shape[-1], name="n_relays")
    rank = (-values).argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    return (rank < n_relays) & (values > 0)


def half_life(similarity, *, lags=None, chance=0.0):
    """Return the lag at which what is above chance has fallen to half of what it was at first.

    Parameters
    ----------
    similarity : array-like of shape (..., n_lags)
        As from :func:`relay_similarity`.
    lags : array-like of shape (n_lags,), optional
        In time steps, increasing, best from 0; 0, 1, ... by default.
    chance : float or array-like that broadcasts to (..., n_lags), default=0.0
        As from :func:`chance_similarity`.

    Returns
    -------
    ndarray of shape (...)
        Time steps, from the first lag, where the line through the values first falls to half of the
        value at the first lag; no model is fitted. inf if it does not within the lags given. NaN if
        nothing is above chance at the first lag. Lags at which the similarity is NaN are passed
        over.

    See Also
    --------
    relay_lifetime : By membership among the strongest nodes.

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
            f"similarity has shape {np.shape(similarity)} and chance {np.shape(chance)}; expected "
            "(..., n_lags), and what broadcasts to it."
        )
    n_lags = excess.shape[-1]
    lags = np.arange(n_lags) if lags is None else np.asarray(lags, dtype=float)
    if lags.shape != (n_lags,) or (np.diff(lags) <= 0).any():
        raise ValueError(f"lags={lags.tolist()!r}; expected {n_lags} increasing numbers.")
    result = np.empty(excess.shape[:-1])
    for where in np.ndindex(result.shape):
        result[where] = _first_half(excess[where], lags)
    return result


def _first_half(excess, lags):
    """Return where a line falls to half of its first value, from the first lag."""
    if not excess[0] > 0:
        return np.nan
    known = ~np.isnan(excess)
    rest, times = excess[known] / excess[0] - 0.5, lags[known] - lags[0]
    if not (rest <= 0).any():
        return np.inf
    i = int(np.argmax(rest <= 0))
    before, after = rest[i - 1], rest[i]
    return times[i - 1] + (times[i] - times[i - 1]) * before / (before - after)
