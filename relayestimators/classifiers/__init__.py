"""Recurrent classifiers: skorch's NeuralNetClassifier that takes sktime panels.

Floor 2: skorch, torch, scikit-learn, and the floors below. What skorch does is left to skorch;
added are label coding, panel validation, `random_state`, module arguments that follow from the
data, and access to the states inside.
"""

from ._cells import GRUClassifier, LSTMClassifier, RNNClassifier
from ._loader import BatchLoader
from ._recurrent import RecurrentClassifier

#: The classifiers by their cell.
CELLS = {"RNN": RNNClassifier, "GRU": GRUClassifier, "LSTM": LSTMClassifier}

__all__ = [
    "BatchLoader",
    "CELLS",
    "GRUClassifier",
    "LSTMClassifier",
    "RNNClassifier",
    "RecurrentClassifier",
]
