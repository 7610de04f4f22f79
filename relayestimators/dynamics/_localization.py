"""Shares of nodes at one time step: how many nodes, and how far from one another."""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array


def positive_part(relay_map, *, n_axes=1, name="relay_map"):
    """Return a map with negative estimates set to 0, or refuse its shape.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Bits; NaN where there is no estimate.
    n_axes : {1, 2}
        How many axes it must have at least: 2 with the time steps.
    name : str
        What the caller calls this argument.

    Returns
    -------
    ndarray of float, same shape
    """
    values = np.asarray(relay_map, dtype=float)
    if values.ndim < n_axes or values.shape[-1] < 2 or 0 in values.shape:
        shape = "(..., n_timepoints, n_nodes)" if n_axes == 2 else "(..., n_nodes)"
        raise ValueError(
            f"{name} has shape {values.shape}; expected {shape} with two nodes at least."
        )
    if np.isinf(values).any():
        raise ValueError(f"{name} contains infinity; expected bits, or NaN for no estimate.")
    return np.maximum(values, 0.0)


def shares_of(relay_map, *, n_axes=1, name="relay_map"):
    """Return each node's share of what is relayed, NaN where nothing is.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Bits; NaN where there is no estimate.
    n_axes : {1, 2}
        How many axes it must have at least.
    name : str
        What the caller calls this argument.

    Returns
    -------
    ndarray of float, same shape
    """
    values = positive_part(relay_map, n_axes=n_axes, name=name)
    total = values.sum(axis=-1, keepdims=True)
    return np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0)


def mean_of_known(values, axis=-1):
    """Return the mean over what is not NaN; NaN, without a warning, where all is.

    Parameters
    ----------
    values : ndarray
    axis : int
        Over which.

    Returns
    -------
    ndarray
    """
    known = ~np.isnan(values)
    n_known = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(total, n_known, out=np.full(np.shape(total), np.nan), where=n_known > 0)


def localization(relay_map):
    """How few nodes the relay information of each concept and time step is concentrated in.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Relay information in bits; negative estimates count as 0.

    Returns
    -------
    ndarray of shape (...)
        One less the entropy of the nodes' shares, over its maximum: 0 if all nodes have the same
        share, 1 if one node has all. NaN where nothing is relayed.

    See Also
    --------
    participation : The same question, answered in nodes.

    Examples
    --------
    >>> from relayestimators.dynamics import localization
    >>> localization([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    array([0. , 1. , 0.5])
    """
    shares = shares_of(relay_map)
    terms = shares * np.log2(np.where(shares > 0, shares, 1.0))
    return 1.0 + terms.sum(axis=-1) / np.log2(shares.shape[-1])


def participation(relay_map):
    """How many nodes relay: the effective number of nodes at each concept and time step.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Relay information in bits; negative estimates count as 0.

    Returns
    -------
    ndarray of shape (...)
        Participation ratio of the nodes' shares p, 1 / sum(p ** 2), in nodes: k if k nodes have the
        same share and the others none. NaN where nothing is relayed.

    See Also
    --------
    localization : The same question, answered from 0 to 1.

    Notes
    -----
    Noise adds small positive values to nodes that relay nothing, so it adds to the number.

    Examples
    --------
    >>> from relayestimators.dynamics._localization import participation
    >>> participation([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    array([4., 1., 2.])
    """
    return 1.0 / (shares_of(relay_map) ** 2).sum(axis=-1)


def mean_strength(relay_map):
    """Return the bits of the strongest node, mean over concepts and time steps.

    Parameters
    ----------
    relay_map : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Relay information in bits; NaN at time steps that are not known.

    Returns
    -------
    float
        NaN if none is known.
    """
    return float(mean_of_known(relay_map.max(axis=2).ravel()))


def mean_localization(relay_map, counted=None):
    """Return the localization, mean over concepts and time steps weighted by what they relay.

    Parameters
    ----------
    relay_map : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Relay information in bits; NaN at time steps that are not known.
    counted : ndarray of shape (n_concepts, n_timepoints), bool, optional
        Those that count; all by default.

    Returns
    -------
    float
        0 if nothing that counts is relayed, NaN if nothing is known.
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
    """How far shares of relay information have to be moved to turn one map into the other.

    Parameters
    ----------
    first, second : array-like of shape (..., n_nodes)
        Relay information in bits; negative estimates count as 0. Only shares count.
    cost : array-like of shape (n_nodes, n_nodes), optional
        Cost of moving everything from one node to another, from 0. By default 1 between any two
        nodes, because nodes have no place; then the distance is the total variation, the share
        that has to move. One less the absolute correlation of nodes' states makes it cheap to move
        between nodes that do the same.

    Returns
    -------
    ndarray of shape (...)
        The least cost there is (earth mover's distance, Wasserstein-1 if `cost` is a metric), in
        units of `cost`; exact, by linear programming [1]_. NaN where nothing is relayed in either.

    See Also
    --------
    relay_similarity : Over pairs of time steps.

    References
    ----------
    .. [1] G. Peyre, M. Cuturi (2019). Computational optimal transport. Foundations and Trends in
       Machine Learning 11(5-6), 355-607. arXiv:1803.00567.

    Examples
    --------
    Half of the information moves by one node:

    >>> from relayestimators.dynamics._localization import transport_distance
    >>> transport_distance([1.0, 1.0, 0.0], [1.0, 0.0, 1.0]).item()
    0.5
    >>> line = [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    >>> round(transport_distance([1.0, 0.0, 0.0], [0.0, 1.0, 1.0], cost=line).item(), 6)
    1.5
    """
    first, second = shares_of(first, name="first"), shares_of(second, name="second")
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"second has {second.shape[-1]} nodes where first has {first.shape[-1]}; expected the "
            "same nodes."
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
    """Return a matrix of costs, or refuse it.

    Parameters
    ----------
    cost : array-like of shape (n_nodes, n_nodes)
    n_nodes : int
    high : float
        Highest cost allowed.

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
    """Solve the transport problem between two distributions, on the nodes that have a share."""
    give, take = np.flatnonzero(first), np.flatnonzero(second)
    ways = np.arange(len(give) * len(take))
    leaves, arrives = ways // len(take), len(give) + ways % len(take)
    sums = coo_array((np.ones(2 * len(ways)), (np.append(leaves, arrives), np.append(ways, ways))))
    # the last equation follows from the others; rounding would make it contradict them
    plan = linprog(
        cost[np.ix_(give, take)].ravel(),
        A_eq=sums.tocsr()[:-1],
        b_eq=np.concatenate([first[give], second[take]])[:-1],
    )
    if plan.status != 0:
        raise RuntimeError(f"the transport problem was not solved: {plan.message}")
    return max(plan.fun, 0.0)
