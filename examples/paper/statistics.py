"""Comparisons over nets: means with intervals, differences with effect sizes and p-values."""

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
    """A mean, or a difference of means, over nets.

    Parameters
    ----------
    mean : float
    low, high : float
        Student's 95 % confidence interval; Welch's of a difference.
    pvalue : float
        Two-sided: of Wilcoxon's signed-rank test against 0, or of Mann and Whitney's test.
    effect : float
        Share of the nets above 0; or of the pairs of nets in which the first is above the second
        (the probability of superiority, ties count half).
    n : int
        Nets; the fewer of the two in a difference.
    """

    mean: float
    low: float
    high: float
    pvalue: float
    effect: float
    n: int


def mean_over_nets(values):
    """Return the mean over nets, tested against 0.

    Parameters
    ----------
    values : array-like of shape (n_nets,)
        NaN is left out.

    Returns
    -------
    Estimate
    """
    values = _known(values)
    if len(values) < 2:
        mean = values.mean() if len(values) else np.nan
        return Estimate(mean, np.nan, np.nan, np.nan, np.nan, len(values))
    if np.ptp(values) == 0:
        low = high = values[0]
    else:
        low, high = ttest_1samp(values, 0.0).confidence_interval(1 - ALPHA)
    pvalue = wilcoxon(values).pvalue if values.any() else 1.0
    above = np.mean((values > 0) + 0.5 * (values == 0))
    return Estimate(values.mean(), low, high, pvalue, above, len(values))


def difference(first, second):
    """Return how far the mean of some nets is above that of others.

    Parameters
    ----------
    first, second : array-like of shape (n_nets,)
        NaN is left out.

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
    """Return Spearman's rank correlation of a figure with the level of what varies.

    Parameters
    ----------
    levels, values : array-like of shape (n_nets,)
        NaN is left out.

    Returns
    -------
    rho, pvalue : float
        NaN if one of them does not vary.
    """
    levels, values = np.asarray(levels, dtype=float), np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    if known.sum() < 3 or np.ptp(values[known]) == 0 or np.ptp(levels[known]) == 0:
        return np.nan, np.nan
    return tuple(spearmanr(levels[known], values[known]))


def adjusted(estimates):
    """Return estimates with p-values adjusted for their number (Benjamini and Hochberg).

    Parameters
    ----------
    estimates : dict of key to Estimate
        Those that answer one question.

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
    """Say whether what was expected to be above 0 is.

    Parameters
    ----------
    estimate : Estimate

    Returns
    -------
    {"holds", "reversed", "open", "not tested"}
    """
    if np.isnan(estimate.pvalue):
        return "not tested"
    if estimate.pvalue >= ALPHA:
        return "open"
    return "holds" if estimate.mean > 0 else "reversed"


def _known(values):
    values = np.asarray(values, dtype=float)
    return values[~np.isnan(values)]
