"""Values that nodes are clamped to, learned from the intact network, and drawn if random."""

import warnings

import numpy as np


def clamp_values(value, nodes, hidden):
    """Return the values that nodes are clamped to, or the data that these are drawn from.

    Parameters
    ----------
    value : {"zero", "mean", "resample", "noise"}, float or array-like
        "zero": 0. "mean": the mean over instances at every time step. "resample": the trajectory of
        another instance. "noise": Gaussian noise with the mean and the standard deviation over
        instances at every time step. A float is used for all nodes. An array has the shape
        (n_chosen,) or (n_timepoints, n_chosen).
    nodes : ndarray of shape (n_chosen,)
        Nodes, already checked.
    hidden : ndarray of shape (n_instances, n_timepoints, n_nodes)
        Trajectories of the intact network; NaN where a series has ended.

    Returns
    -------
    ndarray of float32
        Values of shape (n_chosen,) or (n_timepoints, n_chosen). For "resample", the trajectories to
        draw from, of shape (n_instances, n_timepoints, n_chosen), in which the last state of a
        series that has ended is continued. For "noise", mean and standard deviation, of shape
        (2, n_timepoints, n_chosen).

    Raises
    ------
    ValueError
        If `value` is not allowed; the message lists the allowed values.
    """
    n_timepoints = hidden.shape[1]
    allowed = (
        f"{', '.join(map(repr, VALUES))}, a number, or finite numbers of shape ({len(nodes)},) or "
        f"({n_timepoints}, {len(nodes)}), that is (n_chosen,) or (n_timepoints, n_chosen)"
    )
    if isinstance(value, str):
        if value not in VALUES:
            raise ValueError(f"value={value!r}; expected one of {allowed}.")
        return VALUES[value](hidden[:, :, nodes])
    values = np.asarray(value)
    if values.ndim == 0 and not isinstance(value, bool):
        values = np.full(len(nodes), values)
    shapes = ((len(nodes),), (n_timepoints, len(nodes)))
    if values.dtype.kind not in "biuf" or values.shape not in shapes:
        raise ValueError(
            f"value has shape {values.shape} and dtype {values.dtype}; expected one of {allowed}."
        )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"value contains NaN or infinity; expected one of {allowed}.")
    return values


def _zero(hidden):
    return np.zeros(hidden.shape[2], dtype=np.float32)


def _mean(hidden):
    return _over_instances(np.nanmean, hidden)


def _mean_and_deviation(hidden):
    return np.stack([_over_instances(np.nanmean, hidden), _over_instances(np.nanstd, hidden)])


def _over_instances(statistic, hidden):
    """Return a statistic per time step; after the last time step of all series it is continued."""
    with warnings.catch_warnings():  # time steps that no instance has
        warnings.simplefilter("ignore", RuntimeWarning)
        values = statistic(hidden, axis=0, dtype=np.float64)
    present = np.flatnonzero(~np.isnan(hidden).all(axis=(0, 2)))
    if present.size:  # false only without nodes
        values[present[-1] + 1 :] = values[present[-1]]
    return values.astype(np.float32)


def _continued(hidden):
    """Return trajectories in which the last state of a series that has ended is continued."""
    present = ~np.isnan(hidden).all(axis=2)
    last = hidden.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    steps = np.minimum(np.arange(hidden.shape[1]), last[:, None])
    return np.take_along_axis(hidden, steps[:, :, None], axis=1)


#: Functions that learn the values of each kind from trajectories of the intact network.
VALUES = {"zero": _zero, "mean": _mean, "resample": _continued, "noise": _mean_and_deviation}
RANDOM = ("resample", "noise")  # kinds whose values differ from instance to instance


def draw_values(value, values, rng, n_instances, *, same=False):
    """Return the values of a clamp, which are drawn if they are random.

    Parameters
    ----------
    value : {"zero", "mean", "resample", "noise"}, float or array-like
        As in `clamp_values`.
    values : ndarray
        Result of `clamp_values`.
    rng : RandomState
        Controls the randomness of the draws.
    n_instances : int
        Number of instances.
    same : bool, default=False
        Whether these are the instances that `values` were learned from. With "resample", every
        instance then receives the trajectory of another one, and each trajectory is used once.

    Returns
    -------
    ndarray
        Values of a :class:`~relayestimators.networks.Clamp`.
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
