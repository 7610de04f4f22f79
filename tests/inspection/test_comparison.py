"""Cross-validated knockouts (ablations), scorers, and comparisons of rankings."""

from functools import partial

import numpy as np
import pytest
from conftest import make_panel
from known_nets import BITS, hand_made_net, two_bit_net
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sktime.datatypes import convert

from relayestimators import GRUClassifier, PanelToTensor, RelayAnalyzer, RNNClassifier
from relayestimators.dynamics import localization
from relayestimators.inspection import (
    combine_rankings,
    compare_rankings,
    cross_validate_knockout,
    knockout_specificity,
    localization_scorer,
    rank_nodes,
    relay_strength_scorer,
    specificity_scorer,
)

# ---------------------------------------------------------------- cross-validation


def learnable(n_instances=160):
    X, y = make_panel(n_instances=n_instances, n_timepoints=5)
    return X, y, RNNClassifier(module__hidden_size=6, max_epochs=6, random_state=0)


def test_cross_validation_is_the_folds_by_hand():
    X, y, net = learnable()
    analyzer = RelayAnalyzer(net, n_relays=2, timepoints=[3], random_state=0)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    result = cross_validate_knockout(
        analyzer,
        X,
        y,
        cv=cv,
        start=3,
        n_random=2,
        return_estimator=True,
        return_indices=True,
        random_state=0,
    )
    for i, (train, test) in enumerate(cv.split(X, y)):
        np.testing.assert_array_equal(result.indices["test"][i], test)
        fitted = result.estimator[i]
        assert fitted.in_sample_
        by_hand = RelayAnalyzer(net, n_relays=2, timepoints=[3], random_state=0)
        by_hand.fit(X[train], y[train])
        expected = knockout_specificity(
            by_hand.estimator_, X[test], y[test], relays=by_hand, start=3, n_random=0
        )
        np.testing.assert_allclose(result.loss[i], expected.loss)
        assert result.test_score[i] == by_hand.estimator_.score(X[test], y[test])
        np.testing.assert_array_equal(result.relays[i][1], by_hand.relays(1))
    mean, low, high = result.summary.own_minus_other
    np.testing.assert_allclose(mean, result.own_minus_other.mean(axis=0))
    assert (low < mean).all() and (mean < high).all()
    half = result.own.std(axis=0, ddof=1) * np.sqrt(1 / 3 + 1 / 2) * 4.302653  # t, 2 degrees
    np.testing.assert_allclose(result.summary.own[2] - result.summary.own[0], half, rtol=1e-3)
    assert not hasattr(analyzer, "relay_map_")


