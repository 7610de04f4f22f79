"""Confidence intervals by subsampling."""

import numpy as np
from scipy.stats import norm


def subsampling_interval(scores, draws, alpha, *, other_error=0.0):
    """Return normal intervals from repeated half-sampling.

    Halves drawn without replacement vary about the whole as much as the whole varies about the
    truth. Drawing with replacement would not do: doubled instances look like information.

    Parameters
    ----------
    scores : ndarray of shape (n_nodes,)
    draws : ndarray of shape (n_halves, n_nodes)
        At least two halves.
    alpha : float
        Share outside.
    other_error : float or ndarray of shape (n_nodes,), default=0.0
        Standard error from another source than the instances.

    Returns
    -------
    ndarray of shape (2, n_nodes)
        Lower and upper end.
    """
    reach = norm.ppf(1 - alpha / 2) * np.hypot(draws.std(axis=0, ddof=1), other_error)
    return np.stack([scores - reach, scores + reach])
