"""Inspection of fitted networks: what knockouts cost, which nodes matter, and how rankings compare.

As in scikit-learn's inspection module, these are functions of a fitted estimator and data that
return a Bunch of arrays.
"""

from ._combination import combine_rankings
from ._comparison import compare_rankings
from ._cross_validation import cross_validate_knockout
from ._curve import knockout_curve
from ._importance import knockout_importance
from ._interchange import interchange_information
from ._ranking import RANKINGS, rank_nodes
from ._scorers import localization_scorer, relay_strength_scorer, specificity_scorer
from ._specificity import knockout_specificity
from ._study import relay_study
from ._sweep import knockout_sweep

__all__ = [
    "RANKINGS",
    "combine_rankings",
    "compare_rankings",
    "cross_validate_knockout",
    "interchange_information",
    "knockout_curve",
    "knockout_importance",
    "knockout_specificity",
    "knockout_sweep",
    "localization_scorer",
    "rank_nodes",
    "relay_strength_scorer",
    "relay_study",
    "specificity_scorer",
]
