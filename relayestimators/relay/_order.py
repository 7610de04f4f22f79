"""Orders and rankings of nodes by their scores."""

import numpy as np


def strongest_nodes(scores, n_nodes=None):
    """Return nodes in the order of descending scores.

    Parameters
    ----------
    scores : ndarray of shape (n_all_nodes,)
        Nodes with NaN come last.
    n_nodes : int, optional
        Number of nodes to return; all by default.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
        Nodes with equal scores are in the order of their numbers.
    """
    return np.argsort(-np.asarray(scores), kind="stable")[:n_nodes]


def mean_score(values, n_instances):
    """Return the mean of a map over concepts and time steps, weighted by numbers of instances.

    Parameters
    ----------
    values : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Scores; NaN is left out of the mean.
    n_instances : ndarray of shape (n_timepoints,)
        Number of instances that have each time step.

    Returns
    -------
    ndarray of shape (n_nodes,)
        0 if there is no value.
    """
    weights = np.broadcast_to(n_instances[:, None], values.shape)
    known = ~np.isnan(values)
    total = np.where(known, values * weights, 0.0).sum(axis=(0, 1))
    return total / np.maximum(np.where(known, weights, 0).sum(axis=(0, 1)), 1)


def ranking_of(scores):
    """Return the rank of every node; the node with the highest score has rank 1."""
    ranking = np.empty(len(scores), dtype=np.int64)
    ranking[strongest_nodes(scores)] = np.arange(1, len(scores) + 1)
    return ranking
