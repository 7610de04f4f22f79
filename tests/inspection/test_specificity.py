"""Losses by sets of relays: own concept, other concepts, random sets, and their intervals."""

from functools import partial

import numpy as np
import pytest
from conftest import cut_short, make_panel
from known_nets import BITS, hand_made_net, two_bit_net
from sklearn.frozen import FrozenEstimator

from relayestimators import KnockoutTransformer, LSTMClassifier, RelayAnalyzer
from relayestimators.inspection import (
    compare_rankings,
    knockout_curve,
    knockout_importance,
    knockout_specificity,
    specificity_scorer,
)
from relayestimators.relay._information import mutual_information

one_cell = pytest.mark.parametrize("cell", ["gru"], indirect=True)


def test_losses_are_those_of_the_transformer(fitted):
    X, y = make_panel()
    relays = [[0, 1, 2], [4]]
    result = knockout_specificity(fitted, X, y, relays=relays, start=2, n_random=3, random_state=0)
    intact = fitted.predict(X)
    for k, label in enumerate(fitted.classes_):
        bits = mutual_information(y == label, intact == label)
        assert result.information[k] == pytest.approx(bits)
        for i, nodes in enumerate(relays):
            ablated = KnockoutTransformer(FrozenEstimator(fitted), nodes, start=2).fit(X, y)
            left = mutual_information(y == label, ablated.predict(X) == label)
            assert result.loss[i, k] == pytest.approx(bits - left)
            loss = fitted.score(X, y) - ablated.score(X, y)
            assert result.score_loss[i] == pytest.approx(loss)
    assert result.random_loss.shape == (2, 3, 3)
    assert result.random_score_loss.shape == (2, 3)


def test_a_node_is_needed_only_while_it_has_the_bit():
    net, X, y = hand_made_net()
    for node in range(4):
        for start in range(4):
            result = knockout_specificity(
                net, X, y, relays=[[node]], start=start, stop=start + 1, n_random=0
            )
            expected = result.information if node == start else np.zeros(2)
            np.testing.assert_allclose(result.loss[0], expected, atol=1e-9)


@one_cell
def test_losses_do_not_depend_on_workers(fitted):
    X, y = make_panel()
    one, two = (
        knockout_specificity(
            fitted, X, y, relays=[[0], [1, 2]], n_random=2, random_state=0, n_jobs=jobs
        )
        for jobs in (None, 2)
    )
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_equal(one[key], two[key])


@one_cell
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"relays": [[9]]}, ValueError, r"relays\[0\] contains \[9\]"),
        ({"relays": [[0]], "n_random": -1}, ValueError, "n_random=-1"),
        ({"relays": [[0]], "value": "median"}, ValueError, "value='median'"),
        ({"relays": [[0]], "start": 10}, ValueError, "start=10"),
    ],
)
def test_bad_options(options, error, match, fitted):
    with pytest.raises(error, match=match):
        knockout_specificity(fitted, *make_panel(), **options)


@one_cell
def test_no_sets_and_no_random_sets(fitted):
    X, y = make_panel()
    nothing = knockout_specificity(fitted, X, y, relays=[], n_random=2)
    assert nothing.loss.shape == (0, 3)
    assert nothing.random_loss.shape == (0, 2, 3)
    assert knockout_specificity(fitted, X, y, relays=[[0]], n_random=0).random_loss.shape == (
        1,
        0,
        3,
    )


@one_cell
def test_labels_that_do_not_fit(fitted):
    X, y = make_panel()
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 40\]"):
        knockout_specificity(fitted, X, y[:40], relays=[[0]])


def test_contrasts_by_hand():
    net, X, y = two_bit_net()
    result = knockout_specificity(
        net, X, y, relays=[[0, 1], [2]], concepts=BITS, n_random=40, random_state=0
    )
    bits = result.information
    np.testing.assert_allclose(result.own, bits, atol=0.01)
    np.testing.assert_allclose(result.other, 0, atol=0.01)
    np.testing.assert_allclose(result.own_minus_other, result.own - result.other)
    by_hand = [result.random_loss[c, :, c].mean() for c in range(2)]
    np.testing.assert_allclose(result.random, by_hand)
    np.testing.assert_allclose(result.own_minus_random, result.own - by_hand)
    for c in range(2):
        as_bad = (result.random_loss[c, :, c] >= result.own[c]).sum()
        assert result.pvalue[c] == pytest.approx((1 + as_bad) / 41)
    assert (result.intervals.own_minus_other[0] > 0.3).all()
    assert (result.loss_interval[0] <= result.loss).all()
    np.testing.assert_allclose(result.intervals.own, result.loss_interval[:, [0, 1], [0, 1]])
    wide = result.intervals.random[1] - result.intervals.random[0]
    error = result.random_loss[[0, 1], :, [0, 1]].std(axis=1, ddof=1) / np.sqrt(40)
    assert (wide >= 2 * 1.95 * error).all()
    assert wide.max() > 0.1


