"""Find which hidden nodes of a recurrent network know, carry and are needed for class concepts.

The names below are the place to start. Everything else is in the public submodules `relay`,
`inspection`, `dynamics`, `datasets`, `networks`, `displays` and `report`;
`relayestimators.sktime` has classifiers with sktime's interface.
"""

from importlib.metadata import version

from . import datasets, displays, dynamics, inspection, networks, relay
from .analyzer import RelayAnalyzer
from .callbacks import RelayHistory
from .classifiers import GRUClassifier, LSTMClassifier, RecurrentClassifier, RNNClassifier
from .datasets import load_panel
from .discretization import StateDiscretizer
from .inspection import relay_study
from .knockout import KnockoutTransformer
from .panels import PanelToTensor, panel_to_tensor
from .relay import CoverageWarning, relay_map

__version__ = version("relayestimators")

__all__ = [
    "CoverageWarning",
    "GRUClassifier",
    "KnockoutTransformer",
    "LSTMClassifier",
    "PanelToTensor",
    "RNNClassifier",
    "RecurrentClassifier",
    "RelayAnalyzer",
    "RelayHistory",
    "StateDiscretizer",
    "datasets",
    "displays",
    "dynamics",
    "inspection",
    "load_panel",
    "networks",
    "panel_to_tensor",
    "relay",
    "relay_map",
    "relay_study",
]
