"""Relay information of discretized states: definition, scores, maps, searches, significance."""

from ._coverage import CoverageWarning
from ._definition import relay_information, shrinking_subset_aggregation
from ._information import conditional_mutual_information, entropy, mutual_information
from ._map import relay_map, relay_scores
from ._methods import DEFAULT_METHOD, METHODS
from ._remarks import RelayMapWarning
from ._search import relay_group, relay_pairs

__all__ = [
    "CoverageWarning",
    "DEFAULT_METHOD",
    "METHODS",
    "RelayMapWarning",
    "conditional_mutual_information",
    "entropy",
    "mutual_information",
    "relay_group",
    "relay_information",
    "relay_map",
    "relay_pairs",
    "relay_scores",
    "shrinking_subset_aggregation",
]
