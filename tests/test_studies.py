"""Studies: numbers that can be got by hand, planted causes, and scikit-learn's habits."""

from functools import partial

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sktime.datatypes import convert
from test_analyzer import hand_made_net

from relayestimators import (
    GRUClassifier,
    KnockoutTransformer,
    LSTMClassifier,
    PanelToTensor,
    RelayAnalyzer,
    RNNClassifier,
    combine_rankings,
    compare_rankings,
    cross_validate_knockout,
    knockout_curve,
    knockout_importance,
    knockout_specificity,
    knockout_sweep,
    localisation,
    localisation_score,
    rank_nodes,
    relay_score,
    specificity_score,
)
from relayestimators.information import information_of_counts, mutual_information
from relayestimators.studies._ablation import Ablation, Knockout


def two_bit_net(n_instances=400, error=0.1, seed=0):
    """A net whose nodes are known: 0 and 1 hold bit 0 both, 2 holds bit 1, 3 to 5 nothing.

    Bit 0 is read as the sum of its two copies: one of them is enough. The bits are presented
    noisily at the first step; class = bit 0 + 2 * bit 1.
    """
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (n_instances, 2))
    flips = rng.random(bits.shape) < error
    X = np.zeros((n_instances, 3, 5), dtype=np.float32)
    X[:, :2, 0] = 2 * (bits ^ flips) - 1
    X[:, 2] = rng.normal(size=(n_instances, 5))
    y = bits @ [1, 2]
    with_all_classes = X[:40], np.arange(40) % 4
    net = RNNClassifier(module__hidden_size=6, max_epochs=1, random_state=0).fit(*with_all_classes)
    weights = dict(net.module_.named_parameters())
    with torch.no_grad():
        for tensor in weights.values():
            tensor.zero_()
        for node, channel in ((0, 0), (1, 0), (2, 1)):
            weights["recurrent.weight_ih_l0"][node, channel] = 3.0
            weights["recurrent.weight_hh_l0"][node, node] = 3.0
        weights["recurrent.weight_ih_l0"][3:, 2] = 1.0
        for k in range(4):
            sign = torch.tensor([k % 2, k // 2]) * 2.0 - 1
            weights["readout.weight"][k, :2] = sign[0]
            weights["readout.weight"][k, 2] = sign[1]
    return net, X, y


BITS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


# ---------------------------------------------------------------- what is measured


def test_information_of_tables_is_that_of_columns():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, (2, 7, 50))
    y[2] = x[2]
    tables = np.zeros((7, 3, 3), dtype=int)
    for i in range(7):
        np.add.at(tables[i], (x[i], y[i]), 1)
    expected = [mutual_information(a, b) for a, b in zip(x, y)]
    np.testing.assert_allclose(information_of_counts(tables), expected, atol=1e-12)


def test_effect_is_the_change_of_log_odds(fitted):
    X, y = make_panel()
    result = knockout_importance(fitted, X, y, nodes=[1], start=3, n_repeats=2)
    ablated = KnockoutTransformer(FrozenEstimator(fitted), [1], start=3).fit(X, y)
    before, after = fitted.unroll(X).proba.astype(float), ablated.predict_proba(X).astype(float)
    said = before.argmax(axis=1)
    for k in range(3):
        with_it = [p[:, k] / np.delete(p, k, axis=1).sum(axis=1) for p in (before, after)]
        odds = np.log2(with_it) * np.where(said == k, 1, -1)  # of what the intact net says
        assert result.effect[0, k] == pytest.approx(np.abs(odds[1] - odds[0]).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("scoring", "by_hand"),
    [
        (None, lambda y, net, X: net.score(X, y)),
        ("neg_log_loss", lambda y, net, X: -log_loss(y, net.predict_proba(X))),
        (
            "roc_auc_ovr",
            lambda y, net, X: roc_auc_score(y, net.predict_proba(X), multi_class="ovr"),
        ),
        (lambda estimator, X, y: float(X[0, 0, 0]), lambda y, net, X: float(X[0, 0, 0])),
    ],
    ids=["accuracy", "neg_log_loss", "roc_auc_ovr", "own"],
)
def test_any_scorer(scoring, by_hand, fitted):
    X, y = make_panel()
    result = knockout_specificity(
        fitted, X, y, relays=[[0, 1, 2, 3]], scoring=scoring, n_random=0, n_resamples=2
    )
    ablated = KnockoutTransformer(FrozenEstimator(fitted), [0, 1, 2, 3]).fit(X, y)
    assert result.score == pytest.approx(by_hand(y, fitted, X), rel=1e-4)
    loss = by_hand(y, fitted, X) - by_hand(y, ablated, X)
    assert result.score_loss[0] == pytest.approx(loss, abs=1e-4)


def test_arrays_of_values_are_for_all_nodes(fitted):
    X, y = make_panel()
    values = np.linspace(-1, 1, 60).reshape(10, 6)
    result = knockout_specificity(
        fitted, X, y, relays=[[4, 1]], value=values, n_random=0, n_resamples=2
    )
    ablated = KnockoutTransformer(FrozenEstimator(fitted), [4, 1], value=values[:, [4, 1]])
    loss = fitted.score(X, y) - ablated.fit(X, y).score(X, y)
    assert result.score_loss[0] == pytest.approx(loss)


def test_random_values_are_drawn_and_averaged(fitted):
    X, y = make_panel()
    for value in ("resample", "noise"):
        few, many, again = (
            knockout_specificity(
                fitted,
                X,
                y,
                relays=[[0, 1, 2]],
                value=value,
                n_draws=draws,
                n_random=1,
                random_state=seed,
            )
            for draws, seed in ((1, 0), (200, 1), (200, 2))
        )
        assert not np.array_equal(few.loss, many.loss)
        np.testing.assert_allclose(many.loss, again.loss, atol=0.05)


def test_everything_works_with_frames_unequal_lengths_layers_and_memory_cells():
    X, y = make_panel()
    short = cut_short(X, np.where(np.arange(60) % 2, 10, 6))
    options = {"module__hidden_size": 4, "max_epochs": 2, "random_state": 0}
    net = LSTMClassifier(module__num_layers=2, module__bidirectional=True, **options).fit(short, y)
    frames = convert(X, from_type="numpy3D", to_type="df-list", as_scitype="Panel")
    frames = [frame.iloc[: 10 if i % 2 else 6] for i, frame in enumerate(frames)]
    for layer, state in ((0, "c"), (1, "h"), (-1, "c")):
        here, there = (
            knockout_importance(net, panel, y, layer=layer, state=state, start=2, random_state=0)
            for panel in (short, frames)
        )
        assert here.loss.shape == (8, 3)
        np.testing.assert_array_equal(here.loss, there.loss)
        for node in (0, 7):
            ablated = KnockoutTransformer(
                FrozenEstimator(net), [node], start=2, layer=layer, state=state
            ).fit(short, y)
            loss = net.score(short, y) - ablated.score(short, y)
            assert here.importances_mean[node] == pytest.approx(loss)


def test_a_knockout_of_many_chunks_keeps_its_order():
    net, X, y = hand_made_net()
    ablation = Ablation(net, X, y)
    starts = np.random.default_rng(0).integers(0, 4, 150)
    nodes = np.random.default_rng(1).integers(0, 8, 150)
    lost = ablation.measure(
        [Knockout(np.array([j]), int(t), int(t) + 1) for j, t in zip(nodes, starts)], value="mean"
    )
    expected = (nodes == starts) * ablation.intact.information[0, 0, 0]
    np.testing.assert_allclose(lost.information[:, 0, 0], expected, atol=1e-9)


def test_threads_are_given_back(fitted):
    X, y = make_panel()
    torch.set_num_threads(2)
    try:
        knockout_importance(fitted, X, y, n_repeats=2, n_jobs=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("study", "options"),
    [
        (knockout_importance, {}),
        (knockout_importance, {"value": "resample", "n_repeats": 3}),
        (knockout_curve, {"order": range(6), "n_random": 2}),
        (knockout_sweep, {"value": "noise", "n_draws": 2}),
        (compare_rankings, {"rankings": ["single", "knockout", "random"]}),
    ],
)
def test_results_do_not_depend_on_workers(study, options, fitted):
    X, y = make_panel()
    one, two = (study(fitted, X, y, random_state=3, n_jobs=jobs, **options) for jobs in (None, 2))
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_equal(one[key], two[key])


def test_progress_bars_only_when_asked(fitted, capsys):
    X, y = make_panel()
    knockout_importance(fitted, X, y, n_repeats=2)
    assert capsys.readouterr().err == ""
    knockout_importance(fitted, X, y, n_repeats=2, verbose=1)
    assert "knockouts: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (partial(knockout_importance, nodes=[9]), ValueError, r"nodes contains \[9\]"),
        (partial(knockout_importance, n_repeats=1), ValueError, "n_repeats=1; expected"),
        (partial(knockout_importance, groups={0: [1]}), TypeError, "groups=.* expected a list of"),
        (partial(knockout_specificity, relays={0: [1]}), TypeError, "relays=.* expected a list of"),
        (
            partial(knockout_specificity, relays=[0, 1, 2]),
            TypeError,
            r"such as \[\[0, 3\], \[1\]\]",
        ),
        (partial(knockout_specificity, relays=3), TypeError, "relays=3; expected a list"),
        (partial(knockout_specificity, relays=[[0]], alpha=5), ValueError, "alpha=5; expected a"),
        (partial(compare_rankings, alpha=0), ValueError, "alpha=0; expected a number between"),
        (partial(compare_rankings, rankings=[np.ones(6)]), TypeError, "holds something that is no"),
        (partial(compare_rankings, rankings=["random"] * 2), ValueError, "names one twice"),
        (partial(compare_rankings, rankings={"a": np.full(6, np.nan)}), ValueError, "contain NaN"),
        (partial(cross_validate_knockout, start=-1), ValueError, "start=-1"),
        (partial(cross_validate_knockout, alpha=-1), ValueError, "alpha=-1"),
        (partial(knockout_importance, scoring=["accuracy"]), TypeError, "expected one metric"),
        (partial(knockout_importance, scoring="nonsense"), ValueError, "nonsense"),
        (partial(knockout_importance, value=[0.0]), ValueError, r"shape \(6,\) or \(10, 6\)"),
        (partial(knockout_importance, start=10), ValueError, "start=10"),
        (
            partial(knockout_importance, nodes=[0], groups=[[1]]),
            ValueError,
            "groups cannot be given together with nodes",
        ),
        (
            partial(knockout_importance, nodes=[0], pairs=[[1, 2]]),
            ValueError,
            "nodes cannot be given together with a list of pairs",
        ),
        (partial(knockout_importance, pairs=[[1, 2, 3]]), ValueError, "expected two nodes"),
        (partial(knockout_curve, order=[]), ValueError, "order names no nodes"),
        (partial(knockout_curve, order=[0, 0]), ValueError, "names a node twice"),
        (partial(knockout_curve, order=[0, 1], sizes=[3]), ValueError, r"from 0 to 2"),
        (partial(knockout_sweep, width=0), ValueError, "width=0"),
        (partial(knockout_sweep, timepoints=[10]), ValueError, "timepoints contains"),
        (partial(compare_rankings, rankings=[]), ValueError, "rankings is empty"),
        (
            partial(compare_rankings, rankings=["best"]),
            ValueError,
            "asks for 'best'; allowed are 'throughput'.*'knockout', tuples of them, or an array",
        ),
        (
            partial(compare_rankings, rankings={"mine": np.zeros((2, 6))}),
            ValueError,
            r"scores of 'mine' have shape \(2, 6\); expected .*=\(3, 10, 6\).*\(6,\)",
        ),
    ],
)
def test_bad_requests(call, error, match, fitted):
    with pytest.raises(error, match=match):
        call(fitted, *make_panel())


