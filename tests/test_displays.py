"""Displays draw the arrays they are given, and name matplotlib where it is not installed."""

import sys

import numpy as np
import pytest
from conftest import make_panel
from matplotlib import pyplot
from matplotlib.colors import PowerNorm
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from relayestimators import GRUClassifier, RelayAnalyzer, RelayHistory
from relayestimators.displays import (
    DriftDisplay,
    KnockoutCurveDisplay,
    KnockoutDisplay,
    RelayHistoryDisplay,
    RelayMapDisplay,
    StateSpaceDisplay,
)
from relayestimators.dynamics import drift_summary, trajectory_pca
from relayestimators.inspection import knockout_curve


@pytest.fixture(scope="session")
def cell():
    """Displays do not depend on the cell; one is enough."""
    return "gru"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def test_relay_map_image():
    values = np.arange(12.0).reshape(4, 3)
    display = RelayMapDisplay(values, timepoints=[10, 11, 12, 13]).plot(cmap="magma")
    np.testing.assert_array_equal(display.image_.get_array(), values.T)
    assert display.image_.get_cmap().name == "magma"
    assert display.ax_.get_ylabel() == "node"
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["10", "11", "12", "13"]
    assert display.figure_.axes[1].get_ylabel() == "relay information (bits)"


def test_image_options_reach_imshow():
    display = RelayMapDisplay(np.eye(3)).plot(norm=PowerNorm(0.5), interpolation="none")
    assert isinstance(display.image_.norm, PowerNorm)


def test_unreliable_values_are_hatched():
    values = np.ones((4, 3))
    reliable = np.ones((4, 3), dtype=bool)
    plain = RelayMapDisplay(values, reliable=reliable).plot()
    assert not plain.ax_.collections
    reliable[2] = False
    hatched = RelayMapDisplay(values, reliable=reliable).plot()
    assert any(collection.hatches == ["///"] for collection in hatched.ax_.collections)
    assert hatched.ax_.get_xlim() == plain.ax_.get_xlim()


def test_from_estimator(fitted):
    X, y = make_panel()
    analyzer = RelayAnalyzer(FrozenEstimator(fitted), random_state=0).fit(X, y)
    _, ax = pyplot.subplots()
    display = RelayMapDisplay.from_estimator(analyzer, concept=2, ax=ax)
    assert display.ax_ is ax
    np.testing.assert_array_equal(display.image_.get_array(), analyzer.relay_map_[2].T)
    with pytest.raises(ValueError, match="concept=3; expected an integer from 0 to 2"):
        RelayMapDisplay.from_estimator(analyzer, concept=3)
    with pytest.raises(NotFittedError):
        RelayMapDisplay.from_estimator(RelayAnalyzer(fitted))


def test_a_map_is_shown_beside_the_information_that_there_is():
    display = RelayMapDisplay(np.eye(3) * 0.4, information=0.97).plot()
    assert display.ax_.get_title(loc="right") == "I(A;B) = 0.97 bits"
    display = RelayMapDisplay(np.eye(3) * 0.04, information=0.97).plot()
    assert display.ax_.get_title(loc="right") == "I(A;B) = 0.97 bits, not shown here"


def test_knockout_lines():
    loss, chance = np.array([0.5, 0.2, 0.1]), np.random.default_rng(0).random((3, 20))
    display = KnockoutDisplay(loss, chance, timepoints=[2, 3, 4], intact=0.9).plot(color="C1")
    np.testing.assert_array_equal(display.line_.get_ydata(), loss)
    np.testing.assert_array_equal(display.line_.get_xdata(), [2, 3, 4])
    median = display.ax_.lines[0].get_ydata()
    np.testing.assert_allclose(median, np.median(chance, axis=1))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "relays" in labels
    assert "intact network" in labels
    assert KnockoutDisplay(loss, np.empty((3, 0))).plot().band_ is None
    assert KnockoutDisplay(loss, chance).plot(legend=False).ax_.get_legend() is None


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for display in (
        RelayMapDisplay(np.eye(2)),
        KnockoutDisplay([0.1], [[0.1]]),
        DriftDisplay([0, 1], [1.0, 0.5]),
        StateSpaceDisplay(np.zeros((1, 2, 2))),
        RelayHistoryDisplay([0, 1], np.eye(2), [0.0, 1.0]),
    ):
        with pytest.raises(ImportError, match=r"needs matplotlib.*relayestimators\[plot\]"):
            display.plot()


