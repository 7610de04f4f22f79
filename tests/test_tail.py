"""Runs that go on from given states, on torch's fused modules: values and gradients."""

from itertools import product

import numpy as np
import pytest
import torch

from relayestimators.networks import Clamp, RecurrentNetwork
from relayestimators.networks._tail import Tail

KINDS = {
    "tanh": {"cell": "rnn"},
    "relu": {"cell": "rnn", "nonlinearity": "relu"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}


def network(kind, n_layers, bidirectional):
    torch.manual_seed(0)
    options = {"hidden_size": 4, "num_layers": n_layers, "bidirectional": bidirectional}
    net = RecurrentNetwork(2, 3, **options, **KINDS[kind]).eval().requires_grad_(False)
    X = torch.randn(10, 2, 7)
    X[3, :, 4:] = X[6, :, 2:] = torch.nan
    return net, X


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tail_is_the_run_with_all_states_clamped(kind, n_layers, bidirectional):
    net, X = network(kind, n_layers, bidirectional)
    states = ("h", "c") if kind == "lstm" else ("h",)
    for layer, state, t in product(range(n_layers), states, (0, 3, 6)):
        hidden = net.unroll(X, layer=layer, state=state).hidden
        present = torch.nonzero(~hidden[:, t, 0].isnan()).ravel()
        rows, sources = present.repeat(2), present.repeat(2).flip(0)
        found = Tail(net, X, layer, state).logits(rows, t, hidden[sources, t])
        values = hidden[sources, t][:, None].numpy()
        clamp = Clamp(np.arange(values.shape[2]), values, t, t + 1, layer, state)
        torch.testing.assert_close(
            found, net.unroll(X[rows], clamp=clamp).output, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["tanh", "gru", "lstm"])
def test_gradients_are_differences(kind, bidirectional):
    net, X = network(kind, 2, bidirectional)
    net, X = net.double(), X.double()
    for state in ("h", "c") if kind == "lstm" else ("h",):
        tail, rows = Tail(net, X, 0, state), torch.tensor([0, 3])
        states = net.unroll(X, layer=0, state=state).hidden[[1, 2], 2].requires_grad_(True)
        assert torch.autograd.gradcheck(lambda z: tail.logits(rows, 2, z), states)  # noqa: B023


def test_weights_need_no_gradients_and_stay_as_they_are():
    net, X = network("gru", 2, False)
    net.requires_grad_(True)
    before = [weight.clone() for weight in net.parameters()]
    states = net.unroll(X, layer=0).hidden[:2, 1].requires_grad_(True)
    Tail(net, X, 0).logits(torch.tensor([4, 5]), 1, states).sum().backward()
    recurrent = list(net.recurrent.parameters())
    assert all(weight.grad is None for weight in recurrent)
    for weight, expected in zip(net.parameters(), before, strict=True):
        assert torch.equal(weight, expected)
