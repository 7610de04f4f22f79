"""Comparisons over networks: means and differences with intervals, effect sizes and p-values."""

from typing import NamedTuple

import numpy as np
from scipy.stats import (
    false_discovery_control,
    mannwhitneyu,
    spearmanr,
    ttest_1samp,
    ttest_ind,
    wilcoxon,
)

ALPHA = 0.05


class Estimate(NamedTuple):
    """A mean over networks, or a difference of two means.

    Parameters
    ----------
    mean : float
    low, high : float
        Student's 95 % confidence interval, or Welch's for a difference.
    pvalue : float
        Two-sided, of Wilcoxon's signed-rank test against 0, or of the Mann-Whitney test.
    effect : float
        Fraction of networks above 0, or fraction of pairs of networks in which the first is above
        the second (the probability of superiority). Ties count half.
    n : int
        Number of networks; of the smaller group for a difference.
    """

    mean: float
    low: float
    high: float
    pvalue: float
    effect: float
    n: int


def mean_over_nets(values, *, test=False):
    """Return the mean over networks, with its confidence interval.

    Parameters
    ----------
    values : array-like of shape (n_nets,)
        NaN values are left out.
    test : bool, default=False
        Whether to test the values against 0, which takes most of the time.

    Returns
    -------
    Estimate
        The p-value is NaN without a test.
    """
    values = _known(values)
    if len(values) < 2:
        mean = values.mean() if len(values) else np.nan
        return Estimate(mean, np.nan, np.nan, np.nan, np.nan, len(values))
    if np.ptp(values) == 0:
        low = high = values[0]
    else:
        low, high = ttest_1samp(values, 0.0).confidence_interval(1 - ALPHA)
    pvalue = np.nan
    if test:
        pvalue = wilcoxon(values).pvalue if values.any() else 1.0
    above = np.mean((values > 0) + 0.5 * (values == 0))
    return Estimate(values.mean(), low, high, pvalue, above, len(values))


def difference(first, second):
    """Return how far the mean of one group of networks is above that of another.

    Parameters
    ----------
    first, second : array-like of shape (n_nets,)
        NaN values are left out.

    Returns
    -------
    Estimate
    """
    first, second = _known(first), _known(second)
    n = min(len(first), len(second))
    if n < 2:
        mean = first.mean() - second.mean() if n else np.nan
        return Estimate(mean, np.nan, np.nan, np.nan, np.nan, n)
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        low = high = first[0] - second[0]
    else:
        low, high = ttest_ind(first, second, equal_var=False).confidence_interval(1 - ALPHA)
    test = mannwhitneyu(first, second)
    superiority = test.statistic / (len(first) * len(second))
    return Estimate(first.mean() - second.mean(), low, high, test.pvalue, superiority, n)


def trend(levels, values):
    """Return Spearman's rank correlation of a measured value with the level of what is varied.

    Parameters
    ----------
    levels, values : array-like of shape (n_nets,)
        NaN values are left out.

    Returns
    -------
    rho, pvalue : float
        NaN if levels or values do not vary.
    """
    levels, values = np.asarray(levels, dtype=float), np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    if known.sum() < 3 or np.ptp(values[known]) == 0 or np.ptp(levels[known]) == 0:
        return np.nan, np.nan
    return tuple(spearmanr(levels[known], values[known]))


def adjusted(estimates):
    """Return estimates with p-values adjusted for multiple tests (Benjamini and Hochberg).

    Parameters
    ----------
    estimates : dict of key to Estimate
        All estimates that answer one question.

    Returns
    -------
    dict of key to Estimate
    """
    tested = [key for key, estimate in estimates.items() if not np.isnan(estimate.pvalue)]
    if not tested:
        return dict(estimates)
    pvalues = false_discovery_control([estimates[key].pvalue for key in tested])
    corrected = dict(zip(tested, pvalues, strict=True))
    return {
        key: estimate._replace(pvalue=corrected.get(key, np.nan))
        for key, estimate in estimates.items()
    }


def verdict(estimate):
    """Return whether an estimate that was expected to be above 0 is above 0.

    Parameters
    ----------
    estimate : Estimate

    Returns
    -------
    {"holds", "reversed", "open", "not tested"}
    """
    if np.isnan(estimate.pvalue):
        return "not tested"
    # The p-value is of ranks, so that the mean and the ranks must have the same direction.
    if estimate.pvalue >= ALPHA or (estimate.mean > 0) != (estimate.effect > 0.5):
        return "open"
    return "holds" if estimate.mean > 0 else "reversed"


def _known(values):
    values = np.asarray(values, dtype=float)
    return values[~np.isnan(values)]
