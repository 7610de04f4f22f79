"""Drift, lifetime and localization of relays, and trajectories in state space.

In all functions, negative estimates of relay information count as 0. Time steps at which nothing
is relayed give NaN and are left out of averages.
"""

from ._lifetime import half_life, relay_lifetime
from ._localization import localization
from ._similarity import chance_similarity, relay_similarity, similarity_test
from ._state_space import attractor_summary, end_points, silent_panel, trajectory_pca
from ._summary import drift_summary

__all__ = [
    "attractor_summary",
    "chance_similarity",
    "drift_summary",
    "end_points",
    "half_life",
    "localization",
    "relay_lifetime",
    "relay_similarity",
    "silent_panel",
    "similarity_test",
    "trajectory_pca",
]