def test_other_maps_have_another_label():
    display = RelayMapDisplay(np.eye(3), label="effect (bits)").plot()
    assert display.figure_.axes[1].get_ylabel() == "effect (bits)"


def test_curves():
    random_left = np.array([[1.0, 0.9, 0.2], [1.0, 0.8, 0.4]])
    display = KnockoutCurveDisplay([0, 2, 4], {"a": [1, 0.5, 0.2], "b": [1, 1, 0]}, random_left)
    display.plot(linewidth=3)
    assert [line.get_label() for line in display.lines_] == ["a", "b"]
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), [1, 0.5, 0.2])
    np.testing.assert_array_equal(display.lines_[1].get_xdata(), [0, 2, 4])
    assert display.lines_[0].get_linewidth() == 3
    assert display.band_ is not None
    assert display.ax_.get_ylabel() == "left (accuracy)"
    assert KnockoutCurveDisplay([0, 1], [1.0, 0.5]).plot().band_ is None


def test_curves_from_a_result(fitted):
    X, y = make_panel()
    result = knockout_curve(fitted, X, y, order=range(6), n_random=2)
    display = KnockoutCurveDisplay.from_result(result)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), result.score)
    bits = KnockoutCurveDisplay.from_result(result, concept=1)
    np.testing.assert_array_equal(bits.lines_[0].get_ydata(), result.information[:, 1])
    assert "bits" in bits.ax_.get_ylabel()
    with pytest.raises(ValueError, match="concept=3; expected an integer from 0 to 2"):
        KnockoutCurveDisplay.from_result(result, concept=3)


def some_maps(seed=0, n_nets=4):
    rng = np.random.default_rng(seed)
    return [rng.random((2, 6, 5)) ** 3 for _ in range(n_nets)]


@pytest.mark.parametrize("what", ["similarity", "stability", "drift"])
def test_drift_draws_the_summary(what):
    others = [relay_map**1.1 for relay_map in some_maps()]
    summary = drift_summary(some_maps(), others, lags=[0, 1, 3])
    display = DriftDisplay.from_summary(summary, what=what, label="RNN", linewidth=3)
    np.testing.assert_array_equal(display.line_.get_xdata(), [0, 1, 3])
    np.testing.assert_array_equal(display.line_.get_ydata(), summary[what].mean)
    assert display.line_.get_linewidth() == 3
    edge = display.band_.get_paths()[0].vertices
    for x, *ends in zip(summary.lags, *summary[what].confidence_interval, strict=True):
        ends_there = edge[edge[:, 0] == x, 1]
        np.testing.assert_allclose([ends_there.min(), ends_there.max()], ends)
    chance = {"similarity": summary.chance.mean, "drift": 1 - summary.chance.mean}
    np.testing.assert_array_equal(display.chance_line_.get_ydata(), chance.get(what, [0, 0, 0]))
    assert what in display.ax_.get_ylabel()
    assert display.ax_.get_xlabel() == "lag (time steps)"


