"""What knocked-out nodes are clamped to: learned from the intact network, and drawn if random."""

import warnings

import numpy as np


def clamp_values(value, nodes, hidden):
    """Return what nodes are held at, or what that is drawn from, as the intact net has it.

    Parameters
    ----------
    value : {"zero", "mean", "resample", "noise"}, float or array-like
        "zero"; "mean", over instances at every time step of the intact net; "resample", the
        trajectory of another instance; "noise", Gaussian with the mean and the standard
        deviation over instances at every time step; one number for all; an array of shape
        (n_chosen,) or (n_timepoints, n_chosen).
    nodes : ndarray of shape (n_chosen,)
        The nodes, checked.
    hidden : ndarray of shape (n_instances, n_timepoints, n_nodes)
        Trajectories of the intact net; NaN where a series has ended.

    Returns
    -------
    ndarray of float32
        The values, shape (n_chosen,) or (n_timepoints, n_chosen). For "resample" the trajectories
        to draw from, (n_instances, n_timepoints, n_chosen); where a series has ended its last
        state goes on. For "noise" mean and standard deviation, (2, n_timepoints, n_chosen).

    Raises
    ------
    ValueError
        If `value` is none of these; the message says what is allowed.
    """
    n_timepoints = hidden.shape[1]
    allowed = (
        f"{', '.join(map(repr, VALUES))}, a number, or finite numbers of shape ({len(nodes)},) or "
        f"({n_timepoints}, {len(nodes)}), that is (n_chosen,) or (n_timepoints, n_chosen)"
    )
    if isinstance(value, str):
        if value not in VALUES:
            raise ValueError(f"value={value!r}; allowed are {allowed}.")
        return VALUES[value](hidden[:, :, nodes])
    values = np.asarray(value)
    if values.ndim == 0 and not isinstance(value, bool):
        values = np.full(len(nodes), values)
    shapes = ((len(nodes),), (n_timepoints, len(nodes)))
    if values.dtype.kind not in "biuf" or values.shape not in shapes:
        raise ValueError(
            f"value has shape {values.shape}, dtype {values.dtype}; allowed: {allowed}."
        )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"value contains NaN or infinity; allowed are {allowed}.")
    return values


def _zero(hidden):
    return np.zeros(hidden.shape[2], dtype=np.float32)


def _mean(hidden):
    return _over_instances(np.nanmean, hidden)


def _mean_and_deviation(hidden):
    return np.stack([_over_instances(np.nanmean, hidden), _over_instances(np.nanstd, hidden)])


def _over_instances(statistic, hidden):
    """Return a statistic per time step; after the last that any instance has, it goes on."""
    with warnings.catch_warnings():  # columns no instance has
        warnings.simplefilter("ignore", RuntimeWarning)
        values = statistic(hidden, axis=0, dtype=np.float64)
    present = np.flatnonzero(~np.isnan(hidden).all(axis=(0, 2)))
    if present.size:  # there are nodes
        values[present[-1] + 1 :] = values[present[-1]]
    return values.astype(np.float32)


def _going_on(hidden):
    """Return trajectories in which the last state of a series that has ended goes on."""
    present = ~np.isnan(hidden).all(axis=2)
    last = hidden.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    steps = np.minimum(np.arange(hidden.shape[1]), last[:, None])
    return np.take_along_axis(hidden, steps[:, :, None], axis=1)


#: What nodes can be held at, by name: how it is learnt from trajectories of the intact net.
VALUES = {"zero": _zero, "mean": _mean, "resample": _going_on, "noise": _mean_and_deviation}
RANDOM = ("resample", "noise")  # those that differ from instance to instance


def draw_values(value, values, rng, n_instances, *, same=False):
    """Return the values of a clamp; those that are random are drawn.

    Parameters
    ----------
    value : {"zero", "mean", "resample", "noise"}, float or array-like
        As in `clamp_values`.
    values : ndarray
        What `clamp_values` returned.
    rng : RandomState
        Draws.
    n_instances : int
        How many instances they are for.
    same : bool, default=False
        Whether these are the instances `values` were learnt from. With "resample" each is then
        given another's trajectory, every one once.

    Returns
    -------
    ndarray
        Values of a :class:`Clamp`.
    """
    if not isinstance(value, str) or value not in RANDOM:
        return values
    if value == "resample":
        if not same:
            return values[rng.randint(len(values), size=n_instances)]
        order = rng.permutation(len(values))
        donors = np.empty_like(order)
        donors[order] = np.roll(order, 1)
        return values[donors]
    mean, deviation = values
    return mean + deviation * rng.standard_normal((n_instances, *mean.shape)).astype(np.float32)
