"""Speed of knockouts, compared with a lower limit and with other tools, and their errors.

Every peer is a function of a network that returns a function ``knock_out(X, nodes)``. The latter
returns the logits with each of the nodes zeroed at every time step, with shape
(n_nodes, n_instances, n_classes).
"""

import copy
import time
from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from relayestimators.networks import Clamp, RecurrentNetwork

from .tables import markdown

KINDS = ("RNN", "GRU", "LSTM")
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
N_CHANNELS, N_CLASSES = 3, 4
LOT = 16  # number of nodes that one repetition knocks out
SAMPLE = 2  # number of these nodes that a peer is timed with


def _network(kind, hidden_size):
    torch.manual_seed(0)
    return RecurrentNetwork(N_CHANNELS, N_CLASSES, hidden_size, cell=kind.lower()).eval()


def _panel(n, n_timepoints):
    torch.manual_seed(1)
    return torch.randn(n, N_CHANNELS, n_timepoints)


def _zeroed(nodes):
    return [Clamp([node], [0.0]) for node in nodes]


# ---------------------------------------------------------------- the exact result


def _exact(network, X, node=None):
    """Return the logits by the formulas of torch's documentation in float64, with a node zeroed."""
    w = {name: getattr(network.recurrent, f"{name}_l0").double().numpy() for name in PARAMETERS}
    x = X.double().numpy()
    h = c = np.zeros((len(x), network.hidden_size))
    for t in range(x.shape[2]):
        a = x[:, :, t] @ w["weight_ih"].T + w["bias_ih"]
        b = h @ w["weight_hh"].T + w["bias_hh"]
        if network.cell == "rnn":
            h = np.tanh(a + b)
        elif network.cell == "gru":
            (a_r, a_z, a_n), (b_r, b_z, b_n) = np.split(a, 3, axis=1), np.split(b, 3, axis=1)
            z = _sigmoid(a_z + b_z)
            h = (1 - z) * np.tanh(a_n + _sigmoid(a_r + b_r) * b_n) + z * h
        else:
            i, f, g, o = np.split(a + b, 4, axis=1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
        if node is not None:
            h[:, node] = 0
    return h @ network.readout.weight.double().numpy().T + network.readout.bias.double().numpy()


def _sigmoid(v):
    return 1 / (1 + np.exp(-v))


# ---------------------------------------------------------------- the tools


class Loop(nn.Module):
    """A loop of torch's own cell over time, with the weights of a network."""

    def __init__(self, network):
        super().__init__()
        cell = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}[network.cell]
        self.cell = cell(N_CHANNELS, network.hidden_size)
        for name in PARAMETERS:
            getattr(self.cell, name).data = getattr(network.recurrent, f"{name}_l0").data
        self.readout = network.readout

    def forward(self, X, gate=None):
        h = state = None
        for x in X.permute(2, 0, 1):
            state = self.cell(x, state)
            h = state[0] if isinstance(state, tuple) else state
            if gate is not None:
                h = h * gate
                state = (h, state[1]) if isinstance(state, tuple) else h
        return self.readout(h)


class Fused(nn.Module):
    """A network whose output sequence is the output of a layer, batch first."""

    class Sequence(nn.Module):
        def __init__(self, recurrent):
            super().__init__()
            self.recurrent = recurrent

        def forward(self, X):
            return self.recurrent(X.permute(2, 0, 1))[0].transpose(0, 1)

    def __init__(self, network):
        super().__init__()
        self.sequence, self.readout = self.Sequence(network.recurrent), network.readout

    def forward(self, X):
        return self.readout(self.sequence(X)[:, -1])


def engine(network):
    return lambda X, nodes: network.knock_out(X, _zeroed(nodes))


def hooked(network):
    loop = Loop(network)

    def one(X, node):
        def zero(module, inputs, output):
            (output[0] if isinstance(output, tuple) else output)[:, node] = 0

        hook = loop.cell.register_forward_hook(zero)
        logits = loop(X)
        hook.remove()
        return logits

    return lambda X, nodes: torch.stack([one(X, node) for node in nodes])


def captum_gate(network):
    from captum.attr import FeatureAblation

    loop = Loop(network)
    ablation = FeatureAblation(lambda gate, X: loop(X, gate))

    def knock_out(X, nodes, targets=range(N_CLASSES), per_eval=1):
        groups = torch.full((1, network.hidden_size), len(nodes))
        groups[0, list(nodes)] = torch.arange(len(nodes))
        changes = [
            ablation.attribute(
                torch.ones(len(X), network.hidden_size),
                additional_forward_args=X,
                target=target,
                feature_mask=groups,
                perturbations_per_eval=per_eval,
            )[:, list(nodes)].T
            for target in targets
        ]
        return loop(X)[:, list(targets)] - torch.stack(changes, dim=2)

    return knock_out


