"""rank_nodes: known nodes, a reference implementation of every attribution, unchanged networks."""

import sys
from copy import deepcopy
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from conftest import CELLS, cut_short, make_panel
from known_nets import hand_made_net
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torch import nn

from relayestimators import (
    GRUClassifier,
    LSTMClassifier,
    RecurrentClassifier,
    RelayAnalyzer,
    RNNClassifier,
)
from relayestimators.datasets import compose_networks
from relayestimators.inspection import RANKINGS, rank_nodes
from relayestimators.networks import RecurrentNetwork
from relayestimators.relay import METHODS

needs_captum = pytest.mark.skipif(find_spec("captum") is None, reason="captum is not installed")
BY_CAPTUM = [
    pytest.param(method, marks=needs_captum) for method in ("conductance", "integrated_gradients")
]
BY_GRADIENTS = ["gradient", *BY_CAPTUM]
ANY = [*METHODS, "interchange", "random", "readout", "variance", *BY_GRADIENTS]
SHAPES = {
    "one layer": {},
    "both directions": {"module__bidirectional": True},
    "second of two": {"module__num_layers": 2, "layer": 1},
    "first of two, both directions": {
        "module__num_layers": 2,
        "module__bidirectional": True,
        "layer": 0,
    },
}


one_cell = pytest.mark.parametrize("cell", ["gru"], indirect=True)


def small_net(cell="gru", n_classes=4, **options):
    """Return a network whose weights make it far from linear, and series of unequal lengths."""
    X, y = make_panel(n_instances=9, n_timepoints=5)[0], np.array(list("abcd"))
    y = y[np.arange(9) % n_classes]
    net = CELLS[cell](max_epochs=1, random_state=0, **{"module__hidden_size": 3, **options})
    net.fit(X, y)
    with torch.no_grad():
        for weight in net.module_.parameters():
            weight *= 2
    return net, cut_short(X, [5, 4, 3] * 3), y


# ---------------------------------------------------------------- reference implementations


def log_odds(module, X, own, edit, layer):
    """Return the log-odds of the classes `own` in bits, with states changed by `edit`."""
    proba = module.forward_with(X, edit, layer=layer).softmax(dim=1)
    return torch.log2((proba * own).sum(dim=1) / (proba * ~own).sum(dim=1))


def states(module, X, layer):
    return module.unroll(X, layer=layer).hidden.nan_to_num()


def by_differences(module, X, baseline, own, layer):
    """Return activation times gradient, from differences of the output."""

    def odds(step, node, factor):
        def scale(h, timepoint, *, nodes):
            chosen = torch.arange(nodes.start, nodes.stop) == node
            return torch.where(chosen, h * factor, h) if timepoint == step else h

        return log_odds(module, X, own, scale, layer)

    values = torch.zeros_like(states(module, X, layer))
    for step, node in np.ndindex(values.shape[1:]):
        ends = odds(step, node, 1 + 1e-5), odds(step, node, 1 - 1e-5)
        values[:, step, node] = (ends[0] - ends[1]) / 2e-5
    return values


def path_of(start, stop, n_points):
    """Return points between two tensors, n_points consecutive rows for each instance."""
    fraction = torch.linspace(0, 1, n_points, dtype=torch.float64)
    fraction = fraction.view(1, -1, *[1] * (start.ndim - 1))
    return (start[:, None] + fraction * (stop - start)[:, None]).flatten(0, 1)


def by_walking(module, X, baseline, own, layer, states_move, n_points=400):
    """Return the integral of gradients over activations along a path, by the trapezoidal rule.

    Either the input moves along the path, or the activations of a single time step.
    """
    n_instances, n_timepoints = len(X), X.shape[2]
    ends = states(module, baseline, layer), states(module, X, layer)
    values = torch.zeros_like(ends[0])
    own = own.repeat_interleave(n_points, dim=0)
    rows = X.repeat_interleave(n_points, dim=0) if states_move else path_of(baseline, X, n_points)
    walked = path_of(*ends, n_points) if states_move else states(module, rows, layer)
    for t in range(n_timepoints):
        start = walked[:, t] if states_move else torch.zeros_like(walked[:, t])
        start = start.clone().requires_grad_()

        def edit(h, timepoint, *, nodes, t=t, start=start):
            if timepoint != t:
                return h
            return start[:, nodes] if states_move else h + start[:, nodes]

        odds = log_odds(module, rows, own, edit, layer).sum()
        gradients = torch.autograd.grad(odds, start)[0].view(n_instances, n_points, -1)
        moved = walked[:, t].view(n_instances, n_points, -1).diff(dim=1)
        values[:, t] = (moved * (gradients[:, 1:] + gradients[:, :-1]) / 2).sum(dim=1)
    return values


