"""RelayAnalyzer finds relays planted by hand, and behaves like a feature selector."""

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel, small_net
from known_nets import hand_made_net, latches
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from relayestimators import (
    CoverageWarning,
    LSTMClassifier,
    RelayAnalyzer,
    RNNClassifier,
    relay_map,
)
from relayestimators.relay import METHODS, RelayMapWarning
from relayestimators.relay._concepts import concept_log_odds, concept_values
from relayestimators.relay._information import mutual_information


@pytest.fixture(scope="module")
def fitted():
    """A trained network. Its cell does not matter, because an analyzer only unrolls it."""
    return small_net(lr=0.01, max_epochs=15, batch_size=16).fit(*make_panel())


@pytest.mark.parametrize("method", METHODS)
def test_a_bit_that_moves_from_node_to_node_is_followed(method):
    net, X, y = hand_made_net()
    analyzer = RelayAnalyzer(FrozenEstimator(net), method=method, random_state=0, n_relays=4)
    relays = analyzer.fit(X, y).relay_map_
    for t in range(4):
        for concept in range(2):
            assert relays[concept, t].argmax() == t
            if method != "gaussian":  # Gaussian information of a copy has no bound
                assert relays[concept, t, t] == pytest.approx(1.0, abs=0.05)
            assert np.delete(relays[concept, t], t).max() < 0.1
    assert sorted(analyzer.relays().tolist()) == [0, 1, 2, 3]
    assert analyzer.get_support(indices=True).tolist() == [0, 1, 2, 3]
    assert analyzer.relays(concept=1, timepoint=2)[0] == 2


def test_fitted_attributes(fitted):
    X, y = make_panel()
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=0, n_relays=2).fit(X, y)
    assert analyzer.relay_map_.shape == analyzer.coverage_.shape == (3, 10, 6)
    np.testing.assert_array_equal(analyzer.reliable_, analyzer.coverage_ >= 4)
    assert sorted(analyzer.ranking_) == [1, 2, 3, 4, 5, 6]
    assert analyzer.support_.sum() == analyzer.n_relays_ == 2
    np.testing.assert_array_equal(analyzer.support_, analyzer.ranking_ <= 2)
    means = analyzer.relay_map_.mean(axis=(0, 1))
    assert (np.diff(means[np.argsort(analyzer.ranking_)]) <= 0).all()
    np.testing.assert_array_equal(analyzer.concepts_, np.eye(3))
    np.testing.assert_array_equal(analyzer.timepoints_, np.arange(10))
    np.testing.assert_array_equal(analyzer.n_instances_, 60)
    assert analyzer.classes_.tolist() == ["high", "low", "mid"]
    assert analyzer.n_features_in_ == 2
    assert not analyzer.in_sample_
    predicted = fitted.predict(X)
    bits = [mutual_information(y == k, predicted == k) for k in analyzer.classes_]
    np.testing.assert_allclose(analyzer.information_, bits, atol=1e-12)


def test_the_map_is_relay_map_of_the_discretized_states(fitted):
    X, y = make_panel()
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=5, n_states=3).fit(X, y)
    concepts = [
        concept_values(labels, fitted.classes_, np.eye(3, dtype=int))
        for labels in (y, fitted.predict(X))
    ]
    states = analyzer.discretizer_.transform(fitted.hidden_states(X))
    run = fitted.unroll(X)
    log_odds = concept_log_odds(run.logits, run.proba, np.eye(3, dtype=int))
    expected = relay_map(*concepts, states, log_odds=log_odds, labels=y, random_state=5)
    np.testing.assert_array_equal(analyzer.relay_map_, expected.relay_map)


def test_frozen_networks_are_not_trained_and_others_are_cloned(fitted):
    X, y = make_panel()
    frozen = RelayAnalyzer(FrozenEstimator(fitted), random_state=0).fit(X, y)
    assert frozen.estimator_.estimator is fitted
    fresh = clone(fitted)
    trained = RelayAnalyzer(fresh, random_state=0).fit(X, y)
    assert trained.in_sample_
    assert not fresh.initialized_
    np.testing.assert_allclose(trained.relay_map_, frozen.relay_map_)