def test_only_fitted_recurrent_classifiers():
    X, y = make_panel()
    with pytest.raises(TypeError, match="has no hidden states"):
        knockout_importance(LogisticRegression(), X, y)
    with pytest.raises(ValueError, match="not fitted"):
        knockout_importance(GRUClassifier(), X, y)


# ---------------------------------------------------------------- importance


def test_importance_of_nodes_groups_and_pairs():
    net, X, y = two_bit_net()
    singles = knockout_importance(net, X, y, concepts=BITS, random_state=0)
    np.testing.assert_allclose(singles.loss[[0, 1, 3, 4, 5]], 0, atol=1e-9)  # a copy is left
    assert singles.loss[2, 1] == pytest.approx(singles.information[1], abs=0.01)
    assert singles.effect[0, 0] > 1 and singles.effect[0, 1] < 0.1  # but it is seen in the odds
    assert np.abs(singles.effect[3:]).max() < 1e-3
    pairs = knockout_importance(net, X, y, pairs=True, concepts=BITS, random_state=0)
    assert len(pairs.sets) == len(pairs.loss) == len(pairs.losses) == 15
    found = [nodes.tolist() for nodes in pairs.sets]
    copies = found.index([0, 1])
    assert pairs.interaction[copies, 0] == pytest.approx(pairs.information[0], abs=0.01)
    np.testing.assert_allclose(np.delete(pairs.interaction, copies, axis=0), 0, atol=0.01)
    groups = knockout_importance(net, X, y, groups=[[0, 1], [3, 4, 5], []], concepts=BITS)
    np.testing.assert_allclose(groups.loss[0], pairs.loss[copies])
    np.testing.assert_allclose(groups.loss[1:], 0, atol=1e-9)
    some = knockout_importance(net, X, y, pairs=[[2, 0], [0, 1]], concepts=BITS)
    np.testing.assert_allclose(some.interaction[1], pairs.interaction[copies])
    assert [nodes.tolist() for nodes in some.sets] == [[2, 0], [0, 1]]


