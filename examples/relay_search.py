"""Search cell, size, learning rate, discretization and number of relays at once.

Scores of every candidate, on data its net was not trained on: accuracy of the net; accuracy from
its relays alone; how localized they are; and how much more it costs a concept than the others to
knock out its relays.
"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import loguniform
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import Pipeline

from relayestimators import GRUClassifier, LSTMClassifier, RelayAnalyzer, RNNClassifier
from relayestimators.datasets import make_memory_task
from relayestimators.inspection import localization_scorer, specificity_scorer

N_FOLDS = 3
TOLERANCE = 0.01  # accuracy given for localized relays; three folds estimate no standard error

# two noisy bits to hold over a delay; relays are looked for in the delay
task = make_memory_task(1800, n_bits=2, delay=4, noise=0.4, random_state=0)
X, y, X_test, y_test = task.data[:1200], task.target[:1200], task.data[1200:], task.target[1200:]
relays = RelayAnalyzer(GRUClassifier(), concepts=task.concepts, timepoints=[3, 5], random_state=0)
pipeline = Pipeline([("relays", relays), ("readout", LogisticRegression(max_iter=1000))])

common = {
    "relays__estimator__module__hidden_size": [8, 16],
    "relays__estimator__lr": loguniform(1e-4, 3e-2),
    "relays__strategy": ["quantile", "kmeans"],
    "relays__n_states": [2, 3, 4],
    "relays__n_relays": [0.125, 0.25, 0.5],  # fractions fit every hidden size
}
training = {"max_epochs": 20, "batch_size": 64, "random_state": 0}
cells = [(RNNClassifier, "h"), (GRUClassifier, "h"), (LSTMClassifier, "c")]
space = [
    common | {"relays__estimator": [cell(**training)], "relays__state": [state]}
    for cell, state in cells
]


def net_accuracy(pipeline, X, y):
    """Accuracy of the net, which reads all its nodes."""
    return pipeline["relays"].estimator_.score(X, y)


scoring = {
    "net": net_accuracy,
    "from_relays": "accuracy",
    # one discretization for all: with its own, each candidate would bring its own ruler
    "localization": partial(
        localization_scorer, n_states=2, strategy="quantile", n_permutations=19
    ),
    "own_ruler": localization_scorer,
    "specificity": specificity_scorer,
}


def most_localized(results):
    """Of the accurate nets whose relays are specific in every fold, if any, the most localized."""
    accuracy = results["mean_test_net"]
    accurate = accuracy >= np.nanmax(accuracy) - TOLERANCE
    folds = [results[f"split{fold}_test_specificity"] for fold in range(N_FOLDS)]
    specific = accurate & (np.min(folds, axis=0) > 0)
    allowed = specific if specific.any() else accurate
    return int(np.where(allowed, results["mean_test_localization"], -np.inf).argmax())


search = RandomizedSearchCV(
    pipeline,
    space,
    n_iter=12,
    scoring=scoring,
    refit=most_localized,
    cv=N_FOLDS,
    random_state=0,
    n_jobs=2,
).fit(X, y)

table = pd.DataFrame(search.cv_results_["params"])
table.columns = [name.rpartition("__")[2] for name in table]
table["estimator"] = [type(net).__name__.removesuffix("Classifier") for net in table["estimator"]]
table = table.rename(columns={"estimator": "cell"}).drop(columns="state")
for name in scoring:
    table[name] = search.cv_results_[f"mean_test_{name}"]
both = table[["net", "localization"]].to_numpy()
beaten = [((both >= one).all(axis=1) & (both > one).any(axis=1)).any() for one in both]
table[""] = np.where(beaten, "", "front")
table.loc[search.best_index_, ""] += " chosen"
print(table.sort_values("net", ascending=False).round(3).to_string(index=False))
print("front: none is as good in both net and localization, and better in one")

print("\nmean localization by number of states, of one ruler for all and of each its own:")
print(table.groupby("n_states")[["localization", "own_ruler"]].mean().round(3).to_string())

print("\nthe chosen one: mean and deviation over folds; trained on all of them, on fresh data:")
for name, scorer in search.scorer_.items():
    mean, deviation = (
        search.cv_results_[f"{figure}_test_{name}"][search.best_index_]
        for figure in ("mean", "std")
    )
    fresh = scorer(search.best_estimator_, X_test, y_test)
    print(f"{name:13}{mean:.3f}  {deviation:.3f}  {fresh:.3f}")
