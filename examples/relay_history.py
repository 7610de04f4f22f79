"""Follow how the relays of three bits form during the training of a plain RNN and a GRU.

At every checkpoint, relays are found on data that are not used for training. The table shows, by
epoch: the accuracy; the bits of information that the prediction has about the bits shown (mean of
three); how localized the relays are during the delay; how similar the relay map is to that of the
trained network; and how similar relays at random nodes would be.
"""

import numpy as np

from relayestimators import GRUClassifier, RelayHistory, RNNClassifier
from relayestimators.datasets import make_memory_task
from relayestimators.dynamics import chance_similarity, localization, relay_similarity

task = make_memory_task(1500, n_bits=3, delay=4, noise=0.4, random_state=0)
X, y, X_held, y_held = task.data[:500], task.target[:500], task.data[500:], task.target[500:]
delay = range(*task.delay)


def similarity_to_last(measure, maps):
    """Compare every checkpoint with the last one at the same time step, averaged over concepts."""
    pairs = np.stack([maps, np.broadcast_to(maps[-1], maps.shape)], axis=3)
    return mean_of_known(measure(pairs, lags=1)[..., 0])


def mean_of_known(values):
    """Average over concepts and time steps, except those at which nothing is relayed."""
    return np.ma.masked_invalid(values).mean(axis=(1, 2)).filled(np.nan)


for cell in (RNNClassifier, GRUClassifier):
    relays = RelayHistory(X_held, y_held, every=3, concepts=task.concepts, timepoints=delay)
    net = cell(module__hidden_size=16, max_epochs=24, lr=0.003, random_state=0)
    net.set_params(callbacks=[("relays", relays)]).fit(X, y)
    columns = {
        "epoch": relays.epochs_,
        "accuracy": relays.accuracy_,
        "bits": relays.information_.mean(axis=1),
        "localization": mean_of_known(localization(relays.maps_)),
        "similarity": similarity_to_last(relay_similarity, relays.maps_),
        "chance": similarity_to_last(chance_similarity, relays.maps_),
    }
    print(f"\n{cell.__name__}\n" + "".join(f"{name:>13}" for name in columns))
    for epoch, *values in zip(*columns.values(), strict=True):
        print(f"{epoch:13}" + "".join(f"{value:13.3f}" for value in values))
