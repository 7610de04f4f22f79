"""Studies of knockouts: results computed by hand, networks with known nodes, bad arguments."""

from functools import partial

import numpy as np
import pytest
import torch
from conftest import cut_short, make_panel
from known_nets import BITS, hand_made_net, two_bit_net
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sktime.datatypes import convert

from relayestimators import GRUClassifier, KnockoutTransformer, LSTMClassifier, RelayAnalyzer
from relayestimators.inspection import (
    compare_rankings,
    cross_validate_knockout,
    knockout_curve,
    knockout_importance,
    knockout_specificity,
    knockout_sweep,
)
from relayestimators.inspection._ablation import Ablation, Knockout
from relayestimators.panels import _panel
from relayestimators.relay._information import information_of_counts, mutual_information

one_cell = pytest.mark.parametrize("cell", ["gru"], indirect=True)


# ---------------------------------------------------------------- the measurement


@one_cell
@pytest.mark.parametrize(
    ("study", "n_scans"),
    [
        (partial(knockout_importance, pairs=True), 1),
        (partial(knockout_curve, order=range(6), n_random=9), 1),
        (partial(knockout_specificity, relays=[[0], [1], [2]], n_random=40), 1),
        (knockout_sweep, 1),
        (partial(compare_rankings, n_random=40, n_resamples=2), 2),  # once to rank, once to measure
    ],
    ids=["importance", "curve", "specificity", "sweep", "rankings"],
)
def test_a_panel_is_scanned_once(study, n_scans, fitted, monkeypatch):
    scanned = []
    scan = _panel.all_finite
    monkeypatch.setattr(_panel, "all_finite", lambda X: scanned.append(len(X)) or scan(X))
    study(fitted, *make_panel())
    assert len(scanned) == n_scans


@one_cell
@pytest.mark.parametrize("study", [knockout_importance, compare_rankings])
def test_a_panel_that_is_not_finite_is_an_error(study, fitted):
    X, y = make_panel()
    X[7, 1, 3] = np.inf
    with pytest.raises(ValueError, match="X contains infinity.*time step 3"):
        study(fitted, X, y)


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
    predicted = before.argmax(axis=1)
    for k in range(3):
        with_it = [p[:, k] / np.delete(p, k, axis=1).sum(axis=1) for p in (before, after)]
        odds = np.log2(with_it) * np.where(predicted == k, 1, -1)  # of the intact prediction
        assert result.effect[0, k] == pytest.approx(np.abs(odds[1] - odds[0]).mean(), rel=1e-4)


@one_cell
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


@one_cell
def test_arrays_of_values_are_for_all_nodes(fitted):
    X, y = make_panel()
    values = np.linspace(-1, 1, 60).reshape(10, 6)
    result = knockout_specificity(
        fitted, X, y, relays=[[4, 1]], value=values, n_random=0, n_resamples=2
    )
    ablated = KnockoutTransformer(FrozenEstimator(fitted), [4, 1], value=values[:, [4, 1]])
    loss = fitted.score(X, y) - ablated.fit(X, y).score(X, y)
    assert result.score_loss[0] == pytest.approx(loss)


@one_cell
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


def test_knockouts_in_many_tasks_keep_their_order():
    net, X, y = hand_made_net()
    ablation = Ablation(net, X, y)
    starts = np.random.default_rng(0).integers(0, 4, 150)
    nodes = np.random.default_rng(1).integers(0, 8, 150)
    lost = ablation.measure(
        [Knockout(np.array([j]), int(t), int(t) + 1) for j, t in zip(nodes, starts)], value="mean"
    )
    expected = (nodes == starts) * ablation.intact.information[0, 0, 0]
    np.testing.assert_allclose(lost.information[:, 0, 0], expected, atol=1e-9)


@one_cell
def test_the_number_of_torch_threads_is_restored(fitted):
    X, y = make_panel()
    torch.set_num_threads(2)
    try:
        knockout_importance(fitted, X, y, n_repeats=2, n_jobs=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@one_cell
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


@one_cell
def test_progress_bars_with_verbose_only(fitted, capsys):
    X, y = make_panel()
    knockout_importance(fitted, X, y, n_repeats=2)
    assert capsys.readouterr().err == ""
    knockout_importance(fitted, X, y, n_repeats=2, verbose=1)
    assert "knockouts: 100%" in capsys.readouterr().err


@one_cell
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
        (partial(compare_rankings, rankings=[np.ones(6)]), TypeError, "rankings="),
        (
            partial(compare_rankings, rankings=["random"] * 2),
            ValueError,
            "rankings=.*once",
        ),
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
            "groups cannot be combined with nodes",
        ),
        (
            partial(knockout_importance, nodes=[0], pairs=[[1, 2]]),
            ValueError,
            "nodes cannot be combined with a list of pairs",
        ),
        (partial(knockout_importance, pairs=[[1, 2, 3]]), ValueError, "expected two nodes"),
        (partial(knockout_curve, order=[]), ValueError, "order is empty"),
        (partial(knockout_curve, order=[0, 0]), ValueError, r"order=\[0, 0\]"),
        (partial(knockout_curve, order=[0, 1], sizes=[3]), ValueError, r"from 0 to 2"),
        (partial(knockout_sweep, width=0), ValueError, "width=0"),
        (partial(knockout_sweep, timepoints=[10]), ValueError, "timepoints contains"),
        (partial(compare_rankings, rankings=[]), ValueError, "rankings is empty"),
        (
            partial(compare_rankings, rankings=["best"]),
            ValueError,
            "rankings contains 'best'.*'throughput'.*'knockout'",
        ),
        (
            partial(compare_rankings, rankings={"mine": np.zeros((2, 6))}),
            ValueError,
            r"scores of 'mine' have shape \(2, 6\); expected .*=\(3, 10, 6\).*\(6,\)",
        ),
    ],
)
def test_bad_arguments(call, error, match, fitted):
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
    np.testing.assert_allclose(singles.loss[[0, 1, 3, 4, 5]], 0, atol=1e-9)  # 0 and 1 are copies
    assert singles.loss[2, 1] == pytest.approx(singles.information[1], abs=0.01)
    assert singles.effect[0, 0] > 1 and singles.effect[0, 1] < 0.1  # seen in the log-odds
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


@one_cell
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


def test_sweep_follows_a_bit_from_node_to_node():
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


def test_a_repeated_knockout_is_run_once(monkeypatch):
    net, X, y = two_bit_net()
    ablation, ran = Ablation(net, X, y, concepts=BITS), []
    run = net.knock_out
    monkeypatch.setattr(net, "knock_out", lambda X, clamps: ran.extend(clamps) or run(X, clamps))
    knockouts = [Knockout(np.array(nodes), 0, 5) for nodes in ([0, 1], [2], [0, 1], [3], [2])]
    lost = ablation.measure(knockouts, value="mean").information[:, 0]
    assert len(ran) == 3
    np.testing.assert_array_equal(lost[[0, 1]], lost[[2, 4]])
    np.testing.assert_allclose(lost[[0, 1, 3]] > 0.3, [[True, False], [False, True], [False] * 2])
