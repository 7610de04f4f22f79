"""Train a GRU, find its relays on held-out data, draw them, knock them out.

The figure is written to quickstart.png in the current folder.
"""

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator

from relayestimators import GRUClassifier, KnockoutTransformer, RelayAnalyzer, load_panel
from relayestimators.displays import RelayMapDisplay

X_train, y_train, X_test, y_test = load_panel("ItalyPowerDemand")
net = GRUClassifier(random_state=0).fit(X_train, y_train)
find, judge = slice(0, 500), slice(500, None)

relays = RelayAnalyzer(FrozenEstimator(net), n_relays=8, random_state=0)
relays.fit(X_test[find], y_test[find])
RelayMapDisplay.from_estimator(relays, concept=0).figure_.savefig("quickstart.png")
plt.close("all")

print(f"accuracy of the intact network: {net.score(X_test[judge], y_test[judge]):.3f}")
for start in (5, 10, 15, 20):
    nodes = relays.relays(concept=0, timepoint=start)
    knockout = KnockoutTransformer(FrozenEstimator(net), nodes=nodes, start=start)
    knockout.fit(X_test[find], y_test[find])
    accuracy = knockout.score(X_test[judge], y_test[judge])
    print(f"without the relays of time step {start} from then on: {accuracy:.3f}, {nodes.tolist()}")
