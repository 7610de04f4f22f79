"""Plug-in information of discrete variables, in bits, and the compiled counting behind searches.

Floor 0: numpy and numba only. The upper half states the definitions with numpy and is what the
lower half is tested against. The lower half answers, in one pass over the data, the question
every relay search asks again and again: *how much do A and B still share once the cells formed
so far are refined by one more node*, for all nodes at once.
"""

import numpy as np
from numba import njit

# ---------------------------------------------------------------- definitions


def joint_codes(*variables):
    """Give every distinct joint value of discrete variables a number.

    Parameters
    ----------
    *variables : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers. A variable with no columns is a constant.

    Returns
    -------
    ndarray of shape (n_instances,), int64
        Numbers from 0 without gaps.

    Examples
    --------
    >>> from relayestimators.information import joint_codes
    >>> joint_codes([0, 0, 1, 1], [[0, 5], [0, 5], [0, 5], [7, 5]])
    array([0, 0, 1, 2])
    """
    columns = [np.asarray(variable) for variable in variables]
    table = np.column_stack([c[:, None] if c.ndim == 1 else c for c in columns])
    if table.shape[1] == 0:
        return np.zeros(len(table), dtype=np.int64)
    return np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)


def entropy(*variables):
    """Plug-in Shannon entropy of the joint value of discrete variables.

    Parameters
    ----------
    *variables : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers.

    Returns
    -------
    float
        Bits.

    Examples
    --------
    >>> from relayestimators.information import entropy
    >>> entropy([0, 1, 2, 3])
    2.0
    """
    counts = np.bincount(joint_codes(*variables))
    return float(np.log2(counts.sum()) - counts @ np.log2(counts) / counts.sum())


def conditional_mutual_information(x, y, given):
    """Plug-in conditional mutual information I(X;Y|Z).

    Parameters
    ----------
    x, y, given : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers. `given` with no columns leaves I(X;Y).

    Returns
    -------
    float
        Bits. H(X,Z) + H(Y,Z) - H(X,Y,Z) - H(Z).

    Notes
    -----
    A cell of `given` that holds one instance contributes exactly 0 whatever the truth, so the
    estimate collapses when cells outnumber instances.

    Examples
    --------
    Two independent bits share nothing, until their sum is known:

    >>> from relayestimators.information import conditional_mutual_information
    >>> x, y = [0, 0, 1, 1], [0, 1, 0, 1]
    >>> conditional_mutual_information(x, y, given=[0, 0, 0, 0])
    0.0
    >>> conditional_mutual_information(x, y, given=[0, 1, 1, 0])
    1.0
    """
    z = joint_codes(given)
    x, y = joint_codes(x), joint_codes(y)
    return entropy(x, z) + entropy(y, z) - entropy(x, y, z) - entropy(z)


def mutual_information(x, y):
    """Plug-in mutual information I(X;Y).

    Parameters
    ----------
    x, y : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers.

    Returns
    -------
    float
        Bits.

    Examples
    --------
    >>> from relayestimators.information import mutual_information
    >>> mutual_information([0, 0, 1, 1], [5, 5, 3, 3])
    1.0
    """
    x, y = joint_codes(x), joint_codes(y)
    return entropy(x) + entropy(y) - entropy(x, y)


# ---------------------------------------------------------------- counting for searches
#
# Instances are kept sorted by (cell of the conditioning nodes, a, b). A sum over a run of equal
# keys then gives a count for every candidate node at once, and the sums run along memory.
# States enter as indicator planes: column (level - 1) * n_nodes + node is 1 where the node is in
# that level; level 0 is what is missing to the size of the run.
# Information is kept as n * I: sums of c * log2(c) over counts c, looked up in a table.

_TIE = 1e-9  # of n * I; candidates closer than this are equal and the lowest node number wins