REFERENCES = {
    "gradient": by_differences,
    "conductance": lambda *problem: by_walking(*problem, states_move=False),
    "integrated_gradients": lambda *problem: by_walking(*problem, states_move=True),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_attributions_equal_their_reference_implementations(method, cell, shape):
    options = dict(SHAPES[shape])
    layer = options.pop("layer", -1)
    net, X, y = small_net(cell, **options)
    table = np.array([[0], [1], [1], [2]])
    n_steps, error = (
        (400, 0.01) if method == "conductance" else (40, 1e-4)
    )  # its rule is of first order
    scores = rank_nodes(net, X, y, method=method, layer=layer, n_steps=n_steps, concepts=table)
    panel = torch.from_numpy(X).double()
    baseline = torch.where(panel.isnan(), panel, torch.from_numpy(np.nanmean(X, axis=0)).double())
    own = torch.from_numpy(table[net.unroll(X).logits.argmax(axis=1)] == table[:, 0])
    module = deepcopy(net.module_).double().requires_grad_(False)
    values = REFERENCES[method](module, panel, baseline, own, layer).abs().numpy()
    values[np.isnan(X).any(axis=1)] = np.nan
    expected = np.nanmean(values, axis=0)
    assert scores.shape == (1, *expected.shape)
    np.testing.assert_allclose(scores[0], expected, rtol=error, atol=error * expected.max())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("method", BY_CAPTUM)
def test_a_single_node_accounts_for_the_whole_change_of_log_odds(method, cell):
    net, X, y = small_net(cell, module__hidden_size=1)
    scores = rank_nodes(net, X, y, method=method, timepoints=-1, align="end", n_steps=400)
    baseline = np.where(np.isnan(X), X, np.nanmean(X, axis=0))
    predicted = net.predict(X)[:, None] == net.classes_
    for concept in range(4):
        own = predicted[:, [concept]] == (np.arange(4) == concept)
        proba = [net.unroll(panel).proba.astype(float) for panel in (X, baseline)]
        odds = [np.log2((p * own).sum(axis=1) / (p * ~own).sum(axis=1)) for p in proba]
        expected = np.abs(odds[0] - odds[1]).mean()
        assert scores[concept, 0, 0] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_attributions_to_last_states_are_linear_with_two_classes(method, cell):
    net, X, y = small_net(cell, n_classes=2)
    scores = rank_nodes(net, X, y, method=method, timepoints=-1, align="end", n_steps=1)
    baseline = np.where(np.isnan(X), X, np.nanmean(X, axis=0))
    final, start = net.unroll(X).final, net.unroll(baseline).final
    moved = final if method == "gradient" else final - start
    weight = np.diff(net.module_.readout.weight.detach().numpy(), axis=0) / np.log(2)
    expected = np.abs(moved * weight).mean(axis=0)
    np.testing.assert_allclose(scores, [[expected]] * 2, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- known nodes


@pytest.mark.parametrize("method", [*METHODS, *BY_GRADIENTS])
def test_a_bit_that_walks_from_node_to_node_is_followed(method):
    net, X, y = hand_made_net()
    scores = rank_nodes(net, X, y, method=method, random_state=0)
    assert scores.shape == (2, 4, 8)
    for t in range(4):
        assert (scores[:, t].argmax(axis=1) == t).all()
        assert (np.delete(scores[:, t], t, axis=1) < 0.1 * scores[:, t, [t]]).all()


def test_the_readout_reads_one_node():
    net, X, y = hand_made_net()
    scores = rank_nodes(net, X, y, method="readout")
    np.testing.assert_allclose(scores, np.broadcast_to(10.0 * (np.arange(8) == 3), (2, 4, 8)))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("method", ["readout", *BY_GRADIENTS])
def test_a_concept_is_found_in_its_own_block(method, cell):
    """Log-odds of one bit depend on the block of this bit only, whatever the weights."""
    torch.manual_seed(0)
    blocks = [RecurrentNetwork(2, n_classes=2, hidden_size=size, cell=cell) for size in (3, 4)]
    X, bits = make_panel(80)[0], np.arange(80) % 4
    net = CELLS[cell](max_epochs=1, module__hidden_size=7, random_state=0).fit(X, bits)
    net.module_.load_state_dict(compose_networks(blocks).state_dict())
    table = [[0, 0], [0, 1], [1, 0], [1, 1]]
    scores = rank_nodes(net, X, bits, method=method, concepts=table, timepoints=[-2, -1])
    assert (scores[0, :, :3] > 1e-4).all()
    assert (scores[1, :, 3:] > 1e-4).all()
    assert (scores[0, :, 3:] < 1e-6).all()
    assert (scores[1, :, :3] < 1e-6).all()


# ---------------------------------------------------------------- by hand


@one_cell
@pytest.mark.parametrize("method", METHODS)
def test_relay_methods_are_those_of_the_analyzer(method, fitted):
    X, y = make_panel(n_instances=240)
    options = {"timepoints": [2, -1], "concepts": "class", "random_state": 3}
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), method=method, **options).fit(X, y)
    for estimator in (fitted, FrozenEstimator(fitted)):
        scores = rank_nodes(estimator, X, y, method=method, **options)
        np.testing.assert_array_equal(scores, analyzer.relay_map_)


