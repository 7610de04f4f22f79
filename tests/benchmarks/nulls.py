"""Models of nodes that are no relays, and for which test each is a null hypothesis.

*Chance* takes the larger p-value of "the states are independent of A" and "the states are
independent of B". Its null hypothesis is true for a node if one of the two is true. *Heard* tests
whether the states are independent of what the network says, its margin included, given the true
class C. So a node may be no relay and yet not be a null of one test, or of both:

================================  ====================  ========  ========
nodes                             B                     chance    heard
================================  ====================  ========  ========
noise                             anything              null      null
know A, or the class              goes with A           not null  null
know A                            independent of A      null      null
know B                            independent of A      null      not null
know a cause of B other than A    goes with A           null      not null
know A and B in one node          independent of A      not null  not null
know B                            goes with A           not null  not null
share the noise of relays         goes with A           not null  not null
================================  ====================  ========  ========

Nodes that know A have to do with B as well, *through A*, wherever B goes with A. To call them
beyond chance is right, so that they are a null hypothesis of *heard* only; of *chance* they are one
only if B is independent of A. The same is true for a common cause of A and of nodes, which is
another way to know A. A common cause of B and of nodes makes nodes heard. If it is independent of
A, they are a null hypothesis of *chance*.

The tests also condition on small sets of other nodes. All nodes have noise of their own, so that a
node that is independent of A is so given other nodes as well. Where the noise of nodes is
correlated and some of them know A, this is not true: noise that a node shares with one that knows A
tells about A, given the other. Such nodes are no null hypothesis of *chance*.

"A and B" has two meanings. If some nodes know A and others know B, and B is independent of A, no
node has to do with both, and all are a null hypothesis of *chance*. If one node depends on A and on
B separately, it has to do with both, although nothing is relayed: I(A;B) is 0. Then both tests
reject, and are right to do so. As the other two of the last three rows, a node that reads the
output of the network or shares the noise of relays, it is no null hypothesis of either test. No
test of A, B and the states of such a node can show that the output does not depend on it; knockouts
can. `NO_NULLS` has these rows, and those that are a null hypothesis of *heard* only.
"""

import numpy as np

from relayestimators import StateDiscretizer

#: Settings of the null models; rows of the table change some of these.
STANDARD = {
    "kind": "noise",
    "n": 300,
    "n_nodes": 12,
    "n_timepoints": 1,
    "n_concepts": 1,
    "n_classes": 2,
    "agreement": 0.95,
    "balance": 0.5,
    "margin": False,
    "correlated": False,
    "n_permutations": 39,
}

#: Kinds in which a quarter of the nodes are relays, which are heard, and nodes beside them are not.
BESIDE = ("noise beside relays", "knows A beside relays")

SETTINGS = [
    *({"agreement": x} for x in (0.8, 0.9, 0.95, 0.975, 0.99, 1.0)),
    *({"agreement": x, "margin": True} for x in (0.9, 0.95, 0.99, 1.0)),
    *({"n_permutations": m} for m in (3, 5, 9, 19, 99)),
    {"n_permutations": 5, "margin": True},
    *({"n": n} for n in (100, 1000, 2000)),
    {"n": 100, "margin": True},
    {"balance": 0.05},
    {"balance": 0.05, "margin": True},
    *({"n_classes": n} for n in (4, 10)),
    {"n_classes": 10, "margin": True},
    {"correlated": True},
    {"correlated": True, "margin": True},
    {"correlated": True, "n_timepoints": 5, "agreement": 0.9, "n_nodes": 8},
    {"correlated": True, "n_timepoints": 20, "margin": True, "n_nodes": 8, "n_permutations": 20},
    *({"n_timepoints": t, "n_nodes": 8, "n_permutations": 20} for t in (5, 20)),
    {"n_timepoints": 20, "n_nodes": 8, "n_permutations": 20, "agreement": 1.0},
    {"n_timepoints": 60, "n": 100, "n_nodes": 4, "n_permutations": 20},
    {"n_timepoints": 100, "n": 100, "n_nodes": 4, "n_permutations": 20, "agreement": 1.0},
    {"n_concepts": 10, "n_classes": 10, "n_nodes": 8, "n_permutations": 20},
    {"n_concepts": 10, "n_classes": 10, "n_nodes": 8, "n_permutations": 20, "margin": True},
    {"kind": "knows A"},
    {"kind": "knows A", "margin": True},
    {"kind": "knows A", "agreement": 0.8, "margin": True},
    {"kind": "knows A", "agreement": 0.99, "margin": True, "n": 1000},
    {"kind": "knows A", "agreement": 1.0, "margin": True},
    {"kind": "knows A", "balance": 0.05, "margin": True},
    {"kind": "knows A", "correlated": True, "n_timepoints": 5, "n_nodes": 8},
    {"kind": "knows the class", "n_classes": 4},
    {"kind": "knows the class", "n_classes": 4, "margin": True},
    *({"kind": kind} for kind in ("knows A, independent B", "knows B, independent A")),
    {"kind": "some know A, others B, independent"},
    {"kind": "some know A, others B, independent", "margin": True},
    {"kind": "common cause of B"},
    {"kind": "common cause of B", "margin": True},
    {"kind": "common cause of errors"},
    *({"kind": kind} for kind in BESIDE),
    *({"kind": kind, "margin": True} for kind in BESIDE),
    *({"kind": kind, "margin": True, "n": 1000} for kind in BESIDE),
]

