"""Coverage: the number of instances per occupied cell on which an estimate is based."""

import warnings

import numpy as np

#: With fewer instances per occupied cell than this, plug-in information is not reliable.
MIN_COVERAGE = 4


class CoverageWarning(UserWarning):
    """Warning about too few instances per occupied cell for reliable plug-in information."""


def unreliable_share(coverage):
    """Return the fraction of values with too few instances per cell.

    Parameters
    ----------
    coverage : ndarray
        Instances per occupied cell; NaN where there is no instance. NaN does not count.

    Returns
    -------
    float
        0 if there are NaN only.
    """
    known = coverage[~np.isnan(coverage)]
    return float((known < MIN_COVERAGE).mean()) if known.size else 0.0


def warn_if_uncovered(coverage):
    """Issue one warning if any value of a relay map has too few instances per cell.

    Parameters
    ----------
    coverage : ndarray
        Instances per occupied cell of each value.

    Warns
    -----
    CoverageWarning
        If any value has fewer than four.
    """
    unreliable = unreliable_share(coverage)
    if unreliable:
        warnings.warn(
            f"{unreliable:.0%} of the relay map has fewer than {MIN_COVERAGE} instances per "
            "occupied cell and is not reliable there (see coverage_). Use more instances, fewer "
            "states, or another method.",
            CoverageWarning,
            stacklevel=3,
        )
