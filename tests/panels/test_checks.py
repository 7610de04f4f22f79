"""Checks of panels: errors name the invalid place, and NaN after the end of a series is allowed."""

import numpy as np
import pytest

from relayestimators.panels._panel import check_panel, series_lengths


def with_value(value, where):
    X = np.zeros((3, 2, 5))
    X[where] = value
    return X


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.zeros((3, 4)), r"X has shape \(3, 4\); expected three dimensions"),
        (np.zeros((0, 2, 5)), "every dimension to be at least 1"),
        (with_value(np.inf, (1, 1, 3)), "infinity.*instance 1, channel 1, time step 3"),
        (with_value(1e300, (1, 1, 3)), "too large for float32.*instance 1, channel 1, time step 3"),
        (with_value(np.nan, (2, 0, 1)), "NaN inside.*instance 2, channel 0, time step 1"),
        (with_value(np.nan, (2, 0, 4)), "NaN inside.*instance 2, channel 0, time step 4"),
        (with_value(np.nan, 1), "instance 1 is empty"),
    ],
)
def test_broken_panels_are_refused_with_the_place(X, match):
    with pytest.raises(ValueError, match=match):
        check_panel(X)


def test_trailing_nan_in_all_channels_is_padding():
    X = with_value(np.nan, (slice(1, 3), slice(None), slice(3, None)))
    checked = check_panel(X)
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked, X)
    np.testing.assert_array_equal(series_lengths(checked), [5, 3, 3])
