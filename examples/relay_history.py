"""How the relays of three bits form while nets are trained: a plain RNN and a GRU.

At every checkpoint relays are found on data the net is not trained on. Printed by epoch: accuracy;
bits of the net's answer about the bits shown, mean of the three; in the delay, how
localized their relays are, and how similar shares of nodes are to those of the trained net, where
nodes at random would be as similar as the column "chance" says.
"""

import numpy as np

from relayestimators import GRUClassifier, RelayHistory, RNNClassifier
from relayestimators.datasets import make_memory_task
from relayestimators.dynamics import chance_similarity, localization, relay_similarity

task = make_memory_task(1500, n_bits=3, delay=4, noise=0.4, random_state=0)
X, y, X_held, y_held = task.data[:500], task.target[:500], task.data[500:], task.target[500:]
delay = range(*task.delay)


def with_the_last(measure, maps):
    """Compare every checkpoint with the last one, at the same time step; mean over concepts."""
    pairs = np.stack([maps, np.broadcast_to(maps[-1], maps.shape)], axis=3)
    return mean_of_known(measure(pairs, lags=1)[..., 0])


def mean_of_known(values):
    """Average over concepts and time steps, without those at which nothing is relayed."""
    return np.ma.masked_invalid(values).mean(axis=(1, 2)).filled(np.nan)


for cell in (RNNClassifier, GRUClassifier):
    relays = RelayHistory(X_held, y_held, every=4, concepts=task.concepts, timepoints=delay)
    net = cell(module__hidden_size=16, max_epochs=36, lr=0.003, random_state=0)
    net.set_params(callbacks=[("relays", relays)]).fit(X, y)
    columns = {
        "epoch": relays.epochs_,
        "accuracy": relays.accuracy_,
        "bits": relays.information_.mean(axis=1),
        "localization": mean_of_known(localization(relays.maps_)),
        "similarity": with_the_last(relay_similarity, relays.maps_),
        "chance": with_the_last(chance_similarity, relays.maps_),
    }
    print(f"\n{cell.__name__}\n" + "".join(f"{name:>13}" for name in columns))
    for epoch, *values in zip(*columns.values(), strict=True):
        print(f"{epoch:13}" + "".join(f"{value:13.3f}" for value in values))
