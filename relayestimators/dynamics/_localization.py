"""Distribution of relay information over the nodes at one time step."""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array


def positive_part(relay_map, *, n_axes=1, name="relay_map"):
    """Return a checked map with negative estimates set to 0.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Bits; NaN where there is no estimate.
    n_axes : {1, 2}
        Smallest number of axes: 1 for the nodes, 2 for time steps and nodes.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of float, same shape
    """
    values = np.asarray(relay_map, dtype=float)
    if values.ndim < n_axes or values.shape[-1] < 2 or 0 in values.shape:
        shape = "(..., n_timepoints, n_nodes)" if n_axes == 2 else "(..., n_nodes)"
        raise ValueError(
            f"{name} has shape {values.shape}; expected {shape} with at least two nodes."
        )
    if np.isinf(values).any():
        raise ValueError(f"{name} contains infinity; expected bits, or NaN for no estimate.")
    return np.maximum(values, 0.0)


def fractions_of(relay_map, *, n_axes=1, name="relay_map"):
    """Return each node's fraction of the relay information, NaN where nothing is relayed.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Bits; NaN where there is no estimate.
    n_axes : {1, 2}
        Smallest number of axes.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of float, same shape
    """
    values = positive_part(relay_map, n_axes=n_axes, name=name)
    total = values.sum(axis=-1, keepdims=True)
    return np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0)


def mean_of_known(values, axis=-1):
    """Return the mean over values that are not NaN; NaN, without a warning, if all of them are.

    Parameters
    ----------
    values : ndarray
        Values of any shape.
    axis : int
        Axis to average over.

    Returns
    -------
    ndarray
    """
    known = ~np.isnan(values)
    n_known = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(total, n_known, out=np.full(np.shape(total), np.nan), where=n_known > 0)


def localization(relay_map):
    r"""Compute how few nodes carry the relay information of each concept and time step.

    .. math:: 1 - \frac{-\sum_k p_k \log p_k}{\log K}

    Here :math:`p_k` is the fraction of the relay information that node :math:`k` of :math:`K`
    nodes has.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Relay information in bits; negative estimates count as 0.

    Returns
    -------
    ndarray of shape (...)
        0 if all nodes have the same fraction, 1 if one node has all of it; NaN where nothing is
        relayed.

    Raises
    ------
    ValueError
        If `relay_map` contains infinity, or has fewer than two nodes.

    See Also
    --------
    drift_summary : Localization of several networks, with confidence intervals.

    Examples
    --------
    >>> from relayestimators.dynamics import localization
    >>> localization([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    array([0. , 1. , 0.5])
    """
    fractions = fractions_of(relay_map)
    terms = fractions * np.log2(np.where(fractions > 0, fractions, 1.0))
    return 1.0 + terms.sum(axis=-1) / np.log2(fractions.shape[-1])


def participation(relay_map):
    r"""Compute the effective number of nodes that relay at each concept and time step.

    .. math:: 1 / \textstyle\sum_k p_k^2

    This is the participation ratio of the fractions :math:`p_k` of the nodes. It is n if n nodes
    have the same fraction and the others have none, and NaN where nothing is relayed. Noise
    increases it, because it adds small positive values to nodes that relay nothing.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Relay information in bits; negative estimates count as 0.

    Returns
    -------
    ndarray of shape (...)
    """
    return 1.0 / (fractions_of(relay_map) ** 2).sum(axis=-1)


def mean_strength(relay_map):
    """Return the relay information of the strongest node, averaged over concepts and time steps.

    Parameters
    ----------
    relay_map : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Relay information in bits; NaN at time steps without an estimate.

    Returns
    -------
    float
        Bits; NaN if there is no estimate.
    """
    return float(mean_of_known(relay_map.max(axis=2).ravel()))


