"""Orders and rankings of nodes by their scores, and which of them are tied."""

import numpy as np

#: Scores that differ by no more than this fraction of the largest one are equal up to rounding.
TIE = 1e-9


def _tolerance(scores):
    """Return the difference up to which scores are equal, for the last axis."""
    sizes = np.abs(np.where(np.isfinite(scores), scores, 0.0))
    return TIE * sizes.max(axis=-1, initial=0.0)


def strongest_nodes(scores, n_nodes=None, *, priority=None):
    """Return nodes in the order of descending scores.

    Parameters
    ----------
    scores : ndarray of shape (n_all_nodes,)
        Nodes with NaN come last.
    n_nodes : int, optional
        Number of nodes to return; all by default.
    priority : ndarray of shape (n_all_nodes,), optional
        Nodes with equal scores are in the order of these numbers, such as a random permutation.
        By default they are in the order of their own numbers.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-scores, kind="stable")
    with np.errstate(invalid="ignore"):
        lower = scores[order[:-1]] - scores[order[1:]] > _tolerance(scores)
    level = np.empty(len(scores), dtype=np.int64)
    level[order] = np.append(0, np.cumsum(lower))
    priority = np.arange(len(scores)) if priority is None else priority
    return np.lexsort((priority, level))[:n_nodes]


def n_tied(scores, n_nodes, *, floor=0.0):
    """Return how many nodes are tied for the last places among the strongest nodes.

    Parameters
    ----------
    scores : ndarray of shape (..., n_all_nodes)
        Scores.
    n_nodes : int
        Number of strongest nodes.
    floor : float or ndarray of shape (...), default=0.0
        Ties of lower scores do not count.

    Returns
    -------
    ndarray of shape (...), int
        Number of nodes that have the score of the last of the strongest nodes, if one of the
        other nodes has it too; 0 otherwise.
    """
    falling = -np.sort(-np.where(np.isnan(scores), -1.0, scores), axis=-1)
    if n_nodes >= falling.shape[-1]:
        return np.zeros(falling.shape[:-1], dtype=np.int64)
    last = falling[..., n_nodes - 1]
    tolerance = _tolerance(falling)
    equal = np.abs(falling - last[..., None]) <= tolerance[..., None]
    counts = equal[..., n_nodes] & (last > np.maximum(floor, tolerance))
    return np.where(counts, equal.sum(axis=-1), 0)


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


def ranking_of(scores, *, priority=None):
    """Return the rank of every node; the node with the highest score has rank 1.

    Parameters
    ----------
    scores, priority : ndarray of shape (n_nodes,)
        As in `strongest_nodes`.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
    """
    ranking = np.empty(len(scores), dtype=np.int64)
    ranking[strongest_nodes(scores, priority=priority)] = np.arange(1, len(scores) + 1)
    return ranking