def test_transform_returns_final_activations_of_chosen_nodes(fitted):
    X, y = make_panel()
    X = cut_short(X, 4 + np.arange(60) % 7)
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=0, n_relays=3).fit(X, y)
    hidden = fitted.hidden_states(X)
    last = hidden[np.arange(60), 3 + np.arange(60) % 7]
    np.testing.assert_array_equal(analyzer.transform(X), last[:, analyzer.support_])
    nodes = np.flatnonzero(analyzer.support_)
    assert analyzer.get_feature_names_out().tolist() == [f"node{k}" for k in nodes]
    frame = analyzer.set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == [f"node{k}" for k in nodes]


def test_timepoints(fitted):
    X, y = make_panel()
    everything = RelayAnalyzer(FrozenEstimator(fitted), random_state=0).fit(X, y)
    chosen = RelayAnalyzer(FrozenEstimator(fitted), random_state=0, timepoints=[-1, 2]).fit(X, y)
    assert chosen.timepoints_.tolist() == [9, 2]
    np.testing.assert_array_equal(chosen.relay_map_, everything.relay_map_[:, [9, 2]])
    with pytest.raises(ValueError, match=r"timepoint=3 was not analyzed; expected one of \[9, 2\]"):
        chosen.relays(timepoint=3)
    with pytest.raises(ValueError, match="concept=3; expected an integer from 0 to 2"):
        chosen.relays(concept=3)


def test_time_steps_are_weighted_by_their_number_of_instances(fitted):
    X, y = make_panel()
    X = cut_short(X, np.where(np.arange(60) < 2, 9, 8))
    with pytest.warns(CoverageWarning):
        analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="timepoint=9; expected a time step"):
        analyzer.relays(timepoint=9)
    weights = analyzer.n_instances_ / analyzer.n_instances_.sum()
    expected = (np.nan_to_num(analyzer.relay_map_).mean(axis=0) * weights[:, None]).sum(axis=0)
    assert (np.diff(expected[np.argsort(analyzer.ranking_)]) <= 1e-12).all()


def test_parameters_set_after_fit_have_no_effect(fitted):
    X, y = make_panel()
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=0).fit(X, y)
    before = analyzer.transform(X)
    np.testing.assert_array_equal(analyzer.set_params(layer=5, state="c").transform(X), before)


def test_number_of_labels_must_match(fitted):
    X, y = make_panel()
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 40\]"):
        RelayAnalyzer(FrozenEstimator(fitted)).fit(X, y[:40])


@pytest.mark.parametrize("options", [{"n_permutations": 5}, {"n_relays": "auto"}])
def test_only_the_default_method_can_be_tested_against_chance(options, fitted):
    X, y = make_panel()
    with pytest.raises(ValueError, match="method='contexts'.*'throughput'"):
        RelayAnalyzer(FrozenEstimator(fitted), method="contexts", **options).fit(X, y)


def test_series_can_be_aligned_at_their_ends(fitted):
    X, y = make_panel()
    lengths = 6 + np.arange(60) % 5
    X = cut_short(X, lengths)
    options = {"random_state": 0, "timepoints": -1, "strategy": "quantile"}
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), align="end", **options).fit(X, y)
    assert analyzer.n_instances_.tolist() == [60]
    last = fitted.hidden_states(X)[np.arange(60), lengths - 1]
    thresholds = analyzer.discretizer_.thresholds_
    np.testing.assert_allclose(thresholds[0, :, 1], np.median(last, axis=0), rtol=1e-6)
    start = RelayAnalyzer(FrozenEstimator(fitted), random_state=0).fit(X, y)
    assert start.n_instances_.tolist() == [60] * 6 + [48, 36, 24, 12]
    few = start.n_instances_ <= 48
    coverage = start.coverage_.mean(axis=(0, 2))
    assert coverage[few].max() < coverage[~few].min()
    assert (np.diff(coverage[few]) < 0).all()
    assert start.reliable_.mean(axis=(0, 2))[start.n_instances_ <= 24].max() < 1
    assert start.reliable_[:, ~few].all()


def test_concepts_given_as_a_table(fitted):
    X, y = make_panel()
    table = [[0, 1], [0, 0], [1, 1]]
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), concepts=table, random_state=0).fit(X, y)
    assert analyzer.relay_map_.shape == (2, 10, 6)
    one = RelayAnalyzer(FrozenEstimator(fitted), concepts="class", random_state=0).fit(X, y)
    assert one.relay_map_.shape == (1, 10, 6)


