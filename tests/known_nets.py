"""Networks whose relays are known, because their weights are set by hand."""

import numpy as np
import torch

from relayestimators import RNNClassifier

BITS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])  # rows are the classes of two_bit_net


def zeroed(net):
    """Set all weights of a network to zero, and return them by name."""
    weights = dict(net.module_.named_parameters())
    with torch.no_grad():
        for tensor in weights.values():
            tensor.zero_()
    return weights


def hand_made_net(n_nodes=8, delay=3):
    """Return a network whose relays are known: the input moves from node 0 to node 1, and so on.

    Node 0 reads channel 0, node k + 1 reads node k one time step later, and the readout reads node
    `delay`. The other nodes read noise from channel 1, and nothing reads them. The input at the
    first time step is thus in node k after time step k, and in no other node.
    """
    n_timepoints = delay + 1
    rng = np.random.default_rng(0)
    X = np.zeros((400, 2, n_timepoints), dtype=np.float32)
    X[:, 0, 0] = rng.choice([-1.0, 1.0], 400)
    X[:, 1] = rng.normal(size=(400, n_timepoints))
    y = np.where(X[:, 0, 0] > 0, "plus", "minus")
    net = RNNClassifier(module__hidden_size=n_nodes, max_epochs=1, random_state=0).fit(X, y)
    weights = zeroed(net)
    with torch.no_grad():
        weights["recurrent.weight_ih_l0"][0, 0] = 3.0
        weights["recurrent.weight_ih_l0"][delay + 1 :, 1] = 1.0
        for k in range(delay):
            weights["recurrent.weight_hh_l0"][k + 1, k] = 3.0
        weights["readout.weight"][:, delay] = torch.tensor([-5.0, 5.0])
    assert net.score(X, y) == 1.0
    return net, X, y


