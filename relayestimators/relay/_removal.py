"""Compiled removal of nodes one by one, and information given any set of nodes.

Cells are formed by the states of the nodes that were removed, as in `_counting`, but there may be
as many of them as instances. Instances are therefore sorted by (cell, a, b), and the sum of the
indicator planes over a run of equal keys gives the counts of all nodes at once. Runs of one
instance contribute nothing and are skipped.
"""

import numpy as np
from numba import njit

from ._counting import ABZ, AZ, BZ, Z, cells_of, refine, shared

# Candidates whose n * information differs by less than this are equal; the lowest number wins.
_TIE = 1e-9


@njit(cache=True, nogil=True)
def _add(logsums, counts, total, n_nodes, logs):
    """Add the counts of one cell to sums of c * log2(c)."""
    for node in range(n_nodes):
        rest = total
        value = 0.0
        for k in range(node, counts.size, n_nodes):
            count = counts[k]
            value += logs[count]
            rest -= count
        logsums[node] += value + logs[rest]


@njit(cache=True, nogil=True)
def _count_refined(planes, n_nodes, cells, a, b, n_b, logs, logsums, base):
    """Refine four kinds of cells (z; a,z; b,z; a,b,z) by every node in one pass.

    Parameters
    ----------
    planes, cells, a, b : ndarrays
        Instances sorted by (cell, a, b).
    n_nodes, n_b : int
        Number of nodes, and of values of b.
    logs : ndarray
        Table of c * log2(c).
    logsums : ndarray of shape (4, n_nodes), float64
        Is filled with sums of c * log2(c) over the refined cells.
    base : ndarray of shape (4,), float64
        Is filled with sums of c * log2(c) over the cells.
    """
    n, width = planes.shape
    joint = np.zeros(width, np.int32)
    of_a = np.zeros(width, np.int32)
    of_b = np.zeros((n_b, width), np.int32)
    of_cell = np.zeros(width, np.int32)
    total_b = np.zeros(n_b, np.int64)
    seen_b = np.empty(n_b, np.int64)
    logsums[:] = 0.0
    base[:] = 0.0
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
                    base[ABZ] += logs[total]
                    _add(logsums[ABZ], joint, total, n_nodes, logs)
            total = i - a_start
            for k in range(width):
                of_cell[k] += of_a[k]
            if total > 1:
                base[AZ] += logs[total]
                _add(logsums[AZ], of_a, total, n_nodes, logs)
        total = i - cell_start
        if total > 1:
            base[Z] += logs[total]
            _add(logsums[Z], of_cell, total, n_nodes, logs)
        for s in range(n_seen):
            value_b = seen_b[s]
            total = total_b[value_b]
            if total > 1:
                base[BZ] += logs[total]
                _add(logsums[BZ], of_b[value_b], total, n_nodes, logs)
            total_b[value_b] = 0


@njit(cache=True, nogil=True)
def _sort_by_cell(cells, n_cells):
    """Return the order that puts the instances of a cell together, by a stable counting sort."""
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
def refined_information(problem, nodes):
    """Return I(A;B|nodes) and, for every node Y, I(A;B|nodes,Y).

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.
    nodes : ndarray of shape (n_chosen,), int64
        The nodes to condition on.

    Returns
    -------
    information : float
        I(A;B|nodes) in bits.
    refined : ndarray of shape (n_nodes,), float64
        I(A;B|nodes,Y) in bits.
    """
    states, n_levels, planes, _, _, a, _, _, b, n_b, logs = problem
    n, n_nodes = states.shape
    logsums = np.empty((4, n_nodes))
    base = np.empty(4)
    cells, n_cells = cells_of(states, n_levels, nodes)
    order = _sort_by_cell(cells, n_cells)
    _count_refined(
        planes[order], n_nodes, cells[order], a[order], b[order], n_b, logs, logsums, base
    )
    return shared(base) / n, shared(logsums) / n


@njit(cache=True, nogil=True)
def _is_settled(a, b, levels, level, start, stop):
    """Return whether a or b is constant among the instances [start, stop) of a level.

    In such a cell, and in any refinement of it, a and b share no information.
    """
    first = -1
    constant_a = constant_b = True
    for i in range(start, stop):
        if levels[i] == level:
            if first < 0:
                first = i
            constant_a &= a[i] == a[first]
            constant_b &= b[i] == b[first]
    return first < 0 or constant_a or constant_b


@njit(cache=True, nogil=True)
def _unsettled(cells, a, b, levels, n_levels):
    """Split sorted cells by levels; return the rows of unsettled cells and their new cells."""
    n = cells.size
    order = np.empty(n, np.int64)
    new_cells = np.empty(n, cells.dtype)
    n_kept = n_cells = start = 0
    while start < n:
        stop = start
        while stop < n and cells[stop] == cells[start]:
            stop += 1
        for level in range(n_levels):
            if _is_settled(a, b, levels, level, start, stop):
                continue
            for i in range(start, stop):
                if levels[i] == level:
                    order[n_kept] = i
                    new_cells[n_kept] = n_cells
                    n_kept += 1
            n_cells += 1
        start = stop
    return order[:n_kept], new_cells[:n_kept]