def indicator_planes(states, n_levels):
    """Return states as indicator planes, the form the counting kernels want.

    Parameters
    ----------
    states : ndarray of shape (n_instances, n_nodes), uint8
    n_levels : int
        All states are below it.

    Returns
    -------
    ndarray of shape (n_instances, (n_levels - 1) * n_nodes), uint8
    """
    levels = np.arange(1, n_levels, dtype=states.dtype)
    planes = states[:, None, :] == levels[None, :, None]
    return np.ascontiguousarray(planes.reshape(len(states), -1)).view(np.uint8)


def log_table(n):
    """Return c * log2(c) for c = 0 ... n.

    Parameters
    ----------
    n : int

    Returns
    -------
    ndarray of shape (n + 1,), float64
    """
    counts = np.arange(n + 1, dtype=np.float64)
    counts[1:] *= np.log2(counts[1:])
    return counts


@njit(cache=True, nogil=True)
def refine(cells, n_cells, column, n_levels):
    """Split cells by a column of small ints; return the new cells, without gaps, and their number.

    Parameters
    ----------
    cells : ndarray of shape (n_instances,), int32
    n_cells : int
    column : ndarray of shape (n_instances,), unsigned ints below n_levels
    n_levels : int

    Returns
    -------
    tuple of ndarray of shape (n_instances,), int32, and int
    """
    new = np.full(n_cells * n_levels, -1, np.int32)
    refined = np.empty_like(cells)
    n_new = 0
    for i in range(cells.size):
        key = cells[i] * n_levels + column[i]
        if new[key] < 0:
            new[key] = n_new
            n_new += 1
        refined[i] = new[key]
    return refined, n_new


@njit(cache=True, nogil=True)
def _add(sums, sign, counts, total, n_nodes, logs):
    """Add sign * sum over levels of c log c to every node's sum."""
    for node in range(n_nodes):
        rest = total
        value = 0.0
        for k in range(node, counts.size, n_nodes):
            value += logs[counts[k]]
            rest -= counts[k]
        sums[node] += sign * (value + logs[rest])


@njit(cache=True, nogil=True)
def _refined_information(planes, n_nodes, cells, a, b, n_b, logs, sums, occupied):
    """Return n * I(A;B|cells refined by node) for every node, in one pass over sorted instances.

    Fills `sums` (n_nodes,) and adds the number of occupied refined cells to `occupied`
    (n_nodes,). Returns n * I(A;B|cells). Runs of one instance contribute nothing and are skipped.
    """
    n, width = planes.shape
    joint = np.zeros(width, np.int32)
    of_a = np.zeros(width, np.int32)
    of_b = np.zeros((n_b, width), np.int32)
    of_cell = np.zeros(width, np.int32)
    total_b = np.zeros(n_b, np.int64)
    seen_b = np.empty(n_b, np.int64)
    sums[:] = 0.0
    base = 0.0
    i = 0
    while i < n:
        cell, cell_start, n_seen = cells[i], i, 0
        of_cell[:] = 0
        while i < n and cells[i] == cell:
            value_a, a_start = a[i], i
            of_a[:] = 0
            while i < n and cells[i] == cell and a[i] == value_a:
                value_b, start = b[i], i
                joint[:] = 0
                while i < n and cells[i] == cell and a[i] == value_a and b[i] == value_b:
                    for k in range(width):
                        joint[k] += planes[i, k]
                    i += 1
                total = i - start
                if total_b[value_b] == 0:
                    seen_b[n_seen] = value_b
                    n_seen += 1
                    of_b[value_b, :] = joint
                else:
                    for k in range(width):
                        of_b[value_b, k] += joint[k]
                total_b[value_b] += total
                for k in range(width):
                    of_a[k] += joint[k]
                if total > 1:
                    base += logs[total]
                    _add(sums, 1.0, joint, total, n_nodes, logs)
            total = i - a_start
            for k in range(width):
                of_cell[k] += of_a[k]
            if total > 1:
                base -= logs[total]
                _add(sums, -1.0, of_a, total, n_nodes, logs)
        total = i - cell_start
        base += logs[total]
        _add(sums, 1.0, of_cell, total, n_nodes, logs)
        for s in range(n_seen):
            value_b = seen_b[s]
            if total_b[value_b] > 1:
                base -= logs[total_b[value_b]]
                _add(sums, -1.0, of_b[value_b], total_b[value_b], n_nodes, logs)
            total_b[value_b] = 0
        for node in range(n_nodes):
            rest = total
            for k in range(node, width, n_nodes):
                occupied[node] += of_cell[k] > 0
                rest -= of_cell[k]
            occupied[node] += rest > 0
    return base


