"""Relay information: the measure, the published search, scores per node, maps over time.

Floor 1: functions on arrays, on top of `information` and `counting`.
"""

from ._definition import MIN_COVERAGE, relay_information, shrinking_subset_aggregation
from ._map import (
    CoverageWarning,
    check_map_options,
    combine_rankings,
    concept_values,
    relay_map,
    relay_scores,
    strongest_nodes,
    unreliable_share,
    warn_if_uncovered,
)
from ._methods import DEFAULT_METHOD, METHODS, default_context_size, draw_contexts
from ._resampling import half_sample_interval
from ._search import relay_group, relay_pairs

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "MIN_COVERAGE",
    "CoverageWarning",
    "check_map_options",
    "combine_rankings",
    "concept_values",
    "default_context_size",
    "draw_contexts",
    "half_sample_interval",
    "relay_group",
    "relay_information",
    "relay_map",
    "relay_pairs",
    "relay_scores",
    "shrinking_subset_aggregation",
    "strongest_nodes",
    "unreliable_share",
    "warn_if_uncovered",
]