@njit(cache=True, nogil=True)
def _split_cells(planes, n_nodes, n_levels, cells, a, b, node):
    """Refine sorted cells by a node; drop settled cells and the planes of the node."""
    n, width = planes.shape
    levels = np.zeros(n, np.int64)
    for level in range(1, n_levels):
        for i in range(n):
            levels[i] += level * planes[i, (level - 1) * n_nodes + node]
    columns = np.empty(width - (n_levels - 1), np.int64)
    n_columns = 0
    for k in range(width):
        if k % n_nodes != node:
            columns[n_columns] = k
            n_columns += 1
    order, cells = _unsettled(cells, a, b, levels, n_levels)
    remaining = np.empty((order.size, columns.size), planes.dtype)
    for i in range(order.size):
        row = order[i]
        for k in range(columns.size):
            remaining[i, k] = planes[row, columns[k]]
    return remaining, cells, a[order], b[order]


@njit(cache=True, nogil=True)
def shrink(problem):
    """Move nodes into the condition one by one, so that I(A;B|moved nodes) stays largest.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.

    Returns
    -------
    order : ndarray of shape (n_nodes,), int64
        Nodes in the order in which they are moved.
    information : ndarray of shape (n_nodes + 1,), float64
        I(A;B|moved nodes) in bits, before the first move and after each move.
    """
    states, n_levels, planes, _, _, a, _, _, b, n_b, logs = problem
    n, n_nodes = states.shape
    names = np.arange(n_nodes)
    order = np.empty(n_nodes, np.int64)
    information = np.zeros(n_nodes + 1)
    cells = np.zeros(n, np.int32)
    base = np.empty(4)
    for step in range(n_nodes):
        n_remaining = n_nodes - step
        logsums = np.empty((4, n_remaining))
        _count_refined(planes, n_remaining, cells, a, b, n_b, logs, logsums, base)
        if step == 0:
            information[0] = shared(base) / n
        left = shared(logsums)
        best = 0
        for node in range(1, n_remaining):
            if left[node] > left[best] + _TIE:
                best = node
        order[step] = names[best]
        information[step + 1] = left[best] / n
        names = np.concatenate((names[:best], names[best + 1 :]))
        planes, cells, a, b = _split_cells(planes, n_remaining, n_levels, cells, a, b, best)
        if a.size == 0:
            order[step + 1 :] = names
            break
    return order, information


@njit(cache=True, nogil=True)
def occupied_cells(states, n_levels, order):
    """Count the occupied cells that the first 0, 1, ..., n_chosen nodes of an order form.

    Parameters
    ----------
    states : ndarray of shape (n_instances, n_nodes), uint8
        Discretized states.
    n_levels : int
        Number of levels of the states.
    order : ndarray of shape (n_chosen,), int64
        Nodes.

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


@njit(cache=True, nogil=True)
def _sorted_information(cells, a, b, total_b, seen_b, logs):
    """Return n * I(A;B|cells) of instances sorted by (cell, a, b).

    The array `total_b` must be 0 before the call, and is 0 again after it.
    """
    n = cells.size
    information = 0.0
    i = 0
    while i < n:
        cell, cell_start, n_seen = cells[i], i, 0
        while i < n and cells[i] == cell:
            value_a, a_start = a[i], i
            while i < n and cells[i] == cell and a[i] == value_a:
                value_b, start = b[i], i
                while i < n and cells[i] == cell and a[i] == value_a and b[i] == value_b:
                    i += 1
                if total_b[value_b] == 0:
                    seen_b[n_seen] = value_b
                    n_seen += 1
                total_b[value_b] += i - start
                information += logs[i - start]
            information -= logs[i - a_start]
        information += logs[i - cell_start]
        for s in range(n_seen):
            information -= logs[total_b[seen_b[s]]]
            total_b[seen_b[s]] = 0
    return information


@njit(cache=True, nogil=True)
def order_contributions(problem, orders):
    """Average the contributions of nodes over orders of all nodes.

    The contribution of a node Y is I(A;B|S) - I(A;B|S,Y), where S are the nodes before it.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.
    orders : ndarray of shape (n_orders, n_nodes), int64
        Permutations of the nodes.

    Returns
    -------
    contributions : ndarray of shape (n_nodes,), float64
        Average contributions in bits.
    cells : ndarray of shape (n_nodes,), float64
        Average number of occupied cells of (S, Y).
    """
    states, n_levels, _, _, _, a, _, _, b, n_b, logs = problem
    n, n_nodes = states.shape
    contributions = np.zeros(n_nodes)
    occupied = np.zeros(n_nodes)
    total_b = np.zeros(n_b, np.int64)
    seen_b = np.empty(n_b, np.int64)
    for s in range(orders.shape[0]):
        counts = occupied_cells(states, n_levels, orders[s])
        rows = np.arange(n)
        cells = np.zeros(n, np.int32)
        before = _sorted_information(cells, a, b, total_b, seen_b, logs)
        for k in range(n_nodes):
            node = orders[s, k]
            occupied[node] += counts[k + 1]
            if rows.size == 0:
                continue
            levels = states[rows, node].astype(np.int64)
            kept, cells = _unsettled(cells, a[rows], b[rows], levels, n_levels)
            rows = rows[kept]
            after = _sorted_information(cells, a[rows], b[rows], total_b, seen_b, logs)
            contributions[node] += before - after
            before = after
    return contributions / (n * orders.shape[0]), occupied / orders.shape[0]
