"""A module of a user that follows the documented protocol is trained, analyzed and knocked out."""

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn

from relayestimators import KnockoutTransformer, RecurrentClassifier, RelayAnalyzer
from relayestimators.inspection import (
    compare_rankings,
    cross_validate_knockout,
    knockout_importance,
    knockout_sweep,
    rank_nodes,
    relay_strength_scorer,
)
from relayestimators.networks import Clamp, RecurrentNetwork


class StackedGRU(nn.Module):
    """Two layers of GRU cells and a nonlinear head."""

    def __init__(self, input_size, n_classes, hidden_size=6):
        super().__init__()
        sizes = [input_size, hidden_size]
        self.cells = nn.ModuleList([nn.GRUCell(size, hidden_size) for size in sizes])
        self.head = nn.Sequential(
            nn.Linear(hidden_size, 5), nn.ReLU(), nn.Linear(5, n_classes), nn.Softmax(dim=1)
        )

    def forward(self, X):
        return self.unroll(X)[0]

    def unroll(self, X, *, clamp=None, layer=-1, state="h"):
        states = [X.new_zeros(len(X), cell.hidden_size) for cell in self.cells]
        alive, path = ~torch.isnan(X).all(dim=1), []
        for t in range(X.shape[2]):
            inputs, running = torch.nan_to_num(X[:, :, t]), alive[:, t, None]
            for depth, cell in enumerate(self.cells):
                new = cell(inputs, states[depth])
                if clamp is not None and clamp.layer % len(self.cells) == depth:
                    new = clamp.hold(new, t)
                inputs = states[depth] = torch.where(running, new, states[depth])
            path.append(torch.where(running, states[layer], torch.nan))
        return self.head(states[-1]), torch.stack(path, dim=1), states[layer]


def own_net(**options):
    options = {"lr": 0.02, "max_epochs": 20, "batch_size": 16} | options
    return RecurrentClassifier(
        StackedGRU,
        optimizer=torch.optim.Adam,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        random_state=0,
        **options,
    )


@pytest.fixture(scope="module")
def trained():
    X, y = make_panel()
    return own_net().fit(X, y)


def same_network(net):
    """Return a RecurrentNetwork with the weights and the head of the user's module."""
    network = RecurrentNetwork(2, 3, hidden_size=6, num_layers=2)
    for depth, cell in enumerate(net.module_.cells):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(network.recurrent, f"{name}_l{depth}").data = getattr(cell, name).data
    network.readout = net.module_.head
    return network.eval()


def test_it_learns_and_unrolls(trained):
    X, y = make_panel()
    assert trained.score(X, y) > 0.9
    run = trained.unroll(X)
    np.testing.assert_allclose(run.proba, trained.predict_proba(X), atol=1e-6)
    assert trained.hidden_states(X, layer=0).shape == (60, 10, 6)


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_its_knockouts_are_those_of_our_engine_and_a_head_may_be_anything(trained, layer):
    X, _ = make_panel()
    X = cut_short(X, np.where(np.arange(60) % 2, 10, 6))
    rng = np.random.default_rng(0)
    clamps = [
        Clamp([1], [0.3], layer=layer),
        Clamp([0, 4], rng.normal(size=(10, 2)), 2, 7, layer),
        Clamp([2], rng.normal(size=(60, 10, 1)), 3, None, layer),
    ]
    ours = same_network(trained).knock_out(torch.from_numpy(X), clamps)
    np.testing.assert_allclose(trained.knock_out(X, clamps).logits, ours, atol=1e-5)


def test_all_that_is_done_with_our_nets_is_done_with_it(trained):
    X, y = make_panel()
    frozen = FrozenEstimator(trained)
    for layer in (0, 1):
        analyzer = RelayAnalyzer(frozen, layer=layer, n_relays=2, random_state=0).fit(X, y)
        assert analyzer.relay_map_.shape == (3, 10, 6)
        assert analyzer.transform(X).shape == (60, 2)
    ablated = KnockoutTransformer(frozen, nodes=range(6), start=2).fit(X, y)
    assert ablated.score(X, y) < trained.score(X, y) - 0.3
    importance = knockout_importance(trained, X, y, groups=[range(6)], start=2, random_state=0)
    loss = trained.score(X, y) - ablated.score(X, y)
    assert importance.importances_mean[0] == pytest.approx(loss)
    assert knockout_sweep(trained, X, y, timepoints=[3]).loss.shape == (3, 1, 6)
    compared = compare_rankings(trained, X, y, rankings=["throughput", "knockout", "random"])
    assert compared.own.shape == (3, 3)
    assert np.isfinite(relay_strength_scorer(trained, X, y))
    with pytest.raises(TypeError, match="forward_with"):
        rank_nodes(trained, X, y, method="gradient")


def test_it_is_analyzed_in_evaluation_mode():
    """Dropout and gradients are off, and the modes of the module are restored."""

    class Dropping(StackedGRU):
        def unroll(self, X, **options):
            output, hidden, final = super().unroll(X, **options)
            seen.append((self.training, torch.is_grad_enabled()))
            return nn.functional.dropout(output, 0.5, self.training), hidden, final

    seen, (X, y) = [], make_panel()
    net = own_net(max_epochs=1).set_params(module=Dropping).fit(X, y)
    net.module_.train()
    net.module_.head.eval()  # one part in evaluation mode
    seen.clear()
    np.testing.assert_array_equal(net.unroll(X).proba, net.unroll(X).proba)
    net.knock_out(X, [Clamp([0], [0.1])])
    assert set(seen) == {(False, False)}
    assert net.module_.training
    assert not net.module_.head.training


def test_searches_and_cross_validation():
    X, y = make_panel()
    net = own_net(max_epochs=3)
    search = GridSearchCV(net, {"module__hidden_size": [3, 6]}, cv=2).fit(X, y)
    assert search.best_estimator_.module_.cells[0].hidden_size in (3, 6)
    analyzer = RelayAnalyzer(clone(net), n_relays=2, timepoints=[5], random_state=0)
    assert cross_validate_knockout(analyzer, X, y, cv=2, n_random=1).loss.shape == (2, 3, 3)
