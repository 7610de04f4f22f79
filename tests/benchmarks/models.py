"""Generative models with planted relays: each returns concept_in, concept_out, states, relays.

These are networks that err, with nodes of two states and one relay per bit, or two. Accurate and
redundant networks, and activations of any shape, are in `good_nets`.

Unless stated otherwise, A is uniform over 0 to 3, and nodes that are not relays are independent
coins. `flips` is the fraction of relay values that are inverted, and `noise` the fraction of
outputs that are replaced by a uniform value. Relays have random positions.
"""

import numpy as np


def flipped(rng, bits, fraction):
    """Return bits of which a random fraction is inverted."""
    return bits ^ (rng.random(bits.shape) < fraction)


def bits(
    rng, n, n_nodes, *, flips=0.05, noise=0.1, copies=1, lowrank=False, decoy_flips=None, n_bits=2
):
    """Return data whose relays are noisy copies of the bits of A; B reads a random copy of each."""
    a = rng.integers(0, 2**n_bits, n)
    where = rng.permutation(n_nodes)
    states = rng.integers(0, 2, (n, n_nodes))
    if lowrank:  # nuisance of rank 3 instead of coins
        latent = rng.integers(0, 2, (n, 3))
        states = flipped(rng, latent[:, rng.integers(0, 3, n_nodes)], 0.1)
    b = np.zeros(n, dtype=int)
    for i in range(n_bits):
        own = where[i * copies : (i + 1) * copies]
        states[:, own] = flipped(rng, np.tile((a >> i & 1)[:, None], copies), flips)
        b += states[np.arange(n), own[rng.integers(0, copies, n)]] << i
    relays = where[: n_bits * copies]
    if decoy_flips is not None:  # nodes that encode the bits better but do not drive the output
        for i in range(n_bits):
            states[:, where[len(relays) + i]] = flipped(rng, a >> i & 1, decoy_flips)
    b = np.where(rng.random(n) < noise, rng.integers(0, 2**n_bits, n), b)
    return a, b, states.astype(np.uint8), relays


def xor(rng, n, n_nodes, *, flips=0.05, noise=0.1):
    """Return data in which A is one bit, the XOR of two nodes that are coins on their own."""
    a = rng.integers(0, 2, n)
    states = rng.integers(0, 2, (n, n_nodes))
    relays = rng.permutation(n_nodes)[:2]
    states[:, relays[1]] = flipped(rng, states[:, relays[0]] ^ a, flips)
    read = states[:, relays[0]] ^ states[:, relays[1]]
    b = np.where(rng.random(n) < noise, rng.integers(0, 2, n), read)
    return a, b, states.astype(np.uint8), relays


def chance(rng, n, n_nodes, *, kind):
    """Return data without relays: B is independent of A.

    `kind` is "noise" (nothing else), "a" (two nodes encode A) or "a and b" (one node encodes A and
    another drives B).
    """
    a, b = rng.integers(0, 4, n), rng.integers(0, 4, n)
    states = rng.integers(0, 2, (n, n_nodes))
    where = rng.permutation(n_nodes)
    if kind != "noise":
        states[:, where[0]] = flipped(rng, a & 1, 0.05)
        states[:, where[1]] = flipped(rng, (a if kind == "a" else b) >> 1, 0.05)
    return a, b, states.astype(np.uint8), where[:0]


MODELS = {
    "independent": (bits, {}),
    "weak": (bits, {"flips": 0.2, "noise": 0.3}),
    "low rank": (bits, {"lowrank": True}),
    "redundant": (bits, {"copies": 2}),
    "decoys 5/2": (bits, {"decoy_flips": 0.02}),
    "decoys 10/5": (bits, {"flips": 0.1, "decoy_flips": 0.05}),
    "hard": (bits, {"flips": 0.3, "noise": 0.6}),
    "xor": (xor, {}),
    "noise": (chance, {"kind": "noise"}),
    "A only": (chance, {"kind": "a"}),
    "A and B": (chance, {"kind": "a and b"}),
}


def make(name, seed, n, n_nodes):
    """Return data of a model by name; every (seed, n, n_nodes) has its own random generator."""
    model, options = MODELS[name]
    return model(np.random.default_rng([seed, n, n_nodes]), n, n_nodes, **options)
