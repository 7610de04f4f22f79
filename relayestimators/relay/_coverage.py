"""Coverage: how many instances per occupied cell an estimate rests on."""

import warnings

import numpy as np

#: Below this many instances per occupied cell, plug-in information is not to be trusted.
MIN_COVERAGE = 4


class CoverageWarning(UserWarning):
    """Too few instances per cell: plug-in information there says little."""


def unreliable_share(coverage):
    """Return the share of values with too few instances per cell, of those that have any.

    Parameters
    ----------
    coverage : ndarray
        Instances per occupied cell; NaN where there is no instance.

    Returns
    -------
    float
    """
    known = coverage[~np.isnan(coverage)]
    return float((known < MIN_COVERAGE).mean()) if known.size else 0.0


def warn_if_uncovered(coverage):
    """Warn once if any value of a relay map rests on too few instances per cell.

    Parameters
    ----------
    coverage : ndarray
        Instances per occupied cell behind each value.
    """
    poor = unreliable_share(coverage)
    if poor:
        warnings.warn(
            f"{poor:.0%} of the relay map rests on fewer than {MIN_COVERAGE} instances per "
            "occupied cell and says little there (see coverage_); use more instances, fewer "
            "states, or another method.",
            CoverageWarning,
            stacklevel=3,
        )
