"""Composed networks equal the sum of their blocks."""

from itertools import product

import numpy as np
import pytest
import torch

from relayestimators.datasets import compose_networks
from relayestimators.networks import RecurrentNetwork

KINDS = [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]


def blocks(cell="gru", nonlinearity="tanh", sizes=(8, 5, 12), classes=(2, 3, 2), channels=2):
    torch.manual_seed(0)
    return [
        RecurrentNetwork(channels, k, hidden_size=size, cell=cell, nonlinearity=nonlinearity)
        .double()
        .eval()
        for size, k in zip(sizes, classes)
    ]


def close(a, b):
    np.testing.assert_allclose(a.detach(), b.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "nonlinearity"), KINDS)
@pytest.mark.parametrize("table", [None, [[0, 2, 1], [1, 0, 0], [1, 1, 1]]])
def test_outputs_are_added_and_states_are_concatenated(cell, nonlinearity, table):
    parts = blocks(cell, nonlinearity)
    whole = compose_networks(parts, table)
    X = torch.randn(20, 2, 15, dtype=torch.float64)
    X[:5, :, 9:] = torch.nan
    rows = torch.tensor(list(product(range(2), range(3), range(2))) if table is None else table)
    expected = sum(block(X)[:, rows[:, i]] for i, block in enumerate(parts))
    close(whole(X), expected)
    close(whole.unroll(X).output, expected)
    close(whole.unroll(X).hidden, torch.cat([block.unroll(X).hidden for block in parts], dim=2))


def test_probabilities_multiply():
    parts = blocks()
    X = torch.randn(20, 2, 15, dtype=torch.float64)
    each = [block(X).softmax(dim=1) for block in parts]
    whole = compose_networks(parts)(X).softmax(dim=1)
    for k, values in enumerate(product(range(2), range(3), range(2))):
        product_of = each[0][:, values[0]] * each[1][:, values[1]] * each[2][:, values[2]]
        close(whole[:, k], product_of)


def test_blocks_with_their_own_channels():
    torch.manual_seed(1)
    parts = [RecurrentNetwork(n, 2, hidden_size=4).double().eval() for n in (2, 1)]
    whole = compose_networks(parts, channels=[[3, 0], [1]])
    X = torch.randn(10, 4, 9, dtype=torch.float64)
    rows = torch.tensor(list(product(range(2), range(2))))
    expected = parts[0](X[:, [3, 0]])[:, rows[:, 0]] + parts[1](X[:, [1]])[:, rows[:, 1]]
    close(whole(X), expected)


def test_networks_and_random_state_do_not_change():
    parts = blocks()
    before = [{k: v.clone() for k, v in block.state_dict().items()} for block in parts]
    generator = torch.get_rng_state()
    compose_networks(parts)
    assert torch.equal(generator, torch.get_rng_state())
    for block, state in zip(parts, before):
        assert all(torch.equal(v, state[k]) for k, v in block.state_dict().items())


@pytest.mark.parametrize(
    ("networks", "options", "match"),
    [
        ([], {}, "networks is empty"),
        ([torch.nn.Linear(2, 2)], {}, r"networks\[0\] is a Linear; expected"),
        (blocks("gru") + blocks("lstm"), {}, r"networks\[3\] has cell=lstm; expected gru"),
        (blocks("rnn") + blocks("rnn", "relu"), {}, "nonlinearity=relu"),
        (blocks() + blocks(channels=1), {}, r"\[2, 2, 2, 1, 1, 1\] channels"),
        ([RecurrentNetwork(1, 2, num_layers=2)], {}, "num_layers=2"),
        ([RecurrentNetwork(1, 2, bidirectional=True)], {}, "bidirectional=True"),
        (blocks(), {"concepts": [[0, 0]]}, r"expected \(n_classes, 3\)"),
        (blocks(), {"concepts": [[0, 3, 0]]}, r"concepts\[:, 1\] has values .* from 0 to 2"),
        (blocks(), {"concepts": [[0.0, 0, 0]]}, "concepts has dtype torch.float32"),
        (blocks(), {"channels": [[0], [1], [0]]}, r"channels has \[1, 1, 1\] .* \[2, 2, 2\]"),
        (blocks(), {"channels": [[0, 1], [1, 1], [0, 1]]}, r"channels\[1\]=\[1, 1\]; expected"),
    ],
)
def test_blocks_that_do_not_fit(networks, options, match):
    with pytest.raises(ValueError, match=match):
        compose_networks(networks, **options)
