"""Studies: what knockouts cost, per concept, against other nodes and against chance.

Floor 5: joblib, scikit-learn, scipy and the floors below. Functions in the manner of
scikit-learn's inspection module: a worker, an aggregator, a public function; results are Bunches
of arrays. All of them measure with `_ablation.Ablation`.
"""

from ._crossvalidation import cross_validate_knockout
from ._curve import knockout_curve
from ._importance import knockout_importance
from ._rankings import compare_rankings
from ._scorers import localisation_score, relay_score, specificity_score
from ._specificity import knockout_specificity
from ._study import relay_study
from ._sweep import knockout_sweep

__all__ = [
    "compare_rankings",
    "cross_validate_knockout",
    "knockout_curve",
    "knockout_importance",
    "knockout_specificity",
    "knockout_sweep",
    "localisation_score",
    "relay_score",
    "relay_study",
    "specificity_score",
]