def mean_localization(relay_map, counted=None):
    """Return the localization, averaged with the relay information as weights.

    Parameters
    ----------
    relay_map : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Relay information in bits; NaN at time steps without an estimate.
    counted : ndarray of shape (n_concepts, n_timepoints), bool, optional
        Concepts and time steps to average over; all by default.

    Returns
    -------
    float
        0 if nothing is relayed there, NaN if there is no estimate at all.
    """
    if np.isnan(relay_map).all():
        return np.nan
    weights = np.nan_to_num(positive_part(relay_map).sum(axis=2))
    if counted is not None:
        weights = weights * counted
    if not weights.any():
        return 0.0
    return float(np.average(np.nan_to_num(localization(relay_map)), weights=weights))


def transport_distance(first, second, *, cost=None):
    """Compute the least cost of moving relay information to turn one map into the other.

    Only the fractions of the nodes count. The distance is exact, by linear programming. It is the
    earth mover's distance [1]_, which is the Wasserstein-1 distance if `cost` is a metric.

    Parameters
    ----------
    first, second : array-like of shape (..., n_nodes)
        Relay information in bits; negative estimates count as 0.
    cost : array-like of shape (n_nodes, n_nodes), optional
        Cost >= 0 of moving everything from one node to another. By default 1 between any two nodes,
        so that the distance is the total variation, the fraction that has to move.

    Returns
    -------
    ndarray of shape (...)
        Distance in units of `cost`; NaN where nothing is relayed in one of the maps.

    References
    ----------
    .. [1] G. Peyre, M. Cuturi (2019). Computational optimal transport. Foundations and Trends in
       Machine Learning 11(5-6), 355-607. arXiv:1803.00567.
    """
    first, second = fractions_of(first, name="first"), fractions_of(second, name="second")
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"second has {second.shape[-1]} nodes; expected {first.shape[-1]}, as in first."
        )
    if cost is None:
        return np.abs(first - second).sum(axis=-1) / 2
    cost = check_cost(cost, first.shape[-1])
    first, second = np.broadcast_arrays(first, second)
    distance = np.full(first.shape[:-1], np.nan)
    for where in np.ndindex(distance.shape):
        if not np.isnan(first[where] + second[where]).any():
            distance[where] = _least_cost(first[where], second[where], cost)
    return distance


def check_cost(cost, n_nodes, *, high=np.inf):
    """Return a checked matrix of costs.

    Parameters
    ----------
    cost : array-like of shape (n_nodes, n_nodes)
        Cost of moving everything from one node to another.
    n_nodes : int
        Number of nodes.
    high : float
        Highest allowed cost.

    Returns
    -------
    ndarray of shape (n_nodes, n_nodes)
    """
    cost = np.asarray(cost, dtype=float)
    if cost.shape != (n_nodes, n_nodes):
        raise ValueError(f"cost has shape {cost.shape}; expected {(n_nodes, n_nodes)}.")
    if not (np.isfinite(cost).all() and (cost >= 0).all() and (cost <= high).all()):
        allowed = "finite numbers from 0" + ("" if high == np.inf else f" to {high:g}")
        raise ValueError(f"cost has values from {cost.min()} to {cost.max()}; expected {allowed}.")
    return cost


def _least_cost(first, second, cost):
    """Solve the transport problem between two distributions on their nonzero nodes."""
    sources, targets = np.flatnonzero(first), np.flatnonzero(second)
    flows = np.arange(len(sources) * len(targets))
    out_of, into = flows // len(targets), len(sources) + flows % len(targets)
    sums = coo_array((np.ones(2 * len(flows)), (np.append(out_of, into), np.append(flows, flows))))
    # The last equation follows from the others. With it, rounding may make them inconsistent.
    plan = linprog(
        cost[np.ix_(sources, targets)].ravel(),
        A_eq=sums.tocsr()[:-1],
        b_eq=np.concatenate([first[sources], second[targets]])[:-1],
    )
    if plan.status != 0:
        raise RuntimeError(f"The transport problem could not be solved: {plan.message}")
    return max(plan.fun, 0.0)
