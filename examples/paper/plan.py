"""The networks that are trained: tasks, cell types and seeds, and the comparisons between them."""

from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from relayestimators.classifiers import CELLS
from relayestimators.datasets import load_panel, make_block_task, make_memory_task

HIDDEN_SIZE = 32
#: For how long nodes are clamped; `WIDTHS` has the time steps of the short window.
WINDOWS = {"long": "until the end", "short": "for a short window"}
WIDTHS = {"memory": 1, "block": 1, "ItalyPowerDemand": 2, "BasicMotions": 10, "JapaneseVowels": 2}


class Experiment(NamedTuple):
    """One network: its task, its cell type and its seed.

    Parameters
    ----------
    task : str
        Key of `TASKS`.
    cell : str
        Key of `CELLS`.
    seed : int
        Seed of the data, the training and everything that is drawn in the analysis.
    task_options, net_options : tuple of (name, value)
        Options of the task and of the classifier that differ from the standard.
    """

    task: str
    cell: str
    seed: int
    task_options: tuple = ()
    net_options: tuple = ()

    @property
    def name(self):
        """Return the name under which its results are stored."""
        options = [f"{name}={value}" for name, value in self.task_options + self.net_options]
        return "-".join([self.task, self.cell, *options, f"seed={self.seed}"])


class Question(NamedTuple):
    """Networks that differ in one option.

    Parameters
    ----------
    varies : str
        What is varied, in words.
    levels : dict of str to (dict, dict)
        Options of the task and of the classifier that differ from the standard.
    tasks : tuple of str
        Keys of `TASKS`.
    """

    varies: str
    levels: dict
    tasks: tuple = ("memory",)

    def experiments(self, seeds):
        """Return the networks by level, task and cell type: {(level, task, cell): [Experiment]}."""
        return {
            (level, task, cell): [
                Experiment(task, cell, seed, *(tuple(part.items()) for part in options))
                for seed in seeds
            ]
            for level, options in self.levels.items()
            for task in self.tasks
            for cell in CELLS
        }


def _net(name, values, standard):
    return {str(value): ({}, {} if value == standard else {name: value}) for value in values}


def _task(name, values, standard):
    return {str(value): ({} if value == standard else {name: value}, {}) for value in values}


# ---------------------------------------------------------------- tasks


def memory(seed, *, quick=False, noise=0.4):
    """Return data of the memory task: three bits, to be remembered for eight time steps."""
    sizes = (400, 200, 200) if quick else (2000, 1000, 2000)
    task = make_memory_task(sum(sizes), noise=noise, random_state=seed)
    return _split(task, sizes, _training(quick), window=np.arange(*task.delay))


def _training(quick):
    if quick:
        return {"lr": 0.01, "batch_size": 16, "max_epochs": 15}
    return {"lr": 0.003, "batch_size": 32, "max_epochs": 40}


def _split(task, sizes, training, *, window):
    """Split a task into parts for training, for finding relays, and for measuring."""
    ends = np.cumsum((0, *sizes))
    parts = [slice(*pair) for pair in zip(ends[:-1], ends[1:], strict=True)]
    train, find, measure = ((task.data[part], task.target[part]) for part in parts)
    return Bunch(
        train=train,
        find=find,
        measure=measure,
        concepts=task.concepts,
        window=window,
        starts=window,
        width=WIDTHS["memory"],
        silent=True,
        training=training,
    )


def shipped(seed, *, quick=False, name, starts, halved=True):
    """Return a dataset that comes with sktime, in its official split.

    Relays are found on one half of the test part, and knockouts are measured on the other half. If
    the test part is too small for that, relays are found on the training part.
    """
    X_train, y_train, X_test, y_test = load_panel(name)
    train, find, measure = (X_train, y_train), (X_train, y_train), (X_test, y_test)
    if halved:
        X_find, X_measure, y_find, y_measure = train_test_split(
            X_test, y_test, test_size=0.5, stratify=y_test, random_state=seed
        )
        find, measure = (X_find, y_find), (X_measure, y_measure)
    return Bunch(
        train=train,
        find=find,
        measure=measure,
        concepts="ovr",
        window=np.arange(starts[0], starts[-1] + 1),
        starts=np.array(starts),
        width=WIDTHS[name],
        silent=False,
        training={"max_epochs": 20} if quick else {},
    )


def block(seed, *, quick=False):
    """Return data of the block task: size and direction, to be remembered for eight time steps."""
    sizes = (400, 200, 200) if quick else (2000, 1000, 2000)
    task = make_block_task(sum(sizes), delay=8, random_state=seed)
    return _split(task, sizes, _training(quick), window=np.arange(*task.delay))


TASKS = {
    "memory": memory,
    "block": block,
    "ItalyPowerDemand": partial(shipped, name="ItalyPowerDemand", starts=(12, 14, 16, 18, 20, 22)),
    "BasicMotions": partial(
        shipped, name="BasicMotions", starts=(49, 59, 69, 79, 89), halved=False
    ),
    "JapaneseVowels": partial(shipped, name="JapaneseVowels", starts=(3, 5, 7, 9, 11)),
}
TWO_CLASSES = "ItalyPowerDemand"  # there is no other concept
PAPER = Question("", {"": ({}, {})}, tuple(TASKS))
BEYOND = {
    "noise": Question("input noise", _task("noise", (0.2, 0.4, 0.6, 0.8), 0.4)),
    "dropout": Question(
        "dropout before the readout", _net("module__dropout", (0.0, 0.2, 0.5), 0.0)
    ),
    "size": Question("hidden nodes", _net("module__hidden_size", (8, 16, 32, 64), HIDDEN_SIZE)),
    "depth": Question("layers", _net("module__num_layers", (1, 2, 3), 1)),
    "direction": Question(
        "bidirectional layers", _net("module__bidirectional", (False, True), False)
    ),
}
