"""Networks whose relays are known by construction, at every time step for which a truth is given.

The weights of latches, registers and automata are set by hand. In trained networks copies of nodes
are put beside the nodes. All nodes have noise channels of their own, the last channels of the
panel, so that they err independently of one another. A node is heard at a time step if its noise at
that step changes the output (`effects`). It is exactly 0 for nodes that are not heard, because all
ways from them to the output have a weight of 0.

What copies can tell
--------------------
An *unheard copy* receives what a node receives and has no outgoing weights, so that the node is
heard and the copy is not. Without noise of its own, both have the same states. No function of A, B
and the states tells which of them is heard, and half of the pairs are in the right order by chance:
this is impossible. With its own noise the copy can be told, but how easily depends on what
else varies within a class. If the input is noisy as well, node and copy share this noise. The copy
then knows the errors of the network too, and is truly related to the output beyond the class; only
what the node adds to its copy tells them apart. If the own noise of nodes at one time step is all
that varies within a class, the copy is independent of the output, given the class, at this time
step, and a test of it suffices.

*Halved twins* share the outgoing weights of a node equally. Both are heard, as much as each other,
so that their scores must be the same: up to the draw of sets of other nodes, if the twins have no
noise of their own and so the same states, and up to the error of estimates otherwise.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from relayestimators.networks import RecurrentNetwork

from .good_nets import Case


class Net(NamedTuple):
    """A network with the data it is for.

    Parameters
    ----------
    module : RecurrentNetwork
        In double precision.
    X : Tensor of shape (n_instances, n_channels, n_timepoints)
        A panel.
    concepts : ndarray of shape (n_instances, n_concepts), int64
        Concept values of the true class, all of 0 and 1.
    truth : dict
        Relays by (concept, time step).
    pairs : ndarray of shape (n_pairs, 2), int64
        Nodes and their copies.
    """

    module: torch.nn.Module
    X: torch.Tensor
    concepts: np.ndarray
    truth: dict
    pairs: np.ndarray = np.empty((0, 2), dtype=np.int64)


def _empty(cell, n_channels, n_nodes, n_concepts):
    """Return a net all of whose weights are zero."""
    module = RecurrentNetwork(n_channels, 2**n_concepts, hidden_size=n_nodes, cell=cell).double()
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.zero_()
    return module, dict(module.named_parameters())


def _combinations(n_concepts):
    return np.array(list(np.ndindex(*(2,) * n_concepts)))


def _listen(weights, cell, n_nodes, self_weight):
    """Let every node follow tanh(self_weight * own state + input), and return its first row.

    This is the row of the input weights at which the nodes of the candidate state begin.
    """
    recurrent = weights["recurrent.weight_hh_l0"]
    start = {"rnn": 0, "gru": 2 * n_nodes, "lstm": 2 * n_nodes}[cell]
    for node in range(n_nodes):
        recurrent[start + node, node] = self_weight
    bias = weights["recurrent.bias_ih_l0"]
    if cell == "gru":  # open reset gates, half-open update gates
        bias[:n_nodes] = 20.0
        bias[n_nodes : 2 * n_nodes] = 0.0
    elif cell == "lstm":  # open input and output gates; half of the memory is kept
        bias[:n_nodes] = 20.0
        bias[3 * n_nodes :] = 20.0
        bias[n_nodes : 2 * n_nodes] = 0.0
    return start


def latches(
    cell, seed, n, *, n_bits=2, heard=3, unheard=3, idle=8, noise=0.8, decoy_noise=0.6, delay=3
):
    """Latches that hold bits shown at the first step, some of them read out and others not.

    `noise` is the size of every node's own noise at the first step; later it is a tenth of it.
    """
    rng = np.random.default_rng([11, seed, n])
    n_nodes = n_bits * (heard + unheard) + idle
    n_channels = n_bits + n_nodes
    module, weights = _empty(cell, n_channels, n_nodes, n_bits)
    where = rng.permutation(n_nodes)
    relays = where[: n_bits * heard].reshape(n_bits, heard)
    decoys = where[n_bits * heard : n_bits * (heard + unheard)].reshape(n_bits, unheard)
    bits = rng.integers(0, 2, (n, n_bits))
    X = np.zeros((n, n_channels, delay + 1))
    X[:, :n_bits, 0] = 2 * bits - 1
    X[:, n_bits:] = 0.1 * rng.normal(size=(n, n_nodes, delay + 1))
    X[:, n_bits:, 0] *= 10
    table = torch.as_tensor(2.0 * _combinations(n_bits) - 1)
    with torch.no_grad():
        start = _listen(weights, cell, n_nodes, 2.0)
        entry = weights["recurrent.weight_ih_l0"]
        for node in range(n_nodes):
            entry[start + node, n_bits + node] = noise
        for bit in range(n_bits):
            for nodes, size in ((relays[bit], noise), (decoys[bit], decoy_noise)):
                for node in nodes:
                    entry[start + node, bit] = 1.0
                    entry[start + node, n_bits + node] = size
            weights["readout.weight"][:, relays[bit]] = 2.0 * table[:, [bit]]
    truth = {(bit, t): relays[bit] for bit in range(n_bits) for t in range(delay + 1)}
    return Net(module, torch.as_tensor(X), bits, truth)


def register(seed, n, *, n_steps=6, width=2, noise=0.35, idle=6, decoy_noise=0.25):
    """A bit that moves from one group of nodes to the next at every step.

    A second register of the same length takes the bit up with less noise and nobody reads it.
    """
    rng = np.random.default_rng([13, seed, n])
    n_nodes = 2 * n_steps * width + idle
    module, weights = _empty("rnn", 1 + n_nodes, n_nodes, 1)
    where = rng.permutation(n_nodes)
    heard = where[: n_steps * width].reshape(n_steps, width)
    decoys = where[n_steps * width : 2 * n_steps * width].reshape(n_steps, width)
    bits = rng.integers(0, 2, (n, 1))
    X = np.zeros((n, 1 + n_nodes, n_steps))
    X[:, 0, 0] = 2 * bits[:, 0] - 1
    X[:, 1:] = rng.normal(size=(n, n_nodes, n_steps))
    with torch.no_grad():
        entry, step = weights["recurrent.weight_ih_l0"], weights["recurrent.weight_hh_l0"]
        for node in range(n_nodes):
            entry[node, 1 + node] = 1.0
        for groups, size in ((heard, noise), (decoys, decoy_noise)):
            for node in groups.ravel():
                entry[node, 1 + node] = size
            for node in groups[0]:
                entry[node, 0] = 1.0
            for before, after in zip(groups[:-1], groups[1:], strict=True):
                for node in after:
                    step[node, before] = 1.4 / width
        weights["readout.weight"][1, heard[-1]] = 3.0
        weights["readout.weight"][0, heard[-1]] = -3.0
    truth = {(0, t): heard[t] for t in range(n_steps)}
    return Net(module, torch.as_tensor(X), bits, truth)


def automaton(seed, n, *, n_steps=8, idle=8, gain=4.0):
    """The parity automaton of two symbols, compiled into a plain RNN of saturated nodes.

    Node (state, symbol) is on if the automaton was in `state` and read `symbol`; it listens to the
    nodes that lead to its state. All four are needed; other nodes listen to noise. The parity of
    all symbols is independent of the states before the last time step, so that there the truth is
    known at the last one only.
    """
    rng = np.random.default_rng([17, seed, n])
    n_nodes = 4 + idle
    module, weights = _empty("rnn", 2 + n_nodes, n_nodes, 1)
    where = rng.permutation(n_nodes)
    nodes = where[:4].reshape(2, 2)  # [state before, symbol]
    symbols = rng.integers(0, 2, (n, n_steps))
    X = np.zeros((n, 2 + n_nodes, n_steps))
    for symbol in (0, 1):
        X[:, symbol] = symbols == symbol
    X[:, 2:] = rng.normal(size=(n, n_nodes, n_steps))
    X[:, 2 + nodes[1], 0] = -20 * gain  # nodes of state 1 are off at first: the start is state 0
    after = np.array([[0, 1], [1, 0]])  # [state before, symbol]
    with torch.no_grad():
        entry, step = weights["recurrent.weight_ih_l0"], weights["recurrent.weight_hh_l0"]
        for node in where[4:]:
            entry[node, 2 + node] = 1.0
        for state, symbol in np.ndindex(2, 2):
            node = nodes[state, symbol]
            entry[node, symbol] = gain
            entry[node, 2 + node] = 0.1
            # of the two nodes that lead here one is on (+1), or both are off (-1)
            step[node, nodes[after == state]] = gain / 2
            # the sum of these is 0 or -gain, and 0 at the first time step
            weights["recurrent.bias_ih_l0"][node] = -0.5 * gain
            sign = 1.0 if after[state, symbol] == 1 else -1.0
            weights["readout.weight"][:, node] = sign * torch.tensor([-1.0, 1.0])
    parity = symbols.sum(axis=1) % 2
    truth = {(0, n_steps - 1): nodes.ravel()}
    return Net(module, torch.as_tensor(X), parity[:, None], truth)


def parity(seed, n, *, n_bits=2, idle=6, delay=3):
    """A bit that is the parity of bits in as many nodes, which no fewer of them show.

    Bits are shown at the first time step and held. At the last one a pulse lets further nodes count
    them: node m of these is on if at least m bits are 1, and the readout adds them up with
    alternating signs.
    """
    rng = np.random.default_rng([17, seed, n])
    n_nodes = 2 * n_bits + idle
    module, weights = _empty("rnn", n_bits + 1 + n_nodes, n_nodes, 1)
    where = rng.permutation(n_nodes)
    stores, counters, others = np.split(where, [n_bits, 2 * n_bits])
    bits = rng.integers(0, 2, (n, n_bits))
    X = np.zeros((n, n_bits + 1 + n_nodes, delay + 1))
    X[:, :n_bits, 0] = 2 * bits - 1
    X[:, n_bits, -1] = 1.0
    X[:, n_bits + 1 :] = rng.normal(size=(n, n_nodes, delay + 1))
    with torch.no_grad():
        entry, recurrent = weights["recurrent.weight_ih_l0"], weights["recurrent.weight_hh_l0"]
        entry[stores, np.arange(n_bits)] = 3.0
        recurrent[stores, stores] = 3.0
        for m, node in enumerate(counters, start=1):
            recurrent[node, stores] = 3.0
            weights["recurrent.bias_ih_l0"][node] = -40.0
            entry[node, n_bits] = 40.0 + 3.0 * (n_bits + 1 - 2 * m)
            sign = 5.0 if m % 2 else -5.0
            weights["readout.weight"][:, node] = torch.tensor([-sign, sign]).double()
        for node in others:
            entry[node, n_bits + 1 + node] = 0.5
        if n_bits % 2 == 0:
            weights["readout.bias"][:] = torch.tensor([5.0, -5.0]).double()
    truth = {(0, t): stores for t in range(delay)} | {(0, delay): counters}
    return Net(module, torch.as_tensor(X), bits.sum(axis=1, keepdims=True) % 2, truth)


def _remembered(rng, n, n_timepoints, noise):
    """Return a panel that shows a bit at the first time step, and the bits."""
    bits = rng.integers(0, 2, (n, 1))
    X = 0.75 * noise * rng.normal(size=(n, 1, n_timepoints))
    X[:, 0, 0] = 2 * bits[:, 0] - 1 + noise * rng.normal(size=n)
    return X, bits


@cache
def _trained(cell, seed, n_timepoints, n_nodes=8):
    """Return a network that was trained to remember a noisy bit; no caller may change it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = RecurrentNetwork(1, 2, hidden_size=n_nodes, cell=cell).double()
    X, bits = _remembered(np.random.default_rng([19, seed]), 1000, n_timepoints, 0.4)
    X, labels = torch.as_tensor(X), torch.as_tensor(bits[:, 0])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(X), labels).backward()
        optimizer.step()
    return module.eval()


