"""Displays draw what they are given, and say what is missing when matplotlib is."""

import sys

import numpy as np
import pytest
from conftest import make_panel
from matplotlib import pyplot
from matplotlib.colors import PowerNorm
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from relayestimators import (
    KnockoutCurveDisplay,
    KnockoutDisplay,
    RelayAnalyzer,
    RelayMapDisplay,
    knockout_curve,
)


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
    with pytest.raises(ValueError, match="concept=3; expected a whole number from 0 to 2"):
        RelayMapDisplay.from_estimator(analyzer, concept=3)
    with pytest.raises(NotFittedError):
        RelayMapDisplay.from_estimator(RelayAnalyzer(fitted))


def test_knockout_lines():
    loss, chance = np.array([0.5, 0.2, 0.1]), np.random.default_rng(0).random((3, 20))
    display = KnockoutDisplay(loss, chance, timepoints=[2, 3, 4], intact=0.9).plot(color="C1")
    np.testing.assert_array_equal(display.line_.get_ydata(), loss)
    np.testing.assert_array_equal(display.line_.get_xdata(), [2, 3, 4])
    median = display.ax_.lines[0].get_ydata()
    np.testing.assert_allclose(median, np.median(chance, axis=1))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "relays" in labels
    assert "all there is to lose" in labels
    assert KnockoutDisplay(loss, np.empty((3, 0))).plot().band_ is None
    assert KnockoutDisplay(loss, chance).plot(legend=False).ax_.get_legend() is None


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for display in (RelayMapDisplay(np.eye(2)), KnockoutDisplay([0.1], [[0.1]])):
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
    with pytest.raises(ValueError, match="concept=3; expected a whole number from 0 to 2"):
        KnockoutCurveDisplay.from_result(result, concept=3)
