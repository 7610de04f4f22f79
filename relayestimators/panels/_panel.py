"""Checks of panels: three dimensions, numbers, and NaN only after the end of a series."""

import numpy as np
from sklearn import get_config


def check_panel(X, *, name="X"):
    """Return a panel as float32, or raise an error that names the invalid place.

    Parameters
    ----------
    X : array-like of shape (n_instances, n_channels, n_timepoints)
        Panel of numbers. A series that is shorter than the panel ends in time steps that are NaN in
        every channel. With scikit-learn's ``assume_finite`` its values are not checked.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of shape (n_instances, n_channels, n_timepoints), float32

    Raises
    ------
    ValueError
        For another number of dimensions, an empty series, NaN inside a series, or infinity.
    """
    X = np.asarray(X)
    if X.ndim != 3:
        raise ValueError(
            f"{name} has shape {X.shape}; expected three dimensions, "
            "(n_instances, n_channels, n_timepoints)."
        )
    if 0 in X.shape:
        raise ValueError(f"{name} has shape {X.shape}; expected every dimension to be at least 1.")
    with np.errstate(over="ignore"):
        X = np.ascontiguousarray(X, dtype=np.float32)
    if get_config()["assume_finite"] or all_finite(X):
        return X
    _check_none(np.isinf(X), name, "infinity (or a number too large for float32)")
    missing = np.isnan(X)
    lengths = series_lengths(X)
    if (lengths == 0).any():
        raise ValueError(f"{name}: instance {int(np.argmin(lengths))} is empty (NaN only).")
    ended = np.arange(X.shape[2]) >= lengths[:, None]
    _check_none(
        missing & ~ended[:, None, :],
        name,
        "NaN inside a series (only time steps after the end of a shorter series may be NaN, "
        "in all channels; impute other missing values first)",
    )
    return X


def all_finite(X):
    """Return whether a panel has neither NaN nor infinity."""
    return bool(np.isfinite(X).all())


def _check_none(invalid, name, what):
    """Raise an error that names the first invalid value, if there is one."""
    if invalid.any():
        instance, channel, timepoint = np.argwhere(invalid)[0]
        raise ValueError(
            f"{name} contains {what}: first at instance {instance}, channel {channel}, "
            f"time step {timepoint}."
        )


def series_lengths(X):
    """Return the number of time steps of every series of a NaN-padded panel.

    Parameters
    ----------
    X : ndarray of shape (n_instances, n_channels, n_timepoints)

    Returns
    -------
    ndarray of shape (n_instances,), int
        One more than the last time step that has a number in any channel.
    """
    present = ~np.isnan(X).all(axis=1)
    return np.where(present.any(axis=1), X.shape[2] - present[:, ::-1].argmax(axis=1), 0)


def aligned_timepoints(timepoints, lengths, n_timepoints, align):
    """Return which time steps of every series are aligned with each other.

    Parameters
    ----------
    timepoints : ndarray of shape (n_chosen,), int
        Time steps of the panel, from 0.
    lengths : ndarray of shape (n_instances,), int
        Number of time steps of every series.
    n_timepoints : int
        Number of time steps of the panel.
    align : {"start", "end"}
        With "end", the last time step of every series is at the last time step of the panel.

    Returns
    -------
    ndarray of shape (n_instances, n_chosen), int
        Time steps along each series, from 0; -1 where a series has no such time step.
    """
    lengths = lengths[:, None]
    when = timepoints - (n_timepoints - lengths) * (align == "end")
    return np.where((when >= 0) & (when < lengths), when, -1)
