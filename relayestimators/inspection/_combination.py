"""Combination of several rankings of nodes."""

import numpy as np

from .._validation import check_bool


def combine_rankings(*scores, specific=False):
    r"""Combine scores of nodes, so that nodes with high values in all of them come first.

    Parameters
    ----------
    *scores : array-like of shape (..., n_nodes)
        Scores of the same nodes, such as relay maps. Negative values and NaN count as 0.
    specific : bool, default=False
        Whether to first make each score specific, as :func:`rank_nodes` does. The first axis then
        has the concepts; those with equal scores count as the same concept.

    Returns
    -------
    ndarray of shape (..., n_nodes)
        Geometric mean of the fractions that the nodes have of each score.

    Raises
    ------
    ValueError
        If there are no scores.

    See Also
    --------
    rank_nodes : Scores of nodes by name.
    compare_rankings : Compares rankings, and combinations of them, by knockouts.

    Notes
    -----
    Node j has the value

    .. math:: \Big( \prod_{m=1}^M \frac{s_{mj}}{\sum_k s_{mk}} \Big)^{1/M}

    in the combination of M scores s. Where a score is 0 for all nodes, their fractions are taken
    to be equal, so that the other scores decide the order.

    Examples
    --------
    >>> from relayestimators.inspection import combine_rankings
    >>> carries, used = [0.8, 0.8, 0.1, 0.1], [0.0, 0.4, 0.4, 0.1]
    >>> combine_rankings(carries, used).argmax()
    np.int64(1)
    """
    check_bool(specific, name="specific")
    if not scores:
        raise ValueError("combine_rankings needs at least one array of scores, got none.")
    product = 1.0
    for values in scores:
        if specific:
            if np.ndim(values) < 2:
                raise ValueError(
                    f"scores of shape {np.shape(values)} with specific=True; expected concepts in "
                    "the first axis and nodes in the last."
                )
            values = specific_scores(np.asarray(values, dtype=float))
        values = np.nan_to_num(np.maximum(np.asarray(values, dtype=float), 0.0))
        total = values.sum(axis=-1, keepdims=True)
        even = np.full_like(values, 1.0 / values.shape[-1])
        product = product * np.divide(values, total, out=even, where=total > 0)
    return product ** (1 / len(scores))


def specific_scores(scores, different=None):
    """Return what scores say of a node for its concept and not for others.

    Parameters
    ----------
    scores : ndarray of shape (n_concepts, ..., n_nodes)
        Scores; NaN counts as 0.
    different : ndarray of shape (n_concepts, n_concepts), bool, optional
        Which concepts partition the classes differently; by default those with other scores.

    Returns
    -------
    ndarray of shape (n_concepts, ..., n_nodes)
        The fraction that a node has of the absolute scores of a concept, with the sign of its
        score, less its mean fraction of those of the other concepts.
    """
    if different is None:
        different = np.array(
            [[not np.array_equal(a, b, equal_nan=True) for b in scores] for a in scores]
        )
    known = np.nan_to_num(scores)
    total = np.abs(known).sum(axis=-1, keepdims=True)
    fraction = np.divide(known, total, out=np.zeros_like(known), where=total > 0)
    weights = different / np.maximum(different.sum(axis=1, keepdims=True), 1)
    others = np.tensordot(weights, np.abs(fraction), axes=1)
    return np.where(np.isnan(scores), np.nan, fraction - others)