def test_drift_of_several_groups_of_networks():
    first = DriftDisplay.from_maps(some_maps(0), label="RNN")
    second = DriftDisplay.from_maps(some_maps(1), label="GRU", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert first.line_.get_color() != second.line_.get_color()
    assert first.line_.get_marker() != second.line_.get_marker()
    assert second.chance_line_.get_color() == second.line_.get_color()
    labels = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert labels == ["RNN", "GRU", "chance"]


def test_drift_from_maps_is_drift_of_the_summary():
    maps, others = some_maps(0), some_maps(1)
    options = {"lags": [1, 2], "metric": "transport", "alpha": 0.2}
    summary = drift_summary(maps, others, per_concept=True, **options)
    drawn = DriftDisplay.from_maps(maps, others, what="drift", concept=1, **options)
    np.testing.assert_array_equal(drawn.values, summary.drift.mean[1])
    interval = summary.drift.confidence_interval[:, 1]
    np.testing.assert_array_equal(drawn.confidence_interval, interval)
    np.testing.assert_array_equal(drawn.chance, 1 - summary.chance.mean[1])
    drawn = DriftDisplay.from_summary(summary, what="drift", concept=0, chance=False)
    np.testing.assert_array_equal(drawn.values, summary.drift.mean[0])
    assert drawn.chance_line_ is None
    assert drawn.ax_.get_legend() is None
    assert DriftDisplay([0, 1], [1, 0.5]).plot().band_ is None


def test_drift_raises_errors_for_bad_arguments():
    apart, mean = (drift_summary(some_maps(), per_concept=each) for each in (True, False))
    with pytest.raises(ValueError, match="keeps 2 concepts apart"):
        DriftDisplay.from_summary(apart)
    with pytest.raises(ValueError, match="concept=2; expected an integer from 0 to 1"):
        DriftDisplay.from_summary(apart, concept=2)
    with pytest.raises(ValueError, match="concept=0, but summary is a mean"):
        DriftDisplay.from_summary(mean, concept=0)
    with pytest.raises(ValueError, match="what='lifetime'; expected one of 'similarity'"):
        DriftDisplay.from_summary(mean, what="lifetime")


def test_state_space_draws_the_mean_trajectories(fitted):
    X, y = make_panel()
    result = trajectory_pca(fitted.hidden_states(X), y, n_components=2)
    display = StateSpaceDisplay.from_estimator(fitted, X, y, start=3, stop=7)
    assert [line.get_label() for line in display.lines_] == sorted(set(y))
    for k, line in enumerate(display.lines_):
        np.testing.assert_allclose(line.get_xydata(), result.class_means[k])
        window = display.window_lines_[k].get_xydata()
        np.testing.assert_allclose(window, result.class_means[k, 3:7])
    fraction = result.explained_variance_ratio[1]
    assert display.ax_.get_ylabel() == f"PC 2 ({fraction:.0%} of variance)"
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert labels == [*sorted(set(y)), "start", "end", "time steps 3 to 6"]


def test_single_trajectories_have_the_colors_of_their_classes(fitted):
    X, y = make_panel()
    result = trajectory_pca(fitted.hidden_states(X), y)
    display = StateSpaceDisplay.from_result(result, y)
    assert len(display.single_lines_) == 30
    for line in display.single_lines_:
        drawn = (line.get_xydata() == result.scores[:, :, :2]).all(axis=(1, 2))
        label = y[drawn.argmax()]
        assert line.get_color() == display.lines_[sorted(set(y)).index(label)].get_color()
    assert drawn.sum() == 1
    assert not StateSpaceDisplay.from_result(result, y, n_single=0).single_lines_


def test_start_end_and_arrowheads():
    """The start, the end, and arrowheads that point along the trajectory are drawn."""
    path = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [1.01, 2.0]])
    display = StateSpaceDisplay(path[None], class_means=path[None]).plot()
    (arrows,) = display.arrows_
    np.testing.assert_allclose(np.transpose([arrows.U, arrows.V]), [[1, 0], [0, 1]])  # long steps
    ends = {line.get_marker(): line.get_xydata() for line in display.ax_.lines if line._x.size == 1}
    np.testing.assert_array_equal(ends["o"], path[:1])
    np.testing.assert_array_equal(ends["s"], path[-1:])


def test_state_space_of_short_series(ragged_panel):
    X, y = ragged_panel
    hidden = np.where(np.isnan(X), np.nan, X).transpose(0, 2, 1)[:, :, :2]
    short = hidden.copy()
    short[y == "low", 5:] = np.nan
    result = trajectory_pca(short, y, n_components=2)
    display = StateSpaceDisplay.from_result(result, y)
    low = display.lines_[list(result.classes).index("low")].get_xydata()
    assert len(low) == 5
    np.testing.assert_array_equal(low, result.class_means[1, :5])


def test_state_space_in_three_dimensions(fitted):
    X, y = make_panel()
    result = trajectory_pca(fitted.hidden_states(X), y)
    display = StateSpaceDisplay.from_estimator(fitted, X, y, n_components=3, start=8)
    np.testing.assert_allclose(np.transpose(display.lines_[2].get_data_3d()), result.class_means[2])
    window = display.window_lines_[0].get_data_3d()
    np.testing.assert_allclose(np.transpose(window), result.class_means[0, 8:])
    assert display.ax_.get_zlabel().startswith("PC 3")
    display.figure_.canvas.draw()
    _, ax = pyplot.subplots()
    with pytest.raises(ValueError, match="ax has projection 'rectilinear'; expected '3d'"):
        StateSpaceDisplay.from_result(result, n_components=3, ax=ax)
    with pytest.raises(ValueError, match="ax has projection '3d'; expected two dimensions"):
        StateSpaceDisplay.from_result(result, ax=display.ax_)


