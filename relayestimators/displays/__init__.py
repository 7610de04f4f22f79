"""Figures of results. A display draws arrays; its ``from_...`` methods compute them first.

matplotlib is imported when something is drawn, so the package works without it.
"""

from ._drift_curves import DriftDisplay
from ._knockout_curves import KnockoutCurveDisplay, KnockoutDisplay
from ._relay_map import RelayMapDisplay
from ._training import RelayHistoryDisplay
from ._trajectories import StateSpaceDisplay

__all__ = [
    "DriftDisplay",
    "KnockoutCurveDisplay",
    "KnockoutDisplay",
    "RelayHistoryDisplay",
    "RelayMapDisplay",
    "StateSpaceDisplay",
]
