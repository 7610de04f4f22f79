"""Find the nodes that know the bits of a memory task, and test whether the network needs them."""

from sklearn.frozen import FrozenEstimator

from relayestimators import GRUClassifier, RelayAnalyzer
from relayestimators.datasets import make_memory_task
from relayestimators.inspection import (
    compare_rankings,
    knockout_curve,
    knockout_specificity,
    knockout_sweep,
)

# Three noisy bits are shown, remembered over a delay, and recalled. A third of the data each is
# used for training, for finding relays, and for measuring.
task = make_memory_task(3000, noise=0.4, random_state=0)
parts = [slice(0, 1000), slice(1000, 2000), slice(2000, 3000)]
(X_train, y_train), (X_find, y_find), (X, y) = (
    (task.data[part], task.target[part]) for part in parts
)
net = GRUClassifier(lr=0.005, batch_size=32, max_epochs=40, random_state=0).fit(X_train, y_train)
print(f"accuracy {net.score(X, y):.3f}; the delay begins at time step {task.delay[0]}")

start = 6
relays = RelayAnalyzer(
    FrozenEstimator(net), concepts=task.concepts, timepoints=[start], n_relays=8, random_state=0
).fit(X_find, y_find)

result = knockout_specificity(net, X, y, relays=relays, start=start, random_state=0)
for bit in range(3):
    low, high = result.intervals.own_minus_other[:, bit]
    print(
        f"bit {bit}: knocking out its relays costs it {result.own[bit]:.2f} bits and the other "
        f"concepts {result.other[bit]:.2f}; random nodes cost it {result.random[bit]:.2f}; "
        f"own - other {result.own_minus_other[bit]:.2f} [{low:.2f}, {high:.2f}]"
    )

curve = knockout_curve(net, X, y, order=relays, start=start, random_state=0)
print(
    f"mean accuracy as more nodes are knocked out, relays first: {curve.score_area:.2f}; "
    f"in random order: {curve.random_score_area.mean():.2f}"
)

sweep = knockout_sweep(net, X, y, concepts=task.concepts, timepoints=[3, 6, 9])
print("node with the largest effect on each bit, knocked out from time step 3, 6 or 9 on:")
print(sweep.effect.argmax(axis=2))

found = {"find": (X_find, y_find), "concepts": task.concepts, "timepoints": [start]}
ranked = compare_rankings(net, X, y, n_relays=8, random_state=0, **found)
for name, own, other in zip(ranked.rankings, ranked.own, ranked.other, strict=True):
    print(f"{name:22} own {own.mean():.2f}  other {other.mean():.2f}")
