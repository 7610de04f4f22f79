"""Recurrent classifiers: skorch's NeuralNetClassifier for sktime panels.

Beyond skorch, they encode labels, check panels, have a `random_state`, infer module arguments from
the data, and give access to the hidden states.
"""

from ._cells import GRUClassifier, LSTMClassifier, RNNClassifier
from ._loader import BatchLoader
from ._recurrent import RecurrentClassifier

#: Classifiers by the kind of their cell.
CELLS = {"RNN": RNNClassifier, "GRU": GRUClassifier, "LSTM": LSTMClassifier}

__all__ = [
    "BatchLoader",
    "CELLS",
    "GRUClassifier",
    "LSTMClassifier",
    "RNNClassifier",
    "RecurrentClassifier",
]
