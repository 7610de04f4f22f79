"""The recurrent network, and the step engine that runs it with nodes held fixed.

Floor 1: torch, numba, llvmlite, and the checks below.
"""

from ._clamps import Clamp
from ._network import CELLS, RecurrentNetwork, Unrolled, one_thread, processor, time_major

__all__ = [
    "CELLS",
    "Clamp",
    "RecurrentNetwork",
    "Unrolled",
    "one_thread",
    "processor",
    "time_major",
]
