"""Combination of several rankings of nodes."""

import numpy as np


def combine_rankings(*scores):
    r"""Combine scores of nodes, so that nodes with high values in all of them come first.

    Parameters
    ----------
    *scores : array-like of shape (..., n_nodes)
        Scores of the same nodes, such as relay maps. Negative values and NaN count as 0.

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
    if not scores:
        raise ValueError("combine_rankings needs at least one array of scores, got none.")
    product = 1.0
    for values in scores:
        values = np.nan_to_num(np.maximum(np.asarray(values, dtype=float), 0.0))
        total = values.sum(axis=-1, keepdims=True)
        even = np.full_like(values, 1.0 / values.shape[-1])
        product = product * np.divide(values, total, out=even, where=total > 0)
    return product ** (1 / len(scores))
