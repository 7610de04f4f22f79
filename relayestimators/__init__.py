"""Information relays in recurrent networks.

Which hidden nodes carry which class concept at which time step, and what happens to the
prediction when they are knocked out. Classifiers are skorch's, take sktime panels and follow
scikit-learn.
"""

from importlib.metadata import version

from .analyzer import RelayAnalyzer
from .callbacks import RelayHistory
from .classifiers import GRUClassifier, LSTMClassifier, RecurrentClassifier, RNNClassifier
from .composition import compose_networks
from .discretization import StateDiscretizer
from .displays import (
    DriftDisplay,
    KnockoutCurveDisplay,
    KnockoutDisplay,
    RelayHistoryDisplay,
    RelayMapDisplay,
    StateSpaceDisplay,
)
from .drift import (
    chance_similarity,
    drift_summary,
    half_life,
    localisation,
    participation,
    relay_lifetime,
    relay_similarity,
    similarity_test,
    transport_distance,
)
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
from .state_space import attractor_summary, end_points, silent_panel, trajectory_pca
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
from .tasks import make_block_task, make_memory_task

__version__ = version("relayestimators")

__all__ = [
    "Clamp",
    "CoverageWarning",
    "DriftDisplay",
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
    "RelayHistory",
    "RelayHistoryDisplay",
    "RelayMapDisplay",
    "StateDiscretizer",
    "StateSpaceDisplay",
    "attractor_summary",
    "chance_similarity",
    "combine_rankings",
    "compare_rankings",
    "compose_networks",
    "cross_validate_knockout",
    "drift_summary",
    "end_points",
    "half_life",
    "knockout_curve",
    "knockout_importance",
    "knockout_specificity",
    "knockout_sweep",
    "load_panel",
    "localisation",
    "localisation_score",
    "make_block_task",
    "make_memory_task",
    "panel_to_tensor",
    "participation",
    "rank_nodes",
    "relay_group",
    "relay_information",
    "relay_lifetime",
    "relay_map",
    "relay_pairs",
    "relay_score",
    "relay_scores",
    "relay_similarity",
    "relay_study",
    "shrinking_subset_aggregation",
    "silent_panel",
    "similarity_test",
    "specificity_score",
    "trajectory_pca",
    "transport_distance",
]
