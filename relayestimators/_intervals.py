"""Confidence intervals by subsampling."""

import numpy as np
from scipy.stats import norm


def subsampling_interval(scores, draws, alpha, *, other_error=0.0):
    r"""Return normal confidence intervals from scores of random halves of the instances.

    .. math:: s \pm z_{1 - \alpha / 2} \sqrt{\sigma_{\mathrm{half}}^2 + \sigma_{\mathrm{other}}^2}

    Halves are drawn without replacement (subsampling). They vary about the whole sample as much as
    the whole sample varies about the truth. A bootstrap, which draws with replacement, is not used
    because repeated instances look like information.

    Parameters
    ----------
    scores : ndarray of shape (n_nodes,)
        Scores of all instances.
    draws : ndarray of shape (n_halves, n_nodes)
        Scores of the halves, of which there are at least two.
    alpha : float
        One minus the confidence level.
    other_error : float or ndarray of shape (n_nodes,), default=0.0
        Standard error from another source than the choice of instances.

    Returns
    -------
    ndarray of shape (2, n_nodes)
        Lower and upper end.
    """
    margin = norm.ppf(1 - alpha / 2) * np.hypot(draws.std(axis=0, ddof=1), other_error)
    return np.stack([scores - margin, scores + margin])