def test_state_space_without_labels_and_with_many():
    hidden = np.random.default_rng(0).normal(size=(24, 5, 4))
    plain = StateSpaceDisplay.from_result(trajectory_pca(hidden))
    assert len(plain.single_lines_) == 10
    assert not plain.lines_
    assert plain.legend_ is None
    y = np.arange(24) % 12
    many = StateSpaceDisplay.from_result(trajectory_pca(hidden, y), y)
    assert len({tuple(line.get_color()) for line in many.lines_}) == 12
    with pytest.raises(ValueError, match="n_components=3; expected at most 2"):
        StateSpaceDisplay.from_result(trajectory_pca(hidden, n_components=2), n_components=3)
    with pytest.raises(ValueError, match="stop=9; expected an integer from 1 to 5"):
        StateSpaceDisplay.from_result(trajectory_pca(hidden), stop=9)
    with pytest.raises(ValueError, match="scores has 4 components; expected 2 or 3"):
        StateSpaceDisplay(hidden).plot()
    with pytest.raises(TypeError, match="has no hidden states"):
        StateSpaceDisplay.from_estimator(object(), hidden, y)


def test_history_of_relays():
    rng = np.random.default_rng(0)
    maps = rng.random((4, 2, 3, 5))
    maps[0] = 0  # no relays yet
    accuracy = [0.2, 0.4, 0.8, 0.9]
    display = RelayHistoryDisplay.from_maps([0, 1, 5, 25], maps, concept=1, accuracy=accuracy)
    np.testing.assert_allclose(display.image_.get_array(), maps[:, 1].mean(axis=1).T)
    fractions = maps[1:, 1] / np.linalg.norm(maps[1:, 1], axis=2, keepdims=True)
    expected = (fractions * fractions[-1]).sum(axis=2).mean(axis=1)  # cosines, over time steps
    drawn = display.line_.get_ydata()
    assert np.isnan(drawn[0])
    np.testing.assert_allclose(drawn[1:], expected)
    np.testing.assert_array_equal(display.accuracy_line_.get_ydata(), accuracy)
    assert (display.chance_line_.get_ydata()[1:] < 1).all()
    ticks = [tick.get_text() for tick in display.axes_[1].get_xticklabels()]
    assert ticks == ["0", "1", "5", "25"]
    assert display.figure_.axes[2].get_ylabel() == "relay information (bits)"


def test_history_of_a_callback():
    X, y = make_panel()
    relays = RelayHistory(X, y, every=2)
    net = GRUClassifier(module__hidden_size=4, max_epochs=4, random_state=0)
    net.set_params(callbacks=[("relays", relays)]).fit(X, y)
    _, axes = pyplot.subplots(2)
    display = RelayHistoryDisplay.from_history(relays, concept=2, axes=axes, cmap="magma")
    assert display.axes_[0] is axes[0]
    np.testing.assert_allclose(display.image_.get_array(), relays.maps_[:, 2].mean(axis=1).T)
    np.testing.assert_array_equal(display.accuracy_line_.get_ydata(), relays.accuracy_)


def test_history_with_a_failed_checkpoint():
    maps = np.random.default_rng(0).random((3, 1, 4, 5))
    maps[1] = np.nan
    display = RelayHistoryDisplay.from_maps([1, 2, 3], maps)
    assert np.isnan(display.information[1]).all()
    assert display.accuracy_line_ is None
    with pytest.raises(ValueError, match=r"maps has shape \(3, 1, 4, 5\).*n_checkpoints=2"):
        RelayHistoryDisplay.from_maps([1, 2], maps)
    with pytest.raises(ValueError, match="concept=1; expected an integer from 0 to 0"):
        RelayHistoryDisplay.from_maps([1, 2, 3], maps, concept=1)
    with pytest.raises(ValueError, match="axes holds 1 Axes; expected 2"):
        display.plot([display.axes_[0]])