def test_deviation_over_halves_is_the_standard_error():
    net, _, _ = two_bit_net()
    losses, errors = [], []
    for seed in range(100):
        _, X, y = two_bit_net(300, seed=seed)
        result = knockout_importance(
            net, X, y, nodes=[2], concepts=BITS, n_repeats=50, random_state=seed
        )
        losses.append([result.importances_mean[0], result.loss[0, 1]])
        errors.append([result.importances_std[0], result.loss_std[0, 1]])
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(losses, axis=0), rtol=0.25)


def test_deviation_with_random_values_covers_the_draws(fitted):
    X, y = make_panel(n_instances=150)
    options = {"nodes": [1], "value": "resample", "start": 2}
    results = [
        knockout_importance(fitted, X, y, n_repeats=20, random_state=seed, **options)
        for seed in range(30)
    ]
    spread = np.std([result.importances_mean[0] for result in results])  # over draws only
    assert min(result.importances_std[0] for result in results) > spread


# ---------------------------------------------------------------- curves


def test_curve_ends_and_areas():
    net, X, y = two_bit_net()
    curve = knockout_curve(
        net, X, y, order=[2, 0, 1, 3, 4, 5], concepts=BITS, n_random=30, random_state=0
    )
    both = knockout_importance(net, X, y, groups=[range(6)], concepts=BITS)
    np.testing.assert_allclose(curve.information[0], both.information)
    np.testing.assert_allclose(curve.information[-1], 0, atol=1e-9)
    bit0, bit1 = both.information
    np.testing.assert_allclose(curve.information[:, 0], [bit0, bit0, bit0, 0, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(curve.information[1:, 1], 0, atol=1e-9)
    np.testing.assert_allclose(curve.information_area, [2.5 / 6 * bit0, 0.5 / 6 * bit1], atol=1e-9)
    assert curve.score[0] == net.score(X, y)
    assert curve.score_area == pytest.approx(np.trapezoid(curve.score, np.arange(7) / 6))
    assert (curve.random_information_area.mean(axis=0) > curve.information_area).all()
    late = knockout_curve(
        net, X, y, order=[2, 0, 1, 3, 4, 5], reverse=True, concepts=BITS, n_random=0
    )
    assert (late.information_area > curve.random_information_area.mean(axis=0)).all()
    assert late.order.tolist() == [5, 4, 3, 1, 0, 2]
    assert late.random_score.shape == (0, 7)


def test_curve_along_a_ranking_and_with_sizes():
    net, X, y = two_bit_net()
    analyzer = RelayAnalyzer(FrozenEstimator(net), concepts=BITS, random_state=0).fit(X, y)
    curve = knockout_curve(net, X, y, order=analyzer, sizes=[3, 0], concepts=BITS, n_random=1)
    assert sorted(curve.order[:3].tolist()) == [0, 1, 2]
    assert curve.sizes.tolist() == [0, 3]
    np.testing.assert_allclose(curve.information[1], 0, atol=1e-9)
    np.testing.assert_allclose(curve.score_area, curve.score.mean())
    one = knockout_curve(net, X, y, order=[2], sizes=[1], n_random=1)
    assert one.score_area == one.score[0]


# ---------------------------------------------------------------- sweeps


def test_sweep_finds_the_walk_of_a_bit():
    net, X, y = hand_made_net()
    sweep = knockout_sweep(net, X, y, width=1)
    expected = np.zeros((4, 8))
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(sweep.loss, [expected * sweep.information[0]] * 2, atol=1e-9)
    np.testing.assert_allclose(sweep.score_loss > 0.4, expected.astype(bool))
    onward = knockout_sweep(net, X, y, nodes=[2, 0], timepoints=[-1, 1])
    assert onward.loss.shape == onward.effect.shape == (2, 2, 2)
    np.testing.assert_allclose(onward.loss[0], [[0, 0], [1, 0]], atol=1e-2)
    assert onward.timepoints.tolist() == [3, 1]
    analyzer = RelayAnalyzer(FrozenEstimator(net), random_state=0).fit(X, y)
    assert analyzer.relay_map_.shape == sweep.effect.shape
    for concept in range(2):
        both = [analyzer.relay_map_[concept].argmax(axis=1), sweep.effect[concept].argmax(axis=1)]
        np.testing.assert_array_equal(*both)


# ---------------------------------------------------------------- specificity


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


def test_the_node_that_carries_the_bit_costs_it_when_it_has_it_and_no_other_time():
    net, X, y = hand_made_net()
    for node in range(4):
        for start in range(4):
            result = knockout_specificity(
                net, X, y, relays=[[node]], start=start, stop=start + 1, n_random=0
            )
            expected = result.information if node == start else np.zeros(2)
            np.testing.assert_allclose(result.loss[0], expected, atol=1e-9)


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


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"relays": [[9]]}, ValueError, r"relays\[0\] contains \[9\]; allowed are"),
        ({"relays": [[0]], "n_random": -1}, ValueError, "n_random=-1"),
        ({"relays": [[0]], "value": "median"}, ValueError, "value='median'"),
        ({"relays": [[0]], "start": 10}, ValueError, "start=10"),
    ],
)
def test_bad_options(options, error, match, fitted):
    with pytest.raises(error, match=match):
        knockout_specificity(fitted, *make_panel(), **options)


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