def nnsight_iter(network):
    from nnsight import NNsight

    model, is_pair = NNsight(Loop(network)), network.cell == "lstm"

    def one(X, node):
        with model.trace(X) as tracer:
            for _ in tracer.iter[: X.shape[2]]:
                if is_pair:
                    model.cell.output[0][:, node] = 0
                else:
                    model.cell.output[:, node] = 0
            logits = model.output.save()
        return logits

    return lambda X, nodes: torch.stack([one(X, node) for node in nodes])


def row_surgery(network):
    network = copy.deepcopy(network)
    parameters = [getattr(network.recurrent, f"{name}_l0").data for name in PARAMETERS]
    first = {"rnn": 0, "gru": 2, "lstm": 2}[network.cell] * network.hidden_size

    def one(X, node):
        kept = [parameter[first + node].clone() for parameter in parameters]
        for parameter in parameters:
            parameter[first + node] = 0
        logits = network(X)
        for parameter, row in zip(parameters, kept):
            parameter[first + node] = row
        return logits

    return lambda X, nodes: torch.stack([one(X, node) for node in nodes])


def captum_layer(model, layer, shape, is_pair=False):
    """Return LayerFeatureAblation of every node of a layer; a mask groups the values of a node."""
    from captum.attr import LayerFeatureAblation

    ablation = LayerFeatureAblation(model, layer)

    def knock_out(X, nodes):
        mask = torch.arange(shape[-1]).view(shape)
        changes = []
        for target in range(N_CLASSES):
            change = ablation.attribute(
                X,
                target=target,
                # The memory cells of an LSTMCell are its second output and form a separate group.
                layer_mask=(mask, torch.full_like(mask, shape[-1])) if is_pair else mask,
            )
            change = change[0] if is_pair else change
            changes.append((change if change.ndim == 2 else change[:, -1])[:, list(nodes)].T)
        return model(X) - torch.stack(changes, dim=2)

    return knock_out


def layer_fused(network):
    fused = Fused(network)
    return captum_layer(fused, fused.sequence, (1, 1, network.hidden_size))


def layer_loop(network):
    loop = Loop(network)
    return captum_layer(loop, loop.cell, (1, network.hidden_size), network.cell == "lstm")


NAMES = {
    engine: "relayestimators",
    hooked: "torch: hook on the cell of a step loop",
    captum_gate: "captum: FeatureAblation of a gate",
    nnsight_iter: "nnsight: `tracer.iter` on the cell",
    row_surgery: "torch: row surgery, fused module",
    layer_fused: "captum: LayerFeatureAblation, fused module",
    layer_loop: "captum: LayerFeatureAblation, cell of a step loop",
}
PEERS = (hooked, captum_gate, nnsight_iter, row_surgery)


# ---------------------------------------------------------------- speed


def _cpu_seconds(function, *arguments):
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def _products(network, n, n_timepoints, n_knockouts):
    """Compute the recurrent products of some knockouts, and nothing else."""
    weight = network.recurrent.weight_hh_l0.detach()
    h, out = torch.rand(n, network.hidden_size), torch.empty(n, len(weight))
    for _ in range(n_knockouts * n_timepoints):
        torch.mm(h, weight.T, out=out)


def _sampled(knock_out, X, size, nodes):
    return torch.cat([knock_out(x, nodes[:SAMPLE]) for x in X.split(size)], dim=1)