#: Nodes that are no relays, and no null hypothesis of at least one test.
NO_NULLS = [
    {"kind": "knows A"},
    {"kind": "knows A", "margin": True},
    {"kind": "knows A and B, independent"},
    {"kind": "knows B"},
    {"kind": "knows B", "margin": True},
    {"kind": "shares the noise"},
    {"kind": "shares the noise", "margin": True},
]

_INDEPENDENT = ("knows A, independent B", "knows B, independent A")
_INDEPENDENT += ("some know A, others B, independent", "knows A and B, independent")


def _labels(rng, o):
    """Return classes, and what the network says."""
    n, agreement = o["n"], o["agreement"]
    wrong = rng.random(n) > agreement
    if o["n_classes"] > 2:
        labels, other = rng.integers(0, o["n_classes"], (2, n))
    else:
        labels, other = (rng.random((2, n)) < o["balance"]).astype(int)
    if o["kind"] in _INDEPENDENT:
        return labels, other
    return labels, np.where(wrong, 1 - labels if o["n_classes"] == 2 else other, labels)


def null_model(seed, setting):
    """Return data without relays, and for which nodes each test has a true null hypothesis.

    The first half of the nodes are what `kind` says, in `BESIDE` the second quarter, and the others
    are noise. The margin depends on the class and on what the network says, and is otherwise
    independent of the states, except for those of relays.

    Parameters
    ----------
    seed : int
    setting : dict
        Changes of STANDARD.

    Returns
    -------
    a, b : ndarray of shape (n_instances, n_concepts)
    states : ndarray of shape (n_instances, n_timepoints, n_nodes)
    log_odds : ndarray of shape (n_instances, n_concepts) or None
    labels : ndarray of shape (n_instances,)
    chance, heard : ndarray of shape (n_nodes,), bool
        For which nodes the null hypothesis of the test is true.
    """
    o = STANDARD | setting
    rng = np.random.default_rng([29, seed])
    n, k, kind = o["n"], o["n_nodes"], o["kind"]
    labels, said = _labels(rng, o)
    noise = rng.normal(size=(n, o["n_timepoints"], k))
    if o["correlated"]:  # three latent variables that change little over time
        latent = rng.normal(size=(n, 1, 3)) + 0.3 * rng.normal(size=(n, o["n_timepoints"], 3))
        noise += latent @ rng.normal(size=(3, k))
    first = np.arange(k) < k // 2
    chance, heard = np.ones(k, dtype=bool), np.ones(k, dtype=bool)
    signal = np.zeros((n, k))
    cause = rng.normal(size=n)
    if kind in ("knows A", "knows the class"):
        signal[:, first] = 1.5 * labels[:, None]
        chance[first] = False
    elif kind == "knows A, independent B":
        signal[:, first] = 1.5 * labels[:, None]
    elif kind in ("knows B, independent A", "knows B"):
        signal[:, first] = 1.5 * said[:, None]
        heard[first] = False
        chance[first] = kind != "knows B"
    elif kind == "some know A, others B, independent":
        some = np.arange(k) < k // 4
        signal[:, some] = 1.5 * labels[:, None]
        signal[:, first & ~some] = 1.5 * said[:, None]
        heard[first & ~some] = False
    elif kind == "knows A and B, independent":
        signal[:, first] = 1.5 * (labels + said)[:, None]
        chance[first] = heard[first] = False
    elif kind == "common cause of B":  # where it is large, it decides what the network says
        strength = np.quantile(np.abs(cause), o["agreement"] - 0.2)
        said = np.where(np.abs(cause) > strength, cause > 0, said).astype(int)
        signal[:, first] = cause[:, None]
        heard[first] = False
    elif kind == "common cause of errors":  # where it is large, the network errs
        said = np.where(cause > np.quantile(cause, o["agreement"]), 1 - labels, labels)
        signal[:, first] = cause[:, None]
        heard[first] = False
    elif kind == "shares the noise":  # of relays, which decide by the sum of A and this noise
        said = (2 * labels - 1 + 0.7 * cause > 0).astype(int)
        signal[:, first] = 1.5 * labels[:, None] + cause[:, None]
        chance[first] = heard[first] = False
    hidden, log_odds = signal[:, None] + noise, None
    if o["correlated"] and kind != "noise":
        chance[:] = False
    if kind in BESIDE:
        relays = np.arange(k) < k // 4
        others = first & ~relays
        hidden[:, :, relays] += 2.0 * labels[:, None, None]
        hidden[:, :, others] += 2.0 * labels[:, None, None] * (kind == BESIDE[1])
        total = (hidden[:, -1, relays] - 1.0).sum(axis=1)
        said = (total > 0).astype(int)
        log_odds = np.abs(total)[:, None]
        chance = ~(first if kind == BESIDE[1] else relays)
        heard = ~relays
    states = StateDiscretizer().fit_transform(hidden)
    a, b = labels[:, None], said[:, None]
    if o["n_concepts"] > 1 or kind == "knows the class":  # concepts are classes against the rest
        concepts = np.arange(o["n_concepts"])
        a, b = (np.equal(values, concepts).astype(int) for values in (a, b))
    if not o["margin"]:
        log_odds = None
    elif kind not in BESIDE:
        log_odds = rng.normal(2.0, 1.0, a.shape) + 0.5 * labels[:, None] + 0.5 * b
    return a, b, states, log_odds, labels, chance, heard
