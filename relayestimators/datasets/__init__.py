"""Artificial tasks with known concepts, data sets from sktime, and networks with known relays."""

from ._block import make_block_task
from ._composition import compose_networks
from ._load import load_panel
from ._memory import make_memory_task

__all__ = ["compose_networks", "load_panel", "make_block_task", "make_memory_task"]