def two_bit_net(n_instances=400, error=0.1, seed=0):
    """Return a network in which nodes 0 and 1 store bit 0, node 2 stores bit 1, and 3 to 5 nothing.

    The readout uses the sum of the two copies of bit 0, so that one of them is enough. The bits
    are presented with noise at the first time step; the class is bit 0 + 2 * bit 1.
    """
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (n_instances, 2))
    flips = rng.random(bits.shape) < error
    X = np.zeros((n_instances, 3, 5), dtype=np.float32)
    X[:, :2, 0] = 2 * (bits ^ flips) - 1
    X[:, 2] = rng.normal(size=(n_instances, 5))
    y = bits @ [1, 2]
    with_all_classes = X[:40], np.arange(40) % 4
    net = RNNClassifier(module__hidden_size=6, max_epochs=1, random_state=0).fit(*with_all_classes)
    weights = zeroed(net)
    with torch.no_grad():
        for node, channel in ((0, 0), (1, 0), (2, 1)):
            weights["recurrent.weight_ih_l0"][node, channel] = 3.0
            weights["recurrent.weight_hh_l0"][node, node] = 3.0
        weights["recurrent.weight_ih_l0"][3:, 2] = 1.0
        for k in range(4):
            sign = torch.tensor([k % 2, k // 2]) * 2.0 - 1
            weights["readout.weight"][k, :2] = sign[0]
            weights["readout.weight"][k, 2] = sign[1]
    return net, X, y


def latches(n_instances=1000, heard=3, unheard=2, noise=0.7, less_noise=0.5, seed=0):
    """Return a network of 8 nodes that store a bit, of which the readout reads the first `heard`.

    Every node has noise of its own from a channel of its own at the first time step; that of the
    next `unheard` nodes is smaller. The other nodes store noise only.
    """
    rng = np.random.default_rng(seed)
    X = np.zeros((n_instances, 9, 4), dtype=np.float32)
    bit = rng.choice([-1.0, 1.0], n_instances)
    X[:, 0, 0] = bit
    X[:, 1:, 0] = rng.normal(size=(n_instances, 8))
    y = np.where(bit > 0, "plus", "minus")
    net = RNNClassifier(module__hidden_size=8, max_epochs=1, random_state=0).fit(X[:40], y[:40])
    weights = zeroed(net)
    with torch.no_grad():
        for node in range(8):
            size = noise if node < heard else less_noise if node < heard + unheard else 1.0
            weights["recurrent.weight_ih_l0"][node, 1 + node] = size
            weights["recurrent.weight_hh_l0"][node, node] = 1.5
        weights["recurrent.weight_ih_l0"][: heard + unheard, 0] = 1.0
        weights["readout.weight"][:, :heard] = torch.tensor([[-1.0], [1.0]])
    return net, X, y


def repeated_net(seed=0):
    """Return a network whose input says the bit anew at every time step, and which stores nothing.

    Node 0 knows the bit at all time steps, but only the last of them reaches the readout.
    """
    rng = np.random.default_rng(seed)
    bit = rng.choice([-1.0, 1.0], 600)
    X = np.repeat(bit[:, None, None], 5, axis=2).astype(np.float32)
    X = np.concatenate([X, rng.normal(size=(600, 1, 5)).astype(np.float32)], axis=1)
    y = np.where(bit > 0, "plus", "minus")
    net = RNNClassifier(module__hidden_size=4, max_epochs=1, random_state=0).fit(X[:40], y[:40])
    weights = zeroed(net)
    with torch.no_grad():
        weights["recurrent.weight_ih_l0"][0, 0] = 3.0
        weights["recurrent.weight_ih_l0"][1:, 1] = 1.0
        weights["readout.weight"][:, 0] = torch.tensor([-3.0, 3.0])
    return net, X, y


def exclusive_or_net(seed=0):
    """Return a network that stores two bits in nodes 0 and 1, and says whether they differ.

    A pulse at the last time step lets nodes 2 and 3 read both bits: whether any is 1, and whether
    both are.
    """
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (600, 2))
    X = np.zeros((600, 3, 5), dtype=np.float32)
    X[:, :2, 0] = 2 * bits - 1
    X[:, 2, 4] = 1.0
    y = np.where(bits[:, 0] != bits[:, 1], "differ", "same")
    net = RNNClassifier(module__hidden_size=6, max_epochs=1, random_state=0).fit(X[:40], y[:40])
    weights = zeroed(net)
    with torch.no_grad():
        for node in (0, 1):
            weights["recurrent.weight_ih_l0"][node, node] = 3.0
            weights["recurrent.weight_hh_l0"][node, node] = 3.0
            weights["recurrent.weight_hh_l0"][2:4, node] = 3.0
        weights["recurrent.bias_ih_l0"][2:4] = -40.0
        weights["recurrent.weight_ih_l0"][2:4, 2] = torch.tensor([43.0, 37.0])
        weights["readout.weight"][:, 2:4] = torch.tensor([[5.0, -5.0], [-5.0, 5.0]])
        weights["readout.bias"][:] = torch.tensor([-5.0, 5.0])
    assert net.score(X, y) == 1.0
    return net, X, y


def attractor_net(delay=25):
    """Return a network of 4 nodes of which node 0 holds a bit in an attractor."""
    X = np.zeros((300, 2, delay), dtype=np.float32)
    X[:, 0, 0] = np.random.default_rng(0).choice([-1.0, 1.0], 300)
    y = np.where(X[:, 0, 0] > 0, "plus", "minus")
    net = RNNClassifier(module__hidden_size=4, max_epochs=1, random_state=0).fit(X[:40], y[:40])
    weights = zeroed(net)
    with torch.no_grad():
        weights["recurrent.weight_ih_l0"][0, 0] = 3.0
        weights["recurrent.weight_hh_l0"][0, 0] = 3.0
        weights["readout.weight"][:, 0] = torch.tensor([-3.0, 3.0])
    return net, X, y
