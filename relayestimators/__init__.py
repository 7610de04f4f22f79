"""Information relays in recurrent networks.

Which hidden nodes carry which class concept at which time step, and what happens to the
prediction when they are knocked out. Classifiers are skorch's, take sktime panels and follow
scikit-learn.
"""

from importlib.metadata import version

from .analyzer import RelayAnalyzer
from .classifiers import GRUClassifier, LSTMClassifier, RecurrentClassifier, RNNClassifier
from .composition import compose_networks
from .discretization import StateDiscretizer
from .displays import KnockoutDisplay, RelayMapDisplay
from .knockout import KnockoutTransformer
from .networks import Clamp, RecurrentNetwork
from .panels import PanelToTensor, load_panel, panel_to_tensor
from .relay import (
    CoverageWarning,
    relay_group,
    relay_information,
    relay_map,
    relay_pairs,
    relay_scores,
    shrinking_subset_aggregation,
)
from .studies import knockout_specificity, relay_study

__version__ = version("relayestimators")

__all__ = [
    "Clamp",
    "CoverageWarning",
    "GRUClassifier",
    "KnockoutDisplay",
    "KnockoutTransformer",
    "LSTMClassifier",
    "PanelToTensor",
    "RNNClassifier",
    "RecurrentClassifier",
    "RecurrentNetwork",
    "RelayAnalyzer",
    "RelayMapDisplay",
    "StateDiscretizer",
    "compose_networks",
    "knockout_specificity",
    "load_panel",
    "panel_to_tensor",
    "relay_group",
    "relay_information",
    "relay_map",
    "relay_pairs",
    "relay_scores",
    "relay_study",
    "shrinking_subset_aggregation",
]