def test_intervals_hold_the_truth():
    net, X, y = two_bit_net(20_000, seed=99)
    truth = knockout_specificity(net, X, y, relays=[[0, 1], [2]], concepts=BITS, n_random=0)
    held = []
    for seed in range(100):
        _, X, y = two_bit_net(300, seed=seed)
        result = knockout_specificity(
            net, X, y, relays=[[0, 1], [2]], concepts=BITS, n_random=0, random_state=seed
        )
        low, high = result.intervals.own_minus_other
        held.append((low <= truth.own_minus_other) & (truth.own_minus_other <= high))
    assert np.mean(held) > 0.88  # 95 % intervals; two standard errors of 200 trials below


def test_sets_from_an_analyzer_and_one_concept():
    net, X, y = two_bit_net()
    analyzer = RelayAnalyzer(FrozenEstimator(net), concepts=BITS, n_relays=2, random_state=0)
    analyzer.fit(X, y)
    result = knockout_specificity(net, X, y, relays=analyzer, n_random=0)
    sets = [analyzer.relays(concept) for concept in range(2)]
    assert sorted(sets[0].tolist()) == [0, 1]
    expected = knockout_specificity(net, X, y, relays=sets, concepts=BITS, n_random=0)
    np.testing.assert_array_equal(result.loss, expected.loss)
    alone = knockout_specificity(net, X, y, relays=[[0, 1, 2]], concepts="class", n_random=2)
    assert alone.own[0] > 0.5 and np.isnan(alone.other[0])


