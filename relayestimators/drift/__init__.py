"""How relays are spread over nodes, and how they move from node to node.

Floor 1: numpy, scipy, scikit-learn and the floors below. Pure functions on relay maps.

Everywhere: negative estimates count as 0, since information is not negative; a time step at which
nothing is relayed has no shares, is NaN, and is left out of averages.
"""

from ._lifetime import half_life, relay_lifetime
from ._shares import (
    localisation,
    mean_localisation,
    mean_of_known,
    mean_strength,
    participation,
    transport_distance,
)
from ._similarity import chance_similarity, relay_similarity, similarity_test
from ._summary import drift_summary

__all__ = [
    "chance_similarity",
    "drift_summary",
    "half_life",
    "localisation",
    "mean_localisation",
    "mean_of_known",
    "mean_strength",
    "participation",
    "relay_lifetime",
    "relay_similarity",
    "similarity_test",
    "transport_distance",
]