def widened(cell, seed, n, *, twins, noise=0.5, step=None, n_timepoints=5):
    """Put copies of all nodes into a trained network that remembers a bit of the first time step.

    Parameters
    ----------
    twins : bool
        If True, a node and its copy have half of its outgoing weights each, so that both are
        heard, and there are as many nodes that listen to noise only. If False, the copies have no
        outgoing weights, and the truth is known of strong nodes and their copies only.
    noise : float, default=0.5
        Size of the noise of each node. Without it copies have exactly the states of the nodes.
    step : int, optional
        If given, nodes have noise at this time step only, the input has none, and the truth is
        given for this time step. Otherwise all time steps have noise of both kinds.

    Returns
    -------
    Net
        With all nodes and their copies as `pairs`. The relays are the nodes, and twins.
    """
    trained = _trained(cell, seed, n_timepoints)
    size = trained.hidden_size
    rng = np.random.default_rng([23, seed])
    X, bits = _remembered(rng, n, n_timepoints, 0.4 if step is None else 0.0)
    n_nodes = 4 * size if twins else 2 * size
    where = rng.permutation(n_nodes)
    source, scale = np.zeros(n_nodes, dtype=int), np.zeros(n_nodes)
    pairs, idle = where[: 2 * size].reshape(2, size).T, where[2 * size :]
    source[pairs] = np.arange(size)[:, None]
    scale[pairs] = [0.5, 0.5] if twins else [1.0, 0.0]
    module, weights = _empty(cell, 1 + n_nodes, n_nodes, 1)
    old = dict(trained.named_parameters())
    n_gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    rows = np.concatenate([gate * size + source for gate in range(n_gates)])
    candidate = {"rnn": 0, "gru": 2, "lstm": 2}[cell] * n_nodes
    with torch.no_grad():
        for name in ("recurrent.bias_ih_l0", "recurrent.bias_hh_l0"):
            weights[name][:] = old[name][rows]
        entry, recurrent = weights["recurrent.weight_ih_l0"], weights["recurrent.weight_hh_l0"]
        entry[:, :1] = old["recurrent.weight_ih_l0"][rows]
        scale = torch.as_tensor(scale)
        recurrent[:] = old["recurrent.weight_hh_l0"][rows][:, source] * scale
        for gate in range(n_gates):  # idle nodes listen to their noise only
            entry[gate * n_nodes + idle] = 0.0
            recurrent[gate * n_nodes + idle] = 0.0
        nodes = np.arange(n_nodes)
        entry[candidate + nodes, 1 + nodes] = noise
        entry[candidate + idle, 1 + idle] = 0.5
        weights["readout.weight"][:] = old["readout.weight"][:, source] * scale
        weights["readout.bias"][:] = old["readout.bias"]
    own = rng.normal(size=(n, n_nodes, n_timepoints))
    if step is not None:
        own[:, :, np.arange(n_timepoints) != step] = 0.0
    X = torch.as_tensor(np.concatenate([X, own], axis=1))
    relays = pairs.ravel() if twins else pairs[:, 0]
    steps = range(n_timepoints) if step is None else [step]
    return Net(module, X, bits, {(0, t): relays for t in steps}, pairs)


