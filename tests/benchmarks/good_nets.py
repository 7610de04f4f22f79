"""Models of good networks with planted relays: accurate, redundant, saturated, of any shape.

Each model draws one concept at one time step and returns a `Case`. Activations are continuous, so
that their discretization is part of what is tested. Relays have random positions; decoys know the
concept and are not heard; all other nodes are independent noise.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from relayestimators import StateDiscretizer

from .models import flipped


class Case(NamedTuple):
    """One concept at one time step, and the nodes that are known to relay it.

    Parameters
    ----------
    concept_in, concept_out : ndarray of shape (n_instances,), int64
        A and B.
    hidden : ndarray of shape (n_instances, n_nodes), float64
        Activations.
    relays : ndarray of shape (n_relays,), int64
        Nodes that are heard.
    log_odds : ndarray of shape (n_instances,) or None
        Log-odds that the network gives to the value that it predicts; None if unknown.
    classes : ndarray of shape (n_instances,), int64
        True classes.
    """

    concept_in: np.ndarray
    concept_out: np.ndarray
    hidden: np.ndarray
    relays: np.ndarray
    log_odds: np.ndarray | None
    classes: np.ndarray

    def states(self, n_states=4, strategy="auto"):
        """Return the discretized activations."""
        discretizer = StateDiscretizer(n_states, strategy=strategy)
        return discretizer.fit_transform(self.hidden[:, None])[:, 0]


def _signs(bits):
    return 2.0 * bits - 1.0


def _noise_for(flips):
    """Return the standard deviation at which a noisy sign is wrong with this probability."""
    return -1.0 / norm.ppf(flips)


def copies(rng, n, n_nodes, *, n_copies=8):
    """The class passes through exact copies, B = A, and there is no margin."""
    a = rng.integers(0, 2, n)
    hidden = rng.normal(size=(n, n_nodes))
    relays = rng.permutation(n_nodes)[:n_copies]
    hidden[:, relays] = _signs(a)[:, None]
    return Case(a, a.copy(), hidden, relays, None, a)


def votes(
    rng,
    n,
    n_nodes,
    *,
    n_voters=3,
    flips=0.1,
    n_decoys=3,
    decoy_flips=0.02,
    analog=False,
    margin=False,
    balance=0.5,
    gain=None,
):
    """B is the majority of some noisy copies of A; decoys know A better and are not heard.

    With `analog` nodes have a noisy value of which the sign is A, and B is the sign of the sum of
    the voters; with `gain` they saturate, tanh(gain * value).
    """
    a = (rng.random(n) < balance).astype(np.int64)
    where = rng.permutation(n_nodes)
    relays, decoys = where[:n_voters], where[n_voters : n_voters + n_decoys]
    if analog:
        hidden = rng.normal(size=(n, n_nodes))
        hidden[:, relays] = _signs(a)[:, None] + _noise_for(flips) * hidden[:, relays]
        hidden[:, decoys] = _signs(a)[:, None] + _noise_for(decoy_flips) * hidden[:, decoys]
        if gain is not None:
            hidden = np.tanh(gain * hidden)
    else:
        hidden = _signs(rng.integers(0, 2, (n, n_nodes)))
        for nodes, fraction in ((relays, flips), (decoys, decoy_flips)):
            held = np.tile(a[:, None], len(nodes))
            hidden[:, nodes] = _signs(flipped(rng, held, fraction))
    total = hidden[:, relays].sum(axis=1)
    b = (total > 0).astype(np.int64)
    return Case(a, b, hidden, relays, np.abs(total) if margin else None, a)


def one_hot(rng, n, n_nodes, *, n_classes=8, noise=0.6, decoy_noise=0.4, margin=True):
    """Nodes that are on for one class each, heard ones beside unheard ones that know it better.

    The concept is whether the class is 0; its relay is the one heard node that is on for it.
    """
    classes = rng.integers(0, n_classes, n)
    where = rng.permutation(n_nodes)
    heard, decoys = where[:n_classes], where[n_classes : 2 * n_classes]
    hidden = rng.normal(size=(n, n_nodes))
    on = classes[:, None] == np.arange(n_classes)
    hidden[:, heard] = np.tanh(4 * (on + noise * rng.normal(size=on.shape) - 0.5))
    hidden[:, decoys] = np.tanh(4 * (on + decoy_noise * rng.normal(size=on.shape) - 0.5))
    logits = 3 * hidden[:, heard]
    said = logits.argmax(axis=1)
    odds = logits[:, 0] - np.log(np.exp(logits[:, 1:]).sum(axis=1))
    a, b = (classes == 0).astype(np.int64), (said == 0).astype(np.int64)
    return Case(a, b, hidden, heard[:1], np.where(b == 1, odds, -odds) if margin else None, classes)


def _shaped(value, shape, rng):
    """Return activations that encode the sign of a value in some shape."""
    if shape == "sparse":  # a rectified unit, silent in most instances
        return np.maximum(value - 0.5, 0.0)
    if shape == "u":  # the value is in the size, the sign is anything
        return np.exp(0.5 * value) * rng.choice([-1.0, 1.0], value.shape)
    if shape == "levels":  # a saturated unit: -1, -.999 or +.999
        return np.where(value > 0, 0.999, np.where(value > -1.0, -0.999, -1.0))
    raise ValueError(shape)


def shaped(
    rng, n, n_nodes, *, shape, n_voters=3, flips=0.1, n_decoys=3, decoy_flips=0.05, margin=True
):
    """Votes of nodes whose activation is not a monotone function of the bit, or saturates."""
    case = votes(
        rng,
        n,
        n_nodes,
        n_voters=n_voters,
        flips=flips,
        n_decoys=n_decoys,
        decoy_flips=decoy_flips,
        analog=True,
        margin=margin,
    )
    return case._replace(hidden=_shaped(case.hidden, shape, rng))


def shared_noise(rng, n, n_nodes, *, flips=0.1, shared=0.8):
    """Decoys that share the noise of the relays, and so know the errors of the network too."""
    a = rng.integers(0, 2, n)
    where = rng.permutation(n_nodes)
    relays, decoys = where[:3], where[3:6]
    hidden = rng.normal(size=(n, n_nodes))
    common = rng.normal(size=(n, 3))
    own = np.sqrt(1 - shared**2)
    for nodes in (relays, decoys):
        noise = shared * common + own * rng.normal(size=(n, 3))
        hidden[:, nodes] = _signs(a)[:, None] + _noise_for(flips) * noise
    total = hidden[:, relays].sum(axis=1)
    return Case(a, (total > 0).astype(np.int64), hidden, relays, np.abs(total), a)


def parity(rng, n, n_nodes, *, flips=0.02):
    """A is the parity of three nodes that are coins one by one and in pairs."""
    states = rng.integers(0, 2, (n, n_nodes))
    relays = rng.permutation(n_nodes)[:3]
    a = flipped(rng, states[:, relays].sum(axis=1) % 2, flips)
    b = states[:, relays].sum(axis=1) % 2
    return Case(a, b, _signs(states), relays, None, a)


#: Models by name.
GOOD_NETS = {
    "2 copies": (copies, {"n_copies": 2}),
    "8 copies": (copies, {"n_copies": 8}),
    "vote of 3, decoys 2 %": (votes, {}),
    "vote of 3, decoys .5 %": (votes, {"decoy_flips": 0.005}),
    "vote of 3, decoys 10 %": (votes, {"decoy_flips": 0.1}),
    "vote of 5, decoys 2 %": (votes, {"n_voters": 5}),
    "vote of 5, 20 % flips, decoys .5 %": (
        votes,
        {"n_voters": 5, "flips": 0.2, "decoy_flips": 0.005},
    ),
    "vote of 9, 30 % flips, decoys 2 %": (votes, {"n_voters": 9, "flips": 0.3}),
    "vote of 9, 30 % flips, decoys 10 %": (
        votes,
        {"n_voters": 9, "flips": 0.3, "decoy_flips": 0.1},
    ),
    "vote of 3, margin": (votes, {"analog": True, "margin": True}),
    "vote of 3, margin, decoys .5 %": (
        votes,
        {"analog": True, "margin": True, "decoy_flips": 0.005},
    ),
    "vote of 5, margin": (votes, {"n_voters": 5, "analog": True, "margin": True}),
    "vote of 9, margin": (votes, {"n_voters": 9, "flips": 0.3, "analog": True, "margin": True}),
    "vote of 9, margin, decoys .5 %": (
        votes,
        {"n_voters": 9, "flips": 0.3, "analog": True, "margin": True, "decoy_flips": 0.005},
    ),
    "vote of 3, 95 to 5, margin": (votes, {"analog": True, "margin": True, "balance": 0.05}),
    "error-free, margin": (
        votes,
        {"flips": 0.01, "decoy_flips": 0.005, "analog": True, "margin": True},
    ),
    "vote of 15, margin, decoys 1 %": (
        votes,
        {"n_voters": 15, "analog": True, "margin": True, "decoy_flips": 0.01},
    ),
    "saturated, margin": (votes, {"analog": True, "margin": True, "gain": 4.0}),
    "one-hot": (one_hot, {"margin": False}),
    "one-hot, margin": (one_hot, {}),
    "sparse": (shaped, {"shape": "sparse", "margin": False}),
    "sparse, margin": (shaped, {"shape": "sparse"}),
    "U-shaped": (shaped, {"shape": "u", "margin": False}),
    "U-shaped, margin": (shaped, {"shape": "u"}),
    "levels -1, -.999, .999": (shaped, {"shape": "levels", "margin": False}),
    "levels, margin": (shaped, {"shape": "levels"}),
}

#: Models in which a score of nodes, given small sets of other nodes, cannot tell relays from other
#: nodes. "decoys share the noise": decoys have to do with the errors too; what a node adds to all
#: other nodes together tells them from relays. "parity of 3": any two nodes are independent of A
#: and B. In the last two the network makes no errors, or next to none, and B equals A; then nothing
#: in A, B and the states tells which of the nodes that know A are heard.
IMPOSSIBLE = {
    "decoys share the noise": (shared_noise, {}),
    "parity of 3": (parity, {}),
    "error-free, no margin": (
        votes,
        {"n_voters": 9, "flips": 0.02, "decoy_flips": 0.005},
    ),
    "vote of 15, no margin": (votes, {"n_voters": 15, "decoy_flips": 0.01}),
}


def make_good(name, seed, n, n_nodes):
    """Return a case of a model by name; every (seed, n, n_nodes) has its own random generator."""
    model, options = (GOOD_NETS | IMPOSSIBLE)[name]
    return model(np.random.default_rng([7, seed, n, n_nodes]), n, n_nodes, **options)
