"""Figures. A display draws arrays; its `from_...` methods get them from the floors below.

Floor 6: matplotlib, imported inside, so that the package works without it.
"""

from ._drift import DriftDisplay
from ._history import RelayHistoryDisplay
from ._knockouts import KnockoutCurveDisplay, KnockoutDisplay
from ._maps import RelayMapDisplay
from ._state_space import StateSpaceDisplay

__all__ = [
    "DriftDisplay",
    "KnockoutCurveDisplay",
    "KnockoutDisplay",
    "RelayHistoryDisplay",
    "RelayMapDisplay",
    "StateSpaceDisplay",
]