def effects(net):
    """Return how much the noise of every node at every time step changes the output.

    Parameters
    ----------
    net : Net

    Returns
    -------
    ndarray of shape (n_nodes, n_timepoints)
        Mean size of the derivative of the logits with respect to the noise; exactly 0 for nodes
        that are not heard.
    """
    X = net.X.clone().requires_grad_()
    logits = net.module(X)
    sizes = [
        torch.autograd.grad(logits[:, k].sum(), X, retain_graph=True)[0].abs().mean(dim=0)
        for k in range(logits.shape[1])
    ]
    return torch.stack(sizes).mean(dim=0)[-net.module.hidden_size :].numpy()


def strong_pairs(net, timepoint):
    """Return the pairs whose node has at least half of the largest effect at a time step."""
    sizes = effects(net)[net.pairs[:, 0], timepoint]
    return net.pairs[sizes >= 0.5 * sizes.max()]


def cases(net):
    """Run a constructed net; return one `Case` per concept and time step, by (concept, step)."""
    with torch.no_grad():
        run = net.module.unroll(net.X)
    logits = run.output.numpy()
    n_concepts = net.concepts.shape[1]
    table = _combinations(n_concepts)
    said = table[logits.argmax(axis=1)]
    classes = net.concepts @ 2 ** np.arange(n_concepts)
    found = {}
    for (concept, step), relays in net.truth.items():
        one = table[:, concept] == 1
        odds = np.logaddexp.reduce(logits[:, one], 1) - np.logaddexp.reduce(logits[:, ~one], 1)
        b = said[:, concept].astype(np.int64)
        found[concept, step] = Case(
            net.concepts[:, concept].astype(np.int64),
            b,
            run.hidden[:, step].numpy(),
            np.asarray(relays),
            np.where(b == 1, odds, -odds),
            classes,
        )
    return found