def test_significance_and_number_of_relays():
    net, X, y = hand_made_net()
    X[:40, 0, 0] *= -1  # a network with some errors
    analyzer = RelayAnalyzer(
        FrozenEstimator(net), n_relays="auto", n_permutations=50, n_resamples=50, random_state=0
    ).fit(X, y)
    assert analyzer.n_relays_ == 4
    assert analyzer.relays().tolist() == analyzer.relays(0).tolist()
    assert analyzer.get_support(indices=True).tolist() == [0, 1, 2, 3]
    truth = np.zeros((2, 4, 8), dtype=bool)
    truth[:, range(4), range(4)] = True
    np.testing.assert_array_equal(analyzer.significant_ & truth, truth)
    assert (analyzer.significant_ & ~truth).mean() < 0.05
    assert analyzer.error_rate_ == pytest.approx(0.1)
    low, high = analyzer.confidence_interval_
    assert (low <= high).all()
    assert (low[truth] > 0.2).all()
    plain = analyzer.set_params(n_relays=3, n_permutations=0, n_resamples=0).fit(X, y)
    for name in ("pvalues_", "significant_", "confidence_interval_"):
        assert not hasattr(plain, name)


def test_an_untrained_network_has_no_significant_relays():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 1, 4)), rng.integers(0, 2, 200)
    net = RNNClassifier(module__hidden_size=8, max_epochs=1, random_state=0).fit(X[:60], y[:60])
    analyzer = RelayAnalyzer(FrozenEstimator(net), n_relays="auto", random_state=0)
    with pytest.warns(RelayMapWarning, match="o node is beyond chance, and the strongest one is"):
        analyzer.fit(X[60:], y[60:])
    assert analyzer.n_relays_ == 1
    assert analyzer.significant_.mean() < 0.05


def test_low_coverage_gives_one_warning_and_is_marked(fitted):
    X, y = make_panel()
    with pytest.warns(CoverageWarning, match="fewer than 4 instances per occupied cell") as caught:
        analyzer = RelayAnalyzer(FrozenEstimator(fitted), method="shrink", n_states=4).fit(X, y)
    assert len(caught) == 1
    assert not analyzer.reliable_.all()
    fraction = f"{(~analyzer.reliable_).mean():.0%}"
    assert f"# {fraction} of relay_map_ has fewer than 4 instances per cell" in repr(analyzer)


def test_repr_names_the_limits_of_the_map(fitted):
    X, y = make_panel(200)
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=0, timepoints=-1)
    assert "#" not in repr(analyzer)
    assert "#" not in repr(analyzer.fit(X, y))
    trained = RelayAnalyzer(clone(fitted), random_state=0, timepoints=-1).fit(X, y)
    assert "# analyzed on the data that the network was trained on" in repr(trained)


def test_without_errors_and_margin_the_map_says_that_hearing_is_unknown():
    net, X, y = hand_made_net()
    analyzer = RelayAnalyzer(FrozenEstimator(net), n_relays=4, random_state=0)
    with pytest.warns(RelayMapWarning, match="For 2 of 2 concepts the network says the same"):
        analyzer.fit(X, y)
    assert "# for 2 of 2 concepts the network says the same" in repr(analyzer)
    assert analyzer.remarks_[0] in repr(analyzer)


def test_ties_are_said_and_broken_by_the_seed():
    net, X, y = hand_made_net()
    with torch.no_grad():  # node 7 becomes a copy of node 0
        dict(net.module_.named_parameters())["recurrent.weight_ih_l0"][7] = torch.tensor([3.0, 0.0])
    first = []
    for seed in range(8):
        options = {"n_relays": 1, "timepoints": [0, 1], "random_state": seed}
        analyzer = RelayAnalyzer(FrozenEstimator(net), **options)
        with pytest.warns(RelayMapWarning, match="p to 2 nodes are tied .* the 1 strongest"):
            analyzer.fit(X, y)
        assert analyzer.ties_.tolist() == [[2, 0], [2, 0]]
        first += analyzer.relays(concept=0, timepoint=0).tolist()
        assert analyzer.relays(concept=0, timepoint=0) == first[-1]
        assert analyzer.relays(concept=1, timepoint=0) == first[-1]
        assert analyzer.relays(concept=0, timepoint=1) == 1
    assert set(first) == {0, 7}


