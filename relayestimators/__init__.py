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
from .displays import KnockoutCurveDisplay, KnockoutDisplay, RelayMapDisplay
from .drift import localisation
from .knockout import KnockoutTransformer
from .networks import Clamp, RecurrentNetwork
from .panels import PanelToTensor, load_panel, panel_to_tensor
from .rankings import rank_nodes
from .relay import (
    CoverageWarning,
    combine_rankings,
    relay_group,
    relay_information,
    relay_map,
    relay_pairs,
    relay_scores,
    shrinking_subset_aggregation,
)
from .studies import (
    compare_rankings,
    cross_validate_knockout,
    knockout_curve,
    knockout_importance,
    knockout_specificity,
    knockout_sweep,
    localisation_score,
    relay_score,
    relay_study,
    specificity_score,
)
from .tasks import make_memory_task

__version__ = version("relayestimators")

__all__ = [
    "Clamp",
    "CoverageWarning",
    "GRUClassifier",
    "KnockoutCurveDisplay",
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
    "combine_rankings",
    "compare_rankings",
    "compose_networks",
    "cross_validate_knockout",
    "knockout_curve",
    "knockout_importance",
    "knockout_specificity",
    "knockout_sweep",
    "load_panel",
    "localisation",
    "localisation_score",
    "make_memory_task",
    "panel_to_tensor",
    "rank_nodes",
    "relay_group",
    "relay_information",
    "relay_map",
    "relay_pairs",
    "relay_score",
    "relay_scores",
    "relay_study",
    "shrinking_subset_aggregation",
    "specificity_score",
]
