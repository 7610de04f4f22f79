"""Recurrent networks whose hidden nodes can be observed and clamped at every time step."""

from ._clamps import Clamp
from ._network import RecurrentNetwork, Unrolled

__all__ = ["Clamp", "RecurrentNetwork", "Unrolled"]
