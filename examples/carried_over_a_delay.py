"""Compare what nodes know with what a layer carries to the output, and through which nodes.

With a file name, the maps of the LSTM are drawn there: python carried_over_a_delay.py maps.png
"""

import sys

import numpy as np
from sklearn.frozen import FrozenEstimator

from relayestimators import GRUClassifier, LSTMClassifier, RelayAnalyzer, RNNClassifier
from relayestimators.datasets import make_memory_task
from relayestimators.inspection import interchange_information

# Two noisy bits are shown, remembered over a delay, and recalled when a cue comes. One half of the
# data is used for training, the other one for the analysis.
task = make_memory_task(2000, n_bits=2, delay=10, noise=0.4, random_state=0)
X_train, y_train, X, y = task.data[:1000], task.target[:1000], task.data[1000:], task.target[1000:]
options = {"lr": 0.005, "batch_size": 32, "max_epochs": 40, "random_state": 0}
nets = {
    "RNN": RNNClassifier(**options).fit(X_train, y_train),
    "GRU": GRUClassifier(**options).fit(X_train, y_train),
    "LSTM": LSTMClassifier(**options).fit(X_train, y_train),
}
timepoints = np.arange(*task.delay)[::3]

print("mean over two bits           I(A;B)  time step  strongest node  carried by the layer")
for name, state in (("RNN", "h"), ("GRU", "h"), ("LSTM", "h"), ("LSTM", "c")):
    where = {"concepts": task.concepts, "timepoints": timepoints, "state": state}
    frozen = FrozenEstimator(nets[name])
    relays = RelayAnalyzer(frozen, carried=False, random_state=0, **where).fit(X, y)
    result = interchange_information(frozen, X, y, random_state=0, **where)
    kind = "memory cells" if state == "c" else "hidden states"
    strongest, carried = relays.relay_map_.max(axis=2).mean(axis=0), result.carried.mean(axis=0)
    error = np.sqrt(np.square(result.carried_error).sum(axis=0)) / 2
    for i, t in enumerate(timepoints):
        print(
            f"{name:5} {kind:22} {relays.information_.mean():.2f}    {t:4}       "
            f"{strongest[i]:.2f}            {carried[i]:.2f} ± {error[i]:.2f}"
        )

# Which nodes carry the first bit: what they know beside what an exchange attributes to them.
if len(sys.argv) > 1:
    import matplotlib.pyplot as plt

    from relayestimators.displays import RelayMapDisplay

    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    kinds = {"h": "hidden states", "c": "memory cells"}
    titles = {"throughput": "what nodes know", "interchange": "what they carry"}
    for row, (state, kind) in zip(axes, kinds.items(), strict=True):
        for ax, (method, title) in zip(row, titles.items(), strict=True):
            relays = RelayAnalyzer(
                FrozenEstimator(nets["LSTM"]),
                method=method,
                concepts=task.concepts,
                state=state,
                random_state=0,
            )
            display = RelayMapDisplay.from_estimator(relays.fit(X, y), ax=ax)
            display.title_ax_.set_title(f"{kind}: {title}", loc="left", fontsize="medium")
    figure.suptitle("A bit that an LSTM is shown at time step 0 and asked for at time step 12")
    figure.savefig(sys.argv[1], dpi=80)