def test_relays_that_are_heard_are_fewer_than_those_beyond_chance():
    """Nodes 4 and 5 store the bit with less noise than nodes 0 to 2, and nothing reads them."""
    net, X, y = latches(heard=3, unheard=2)
    options = {"timepoints": [2], "random_state": 0}
    chance = RelayAnalyzer(FrozenEstimator(net), n_relays="auto", **options).fit(X, y)
    heard = RelayAnalyzer(FrozenEstimator(net), n_relays="heard", **options).fit(X, y)
    assert chance.get_support(indices=True).tolist() == [0, 1, 2, 3, 4]
    assert heard.get_support(indices=True).tolist() == [0, 1, 2]
    assert heard.heard_[:, 0, :3].all()
    assert not heard.heard_[:, 0, 3:5].any()
    assert heard.significant_[:, 0, :5].all()
    assert heard.pvalues_heard_.shape == heard.pvalues_.shape == (2, 1, 8)


@pytest.mark.parametrize("cell", [RNNClassifier, LSTMClassifier])
def test_a_bit_in_all_nodes_from_the_first_step_is_shown(cell):
    """The easiest problem: one bit, 3 standard deviations apart, passes through the whole layer."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1600, 1, 8)), rng.integers(0, 2, 1600)
    X[:, 0, 0] += np.where(y, 3, -3)
    net = cell(module__hidden_size=8, max_epochs=20, random_state=0).fit(X[:600], y[:600])
    analyzer = RelayAnalyzer(FrozenEstimator(net), random_state=0).fit(X[600:], y[600:])
    assert analyzer.information_.min() > 0.95
    assert analyzer.relay_map_.max(axis=2).min() > 0.3  # at every step, for both classes
    assert not any("not show" in remark for remark in analyzer.remarks_)


def test_auto_needs_enough_permutations(fitted):
    X, y = make_panel()
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), n_relays="heard", n_permutations=19)
    with pytest.raises(ValueError, match="n_permutations=19 with n_relays='heard'; .* >= 20"):
        analyzer.fit(X, y)


def test_workers_do_not_change_the_map(fitted):
    X, y = make_panel()
    one, two = (
        RelayAnalyzer(FrozenEstimator(fitted), random_state=3, n_jobs=jobs).fit(X, y)
        for jobs in (None, 2)
    )
    np.testing.assert_array_equal(one.relay_map_, two.relay_map_)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"method": "best"}, ValueError, "method='best'; expected one of 'throughput'"),
        ({"align": "middle"}, ValueError, "align='middle'; expected one of 'start', 'end'"),
        ({"n_relays": 7}, ValueError, "n_relays=7; expected an integer from 1 to 6"),
        ({"n_states": 1}, ValueError, "n_states=1"),
        ({"strategy": "median"}, ValueError, "strategy='median'"),
        ({"concepts": [[0], [0], [0]]}, ValueError, "concepts has the same value"),
        ({"timepoints": 10}, ValueError, r"timepoints contains \[10\]"),
        ({"layer": 1}, ValueError, "layer=1; "),
        ({"state": "x"}, ValueError, "state='x'"),
    ],
)
def test_invalid_parameters_do_not_change_a_fitted_analyzer(parameters, error, match, fitted):
    X, y = make_panel()
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=0).fit(X, y)
    before = analyzer.relay_map_
    with pytest.raises(error, match=match):
        analyzer.set_params(**parameters).fit(X, y)
    assert analyzer.relay_map_ is before


@pytest.mark.parametrize(
    "options",
    [
        {"method": "best"},
        {"method": "contexts", "n_permutations": 9},
        {"n_states": 1},
        {"strategy": "median"},
        {"alpha": 2},
        {"n_resamples": 1},
        {"align": "middle"},
    ],
)
def test_invalid_parameters_are_reported_before_training(options, monkeypatch):
    monkeypatch.setattr(RNNClassifier, "fit", lambda *args: pytest.fail("trained"))
    with pytest.raises(ValueError, match=f"{[*options][-1]}="):
        RelayAnalyzer(RNNClassifier(), **options).fit(*make_panel())


def test_only_recurrent_classifiers():
    with pytest.raises(TypeError, match="LogisticRegression.* has no hidden states"):
        RelayAnalyzer(LogisticRegression()).fit(*make_panel())


def test_unknown_labels(fitted):
    X, y = make_panel()
    y[0] = "odd"
    with pytest.raises(ValueError, match=r"y contains \['odd'\]"):
        RelayAnalyzer(FrozenEstimator(fitted)).fit(X, y)