def test_two_classes_have_no_other_concept():
    net, X, y = hand_made_net()
    result = knockout_specificity(net, X, y, relays=[[3], [3]], n_random=2)
    assert (result.own > 0.9).all()
    for name in ("other", "own_minus_other"):
        assert np.isnan(result[name]).all() and np.isnan(result.intervals[name]).all()
    compared = compare_rankings(net, X, y, rankings=["single"], timepoints=[1])
    assert np.isnan(compared.specificity).all() and compared.advantage[0] > 0
    with pytest.raises(ValueError, match="divides the classes in another way"):
        specificity_score(net, X, y)
    net, X, y = two_bit_net()
    table = np.c_[BITS, 1 - BITS[:, 0]]  # the third is the first, the other way round
    result = knockout_specificity(net, X, y, relays=[[0, 1], [2], [0, 1]], concepts=table)
    np.testing.assert_allclose(result.own[[0, 2]], result.information[0], atol=0.05)
    np.testing.assert_allclose(result.other, 0, atol=0.01)


def test_an_analyzer_brings_its_layer_state_and_concepts():
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
        with pytest.raises(ValueError, match="layer=1, but the nodes of the analyzer are of 0"):
            study(net, X, y, layer=1)
        with pytest.raises(ValueError, match="state='h', but the nodes of the analyzer are of 'c'"):
            study(net, X, y, state="h")


