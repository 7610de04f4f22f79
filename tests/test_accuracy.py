"""With defaults, official splits, median of three seeds, on sets that ship with sktime."""

import numpy as np
import pytest
from conftest import CELLS

from relayestimators import load_panel

FLOORS = [
    ("ItalyPowerDemand", "rnn", 0.94),
    ("ItalyPowerDemand", "gru", 0.94),
    ("ItalyPowerDemand", "lstm", 0.94),
    ("BasicMotions", "gru", 0.90),
    ("BasicMotions", "lstm", 0.90),
    ("JapaneseVowels", "gru", 0.95),
]


@pytest.mark.parametrize(("name", "cell", "floor"), FLOORS)
def test_median_accuracy(name, cell, floor):
    X_train, y_train, X_test, y_test = load_panel(name)
    scores = [
        CELLS[cell](random_state=seed).fit(X_train, y_train).score(X_test, y_test)
        for seed in range(3)
    ]
    assert np.median(scores) >= floor, scores
