"""Accuracy with default parameters on official splits of sets that ship with sktime.

The median of three seeds is tested. The quick suite runs one data set; the others take minutes.
"""

import numpy as np
import pytest
from conftest import CELLS

from relayestimators import load_panel

QUICK = ("ItalyPowerDemand", "rnn", 0.94)
SLOW = [
    ("ItalyPowerDemand", "gru", 0.94),
    ("ItalyPowerDemand", "lstm", 0.94),
    ("BasicMotions", "gru", 0.90),
    ("BasicMotions", "lstm", 0.90),
    ("JapaneseVowels", "gru", 0.95),
]


@pytest.mark.parametrize(
    ("name", "cell", "lowest"),
    [QUICK, *(pytest.param(*row, marks=pytest.mark.slow) for row in SLOW)],
)
def test_median_accuracy(name, cell, lowest):
    X_train, y_train, X_test, y_test = load_panel(name)
    scores = [
        CELLS[cell](random_state=seed).fit(X_train, y_train).score(X_test, y_test)
        for seed in range(3)
    ]
    assert np.median(scores) >= lowest, scores