@njit(cache=True, nogil=True)
def _sort_by_cell(cells, n_cells):
    """Stable counting sort: the order that puts instances of a cell together."""
    start = np.zeros(n_cells + 1, np.int64)
    for i in range(cells.size):
        start[cells[i] + 1] += 1
    for c in range(n_cells):
        start[c + 1] += start[c]
    order = np.empty(cells.size, np.int64)
    for i in range(cells.size):
        order[start[cells[i]]] = i
        start[cells[i]] += 1
    return order


@njit(cache=True, nogil=True)
def context_contributions(states, n_levels, planes, a, b, n_b, contexts, logs):
    """Sum, over contexts, of what every node outside a context takes away from I(A;B|context).

    Parameters
    ----------
    states : ndarray of shape (n_instances, n_nodes), uint8
        Instances sorted by (a, b).
    n_levels : int
        All states are below it.
    planes : ndarray of shape (n_instances, (n_levels - 1) * n_nodes), uint8
        ``indicator_planes(states, n_levels)``.
    a, b : ndarray of shape (n_instances,), int64
        Concept values, as codes without gaps.
    n_b : int
        Number of values of b.
    contexts : ndarray of shape (n_contexts, context_size), int64
        Sets of nodes.
    logs : ndarray of shape (n_instances + 1,), float64
        ``log_table(n_instances)``.

    Returns
    -------
    contributions : ndarray of shape (n_nodes,), float64
        n_instances * bits: I(A;B|S) - I(A;B|S,node), summed over the contexts S without the node.
    occupied : ndarray of shape (n_nodes,), float64
        Occupied cells of (S, node), summed over the same contexts.
    n_used : ndarray of shape (n_nodes,), int64
        How many contexts that were.
    """
    n, n_nodes = states.shape
    contributions = np.zeros(n_nodes)
    occupied = np.zeros(n_nodes)
    n_used = np.zeros(n_nodes, np.int64)
    sums = np.empty(n_nodes)
    cells_of = np.empty(n_nodes, np.int64)
    for s in range(contexts.shape[0]):
        cells = np.zeros(n, np.int32)
        n_cells = 1
        for node in contexts[s]:
            cells, n_cells = refine(cells, n_cells, states[:, node], n_levels)
        order = _sort_by_cell(cells, n_cells)
        cells_of[:] = 0
        base = _refined_information(
            planes[order], n_nodes, cells[order], a[order], b[order], n_b, logs, sums, cells_of
        )
        for node in range(n_nodes):
            inside = False
            for member in contexts[s]:
                inside |= member == node
            if not inside:
                contributions[node] += base - sums[node]
                occupied[node] += cells_of[node]
                n_used[node] += 1
    return contributions, occupied, n_used


@njit(cache=True, nogil=True)
def _is_settled(a, b, levels, level, start, stop):
    """Tell whether a or b is constant among the instances [start, stop) of a level.

    Such a cell shares no information between a and b, and neither does any refinement of it.
    """
    first = -1
    one_a = one_b = True
    for i in range(start, stop):
        if levels[i] == level:
            if first < 0:
                first = i
            one_a &= a[i] == a[first]
            one_b &= b[i] == b[first]
    return first < 0 or one_a or one_b