def test_cross_validation_does_not_depend_on_workers_and_takes_groups():
    X, y, net = learnable(120)
    options = {"groups": np.arange(120) // 10, "cv": GroupKFold(2), "n_random": 1}
    one, two = (
        cross_validate_knockout(net, X, y, random_state=1, n_jobs=jobs, **options)
        for jobs in (None, 2)
    )
    for name in ("loss", "random", "test_score", "pvalue"):
        np.testing.assert_array_equal(one[name], two[name])


def test_cross_validation_of_a_bare_network_is_reproducible():
    """With 16 nodes and 300 instances, the sets of nodes differ from seed to seed."""
    X, y, net = learnable(600)
    net.set_params(module__hidden_size=16)
    first, again, other = (
        cross_validate_knockout(
            net, X, y, cv=2, n_random=0, random_state=seed, return_estimator=True
        )
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.own, again.own)
    maps = [result.estimator[0].relay_map_ for result in (first, again, other)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert (maps[0] != maps[2]).any()


def test_cross_validation_refuses_what_scikit_learn_would_cut_through():
    X, y, net = learnable(20)
    frame = convert(X, from_type="numpy3D", to_type="pd-multiindex", as_scitype="Panel")
    with pytest.raises(ValueError, match="pd-multiindex panel"):
        cross_validate_knockout(net, frame, y)


def test_folds_that_lack_a_class_are_refused_before_training():
    X, y, net = learnable(30)
    order = np.argsort(y)
    with pytest.raises(ValueError, match=r"training part of fold 0 lacks \['high'\]; use a strat"):
        cross_validate_knockout(net, X[order], y[order], cv=KFold(3))


# ---------------------------------------------------------------- scorers


def test_scorers_are_what_they_say():
    net, X, y = hand_made_net()
    analyzer = RelayAnalyzer(FrozenEstimator(net), random_state=0).fit(X, y)
    assert relay_strength_scorer(net, X, y) == pytest.approx(analyzer.relay_map_.max(axis=2).mean())
    assert relay_strength_scorer(net, X, y, timepoints=[2]) == pytest.approx(1.0, abs=0.05)
    positive = np.maximum(analyzer.relay_map_, 0)
    expected = np.average(localization(analyzer.relay_map_), weights=positive.sum(axis=2))
    assert localization_scorer(net, X, y) == pytest.approx(expected)
    assert localization_scorer(net, X, y) > 0.8
    net, X, y = two_bit_net()
    good = specificity_scorer(net, X, y, concepts=BITS, n_relays=2, timepoints=[2])
    assert good == pytest.approx(0.5, abs=0.15)
    everything = specificity_scorer(net, X, y, concepts=BITS, n_relays=6)
    assert everything == pytest.approx(0.0, abs=0.1)


def test_scores_of_an_analyzer_do_not_vary():
    X, y = make_panel(n_instances=400)
    net = GRUClassifier(max_epochs=3, random_state=0).fit(X, y)
    analyzer = RelayAnalyzer(FrozenEstimator(net)).fit(X, y)  # 32 nodes: contexts are drawn
    assert relay_strength_scorer(analyzer, X, y) == relay_strength_scorer(analyzer, X, y)
    assert relay_strength_scorer(analyzer, X, y) != relay_strength_scorer(
        analyzer, X, y, random_state=1
    )


def test_a_step_from_the_end_is_no_start():
    net, X, y = two_bit_net()
    with pytest.raises(ValueError, match="start=None with align='end'"):
        specificity_scorer(net, X, y, concepts=BITS, align="end")


def test_localization_by_hand():
    np.testing.assert_allclose(
        localization([[1, 0, 0, 0], [1, 1, 0, -5], [2, 2, 2, 2]]), [1, 0.5, 0]
    )
    assert np.isnan(localization([[0.0, -0.1]])).all()
    with pytest.raises(ValueError, match="at least two nodes"):
        localization([[1.0]])


def test_scorers_in_searches_alone_in_a_dict_and_in_pipelines():
    X, y, net = learnable()
    quick = {"timepoints": [4], "n_relays": 2}
    scoring = {
        "accuracy": "accuracy",
        "relays": partial(relay_strength_scorer, **quick),
        "localization": partial(localization_scorer, **quick),
        "specificity": partial(specificity_scorer, **quick),
    }
    grid = {"module__hidden_size": [3, 6]}
    search = GridSearchCV(net, grid, scoring=scoring, refit="relays", cv=2).fit(X, y)
    for name in scoring:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()
    alone = GridSearchCV(net, grid, scoring=relay_strength_scorer, cv=2, n_jobs=2).fit(X, y)
    assert np.isfinite(alone.best_score_)
    result = cross_validate(make_pipeline(PanelToTensor(), net), X, y, scoring=scoring, cv=2)
    np.testing.assert_allclose(
        result["test_relays"].mean(), search.cv_results_["mean_test_relays"][1]
    )
    analyzer = RelayAnalyzer(net, timepoints=[4], n_relays=2, random_state=0)
    around = cross_validate(analyzer, X, y, scoring=relay_strength_scorer, cv=2)
    np.testing.assert_allclose(around["test_score"], result["test_relays"])


# ---------------------------------------------------------------- rankings


def test_rankings_compared_on_a_net_whose_nodes_are_known():
    net, X, y = two_bit_net(800)
    right = np.zeros((2, 1, 6))
    right[0, 0, :2] = right[1, 0, 2] = 1.0
    wrong = right[::-1]
    result = compare_rankings(
        net,
        X,
        y,
        rankings={
            "right": right,
            "wrong": wrong,
            "relay": "throughput",
            "both": ("throughput", "knockout"),
            "chance": "random",
        },
        concepts=BITS,
        timepoints=[1, 3],
        n_relays=2,
        random_state=0,
    )
    assert result.rankings == ["right", "wrong", "relay", "both", "chance"]
    assert result.sets.shape == (5, 2, 2, 2)
    assert result.loss.shape == (5, 2, 2, 2)
    np.testing.assert_allclose(result.own[0], result.information, atol=0.02)
    np.testing.assert_allclose(result.own[2:4], result.own[[0, 0]], atol=0.05)
    assert result.specificity[0] > 0.4 > -0.2 > result.specificity[1]
    assert result.difference[0, 1] == pytest.approx(result.specificity[0] - result.specificity[1])
    np.testing.assert_allclose(result.difference, -result.difference.T)
    assert result.intervals.specificity.shape == (2, 5)
    assert (result.intervals.difference[0, 0, 1], result.intervals.difference[1, 1, 0]) > (0.3, -1)
    np.testing.assert_allclose(np.diag(result.overlap), 1)
    by_hand = np.mean(
        [
            len(set(result.sets[0, c, t]) & set(result.sets[4, c, t])) / 2
            for c in range(2)
            for t in range(2)
        ]
    )
    assert result.overlap[0, 4] == pytest.approx(by_hand)
    one = knockout_specificity(
        net, X, y, relays=list(result.sets[0, :, 1]), concepts=BITS, start=3, n_random=0
    )
    same_data = compare_rankings(
        net,
        X,
        y,
        rankings={"right": right},
        concepts=BITS,
        timepoints=[3],
        n_relays=2,
        test_size=None,
    )
    np.testing.assert_allclose(same_data.loss[0, :, 0], one.loss)


def test_rankings_made_on_other_data():
    net, X, y = two_bit_net()
    _, X_find, y_find = two_bit_net(seed=5)
    options = {"concepts": BITS, "timepoints": [2], "random_state": 0}
    result = compare_rankings(net, X, y, rankings=["variance"], find=(X_find, y_find), **options)
    scores = rank_nodes(net, X_find, y_find, method="variance", concepts=BITS, timepoints=[2])
    strongest, tied = result.sets[0, 0, 0]
    assert strongest == scores[0, 0].argmax() == 2
    assert scores[0, 0, 0] == scores[0, 0, 1]  # copies of each other
    assert tied in (0, 1)
    assert result.ties[0, 0, 0] == 2


def test_combined_rankings():
    carries, used = [0.8, 0.8, 0.1, 0.0], [[0.0, 0.4, 0.4, -0.1], [0.0, 0.0, 0.0, 0.0]]
    combined = combine_rankings(carries, used)
    assert combined.shape == (2, 4)
    np.testing.assert_allclose(combined[0, 1], np.sqrt(0.8 / 1.7 * 0.5))
    assert combined[0].argmax() == 1
    np.testing.assert_allclose(
        combined[1] ** 2, np.array(carries) / 1.7 / 4
    )  # all 0, so without influence
    with pytest.raises(ValueError, match="at least one"):
        combine_rankings()
