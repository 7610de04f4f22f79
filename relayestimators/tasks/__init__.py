"""Tasks with planted truth: when each concept enters the input, and how long it must be held.

Floor 1: numpy, scikit-learn and the floors below.
"""

from ._block import make_block_task
from ._memory import make_memory_task

__all__ = ["make_block_task", "make_memory_task"]