def test_intervals_cover_the_true_value():
    net, X, y = two_bit_net(20_000, seed=99)
    truth = knockout_specificity(net, X, y, relays=[[0, 1], [2]], concepts=BITS, n_random=0)
    covered = []
    for seed in range(100):
        _, X, y = two_bit_net(300, seed=seed)
        result = knockout_specificity(
            net, X, y, relays=[[0, 1], [2]], concepts=BITS, n_random=0, random_state=seed
        )
        low, high = result.intervals.own_minus_other
        covered.append((low <= truth.own_minus_other) & (truth.own_minus_other <= high))
    assert np.mean(covered) > 0.88  # 95 % intervals, less over two standard errors


def test_sets_from_an_analyzer_and_one_concept():
    net, X, y = two_bit_net()
    analyzer = RelayAnalyzer(FrozenEstimator(net), concepts=BITS, n_relays=2, random_state=0)
    analyzer.fit(X, y)
    result = knockout_specificity(net, X, y, relays=analyzer, n_random=0)
    sets = [analyzer.relays(concept) for concept in range(2)]
    assert sorted(sets[0].tolist()) == [0, 1]
    expected = knockout_specificity(net, X, y, relays=sets, concepts=BITS, n_random=0)
    np.testing.assert_array_equal(result.loss, expected.loss)
    single = knockout_specificity(net, X, y, relays=[[0, 1, 2]], concepts="class", n_random=2)
    assert single.own[0] > 0.5 and np.isnan(single.other[0])


def test_two_classes_have_no_other_concept():
    net, X, y = hand_made_net()
    result = knockout_specificity(net, X, y, relays=[[3], [3]], n_random=2)
    assert (result.own > 0.9).all()
    for name in ("other", "own_minus_other"):
        assert np.isnan(result[name]).all() and np.isnan(result.intervals[name]).all()
    compared = compare_rankings(net, X, y, rankings=["single"], timepoints=[1])
    assert np.isnan(compared.specificity).all() and compared.advantage[0] > 0
    with pytest.raises(ValueError, match="concepts='ovr'"):
        specificity_scorer(net, X, y)
    net, X, y = two_bit_net()
    table = np.c_[BITS, 1 - BITS[:, 0]]  # the third is the negated first
    result = knockout_specificity(net, X, y, relays=[[0, 1], [2], [0, 1]], concepts=table)
    np.testing.assert_allclose(result.own[[0, 2]], result.information[0], atol=0.05)
    np.testing.assert_allclose(result.other, 0, atol=0.01)


def test_layer_state_and_concepts_are_those_of_the_analyzer():
    X, y = make_panel()
    options = {"module__hidden_size": 6, "max_epochs": 5, "random_state": 0}
    net = LSTMClassifier(module__num_layers=2, **options).fit(X, y)
    analyzer = RelayAnalyzer(
        FrozenEstimator(net), layer=0, state="c", concepts="class", n_relays=2, random_state=0
    ).fit(X, y)
    ours = knockout_specificity(net, X, y, relays=analyzer, n_random=0)
    given = {"relays": [analyzer.relays(0)], "concepts": "class", "n_random": 0}
    np.testing.assert_array_equal(
        ours.loss, knockout_specificity(net, X, y, layer=0, state="c", **given).loss
    )
    curve = knockout_curve(net, X, y, order=analyzer, n_random=0)
    order = {"order": curve.order, "concepts": "class", "n_random": 0}
    expected = knockout_curve(net, X, y, layer=0, state="c", **order)
    np.testing.assert_array_equal(curve.information, expected.information)
    for study in (
        partial(knockout_curve, order=analyzer),
        partial(knockout_specificity, relays=analyzer),
    ):
        with pytest.raises(ValueError, match="layer=1; expected 0"):
            study(net, X, y, layer=1)
        with pytest.raises(ValueError, match="state='h'; expected 'c'"):
            study(net, X, y, state="h")


def test_intervals_of_random_losses_are_over_sets_too():
    net, X, y = two_bit_net(2000)
    options = {"rankings": ["single"], "concepts": BITS, "timepoints": [2], "random_state": 0}
    few = compare_rankings(net, X, y, n_random=5, **options)
    by_set = few.random_loss.mean(axis=1)
    error = by_set.std(axis=0, ddof=1) / np.sqrt(5)
    assert (np.diff(few.intervals.random, axis=0)[0] >= 2 * 1.959 * error).all()
    one = compare_rankings(net, X, y, n_random=1, **options)
    assert np.isnan(one.intervals.advantage).all()


@one_cell
def test_knockouts_after_the_end_of_all_series_are_warned_about(fitted):
    X, y = make_panel()
    with pytest.warns(UserWarning, match="ended by time step 8.*change nothing"):
        result = knockout_importance(fitted, cut_short(X, [6] * 60), y, start=8)
    assert not result.loss.any()


@one_cell
def test_a_half_that_cannot_be_scored_is_an_error(fitted):
    X, y = make_panel()
    with pytest.raises(ValueError, match="cannot score a random half of the instances"):
        knockout_importance(fitted, X[:4], y[:4], scoring="roc_auc_ovr", random_state=0)