@one_cell
def test_variance(fitted):
    X, y = make_panel()
    X = cut_short(X, 4 + np.arange(60) % 7)
    expected = np.nanvar(fitted.hidden_states(X).astype(float), axis=0)
    scores = rank_nodes(fitted, X, y, method="variance")
    np.testing.assert_allclose(scores, [expected] * 3)
    last = fitted.unroll(X).final.astype(float).var(axis=0)
    aligned = rank_nodes(fitted, X, y, method="variance", align="end", timepoints=[-1])
    np.testing.assert_allclose(aligned, [[last]] * 3)


@one_cell
def test_readout_compares_concept_values(fitted):
    weight = fitted.module_.readout.weight.detach().numpy().astype(float)
    scores = rank_nodes(fitted, *make_panel(), method="readout", concepts=[[0, 0], [0, 1], [1, 2]])
    np.testing.assert_allclose(scores[0], [np.abs(weight[:2].mean(axis=0) - weight[2])] * 10)
    np.testing.assert_allclose(scores[1], [weight.max(axis=0) - weight.min(axis=0)] * 10)


@one_cell
def test_random_is_drawn_for_every_concept_and_time_step(fitted):
    X, y = make_panel()
    scores = rank_nodes(fitted, X, y, method="random", random_state=0)
    assert len(np.unique(scores)) == scores.size == 3 * 10 * 6
    some = rank_nodes(fitted, X, y, method="random", random_state=0, timepoints=[7, 2])
    np.testing.assert_array_equal(some, scores[:, [7, 2]])
    assert not np.array_equal(scores, rank_nodes(fitted, X, y, method="random", random_state=1))