def _contenders(network, X, peers):
    """Return {name: {variant: (function of nodes, number of knockouts it does)}}."""
    n, _, n_timepoints = X.shape
    contenders = {
        "limit": {"": (lambda nodes: _products(network, n, n_timepoints, SAMPLE), SAMPLE)},
        engine: {"": (partial(engine(network), X), LOT)},
    }
    for peer in peers:
        variants = {}
        for size in (n, n // 4):
            knock_out, n_runs = peer(network), SAMPLE
            if peer is captum_gate:
                # It runs one class, with as many rows at a time in both variants. Besides the nodes
                # it runs the remaining nodes as a group, and the intact network twice. Each run is
                # counted as (H + 1) / H of a knockout, because all H nodes together need one run of
                # the intact network.
                knock_out = partial(knock_out, targets=[0], per_eval=n // size)
                n_runs = (SAMPLE + 3) * network.hidden_size / (network.hidden_size + 1)
            variants[size] = (partial(_sampled, knock_out, X, size), n_runs)
        contenders[peer] = variants
    return contenders


def _times(kind, hidden_size, X, n_rounds, peers):
    """Return CPU seconds per knockout in every repetition, with the better batch size of a peer."""
    network = _network(kind, hidden_size)
    contenders = _contenders(network, X, peers)
    for variants in contenders.values():
        for function, _ in variants.values():
            function([0])  # compiles and imports before times are taken
    seconds = {name: {key: [] for key in variants} for name, variants in contenders.items()}
    lots = [list(range(i, i + LOT)) for i in range(0, hidden_size, LOT)]
    for nodes in tqdm(lots * n_rounds, desc=f"{kind}, {hidden_size} nodes"):
        for name, variants in contenders.items():
            for key, (function, n_runs) in variants.items():
                seconds[name][key].append(_cpu_seconds(function, nodes) / n_runs)
    return {
        name: min((np.array(times) for times in variants.values()), key=np.median)
        for name, variants in seconds.items()
    }


def _ratio(times, name, base):
    """Return the median of the ratios within repetitions, as the machine's load changes slowly."""
    return np.median(times[name] / times[base])


def _ratios(times, name, base):
    minima = times[name].min() / times[base].min()
    return f"{_ratio(times, name, base):.2f} ({minima:.2f})"


def _speed(quick):
    n, n_timepoints = (248, 50) if quick else (1000, 100)
    small, large = (16, 32) if quick else (64, 128)
    X = _panel(n, n_timepoints)
    times = {(kind, small): _times(kind, small, X, 2, PEERS) for kind in KINDS}
    times |= {(kind, large): _times(kind, large, X, 1, (hooked,)) for kind in KINDS}
    header = [f"{kind}, {size} nodes" for kind, size in times]
    limit = [_ratios(column, engine, "limit") for column in times.values()]
    rows = [["**relayestimators**", *limit]]
    rows.append([NAMES[hooked], *(_ratios(column, hooked, "limit") for column in times.values())])
    peers = [["relayestimators", *["1"] * len(times)]]
    for peer in PEERS:
        cells = [_ratios(v, peer, engine) if peer in v else "" for v in times.values()]
        peers.append([NAMES[peer], *cells])
    worst = {
        size: max(_ratio(v, engine, "limit") for key, v in times.items() if key[1] == size)
        for size in (small, large)
    }
    faster = ", ".join(
        f"{kind} {min(_ratio(v, peer, engine) for peer in (hooked, captum_gate)):.2f}"
        for (kind, size), v in times.items()
        if size == small
    )
    return (
        "The first table shows the time of all single-node knockouts "
        f"of n={n} instances with {n_timepoints} time steps and {N_CHANNELS} channels, with one "
        "thread. It is given as a multiple of the limit, which is the CPU time of the recurrent "
        "products alone: (n, H) x (H, gates H) by `torch.mm` for every time step and knockout. The "
        f"contenders alternate, and every repetition takes the next {LOT} nodes. The values are "
        "the medians of the ratios within repetitions, with the ratio of the minima in "
        f"brackets.\n\n{markdown(['time, limit = 1', *header], rows)}\n\n"
        f"Our knockouts take at most {worst[small]:.2f} with {small} nodes (aim: 1.7) and "
        f"{worst[large]:.2f} with {large} nodes (aim: 1.5). The limit has the products only, "
        "without input and activation. The rest of the time is mostly spent on gates: about 50 "
        "operations and two divisions per node and time step of a GRU. A processor that multiplies "
        "matrices twice as fast does not compute these twice as fast.\n\n"
        "The next table shows the same knockouts with other tools, in the same repetitions, with "
        f"{SAMPLE} nodes of every {LOT}. Every peer uses the batch size, {n} or {n // 4}, that "
        "suits it better.\n\n"
        f"{markdown(['time, ours = 1', *header], peers)}\n\n"
        "The hook zeroes the node in the output of `nn.RNNCell`, `nn.GRUCell` or `nn.LSTMCell` at "
        "every time step. The gate is an input of ones by which the step loop multiplies the "
        "states, because captum ablates inputs; it is timed for one class, and all nodes share the "
        f"intact run (captum {version('captum')}). nnsight {version('nnsight')} edits "
        "`cell.output` within a trace. Row surgery zeroes the weights and biases that produce the "
        "node, runs the fused module and restores them; it can only zero a node at all time steps. "
        f"The faster one of hook and gate with {small} nodes, as a multiple of our time, takes: "
        f"{faster} (aim for RNN and GRU: 2).\n"
    )


# ---------------------------------------------------------------- errors


def _errors(quick):
    tools = (engine, *PEERS, layer_fused, layer_loop)
    X, nodes = _panel(50 if quick else 200, 15), range(8)
    rows = {None: ["the effect itself"]} | {tool: [NAMES[tool]] for tool in tools}
    for kind in KINDS:
        network = _network(kind, len(nodes))
        exact = np.stack([_exact(network, X, node) for node in nodes])
        effect = np.abs(exact - _exact(network, X)).max(axis=(1, 2))
        rows[None].append(f"{effect.max():.3f} / {effect.mean():.3f}")
        for tool in tqdm(tools, desc=f"errors, {kind}"):
            error = np.abs(tool(network)(X, nodes).double().numpy() - exact).max(axis=(1, 2))
            relative = error.mean() / effect.mean()
            cell = f"{error.max():.1e} / {error.mean():.1e}"
            if relative > 1e-3:
                cell = f"{error.max():.3f} / {error.mean():.3f}, **{100 * relative:.0f} %**"
            rows[tool].append(cell)
    return (
        "The next table shows errors against a step loop in float64 that zeroes the node in the "
        f"recurrence, for {len(nodes)} nodes, {X.shape[2]} time steps, n={len(X)} and random "
        "weights. The values are the largest difference of a logit: its maximum over nodes / its "
        "mean over nodes. There is a percentage where the mean error is more than a thousandth of "
        "the mean effect.\n\n"
        f"{markdown(['tool', *KINDS], rows.values())}\n\n"
        "captum's LayerFeatureAblation replaces the output of a layer, as its documentation says. "
        "For the fused module this is the output sequence, and the node stays active inside. For "
        "the cell of a loop it is the output of the last time step, which is edited and used in "
        "place of the output of every time step. Both run without a warning, and their result is "
        "not that of the knockout.\n"
    )


# ---------------------------------------------------------------- sweeps and batches


def _sweeps(quick):
    """Return the comparison of many windows in one call and one by one."""
    n, n_timepoints, size = (64, 30, 16) if quick else (256, 100, 64)
    clamps = [Clamp([3], [0.0], start=t) for t in range(n_timepoints)]
    X, rows = _panel(n, n_timepoints), []

    def together(network):
        return network.knock_out(X, clamps)

    def single(network):
        return torch.cat([network.knock_out(X, [clamp]) for clamp in clamps])

    for kind in KINDS:
        network = _network(kind, size)
        difference = _largest(together(network), single(network))
        seconds = {together: [], single: []}
        for _ in tqdm(range(3), desc=f"sweep, {kind}"):
            for way, times in seconds.items():
                times.append(_cpu_seconds(way, network))
        rows.append([kind, f"{min(seconds[single]) / min(seconds[together]):.2f}", difference])
    header = ["", "one by one, together = 1", "largest difference of a logit"]
    return (
        f"The next table compares one call with one call for every window: one of {size} nodes is "
        f"zeroed from time step t on, for all {n_timepoints} values of t, with n={n}. The times "
        "are the minimum CPU times of three alternating repetitions. In one call, a knockout only "
        "costs the time steps after its start, half of them on average. The rest of the gain comes "
        "from a single projection of the input, and from more rows per time step.\n\n"
        f"{markdown(header, rows)}\n"
    )


def _pieces(quick):
    """Return the comparison of many instances in one call and in pieces."""
    n, n_timepoints, size = (64, 30, 16) if quick else (256, 100, 64)
    sizes, rows, X = (1, 7, 50), [], _panel(n, n_timepoints)
    for kind in tqdm(KINDS, desc="pieces"):
        knock_out = partial(engine(_network(kind, size)), nodes=range(size))
        whole = knock_out(X)
        pieces = [torch.cat([knock_out(x) for x in X.split(k)], dim=1) for k in sizes]
        rows.append([kind, *(_largest(whole, piece) for piece in pieces)])
    return (
        f"The last table compares all {size} single-node knockouts of n={n} in one call with those "
        "in pieces of some instances, by the largest difference of a logit.\n\n"
        f"{markdown(['pieces of', *sizes], rows)}\n"
    )


def _largest(a, b):
    return f"{(a - b).abs().max().item():.1e}"


@torch.no_grad()
def run(quick):
    """Return the benchmark as text."""
    parts = (_speed, _errors, _sweeps, _pieces)
    return "## Knockouts\n\n" + "\n".join(part(quick) for part in parts)
