"""A concept as codes: its true value, the predicted value with the margin, and the true class."""

from typing import NamedTuple

import numpy as np

from .._validation import check_codes


class Codes(NamedTuple):
    """The variables of one concept, as codes from 0 without gaps.

    Parameters
    ----------
    a : ndarray of shape (n_instances,)
        Concept value of the true class.
    b : ndarray of shape (n_instances,)
        Concept value of the predicted class.
    said : ndarray of shape (n_instances,)
        What the network says: `b`, refined by whether the margin is large or small.
    classes : ndarray of shape (n_instances,)
        True class, which determines `a`.
    """

    a: np.ndarray
    b: np.ndarray
    said: np.ndarray
    classes: np.ndarray

    def take(self, rows):
        """Return the codes of some instances, without the gaps that the others leave."""
        return Codes(*(without_gaps(codes[rows]) for codes in self))

    def small(self):
        """Return the codes in small integer types, because every task is sent a copy."""
        return Codes(*(codes.astype(np.min_scalar_type(int(codes.max()))) for codes in self))

    def information(self):
        """Return I(A;B), the information about the concept in the predictions, in bits."""
        return max(0.0, _entropy(self.a) + _entropy(self.b) - _entropy(_pairs(self.a, self.b)))

    def unexplained(self):
        """Return how much of what the network says the true class leaves open, in bits."""
        joint = _pairs(self.classes, self.said)
        return max(0.0, _entropy(joint) - _entropy(self.classes))


def without_gaps(codes):
    """Return codes in the same order, without numbers that do not occur."""
    return (np.cumsum(np.bincount(codes) > 0) - 1)[codes]


def _pairs(x, y):
    """Return codes of pairs of codes."""
    return np.unique(x.astype(np.int64) * (int(y.max()) + 1) + y, return_inverse=True)[1]


def _entropy(codes):
    """Return the plug-in entropy of codes without gaps, in bits."""
    counts = np.bincount(codes)
    return np.log2(len(codes)) - counts @ np.log2(counts) / len(codes)


def make_codes(concept_in, concept_out, log_odds=None, labels=None, *, n_instances=None):
    """Check the variables of one concept and return them as codes.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances,)
        Concept values of the true and of the predicted class.
    log_odds : array-like of shape (n_instances,), optional
        Log-odds that the network gives to the predicted concept value.
    labels : array-like of shape (n_instances,), optional
        True classes; the values of `concept_in` by default.
    n_instances : int, optional
        Required length.

    Returns
    -------
    Codes

    Raises
    ------
    ValueError
        If lengths differ, or `log_odds` contains NaN.
    """
    a = check_codes(concept_in, name="concept_in", n_instances=n_instances)
    b = check_codes(concept_out, name="concept_out", n_instances=len(a))
    classes = a
    if labels is not None:
        # A class determines the concept value. Where it does not, both together are the class.
        classes = _pairs(a, check_codes(labels, name="labels", n_instances=len(a)))
    if log_odds is None:
        return Codes(a, b, b, classes)
    log_odds = np.asarray(log_odds)
    if log_odds.shape != a.shape or log_odds.dtype.kind not in "fiu" or np.isnan(log_odds).any():
        raise ValueError(
            f"log_odds has shape {log_odds.shape} and dtype {log_odds.dtype}; expected one number "
            f"per instance, of shape ({len(a)},), without NaN."
        )
    return Codes(a, b, refined_by_margin(b, log_odds, classes), classes)


def refined_by_margin(said, log_odds, classes):
    """Refine what the network says by whether its margin is large or small.

    A margin is large if, among the instances with the same true class for which the network says
    the same, more have a smaller margin than have a larger one. Therefore the margin by itself
    tells nothing about the class. Equal margins are never separated, so that a network with the
    same margin everywhere refines nothing.

    Parameters
    ----------
    said, classes : ndarray of shape (n_instances,), int
        Predicted concept value and true class, as codes.
    log_odds : ndarray of shape (n_instances,)
        Log-odds of the predicted concept value.

    Returns
    -------
    ndarray of shape (n_instances,), int64
        Codes without gaps.
    """
    groups = _pairs(classes, said)
    large = np.zeros(len(said), dtype=np.int64)
    for group in range(groups.max() + 1):
        rows = np.flatnonzero(groups == group)
        margins = np.sort(log_odds[rows])
        n_smaller = np.searchsorted(margins, log_odds[rows])
        n_larger = len(rows) - np.searchsorted(margins, log_odds[rows], side="right")
        large[rows] = n_smaller > n_larger
    return without_gaps(2 * said.astype(np.int64) + large)
