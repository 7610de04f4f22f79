"""Accuracy and time to train beside sktime's torch classifiers; for `make accuracy`.

Time is the processor time of one process with one torch thread, so that other processes disturb it
little.
"""

import time
import warnings
from typing import NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

from relayestimators import GRUClassifier, LSTMClassifier, RNNClassifier, load_panel

from .tables import markdown

OURS = {"RNNClassifier": RNNClassifier, "GRUClassifier": GRUClassifier}
OURS["LSTMClassifier"] = LSTMClassifier
UNIT = "GRUClassifier"  # times are multiples of its training time
SETS = {
    "UnitTest": "",
    "ItalyPowerDemand": "",
    "BasicMotions": "",
    "JapaneseVowels": (
        "The series have unequal lengths. Our classifiers take them unchanged. sktime's torch "
        "classifiers do not support them (the tag `capability:unequal_length` is False), so the "
        "rows of sktime are for series padded with zeros to the longest series of both parts."
    ),
    "GunPoint": "",
    "ArrowHead": "",
}
LONG = ("OSULeaf", "ACSF1", "PLAID")  # 427 to 1344 time steps, 100 epochs
SLOW = {"ArrowHead": ("SimpleRNNClassifierTorch", "GRUClassifier (sktime)")}  # minutes per fit
SETTINGS = {"num_epochs": 100, "batch_size": 16, "lr": 0.01, "optimizer": "Adam"}


def _simple_rnn(**options):
    from sktime.classification.deep_learning.rnn import SimpleRNNClassifierTorch

    return SimpleRNNClassifierTorch(**options)


def _gru(**options):
    from sktime.classification.deep_learning.gru import GRUClassifier

    return GRUClassifier(batch_first=True, **options)


def _gru_fcn(**options):
    from sktime.classification.deep_learning.gru import GRUFCNNClassifier

    return GRUFCNNClassifier(hidden_dim=32, gru_layers=1, batch_first=True, **options)


def _lstm_fcn(**options):
    from sktime.classification.deep_learning.lstmfcn import LSTMFCNClassifierTorch

    return LSTMFCNClassifierTorch(num_epochs=100, batch_size=16, **options)


def _mini_rocket(**options):
    from sktime.classification.kernel_based import RocketClassifier

    return RocketClassifier(rocket_transform="minirocket", **options)


def _simple_rnn_as_ours(**options):
    options |= {"activation_hidden": "Tanh", "callbacks": None}
    return _simple_rnn(hidden_dim=32, **SETTINGS, **options)


def _gru_as_ours(**options):
    return _gru(hidden_dim=32, n_layers=1, **SETTINGS, **options)


THEIRS = {
    "SimpleRNNClassifierTorch": _simple_rnn,
    "SimpleRNNClassifierTorch, our settings": _simple_rnn_as_ours,
    "GRUClassifier (sktime)": _gru,
    "GRUClassifier (sktime), our settings": _gru_as_ours,
    "GRUFCNNClassifier": _gru_fcn,
    "LSTMFCNClassifierTorch": _lstm_fcn,
    "MiniRocket": _mini_rocket,
}
EXPLAINED = (
    "## Beside sktime's torch classifiers\n\n"
    "The official splits are used as `load_panel` returns them, without scaling, with seeds "
    "{seeds} and one torch thread. *Accuracy* is on the test part: the mean over seeds, and the "
    "range from the lowest to the highest. *Time* is the processor time of `fit` as a multiple of "
    f"that of our `{UNIT}` on the same dataset (median over seeds). *The best constant* is the "
    "accuracy of always predicting the most frequent class of the test part; a star marks "
    "accuracies that do not exceed it by two standard errors.\n\n"
    "Our classifiers use their defaults (32 nodes, 100 epochs, batches of 16). sktime's are: "
    "`SimpleRNNClassifierTorch()` (6 nodes, 100 epochs, batches of 1, RMSprop); "
    "`GRUClassifier(batch_first=True)` (4 layers of 256 nodes, 10 epochs, batches of 8; with its "
    "default `batch_first=False` the recurrence runs over the instances of a batch, sktime issue "
    "9108). *Our settings* are one layer of 32 nodes, tanh, 100 epochs, batches of 16 and Adam "
    "with learning rate 0.01, as in our classifiers, but sktime neither shuffles nor clips "
    "gradients. `GRUFCNNClassifier(32, 1, batch_first=True)` (10 epochs) and "
    "`LSTMFCNClassifierTorch` (100 epochs, batches of 16 instead of 2000 and 128) have a "
    "convolutional branch beside the recurrent one, which relays cannot explain. "
    "`RocketClassifier` with MiniRocket features is not recurrent; it shows what accuracy the "
    "dataset allows."
)


class Result(NamedTuple):
    """The dataset, method, seed, accuracy and time of one fit."""

    dataset: str
    method: str
    seed: int
    accuracy: float
    seconds: float


def load(name, *, padded=False):
    """Return the official split; if `padded`, with zeros to a common length."""
    X_train, y_train, X_test, y_test = load_panel(name)
    if not padded:
        return X_train, y_train, X_test, y_test
    length = max(X_train.shape[2], X_test.shape[2])
    X_train, X_test = (
        np.pad(np.nan_to_num(X), ((0, 0), (0, 0), (0, length - X.shape[2])))
        for X in (X_train, X_test)
    )
    return X_train, y_train, X_test, y_test


