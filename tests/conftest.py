"""Small panels and fitted nets that many tests share."""

import matplotlib
import numpy as np
import pytest
import torch

from relayestimators import GRUClassifier, LSTMClassifier, RNNClassifier

matplotlib.use("Agg")
torch.set_num_threads(1)  # small nets; also what loky workers have

CELLS = {"rnn": RNNClassifier, "gru": GRUClassifier, "lstm": LSTMClassifier}


def make_panel(n_instances=60, n_channels=2, n_timepoints=10, seed=0):
    """Three classes told apart by the mean of the first channel."""
    rng = np.random.default_rng(seed)
    y = np.array(["low", "mid", "high"])[np.arange(n_instances) % 3]
    X = rng.normal(size=(n_instances, n_channels, n_timepoints)).astype(np.float32)
    X[:, 0] += np.select([y == "low", y == "mid"], [-1.5, 0.0], 1.5)[:, None]
    return X, y


def cut_short(X, lengths):
    """The panel with instance i ending after lengths[i] steps."""
    X = X.copy()
    for i, length in enumerate(lengths):
        X[i, :, length:] = np.nan
    return X


@pytest.fixture
def panel():
    return make_panel()


@pytest.fixture
def ragged_panel():
    X, y = make_panel()
    return cut_short(X, 4 + np.arange(len(X)) % 7), y


@pytest.fixture(scope="session", params=CELLS)
def cell(request):
    return request.param


@pytest.fixture(scope="session")
def fitted(cell):
    """A trained net of each cell, never to be changed by a test."""
    X, y = make_panel()
    return CELLS[cell](module__hidden_size=6, max_epochs=15, random_state=0).fit(X, y)
