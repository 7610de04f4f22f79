"""Confidence intervals by subsampling."""

import numpy as np
from scipy.stats import t as student


def subsampling_interval(scores, draws, alpha, *, other_error=0.0):
    r"""Return Student's confidence intervals from scores of random halves of the instances.

    .. math:: s \pm t_{1 - \alpha / 2, R - 1} \sqrt{
        \tfrac{1}{R} \sum_r (s_r - s)^2 + \sigma_{\mathrm{other}}^2}

    Halves are drawn without replacement (the delete-d jackknife with half of the instances). For a
    mean, they vary about the whole sample as much as the whole sample varies about the truth. The
    deviation is about the score of the whole sample, so that it includes the bias of halves. A
    bootstrap, which draws with replacement, is not used because repeated instances look like
    information.

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
    deviation = np.sqrt(np.mean((draws - scores) ** 2, axis=0))
    margin = student.ppf(1 - alpha / 2, len(draws) - 1) * np.hypot(deviation, other_error)
    return np.stack([scores - margin, scores + margin])
