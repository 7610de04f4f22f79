"""From scores of nodes to an order of nodes."""

import numpy as np


def strongest_nodes(scores, n_nodes=None):
    """Return nodes by falling score, equals by number, NaN last.

    Parameters
    ----------
    scores : ndarray of shape (n_all_nodes,)
    n_nodes : int, optional
        How many to return; all by default.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
    """
    return np.argsort(-np.asarray(scores), kind="stable")[:n_nodes]


def mean_score(values, n_instances):
    """Return the mean over concepts and time steps, each step weighted by its instances."""
    weights = np.broadcast_to(n_instances[:, None], values.shape)
    known = ~np.isnan(values)
    total = np.where(known, values * weights, 0.0).sum(axis=(0, 1))
    return total / np.maximum(np.where(known, weights, 0).sum(axis=(0, 1)), 1)


def ranking_of(scores):
    """Return the rank of every node, 1 for the highest score."""
    ranking = np.empty(len(scores), dtype=np.int64)
    ranking[strongest_nodes(scores)] = np.arange(1, len(scores) + 1)
    return ranking