def test_intervals_of_what_random_sets_cost_count_the_sets():
    net, X, y = two_bit_net(2000)
    options = {"rankings": ["single"], "concepts": BITS, "timepoints": [2], "random_state": 0}
    few = compare_rankings(net, X, y, n_random=5, **options)
    by_set = few.random_loss.mean(axis=1)
    error = by_set.std(axis=0, ddof=1) / np.sqrt(5)
    assert (np.diff(few.intervals.random, axis=0)[0] >= 2 * 1.959 * error).all()
    one = compare_rankings(net, X, y, n_random=1, **options)
    assert np.isnan(one.intervals.advantage).all()


def test_knockouts_after_the_end_of_all_series_are_noticed(fitted):
    X, y = make_panel()
    with pytest.warns(UserWarning, match="ended by step 8: knockouts from then on change nothing"):
        result = knockout_importance(fitted, cut_short(X, [6] * 60), y, start=8)
    assert not result.loss.any()


def test_a_half_that_cannot_be_scored_is_named(fitted):
    X, y = make_panel()
    with pytest.raises(ValueError, match="cannot score a random half of the instances"):
        knockout_importance(fitted, X[:4], y[:4], scoring="roc_auc_ovr", random_state=0)


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
    assert relay_score(net, X, y) == pytest.approx(analyzer.relay_map_.max(axis=2).mean())
    assert relay_score(net, X, y, timepoints=[2]) == pytest.approx(1.0, abs=0.05)
    positive = np.maximum(analyzer.relay_map_, 0)
    expected = np.average(localisation(analyzer.relay_map_), weights=positive.sum(axis=2))
    assert localisation_score(net, X, y) == pytest.approx(expected)
    assert localisation_score(net, X, y) > 0.8
    net, X, y = two_bit_net()
    good = specificity_score(net, X, y, concepts=BITS, n_relays=2, timepoints=[2])
    assert good == pytest.approx(0.5, abs=0.15)
    everything = specificity_score(net, X, y, concepts=BITS, n_relays=6)
    assert everything == pytest.approx(0.0, abs=0.1)