def test_series_are_aligned_at_their_ends():
    net, X, y = small_net()  # lengths 5, 4, 3, 5, ...
    scores = rank_nodes(net, X, y, method="gradient", align="end", timepoints=[-1, -4])
    by_length = [rank_nodes(net, X[i::3], y[i::3], method="gradient") for i in range(3)]
    last = [by_length[i][:, 4 - i] for i in range(3)]
    before = [by_length[i][:, 1 - i] for i in range(2)]
    np.testing.assert_allclose(scores[:, 0], np.mean(last, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scores[:, 1], np.mean(before, axis=0), rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- conventions


@one_cell
@pytest.mark.parametrize("method", ANY)
def test_scores_are_nan_at_time_steps_without_instances(method, fitted):
    X, y = make_panel(n_instances=240)
    X = cut_short(X, [9] * 240)
    options = {"method": method, "n_steps": 3, "random_state": 0}
    scores = rank_nodes(fitted, X, y, timepoints=[0, -2, -1], **options)
    assert scores.shape == (3, 3, 6)
    assert scores.dtype == np.float64
    assert np.isfinite(scores[:, :2]).all()
    assert np.isnan(scores[:, 2]).all()
    again = rank_nodes(fitted, X, y, timepoints=[0, -2, -1], **options)
    np.testing.assert_array_equal(scores, again)


@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_batches_do_not_change_scores(method, monkeypatch):
    net, X, y = small_net()
    expected = rank_nodes(net, X, y, method=method, n_steps=3)
    monkeypatch.setattr("relayestimators.inspection._ranking._MAX_NUMBERS", 16 * 3 * 5 * 4 * 2)
    scores = rank_nodes(net, X, y, method=method, n_steps=3)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ANY)
def test_flat_panels(method):
    X, y = make_panel(n_channels=1)
    net = GRUClassifier(max_epochs=1, module__hidden_size=2, random_state=0).fit(X[:, 0], y)
    scores = rank_nodes(net, X[:, 0], y, method=method, n_steps=2)
    assert scores.shape == (3, 10, 2)


@pytest.mark.parametrize("method", ANY)
def test_the_network_is_not_changed(method):
    net, X, y = small_net()
    net.module_.train()
    weight = net.module_.readout.weight
    weight.grad = torch.ones_like(weight)
    for parameter in net.module_.recurrent.parameters():
        parameter.grad = None
    before, generator = deepcopy(net.module_.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        rank_nodes(net, np.tile(X, (20, 1, 1)), np.tile(y, 20), method=method, n_steps=2)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(now, before[name]) for name, now in net.module_.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.module_.parameters())
    assert all(parameter.grad is None for parameter in net.module_.recurrent.parameters())
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert net.module_.readout.weight is weight
    assert not net.module_._forward_hooks


def test_progress_bar(capsys):
    net, X, y = small_net()
    rank_nodes(net, X, y, method="gradient")
    assert capsys.readouterr().err == ""
    rank_nodes(net, X, y, method="gradient", verbose=1)
    assert "gradient: 100%" in capsys.readouterr().err


# ---------------------------------------------------------------- errors


class Unedited(nn.Module):
    """A module with `unroll`, but without `forward_with` and a readout."""

    def __init__(self, input_size, n_classes):
        super().__init__()
        self.network = RecurrentNetwork(input_size, n_classes, hidden_size=4)

    def forward(self, X):
        return self.network(X)

    def unroll(self, X, *, clamp=None, layer=-1, state="h"):
        return self.network.unroll(X, clamp=clamp, layer=layer, state=state)


def test_modules_without_forward_with():
    X, y = make_panel()
    options = {"criterion": nn.CrossEntropyLoss, "max_epochs": 1, "verbose": 0, "random_state": 0}
    net = RecurrentClassifier(Unedited, **options).fit(X, y)
    for method in ("gradient", "conductance", "integrated_gradients"):
        with pytest.raises(
            TypeError, match=r"needs a module_ with forward_with.*Unedited has none"
        ):
            rank_nodes(net, X, y, method=method)
    with pytest.raises(TypeError, match="linear layer `readout`.*Unedited has none"):
        rank_nodes(net, X, y, method="readout")
    for method in ("throughput", "random", "variance"):
        assert rank_nodes(net, X, y, method=method).shape == (3, 10, 4)


def test_probabilities_are_not_logits():
    X, y = make_panel()
    net = RecurrentClassifier(RecurrentNetwork, max_epochs=1, verbose=0, random_state=0)
    with pytest.raises(ValueError, match="needs logits, but RecurrentNetwork"):
        rank_nodes(net.fit(X, y), X, y, method="gradient")


def test_without_captum(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    net, X, y = small_net()
    for method in ("conductance", "integrated_gradients"):
        with pytest.raises(ImportError, match=r"pip install 'relayestimators\[captum\]'"):
            rank_nodes(net, X, y, method=method)
    assert rank_nodes(net, X, y, method="gradient").shape == (4, 5, 3)


def test_only_fitted_recurrent_classifiers():
    X, y = make_panel()
    with pytest.raises(NotFittedError):
        rank_nodes(RNNClassifier(), X, y)
    with pytest.raises(TypeError, match="LogisticRegression.* has no hidden states"):
        rank_nodes(LogisticRegression(), X, y)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "best"}, ValueError, "method='best'; expected one of 'throughput'.*'random'"),
        ({"align": "middle"}, ValueError, "align='middle'; expected one of 'start', 'end'"),
        ({"n_steps": 0}, ValueError, "n_steps=0; expected an integer >= 1"),
        ({"concepts": "bits"}, ValueError, "concepts='bits'"),
        ({"timepoints": 5}, ValueError, r"timepoints contains \[5\]"),
        ({"layer": 2}, ValueError, r"layer=2; "),
        ({"layer": 0}, ValueError, "layer=0 with method='readout'"),
    ],
)
def test_arguments_that_are_not_allowed(options, error, match):
    net, X, y = small_net(module__num_layers=2)
    with pytest.raises(error, match=match):
        rank_nodes(net, X, y, **{"method": "readout", **options})


@pytest.mark.parametrize("method", ["variance", "throughput"])
def test_labels_that_do_not_fit(method):
    net, X, y = small_net()
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[9, 4\]"):
        rank_nodes(net, X, y[:4], method=method)
    with pytest.raises(ValueError, match=r"y contains \['odd'\]"):
        rank_nodes(net, X, ["odd", *y[1:]], method=method)


def test_memory_cells():
    X, y = make_panel()
    net = LSTMClassifier(module__hidden_size=4, max_epochs=1, random_state=0).fit(X, y)
    cells = net.unroll(X, state="c").hidden
    np.testing.assert_allclose(
        rank_nodes(net, X, y, method="variance", state="c")[0], cells.var(axis=0), rtol=1e-4
    )
    relays = RelayAnalyzer(FrozenEstimator(net), state="c", random_state=0).fit(X, y)
    scores = rank_nodes(net, X, y, state="c", random_state=0)
    np.testing.assert_array_equal(scores, relays.relay_map_)
    for method in ("gradient", "readout"):
        with pytest.raises(ValueError, match=f"state='c' with method='{method}'"):
            rank_nodes(net, X, y, method=method, state="c")


def test_names_of_methods():
    assert RANKINGS[: len(METHODS)] == tuple(METHODS)
    assert len(set(RANKINGS)) == len(RANKINGS) == len(ANY)