@njit(cache=True, nogil=True)
def _split_cells(planes, n_nodes, n_levels, cells, a, b, node):
    """Refine sorted cells by a node, drop settled cells and the node's planes, keep the order."""
    n, width = planes.shape
    levels = np.zeros(n, np.int64)
    for level in range(1, n_levels):
        for i in range(n):
            levels[i] += level * planes[i, (level - 1) * n_nodes + node]
    kept = np.empty(width - (n_levels - 1), np.int64)
    n_kept = 0
    for k in range(width):
        if k % n_nodes != node:
            kept[n_kept] = k
            n_kept += 1
    order = np.empty(n, np.int64)
    new_cells = np.empty(n, cells.dtype)
    n_left = n_cells = start = 0
    while start < n:
        stop = start
        while stop < n and cells[stop] == cells[start]:
            stop += 1
        for level in range(n_levels):
            if _is_settled(a, b, levels, level, start, stop):
                continue
            for i in range(start, stop):
                if levels[i] == level:
                    order[n_left] = i
                    new_cells[n_left] = n_cells
                    n_left += 1
            n_cells += 1
        start = stop
    new_planes = np.empty((n_left, kept.size), planes.dtype)
    for i in range(n_left):
        row = order[i]
        for k in range(kept.size):
            new_planes[i, k] = planes[row, kept[k]]
    order = order[:n_left]
    return new_planes, new_cells[:n_left], a[order], b[order]


@njit(cache=True, nogil=True)
def shrink(n_nodes, n_levels, planes, a, b, n_b, logs):
    """Move nodes, one at a time, into the condition, each time the one that leaves most I(A;B|.).

    Parameters
    ----------
    n_nodes, n_levels : int
    planes : ndarray of shape (n_instances, (n_levels - 1) * n_nodes), uint8
        ``indicator_planes`` of instances sorted by (a, b).
    a, b : ndarray of shape (n_instances,), int64
        Concept values, as codes without gaps.
    n_b : int
        Number of values of b.
    logs : ndarray of shape (n_instances + 1,), float64
        ``log_table(n_instances)``.

    Returns
    -------
    order : ndarray of shape (n_nodes,), int64
        Nodes in the order they are moved.
    information : ndarray of shape (n_nodes + 1,), float64
        Bits: I(A;B|moved nodes) before the first move and after each.
    """
    n = a.size
    names = np.arange(n_nodes)
    order = np.empty(n_nodes, np.int64)
    information = np.zeros(n_nodes + 1)
    cells = np.zeros(n, np.int32)
    sums = np.empty(n_nodes)
    unused = np.zeros(n_nodes, np.int64)
    for step in range(n_nodes):
        left = n_nodes - step
        base = _refined_information(
            planes, left, cells, a, b, n_b, logs, sums[:left], unused[:left]
        )
        if step == 0:
            information[0] = base / n
        best = 0
        for node in range(1, left):
            if sums[node] > sums[best] + _TIE:
                best = node
        order[step] = names[best]
        information[step + 1] = sums[best] / n
        names = np.concatenate((names[:best], names[best + 1 :]))
        planes, cells, a, b = _split_cells(planes, left, n_levels, cells, a, b, best)
        if a.size == 0:
            order[step + 1 :] = names
            break
    return order, information


@njit(cache=True, nogil=True)
def occupied_cells(states, n_levels, order):
    """Count the occupied cells formed by the first 0, 1, ..., all nodes of an order.

    Parameters
    ----------
    states : ndarray of shape (n_instances, n_nodes), uint8
    n_levels : int
    order : ndarray of shape (n_chosen,), int64

    Returns
    -------
    ndarray of shape (n_chosen + 1,), int64
    """
    counts = np.ones(order.size + 1, np.int64)
    cells = np.zeros(len(states), np.int32)
    n_cells = 1
    for k in range(order.size):
        cells, n_cells = refine(cells, n_cells, states[:, order[k]], n_levels)
        counts[k + 1] = n_cells
    return counts
