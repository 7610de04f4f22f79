"""Checks of what the tasks have in common."""

from numbers import Real

import numpy as np

from .._validation import check_integer


def check_noise(noise):
    """Refuse anything but a finite number from 0."""
    if not isinstance(noise, Real) or isinstance(noise, bool):
        raise TypeError(f"noise={noise!r}; expected a number from 0.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise={noise!r}; expected a finite number from 0.")


def check_whole_numbers(values, *, name, low):
    """Return a sequence of whole numbers as a tuple of int."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise TypeError(f"{name}={values!r}; expected a sequence of whole numbers from {low}.")
    for i, value in enumerate(values):
        check_integer(value, name=f"{name}[{i}]", low=low)
    return tuple(map(int, values))