def test_scores_of_an_analyzer_do_not_vary():
    X, y = make_panel(n_instances=400)
    net = GRUClassifier(max_epochs=3, random_state=0).fit(X, y)
    analyzer = RelayAnalyzer(FrozenEstimator(net)).fit(X, y)  # 32 nodes: contexts are drawn
    assert relay_score(analyzer, X, y) == relay_score(analyzer, X, y)
    assert relay_score(analyzer, X, y) != relay_score(analyzer, X, y, random_state=1)


def test_a_step_from_the_end_is_no_start():
    net, X, y = two_bit_net()
    with pytest.raises(ValueError, match="align='end'.*give start"):
        specificity_score(net, X, y, concepts=BITS, align="end")


def test_localisation_by_hand():
    np.testing.assert_allclose(
        localisation([[1, 0, 0, 0], [1, 1, 0, -5], [2, 2, 2, 2]]), [1, 0.5, 0]
    )
    assert np.isnan(localisation([[0.0, -0.1]])).all()
    with pytest.raises(ValueError, match="two nodes at least"):
        localisation([[1.0]])


def test_scorers_in_searches_alone_in_a_dict_and_in_pipelines():
    X, y, net = learnable()
    quick = {"timepoints": [4], "n_relays": 2}
    scoring = {
        "accuracy": "accuracy",
        "relays": partial(relay_score, **quick),
        "localisation": partial(localisation_score, **quick),
        "specificity": partial(specificity_score, **quick),
    }
    grid = {"module__hidden_size": [3, 6]}
    search = GridSearchCV(net, grid, scoring=scoring, refit="relays", cv=2).fit(X, y)
    for name in scoring:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()
    alone = GridSearchCV(net, grid, scoring=relay_score, cv=2, n_jobs=2).fit(X, y)
    assert np.isfinite(alone.best_score_)
    result = cross_validate(make_pipeline(PanelToTensor(), net), X, y, scoring=scoring, cv=2)
    np.testing.assert_allclose(
        result["test_relays"].mean(), search.cv_results_["mean_test_relays"][1]
    )
    analyzer = RelayAnalyzer(net, timepoints=[4], n_relays=2, random_state=0)
    around = cross_validate(analyzer, X, y, scoring=relay_score, cv=2)
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
    np.testing.assert_array_equal(result.sets[0, 0, 0], np.argsort(-scores[0, 0])[:2])


def test_combined_rankings():
    carries, used = [0.8, 0.8, 0.1, 0.0], [[0.0, 0.4, 0.4, -0.1], [0.0, 0.0, 0.0, 0.0]]
    combined = combine_rankings(carries, used)
    assert combined.shape == (2, 4)
    np.testing.assert_allclose(combined[0, 1], np.sqrt(0.8 / 1.7 * 0.5))
    assert combined[0].argmax() == 1
    np.testing.assert_allclose(combined[1] ** 2, np.array(carries) / 1.7 / 4)  # no say
    with pytest.raises(ValueError, match="at least one"):
        combine_rankings()
