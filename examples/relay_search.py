"""Search cell type, size, learning rate, discretization and number of relays at once.

Every candidate is scored on data that were not used for its training: by the accuracy of the
network, by the accuracy from its relays alone, by how localized the relays are, and by how much
more a knockout of the relays of a concept costs this concept than the others.
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
TOLERANCE = 0.01  # accuracy that may be lost for more localized relays

# Two noisy bits have to be remembered over a delay, in which relays are looked for.
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
    """Return the accuracy of the network, which reads all its nodes."""
    return pipeline["relays"].estimator_.score(X, y)


scoring = {
    "net": net_accuracy,
    "from_relays": "accuracy",
    # One discretization is used for all candidates, so that they are measured alike.
    "localization": partial(
        localization_scorer, n_states=2, strategy="quantile", n_permutations=19
    ),
    "own_discretization": localization_scorer,
    "specificity": specificity_scorer,
}


def most_localized(results):
    """Return the most localized of the accurate networks, with specific relays if there are any."""
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
print("front: no candidate is as good in both net and localization, and better in one of them")

print("\nmean localization by number of states, with one discretization and with their own:")
print(table.groupby("n_states")[["localization", "own_discretization"]].mean().round(3).to_string())

print("\nchosen candidate: mean and standard deviation over folds; retrained, on fresh data:")
for name, scorer in search.scorer_.items():
    mean, deviation = (
        search.cv_results_[f"{figure}_test_{name}"][search.best_index_]
        for figure in ("mean", "std")
    )
    fresh = scorer(search.best_estimator_, X_test, y_test)
    print(f"{name:20}{mean:.3f}  {deviation:.3f}  {fresh:.3f}")
