"""Compare a GRU with a classifier of sktime, in sktime's benchmark, on the official split.

The results are written to benchmark.csv in the current folder; a second run only adds what is
missing there.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score
from sklearn.model_selection import PredefinedSplit
from sktime.benchmarking.classification import ClassificationBenchmark
from sktime.classification.distance_based import KNeighborsTimeSeriesClassifier
from sktime.datasets import load_italy_power_demand

from relayestimators.sktime import RelayGRUClassifier

X_train, y_train = load_italy_power_demand(split="train")
X_test, y_test = load_italy_power_demand(split="test")
data = pd.concat([X_train, X_test], ignore_index=True), np.concatenate([y_train, y_test])
split = PredefinedSplit(np.repeat([-1, 0], [len(y_train), len(y_test)]))  # -1: for training only
gru = RelayGRUClassifier(random_state=0)
benchmark = ClassificationBenchmark()
benchmark.add_estimator({"GRU": gru, "1-NN": KNeighborsTimeSeriesClassifier(distance="euclidean")})
benchmark.add_task(data, split, [accuracy_score], task_id="ItalyPowerDemand")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)  # one fold has no standard deviation
    table = benchmark.run("benchmark.csv")
if benchmark.failed_experiments:  # the table leaves them out without an error
    raise SystemExit(f"failed: {benchmark.failed_experiments}")
print(table[["model_id", "accuracy_score_mean", "fit_time_mean"]].round(3).to_string(index=False))

relays = gru.fit(X_train, y_train).find_relays(X_test, y_test)
print("strongest relays at the end of the day:", relays.relays(timepoint=23)[:4])
