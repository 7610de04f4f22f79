"""Invalid arguments give errors that name the argument, its value, and what is allowed."""

import re

import numpy as np
import pytest

from relayestimators import _validation as v


@pytest.mark.parametrize(
    ("nodes", "error", "match"),
    [
        ([True, False], TypeError, "nodes is a boolean mask.*flatnonzero"),
        ([0.5], TypeError, r"nodes=\[0.5\]; expected .* integers from 0 to 3"),
        ([4], ValueError, r"nodes contains \[4\]; expected integers from 0 to 3"),
        ([-1], ValueError, r"nodes contains \[-1\]"),
        ([1, 1], ValueError, r"nodes=\[1, 1\]; expected .* at most once"),
        ("a", TypeError, r"nodes=\['a'\]; expected"),
    ],
)
def test_bad_nodes(nodes, error, match):
    with pytest.raises(error, match=match):
        v.check_nodes(nodes, 4)


def test_good_nodes_keep_their_order():
    assert v.check_nodes([3, 0], 4).tolist() == [3, 0]
    assert v.check_nodes(2, 4).tolist() == [2]
    assert v.check_nodes(None, 4).tolist() == []
    assert v.check_nodes(range(2), 4).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("start", "stop", "error", "match"),
    [
        (5, None, ValueError, "start=5; expected an integer from 0 to 4"),
        (2, 2, ValueError, "stop=2; expected an integer from 3 to 5"),
        (1.0, None, TypeError, "start=1.0; expected an integer"),
    ],
)
def test_bad_windows(start, stop, error, match):
    with pytest.raises(error, match=match):
        v.check_window(start, stop, 5)


@pytest.mark.parametrize(
    ("timepoints", "error", "match"),
    [
        ([5], ValueError, r"timepoints contains \[5\]; expected integers from -5 to 4"),
        ([0, -5], ValueError, r"timepoints=\[0, -5\]; expected .* at most once"),
        ([], TypeError, r"timepoints=\[\]; expected None"),
        ([0.5], TypeError, r"timepoints=\[0.5\]; expected None"),
    ],
)
def test_bad_timepoints(timepoints, error, match):
    with pytest.raises(error, match=match):
        v.check_timepoints(timepoints, 5)


def test_timepoints_count_from_the_end():
    assert v.check_timepoints([-1, 0], 5).tolist() == [4, 0]
    assert v.check_timepoints(None, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("concepts", "match"),
    [
        ("one", "concepts='one'; expected one of 'ovr', 'class' or an array"),
        ([[0], [1]], r"shape \(2, 1\); expected \(n_classes, n_concepts\) with n_classes=3"),
        ([[0], [1], [0.5]], "concepts has dtype float64; expected integers"),
        ([[0, 1], [1, 1], [0, 1]], r"concepts has the same value .* columns \[1\]"),
    ],
)
def test_bad_concepts(concepts, match):
    with pytest.raises(ValueError, match=match):
        v.check_concepts(concepts, 3)


def test_named_concepts():
    np.testing.assert_array_equal(v.check_concepts("ovr", 3), np.eye(3))
    np.testing.assert_array_equal(v.check_concepts("class", 3), [[0], [1], [2]])


@pytest.mark.parametrize("value", [0, 11, 0.0, 1.5, "all", True, -1])
def test_bad_sizes(value):
    with pytest.raises(ValueError, match=f"n_relays={value!r}; expected an integer from 1 to 10"):
        v.check_size(value, 10, name="n_relays")


@pytest.mark.parametrize(("value", "size"), [(None, 5), (3, 3), (0.25, 2), (1.0, 10), (0.01, 1)])
def test_sizes(value, size):
    assert v.check_size(value, 10, name="n_relays") == size


@pytest.mark.parametrize(
    ("states", "match"),
    [
        ([[0.5]], "states has dtype float64 and values from 0.5 to 0.5; expected integers"),
        ([[-1]], "values from -1 to -1"),
        ([[300]], "values from 300 to 300"),
        ([[np.nan]], "states has dtype float64"),
        ([[0, 0], [3, 255]], "states contains 255, .* first at instance 1"),
        ([["a"]], "states has dtype <U1; expected integers"),
        ([0, 1], r"states has shape \(2,\); expected \(n_instances, n_nodes\)"),
    ],
)
def test_bad_states(states, match):
    with pytest.raises(ValueError, match=match):
        v.check_states(states, ndim=2)


def test_a_series_ends_in_all_nodes_at_once():
    states = np.zeros((3, 4, 2), dtype=np.uint8)
    states[1, 2:] = 255
    np.testing.assert_array_equal(v.check_states(states, ndim=3), states)
    states[2, 3, 0] = 255
    with pytest.raises(ValueError, match="in some nodes only, first at instance 2, time step 3"):
        v.check_states(states, ndim=3)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([[1]], r"a has shape \(1, 1\)"),
        ([1, 2], "a has 2 instances; expected 3"),
        ([1.0, np.nan, 2.0], "a contains NaN or infinity"),
    ],
)
def test_bad_codes(values, match):
    with pytest.raises(ValueError, match=match):
        v.check_codes(values, name="a", n_instances=3)


def test_codes_of_any_values():
    assert v.check_codes(["b", "a", "b"], name="a").tolist() == [1, 0, 1]


@pytest.mark.parametrize("value", [-1, -0.1, np.nan, np.inf])
def test_numbers_that_are_negative_or_not_finite(value):
    with pytest.raises(ValueError, match=f"noise={value!r}; expected a finite number >= 0"):
        v.check_nonnegative(value, name="noise")


@pytest.mark.parametrize("value", ["loud", True, None])
def test_what_is_not_a_number(value):
    with pytest.raises(TypeError, match=f"noise={value!r}; expected a number >= 0"):
        v.check_nonnegative(value, name="noise")


@pytest.mark.parametrize("value", [1.0, True, None, "1", (1, 5)])
def test_what_is_not_an_integer(value):
    message = re.escape(f"delay={value!r}; expected an integer >= 0")
    with pytest.raises(TypeError, match=message):
        v.check_integer(value, name="delay", low=0)


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        (2, TypeError, "sizes=2; expected a sequence of integers >= 1"),
        ("24", TypeError, "sizes='24'; expected a sequence"),
        ((2, 4.0), TypeError, r"sizes\[1\]=4.0; expected an integer >= 1"),
        ((0, 4), ValueError, r"sizes\[0\]=0; expected an integer >= 1"),
    ],
)
def test_bad_sequences_of_integers(values, error, match):
    with pytest.raises(error, match=match):
        v.check_integers(values, name="sizes", low=1)


@pytest.mark.parametrize("alpha", [0, 1, 1.5, -0.1, np.nan, True, "0.05", None])
def test_bad_levels(alpha):
    with pytest.raises(ValueError, match=f"alpha={alpha!r}; expected a number between 0 and 1"):
        v.check_alpha(alpha)


def test_only_estimators_with_hidden_states():
    with pytest.raises(TypeError, match="estimator object has no hidden states.*RNNClassifier"):
        v.check_recurrent(object())
