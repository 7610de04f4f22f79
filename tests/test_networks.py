"""The step engine, exact against two independent references.

The first is a loop over torch's own cells (nn.RNNCell, nn.GRUCell, nn.LSTMCell) with the clamp
written out. The second is surgery on the weights of the fused module, so that the node itself
emits the value. The engine shares no code with either.
"""

import copy
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from relayestimators.networks import Clamp, RecurrentNetwork, _compiled_steps
from relayestimators.networks._clamps import ClampBatch
from relayestimators.networks._compiled_steps import PASSES
from relayestimators.networks._layout import time_major

TOLERANCE = 3e-6
N, C, T, H = 7, 3, 11, 5

KINDS = {
    "rnn-tanh": {"cell": "rnn", "nonlinearity": "tanh"},
    "rnn-relu": {"cell": "rnn", "nonlinearity": "relu"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
SHAPES = {  # one layer in two directions behaves as the last layer of "2-bi"
    "1-uni": {},
    "2-uni": {"num_layers": 2},
    "2-bi": {"num_layers": 2, "bidirectional": True},
}


def make_network(kind, shape):
    torch.manual_seed(0)
    return RecurrentNetwork(C, 4, H, **KINDS[kind], **SHAPES[shape]).eval()


@pytest.fixture(params=product(KINDS, SHAPES), ids="-".join)
def network(request):
    return make_network(*request.param)


@pytest.fixture(params=KINDS)
def deep(request):
    """One network of each kind, for what does not depend on layers and directions."""
    return make_network(request.param, "2-bi")


@pytest.fixture(params=["equal", "unequal"])
def X(request):
    torch.manual_seed(1)
    X = torch.randn(N, C, T)
    if request.param == "unequal":
        for i, length in enumerate([11, 3, 7, 1, 11, 5, 9]):
            X[i, :, length:] = torch.nan
    return X


def torch_cell(network, layer, direction):
    size = C if layer == 0 else H * network.n_directions
    kinds = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
    options = {"nonlinearity": network.nonlinearity} if network.cell == "rnn" else {}
    cell = kinds[network.cell](size, H, **options)
    suffix = f"_l{layer}" + ("_reverse" if direction else "")
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data = getattr(network.recurrent, name + suffix).data
    return cell


@torch.no_grad()
def reference(network, x, clamp=None, layer=-1):
    """Logits and the trajectory of a layer, for one series without padding."""
    layer %= network.num_layers
    inputs = x[:, ~torch.isnan(x).all(dim=0)].T
    for depth in range(network.num_layers):
        outputs, finals = [], []
        for direction in range(network.n_directions):
            cell = torch_cell(network, depth, direction)
            h = c = torch.zeros(1, H)
            path = torch.zeros(len(inputs), H)
            for t in range(len(inputs))[:: -1 if direction else 1]:
                step = inputs[t : t + 1]
                if network.cell == "lstm":
                    h, c = cell(step, (h, c))
                else:
                    h = cell(step, h)
                if clamp and depth == clamp["layer"] and clamp["start"] <= t < clamp["stop"]:
                    h = h.clone()
                    for node, value in zip(clamp["nodes"], clamp["values"][t]):
                        if node // H == direction:
                            h[0, node % H] = float(value)
                path[t] = h[0]
            outputs.append(path)
            finals.append(h)
        inputs = torch.cat(outputs, dim=1)
        if depth == layer:
            trajectory = inputs
    return network.readout(torch.cat(finals, dim=1))[0], trajectory


def references(network, X, clamp=None, layer=-1):
    logits, paths = zip(*(reference(network, x, clamp, layer) for x in X))
    hidden = torch.full((len(X), X.shape[2], paths[0].shape[1]), torch.nan)
    for i, path in enumerate(paths):
        hidden[i, : len(path)] = path
    return torch.stack(logits), hidden


def close(a, b, tolerance=TOLERANCE):
    np.testing.assert_allclose(a.detach(), b.detach(), rtol=0, atol=tolerance)


def test_unclamped_run_is_forward_and_reference(network, X):
    for layer in range(network.num_layers):
        run = network.unroll(X, layer=layer)
        logits, hidden = references(network, X, layer=layer)
        close(run.output, network(X))
        close(run.output, logits)
        close(run.hidden, hidden)


def test_final_states_are_what_the_readout_reads(deep, X):
    run = deep.unroll(X)
    close(deep.readout(run.final), run.output)


def test_clamp_is_the_reference(network, X):
    values = torch.linspace(-0.9, 1.4, T * 3).reshape(T, 3)
    nodes = [0, 3, H * network.n_directions - 1]
    windows = [(0, T), (2, 6), (T - 1, T)]
    for layer, (start, stop) in product(range(network.num_layers), windows):
        clamp = {"nodes": nodes, "values": values, "start": start, "stop": stop, "layer": layer}
        run = network.unroll(X, clamp=Clamp(nodes, values, start, stop, layer), layer=layer)
        logits, hidden = references(network, X, clamp, layer)
        close(run.output, logits)
        close(run.hidden, hidden)


def surgery(network, node, value, layer):
    """Change weights so that a node emits a constant from the first time step on."""
    network = copy.deepcopy(network)
    direction, j = divmod(node, H)
    suffix = f"_l{layer}" + ("_reverse" if direction else "")
    rows = {"rnn": 0, "gru": 2, "lstm": 2}[network.cell] * H + j
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(network.recurrent, name + suffix).data[rows] = 0.0
    if network.cell == "rnn" and value:
        emit = np.arctanh(value) if network.nonlinearity == "tanh" else value
        getattr(network.recurrent, "bias_ih" + suffix).data[rows] = float(emit)
    return network


def test_clamp_is_surgery(network):
    torch.manual_seed(2)
    X = torch.randn(N, C, T)
    values = (0.0, 0.37) if network.cell == "rnn" else (0.0,)
    effects = []
    for value in values:
        for layer in range(network.num_layers):
            for node in (1, H * network.n_directions - 1):
                clamped = network.unroll(X, clamp=Clamp([node], [value], layer=layer)).output
                close(clamped, surgery(network, node, value, layer)(X))
                effects.append((clamped - network(X)).abs().max().item())
    assert max(effects) > 1e-2  # otherwise agreement would mean little


def test_clamped_nodes_have_their_value_in_the_trajectory(deep, X):
    run = deep.unroll(X, clamp=Clamp([1, 2], [0.25, -0.5], start=3, stop=8))
    inside = run.hidden[:, 3:8, [1, 2]]
    there = ~torch.isnan(inside)
    expected = torch.tensor([0.25, -0.5]).expand_as(inside)
    assert torch.equal(inside[there], expected[there])


def test_editing_the_output_is_not_a_knockout(deep):
    """Editing the output sequence of a layer gives something else, by a wide margin."""
    torch.manual_seed(3)
    X = torch.randn(N, C, T)
    final = deep.unroll(X).final
    final[:, 0] = 0.0
    edited = deep.readout(final)
    clamped = deep.unroll(X, clamp=Clamp([0], [0.0])).output
    assert (edited - clamped).abs().max() > 1e-3


def runs_with_and_without_trajectories(network, X):
    last = H * network.n_directions - 1
    clamps = [None, Clamp([1], [0.3], start=2), Clamp([last], [0.3], layer=0)]
    for clamp, layer in product(clamps, range(network.num_layers)):
        options = {"clamp": clamp, "layer": layer}
        yield network.unroll(X, **options), network.unroll(X, **options, trajectories=False)


def test_results_without_trajectories_are_the_same_bits(network, X):
    for run, short in runs_with_and_without_trajectories(network, X):
        assert short.hidden is None
        assert torch.equal(run.output, short.output)
        assert torch.equal(run.final, short.final)


class Shapes(TorchDispatchMode):
    """Collect the shapes of all tensors that torch makes."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.seen.add(tuple(made.shape))
        return made


@pytest.mark.parametrize("clamp", [None, Clamp([1], [0.3], start=2)])
def test_without_trajectories_none_are_kept(clamp):
    """No tensor of their shape is made at all; the projected input of a GRU is wider."""
    network, X = make_network("gru", "1-uni"), torch.randn(N, C, T)
    with Shapes() as kept:
        network.unroll(X, clamp=clamp)
    with Shapes() as not_kept:
        network.unroll(X, clamp=clamp, trajectories=False)
    assert (T, N, H) in kept.seen
    assert (T, N, H) not in not_kept.seen
    assert (T, N, 3 * H) in not_kept.seen


def test_memory_cell_clamp(X):
    """c is clamped before the output gate reads it: h = o * tanh(value) in the same time step."""
    torch.manual_seed(0)
    network = RecurrentNetwork(C, 4, H, cell="lstm").eval()
    run = network.unroll(X, clamp=Clamp([2], [1.5], start=1, stop=9, state="c"), state="c")
    inside = run.hidden[:, 1:9, 2]
    assert (inside[~torch.isnan(inside)] == 1.5).all()
    cell, x = torch_cell(network, 0, 0), X[0]
    h = c = torch.zeros(1, H)
    for t in range(T):
        gates = (
            x[None, :, t] @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
        )
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        if 1 <= t < 9:
            c = c.index_fill(1, torch.tensor([2]), 1.5)
        h = o.sigmoid() * c.tanh()
    close(run.output[0], network.readout(h)[0])


def mixed_clamps(network):
    """Clamps of several sets, windows and values, in all layers, directions and states."""
    n_nodes, generator = H * network.n_directions, torch.Generator().manual_seed(3)
    states = ("h", "c") if network.cell == "lstm" else ("h",)
    clamps = [Clamp([], []), Clamp([0], [0.0])]
    for layer, state in product(range(network.num_layers), states):
        for nodes, (start, stop) in product(
            ([0], [1, 3], [n_nodes - 1], [2, n_nodes - 2]),
            ((0, None), (3, None), (2, 7), (T - 1, T)),
        ):
            for shape in ((), (T,), (N, T)):
                values = torch.rand(*shape, len(nodes), generator=generator) * 2 - 1
                clamps.append(Clamp(nodes, values, start, stop, layer, state))
    return clamps


def test_many_knockouts_are_each_of_them(network, X):
    clamps = mixed_clamps(network)
    together = network.knock_out(X, clamps)
    assert together.shape == (len(clamps), N, 4)
    for output, clamp in zip(together, clamps):
        close(output, network.unroll(X, clamp=clamp).output)
    assert (together[0] - together[1:]).abs().amax(dim=(1, 2)).max() > 0.1


def test_many_knockouts_are_the_reference(network, X):
    """With separate values for every instance."""
    torch.manual_seed(4)
    values = torch.rand(N, T, 2) * 2 - 1
    for layer, (start, stop) in product(range(network.num_layers), ((0, T), (4, 9))):
        clamps, expected = [], []
        for nodes in ([0, 4], [1, H * network.n_directions - 1]):
            clamps.append(Clamp(nodes, values, start, stop, layer))
            clamp = {"nodes": nodes, "start": start, "stop": stop, "layer": layer}
            expected.append(
                torch.stack(
                    [reference(network, x, clamp | {"values": v})[0] for x, v in zip(X, values)]
                )
            )
        close(network.knock_out(X, clamps), torch.stack(expected))


def test_plain_torch_is_the_compiled_engine(network, X):
    """float64 uses the reference implementation in torch, float32 the compiled kernels."""
    clamps = [clamp for clamp in mixed_clamps(network) if np.ndim(clamp.values) < 3]
    exact = copy.deepcopy(network).double()
    close(network.knock_out(X, clamps).double(), exact.knock_out(X.double(), clamps))
    run, slow = network.unroll(X, clamp=clamps[5]), exact.unroll(X.double(), clamp=clamps[5])
    close(run.hidden.double(), slow.hidden)
    assert slow.hidden.dtype == torch.float64


def test_sweep_over_windows_is_the_runs_one_by_one(network, X):
    """Copies that leave the intact run one after the other."""
    last = H * network.n_directions - 1
    for layer in range(network.num_layers):
        sweep = [Clamp([1], [0.4], start=t, layer=layer) for t in range(T)]
        sweep += [Clamp([last], [0.4], stop=t + 1, layer=layer) for t in range(T)]
        together = network.knock_out(X, sweep)
        for output, clamp in zip(together, sweep):
            close(output, network.knock_out(X, [clamp])[0])


def test_knockouts_do_not_depend_on_batches(deep, X):
    clamps = mixed_clamps(deep)
    whole = deep.knock_out(X, clamps)
    for size in (1, 3):
        parts = [
            deep.knock_out(X[i : i + size], [c.of_instances(slice(i, i + size)) for c in clamps])
            for i in range(0, N, size)
        ]
        close(whole, torch.cat(parts, dim=1))


def test_blocks_of_instances_and_copies(deep):
    """More instances than a block, and more knockouts than copies fit into one."""
    X, generator = torch.randn(600, C, 5), torch.Generator().manual_seed(5)
    clamps = [Clamp([j % H], [0.1 * j]) for j in range(40)]
    clamps.append(Clamp([0], torch.rand(600, 5, 1, generator=generator)))
    together = deep.knock_out(X, clamps)
    close(together[17], deep.unroll(X, clamp=clamps[17]).output)
    close(together[39, 555:], deep.unroll(X[555:], clamp=clamps[39]).output)
    close(together[40], deep.unroll(X, clamp=clamps[40]).output)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_many_rows(cell):
    """64 nodes and blocks of 1024 rows, a usual size."""
    torch.manual_seed(0)
    network = RecurrentNetwork(C, 4, 64, cell=cell).eval()
    X, clamps = torch.randn(256, C, 6), [Clamp([j], [0.2]) for j in range(16)]
    exact = copy.deepcopy(network).double()
    close(network.knock_out(X, clamps).double(), exact.knock_out(X.double(), clamps))


def test_compiled_activations_are_right_to_4e_7():
    """As the docstring of the engine promises, wherever they are not flat."""
    x = np.linspace(-20, 20, 400_001, dtype=np.float32)[None]
    out = np.zeros_like(x)
    layer = (np.zeros_like(x)[None, None], x[0, :0], np.empty((0, 0), dtype=bool), x[0])
    PASSES["tanh"](0, x[None], out[None], out[None], layer, tuple(ClampBatch.empty(1)))
    assert np.abs(out - np.tanh(x.astype(float))).max() <= 4e-7


def test_coefficients_of_tanh():
    """In exact arithmetic their error is below that of rounding; halving the argument is exact."""
    p, q = (np.array(c, dtype=float) for c in (_compiled_steps._TANH_P, _compiled_steps._TANH_Q))
    x = np.linspace(0, float(_compiled_steps._TANH_LIMIT), 200_001)[1:]
    error = x * np.polyval(p[::-1], x**2) / np.polyval([1, *q[::-1]], x**2) - np.tanh(x)
    assert np.abs(error).max() < 2**-24  # half the resolution of float32 next to one
    p, q = (np.array(c, float) for c in (_compiled_steps._SIGMOID_P, _compiled_steps._SIGMOID_Q))
    less_half = 2 * x * np.polyval(p[::-1], 4 * x**2) / np.polyval([1, *q[::-1]], 4 * x**2)
    np.testing.assert_allclose(2 * less_half, error + np.tanh(x), rtol=1e-12)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_saturated_gates_do_not_overflow(kind):
    """Denominators are multiplied before one division; extreme memory cells fit as well."""
    network = RecurrentNetwork(C, 2, H, cell=kind)
    with torch.no_grad():
        for parameter in network.recurrent.parameters():
            parameter.mul_(1e4)
    X = torch.randn(N, C, T)
    state = "c" if kind == "lstm" else "h"
    clamps = [Clamp([1], [value], state=state) for value in (-1e6, 1e6)]
    out = network.knock_out(X, clamps)
    assert torch.isfinite(out).all()
    exact = torch.stack([network.double().unroll(X.double(), clamp=c).output for c in clamps])
    torch.testing.assert_close(out, exact.float(), rtol=1e-3, atol=1e-3)


def test_a_diverged_network_outputs_nan():
    """Every kernel passes NaN in the recurrent weights on to the output."""
    for options in KINDS.values():
        network = RecurrentNetwork(C, 4, H, **options).eval()
        network.recurrent.weight_hh_l0.data[:, 0] = torch.nan
        assert torch.isnan(network.unroll(torch.randn(N, C, T)).output).all()
    assert {options["cell"] for options in KINDS.values()} | {"tanh", "relu"} >= set(PASSES)


@pytest.mark.parametrize(
    ("clamp", "error", "match"),
    [
        (Clamp([H * 2], [0.0]), ValueError, r"Clamp\.nodes.*\[10\]"),
        (Clamp([-1], [0.0]), ValueError, r"Clamp\.nodes.*\[-1\]"),
        (Clamp([0, 0], [0.5, 0.1]), ValueError, r"Clamp\.nodes=\[0, 0\]"),
        (Clamp([True] * H, [0.5] * H), TypeError, r"Clamp\.nodes.*mask"),
        (Clamp([0], [0.0, 1.0]), ValueError, r"Clamp\.values.*\(2,\).*n_chosen=1"),
        (Clamp([0], torch.zeros(T, 2)), ValueError, r"Clamp\.values.*\(11, 2\)"),
        (Clamp([0], torch.zeros(3, T, 1)), ValueError, r"Clamp\.values.*\(3, 11, 1\).*=7"),
        (Clamp([0], torch.zeros(0, 1)), ValueError, r"Clamp\.values.*\(0, 1\)"),
        (Clamp([0], 0.5), ValueError, r"Clamp\.values.*\(\)"),
        (Clamp([0], [np.nan]), ValueError, r"Clamp\.values.*NaN"),
        (Clamp([0], [np.inf]), ValueError, r"Clamp\.values.*infinity"),
        (Clamp([0], [0.5], start=-3), ValueError, r"Clamp\.start=-3"),
        (Clamp([0], [0.5], start=1.0), TypeError, r"Clamp\.start=1\.0"),
        (Clamp([0], [0.5], 4, 4), ValueError, r"Clamp\.stop=4"),
        (Clamp([0], [0.5], layer=2), ValueError, "layer=2"),
        (Clamp([0], [0.5], state="c"), ValueError, "state='c'"),
        (([0], [0.5]), TypeError, r"clamp=\(\[0\], \[0\.5\]\)"),
    ],
)
def test_clamps_that_do_not_fit(clamp, error, match):
    network, X = make_network("gru", "2-bi"), torch.randn(N, C, T)
    for run in (lambda: network.knock_out(X, [clamp]), lambda: network.unroll(X, clamp=clamp)):
        with pytest.raises(error, match=match):
            run()


def test_clamp_that_begins_after_the_panel():
    network, X = make_network("gru", "1-uni"), torch.randn(N, C, T)
    with pytest.warns(UserWarning, match=r"Clamp\.start=11"):
        run = network.unroll(X, clamp=Clamp([0], [0.5], start=T))
    assert torch.equal(run.output, network.unroll(X).output)
    with pytest.warns(UserWarning, match=r"Clamp\.start=11"):
        never, late = network.knock_out(X, [Clamp([0], [0.5], start=t) for t in (T, T - 1)])
    close(never, run.output)
    close(late, network.unroll(X, clamp=Clamp([0], [0.5], start=T - 1)).output)


def gated(gate):
    return lambda h, timepoint, nodes: h * gate[timepoint, nodes]


def test_edits_are_clamps_and_gradients_pass(deep, X):
    for layer in range(deep.num_layers):
        gate = torch.ones(T, H * deep.n_directions, requires_grad=True)
        output = deep.forward_with(X, gated(gate), layer=layer)
        close(output, deep(X))
        output.sum().backward()
        step = torch.zeros_like(gate)
        step[2, 1] = 1e-3
        moved = [
            deep.forward_with(X, gated(edge), layer=layer).sum()
            for edge in (gate + step, gate - step)
        ]
        slope = (moved[0] - moved[1]).item() / 2e-3
        assert gate.grad[2, 1].item() == pytest.approx(slope, abs=2e-2 * max(1, abs(slope)))
        with torch.no_grad():
            gate[:, 0] = 0.0
            edited = deep.forward_with(X, gated(gate), layer=layer)
        close(edited, deep.unroll(X, clamp=Clamp([0], [0.0], layer=layer)).output)


def test_nothing_of_the_network_changes(deep, X):
    before = {name: tensor.clone() for name, tensor in deep.state_dict().items()}
    deep.train()
    generator, threads = torch.get_rng_state(), torch.get_num_threads()
    deep.unroll(X, clamp=Clamp([0], [0.3]))
    deep.knock_out(X, [Clamp([0], [0.3]), Clamp([1], [0.3], start=4)])

    def stumble(h, timepoint, nodes):
        if timepoint == 5:
            raise RuntimeError("stumbled")
        return h

    with pytest.raises(RuntimeError, match="stumbled"):
        deep.forward_with(X, stumble)
    assert deep.training
    assert torch.equal(generator, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    for name, tensor in deep.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.grad is None
    assert not deep._forward_hooks


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    X = torch.randn(N, C, T)
    network = RecurrentNetwork(C, 4, H, num_layers=2, dropout=0.5)
    assert not torch.equal(network(X), network(X))
    close(network.unroll(X).output, network.eval()(X))


def test_same_answer_for_every_batch_size(deep, X):
    whole = deep.unroll(X, clamp=Clamp([0], [0.3]))
    single = [deep.unroll(x[None], clamp=Clamp([0], [0.3])) for x in X]
    close(whole.output, torch.cat([run.output for run in single]))
    close(whole.hidden, torch.cat([run.hidden for run in single]))


def test_longer_panel_than_values():
    torch.manual_seed(0)
    X = torch.randn(N, C, T)
    network = RecurrentNetwork(C, 4, H).eval()
    values = torch.rand(4, 1)
    with pytest.warns(UserWarning, match="Clamp.values has 4 time steps.* 11"):
        run = network.unroll(X, clamp=Clamp([0], values))
    assert torch.equal(run.hidden[0, :, 0], torch.cat([values[:, 0], values[-1:, 0].expand(7)]))


def test_padding_is_told_apart_from_data():
    X = torch.zeros(2, C, T)
    X[1, :, 4:] = torch.nan
    steps, lengths = time_major(X)
    assert steps.shape == (T, 2, C)
    assert lengths.tolist() == [T, 4]
    assert not torch.isnan(steps).any()
    assert time_major(X[:1])[1] is None
    X = X.nan_to_num()
    X[0, 0, -1], X[1, 1, -1] = torch.inf, -torch.inf  # not padding, although their sum is NaN
    X[0, 2, -1] = torch.nan
    assert time_major(X)[1] is None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"cell": "GRU"}, "cell='GRU'; expected one of 'rnn', 'gru', 'lstm'"),
        ({"cell": "rnn", "nonlinearity": "sigmoid"}, "nonlinearity='sigmoid'.* 'tanh', 'relu'"),
        ({"cell": "gru", "nonlinearity": "relu"}, "nonlinearity='relu'.* 'tanh'.*'gru'"),
    ],
)
def test_bad_construction(options, match):
    with pytest.raises(ValueError, match=match):
        RecurrentNetwork(C, 4, **options)


def test_bad_layer_and_state():
    network, X = RecurrentNetwork(C, 4, num_layers=2), torch.zeros(N, C, T)
    with pytest.raises(ValueError, match="layer=2; .*-2 to 1"):
        network.unroll(X, layer=2)
    with pytest.raises(ValueError, match="layer=-3"):
        network.forward_with(X, lambda h, timepoint, nodes: h, layer=-3)
    with pytest.raises(ValueError, match="state='c'; .*'h'.*'gru'"):
        network.unroll(X, state="c")
    with pytest.raises(ValueError, match="layer=True"):
        network.unroll(X, layer=True)
    assert network.unroll(X, layer=np.int64(1)).hidden.shape == (N, T, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_gpu(deep, X):
    network = deep
    there, clamps = copy.deepcopy(network).cuda(), mixed_clamps(network)
    close(there.knock_out(X.cuda(), clamps).cpu(), network.knock_out(X, clamps), 1e-4)
    here, run = (net.unroll(x, clamp=clamps[5]) for net, x in ((network, X), (there, X.cuda())))
    close(run.output.cpu(), here.output, 1e-4)
    close(run.hidden.cpu(), here.hidden, 1e-4)
