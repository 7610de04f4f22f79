"""The way of the data: networks run no more often, and keep no more, than is needed."""

import numpy as np
import pytest
from conftest import cut_short, make_panel, small_net
from sklearn.frozen import FrozenEstimator
from test_own_module import StackedGRU
from torch import nn

from relayestimators import (
    GRUClassifier,
    KnockoutTransformer,
    RecurrentClassifier,
    RelayAnalyzer,
    RelayHistory,
)
from relayestimators.networks import RecurrentNetwork

X, Y = make_panel()


@pytest.fixture
def calls(monkeypatch):
    """Record the runs of networks: "forward", or the value of `trajectories` of "unroll"."""
    recorded = []
    forward, unroll = RecurrentNetwork.forward, RecurrentNetwork.unroll

    def recorded_forward(self, X):
        recorded.append("forward")
        return forward(self, X)

    def recorded_unroll(self, X, *, trajectories=True, **options):
        recorded.append(trajectories)
        return unroll(self, X, trajectories=trajectories, **options)

    monkeypatch.setattr(RecurrentNetwork, "forward", recorded_forward)
    monkeypatch.setattr(RecurrentNetwork, "unroll", recorded_unroll)
    return recorded


def test_an_analysis_runs_the_network_once(calls):
    net = small_net().fit(X, Y)
    calls.clear()
    analyzer = RelayAnalyzer(FrozenEstimator(net), random_state=0).fit(X, Y)
    assert calls == [True]
    assert analyzer.error_rate_ == np.mean(net.predict(X) != Y)


def test_a_checkpoint_of_training_runs_the_network_once(calls):
    relays = RelayHistory(X, Y, every=2)
    small_net(max_epochs=4, callbacks=[("relays", relays)]).fit(X, Y)
    assert [call for call in calls if call != "forward"] == [True] * len(relays.epochs_)


def test_who_needs_no_trajectories_gets_none(calls):
    net = small_net().fit(X, Y)
    analyzer = RelayAnalyzer(FrozenEstimator(net), random_state=0).fit(X, Y)
    knockout = KnockoutTransformer(FrozenEstimator(net), nodes=[1, 2]).fit(X, Y)
    calls.clear()
    analyzer.transform(X)
    knockout.transform(X)
    knockout.predict(X)
    knockout.score(X, Y)
    assert calls == [False] * 4
    assert net.unroll(X, trajectories=False).hidden is None


@pytest.mark.parametrize("state", ["h", "c"])
def test_results_do_not_depend_on_trajectories(state):
    net = small_net(module__cell="lstm").fit(X, Y)
    with_them, without = (net.unroll(X, state=state, trajectories=t) for t in (True, False))
    for name in ("logits", "proba", "final", "lengths"):
        np.testing.assert_array_equal(with_them[name], without[name])


def test_a_module_that_always_returns_trajectories_will_do():
    net = RecurrentClassifier(
        StackedGRU, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0, random_state=0
    ).fit(X, Y)
    with_them, without = (net.unroll(X, trajectories=t) for t in (True, False))
    assert without.hidden is None
    np.testing.assert_array_equal(with_them.final, without.final)


def test_lengths_are_those_of_the_series():
    lengths = 4 + np.arange(60) % 7
    short = cut_short(X, lengths)
    run = small_net().fit(short, Y).unroll(short)
    np.testing.assert_array_equal(run.lengths, lengths)
    np.testing.assert_array_equal((~np.isnan(run.hidden[:, :, 0])).sum(axis=1), lengths)


def test_prediction_goes_in_batches_of_1024_that_can_be_set(calls):
    net = small_net().fit(X, Y)
    many = np.tile(X, (20, 1, 1))
    for options, expected in (({}, 2), ({"iterator_valid__batch_size": 100}, 12)):
        net.set_params(**options)
        calls.clear()
        net.predict(many)
        assert calls == ["forward"] * expected
    assert GRUClassifier().get_params()["iterator_valid__batch_size"] == 1024