def fit_one(name, method, seed, epochs=None):
    """Return the accuracy and training time of one classifier."""
    warnings.simplefilter("ignore")
    ours = method in OURS
    X_train, y_train, X_test, y_test = load(name, padded=not ours)
    net, first = ((OURS | THEIRS)[method](random_state=seed) for _ in range(2))
    torch.set_num_threads(1)  # MiniRocket's parallel code resets it
    if method != "MiniRocket":
        n_epochs = "max_epochs" if ours else "num_epochs"
        first.set_params(**{n_epochs: 1}).fit(X_train, y_train)  # loads what is imported lazily
        net.set_params(**{} if epochs is None else {n_epochs: epochs})
    start = time.process_time()
    net.fit(X_train, y_train)
    seconds = time.process_time() - start
    accuracy = float(np.mean(net.predict(X_test) == y_test))
    return Result(name, method, seed, accuracy, np.nan if method == "MiniRocket" else seconds)


def run(quick):
    """Return the benchmark as text."""
    sets, seeds = (["UnitTest"], [0]) if quick else (SETS, [0, 1, 2])
    jobs = [
        (name, method, seed)
        for name in sets
        for method in OURS | THEIRS
        for seed in seeds
        if method not in SLOW.get(name, ())
    ]
    made = Parallel(n_jobs=2, return_as="generator")(
        delayed(fit_one)(*job, 2 if quick else None) for job in jobs
    )
    results = []
    for result in tqdm(made, total=len(jobs), desc="fits"):
        tqdm.write(str(tuple(result)))
        results.append(result)
    left_out = "" if quick else _left_out()
    return f"{EXPLAINED.format(seeds=', '.join(map(str, seeds)))}\n\n{tables(results)}\n{left_out}"


def tables(results):
    """Return one table per dataset."""
    parts = []
    for name in dict.fromkeys(result.dataset for result in results):
        parts.append(_table(name, [result for result in results if result.dataset == name]))
    return "\n".join(parts)


def _table(name, results):
    X_train, y_train, X_test, y_test = load_panel(name)
    constant = np.unique(y_test, return_counts=True)[1].max() / len(y_test)
    chance = constant + 2 * np.sqrt(constant * (1 - constant) / len(y_test))
    unit = np.median([result.seconds for result in results if result.method == UNIT])
    rows = [["*the best constant*", f"{constant:.3f}", "", ""]]
    for method in OURS | THEIRS:
        found = [result for result in results if result.method == method]
        if not found:
            rows.append([_named(method), "not run", "", ""])
            continue
        accuracies = [result.accuracy for result in found]
        mean = np.mean(accuracies)
        seconds = np.median([result.seconds for result in found])
        star = "" if mean > chance else " *"
        spread = f"{min(accuracies):.3f} to {max(accuracies):.3f}"
        times = (
            "" if np.isnan(seconds) else f"{seconds / unit:.2f}"
        )  # MiniRocket has none, as it compiles first
        rows.append([_named(method), f"{mean:.3f}{star}", spread, times])
    no_better = [
        method
        for method in OURS
        if np.mean([r.accuracy for r in results if r.method == method]) <= chance
    ]
    shape = (
        f"{len(y_train)} series for training and {len(y_test)} for testing, {X_train.shape[1]} "
        f"channel{'s' * (X_train.shape[1] > 1)}, {X_train.shape[2]} time steps, "
        f"{len(np.unique(y_train))} classes."
    )
    notes = [shape, SETS.get(name, "")]
    if no_better:
        notes.append(
            f"With defaults, {_listed(no_better)} {'is' if len(no_better) == 1 else 'are'} no "
            "better than a constant, so there are no relays to find."
        )
    if name in SLOW:
        notes.append("Classifiers that take minutes per fit at this length were not run.")
    table = markdown(["classifier", "accuracy", "range", "time"], rows)
    return f"### {name}\n\n{' '.join(filter(None, notes))}\n\n{table}\n"


def _named(method):
    if method in OURS:
        return f"our `{method}`"
    name, _, rest = method.partition(", ")
    name, _, _ = name.partition(" (")
    return f"sktime's `{name}`" + (f", {rest}" if rest else "")


def _listed(names):
    return ", ".join(f"`{name}`" for name in names)


def _left_out():
    """Return the part on the datasets that are left out, with the time they would take."""
    rows = []
    for name in LONG:
        y_train, shape = load_panel(name)[1], load_panel(name)[0].shape
        seconds = [
            100 * fit_one(name, method, 0, epochs=1).seconds / 60
            for method in (UNIT, "SimpleRNNClassifierTorch")
        ]
        rows.append([name, len(y_train), shape[2], *(f"{value:.0f}" for value in seconds)])
    header = [
        "dataset",
        "series",
        "time steps",
        f"our `{UNIT}`",
        "sktime's `SimpleRNNClassifierTorch`",
    ]
    return (
        "\n### Left out\n\nThe other datasets that come with sktime take too long. The table shows "
        "the minutes of one fit, computed as 100 times the time of one epoch on the training "
        "part.\n\n"
        f"{markdown(header, rows)}\n"
    )
