"""Compiled counting: what every relay search asks, answered for all nodes in one pass.

Floor 0: numpy and numba only.

The question is always: cells have been formed by the states of some nodes; what do A, B and one
more node Y share within them, for every Y? Instances are kept sorted by (cell, a, b), and states
enter as indicator planes: column (level - 1) * n_nodes + node is 1 where the node is in that
level, and level 0 is what is missing to the size of a run. Summing rows over a run of equal keys
then gives the counts of all nodes at once, along memory. All information is a sum of c * log2(c)
over counts c, looked up in a table. Runs of one instance contribute nothing and are skipped.

All kernels are single-threaded and release the GIL; work is spread over threads above.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

_TIE = 1e-9  # of n * information; candidates closer than this are equal, the lowest number wins

# Rows of the tables below: which cells a node's states are counted in.
_Z, _AZ, _BZ, _ABZ = 0, 1, 2, 3


class Problem(NamedTuple):
    """One concept at one time step, as the kernels want it: instances sorted by (a, b).

    Parameters
    ----------
    states : ndarray of shape (n_instances, n_nodes), uint8
        States, below `n_levels`.
    n_levels : int
        Number of levels.
    planes : ndarray of shape (n_instances, (n_levels - 1) * n_nodes), uint8
        The states as indicator planes.
    a, b : ndarray of shape (n_instances,), int64
        Concept values, as codes without gaps.
    n_b : int
        Number of values of b.
    logs : ndarray of shape (n_instances + 1,), float64
        A table of c log2 c.
    """

    states: np.ndarray
    n_levels: int
    planes: np.ndarray
    a: np.ndarray
    b: np.ndarray
    n_b: int
    logs: np.ndarray


def sort_problem(a, b, states):
    """Make a Problem of codes and states in any order of instances.

    Parameters
    ----------
    a, b : ndarray of shape (n_instances,), int64
        Concept values, as codes without gaps.
    states : ndarray of shape (n_instances, n_nodes), uint8
        States.

    Returns
    -------
    Problem
    """
    order = np.lexsort((b, a))
    states = np.ascontiguousarray(states[order])
    n_levels = max(int(states.max()) + 1, 2)
    levels = np.arange(1, n_levels, dtype=np.uint8)
    planes = np.ascontiguousarray(states[:, None, :] == levels[None, :, None])
    planes = planes.reshape(len(states), -1).view(np.uint8)
    logs = np.arange(len(states) + 1, dtype=np.float64)
    logs[1:] *= np.log2(logs[1:])
    return Problem(states, n_levels, planes, a[order], b[order], int(b.max()) + 1, logs)


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
def _add(logsums, splits, counts, total, n_nodes, logs):
    """Count one cell into a row of the tables of `_count_refined`."""
    for node in range(n_nodes):
        rest = total
        value = 0.0
        levels = 0
        for k in range(node, counts.size, n_nodes):
            count = counts[k]
            value += logs[count]
            rest -= count
            levels += count > 0
        logsums[node] += value + logs[rest]
        splits[node] += levels + (rest > 0) - 1


@njit(cache=True, nogil=True)
def _count_refined(planes, n_nodes, cells, a, b, n_b, logs, logsums, splits, base):
    """Refine four kinds of cells (z; a,z; b,z; a,b,z) by every node, in one pass.

    Parameters
    ----------
    planes, cells, a, b : ndarrays
        Instances sorted by (cell, a, b).
    logsums : ndarray of shape (4, n_nodes), float64
        Filled with sums of c log2 c over the refined cells.
    splits : ndarray of shape (4, n_nodes), int64
        Filled with the number of occupied refined cells beyond that of the cells.
    base : ndarray of shape (4,), float64
        Filled with sums of c log2 c over the cells.
    """
    n, width = planes.shape
    joint = np.zeros(width, np.int32)
    of_a = np.zeros(width, np.int32)
    of_b = np.zeros((n_b, width), np.int32)
    of_cell = np.zeros(width, np.int32)
    total_b = np.zeros(n_b, np.int64)
    seen_b = np.empty(n_b, np.int64)
    logsums[:] = 0.0
    splits[:] = 0
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
                    base[_ABZ] += logs[total]
                    _add(logsums[_ABZ], splits[_ABZ], joint, total, n_nodes, logs)
            total = i - a_start
            for k in range(width):
                of_cell[k] += of_a[k]
            if total > 1:
                base[_AZ] += logs[total]
                _add(logsums[_AZ], splits[_AZ], of_a, total, n_nodes, logs)
        total = i - cell_start
        if total > 1:
            base[_Z] += logs[total]
            _add(logsums[_Z], splits[_Z], of_cell, total, n_nodes, logs)
        for s in range(n_seen):
            value_b = seen_b[s]
            total = total_b[value_b]
            if total > 1:
                base[_BZ] += logs[total]
                _add(logsums[_BZ], splits[_BZ], of_b[value_b], total, n_nodes, logs)
            total_b[value_b] = 0


@njit(cache=True, nogil=True)
def _shared(table):
    """Return n * I(A;B|.) from sums of c log2 c over the four kinds of cells."""
    return table[_ABZ] - table[_AZ] - table[_BZ] + table[_Z]


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
def _cells_of(states, n_levels, nodes):
    """Return the cells formed by some nodes, and their number."""
    cells = np.zeros(len(states), np.int32)
    n_cells = 1
    for node in nodes:
        cells, n_cells = refine(cells, n_cells, states[:, node], n_levels)
    return cells, n_cells


@njit(cache=True, nogil=True)
def _take(rows, order, taken):
    """Fill an array with rows in some order; unsigned numbers, so that none is looked at twice."""
    for i in range(order.size):
        row, place = np.uint64(order[i]), np.uint64(i)
        for k in range(rows.shape[1]):
            taken[place, k] = rows[row, k]


@njit(cache=True, nogil=True)
def context_averages(problem, contexts):
    """Average what nodes share with A and B given small sets S of other nodes.

    Parameters
    ----------
    problem : Problem
        What is counted.
    contexts : ndarray of shape (n_contexts, context_size), int64
        Sets of nodes. A node is averaged over the sets it is not in.

    Returns
    -------
    averages : ndarray of shape (4, n_nodes), float64
        In bits: the contribution I(A;B|S) - I(A;B|S,Y), plug-in; then I(A;Y|S), I(B;Y|S) and
        I(B;Y|A,S), with the Miller-Madow correction of each entropy.
    cells : ndarray of shape (n_nodes,), float64
        Average number of occupied cells of (S, Y).
    """
    states, n_levels, planes, a, b, n_b, logs = problem
    n, n_nodes = states.shape
    averages = np.zeros((4, n_nodes))
    occupied = np.zeros(n_nodes)
    n_used = np.zeros(n_nodes)
    logsums = np.empty((4, n_nodes))
    splits = np.empty((4, n_nodes), np.int64)
    base = np.empty(4)
    entropies = np.empty(4)
    correction = 1.0 / (2.0 * np.log(2.0))
    sorted_planes = np.empty_like(planes)  # once: new memory for every set may cost more than all
    for s in range(contexts.shape[0]):
        cells, n_cells = _cells_of(states, n_levels, contexts[s])
        order = _sort_by_cell(cells, n_cells)
        _take(planes, order, sorted_planes)
        _count_refined(
            sorted_planes,
            n_nodes,
            cells[order],
            a[order],
            b[order],
            n_b,
            logs,
            logsums,
            splits,
            base,
        )
        for node in range(n_nodes):
            inside = False
            for member in contexts[s]:
                inside |= member == node
            if inside:
                continue
            for kind in range(4):
                entropies[kind] = base[kind] - logsums[kind, node] + splits[kind, node] * correction
            averages[0, node] += _shared(base) - _shared(logsums[:, node])
            averages[1, node] += entropies[_Z] - entropies[_AZ]
            averages[2, node] += entropies[_Z] - entropies[_BZ]
            averages[3, node] += entropies[_AZ] - entropies[_ABZ]
            occupied[node] += n_cells + splits[_Z, node]
            n_used[node] += 1
    return averages / (n * n_used), occupied / n_used


@njit(cache=True, nogil=True)
def refined_information(problem, nodes):
    """Return I(A;B|nodes) and, for every further node, I(A;B|nodes,Y).

    Parameters
    ----------
    problem : Problem
        What is counted.
    nodes : ndarray of shape (n_chosen,), int64
        The nodes conditioned on.

    Returns
    -------
    information : float
        Bits.
    refined : ndarray of shape (n_nodes,), float64
        Bits.
    """
    states, n_levels, planes, a, b, n_b, logs = problem
    n, n_nodes = states.shape
    logsums = np.empty((4, n_nodes))
    splits = np.empty((4, n_nodes), np.int64)
    base = np.empty(4)
    cells, n_cells = _cells_of(states, n_levels, nodes)
    order = _sort_by_cell(cells, n_cells)
    _count_refined(
        planes[order], n_nodes, cells[order], a[order], b[order], n_b, logs, logsums, splits, base
    )
    return _shared(base) / n, _shared(logsums) / n


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
def _unsettled(cells, a, b, levels, n_levels):
    """Split sorted cells by levels; return the rows in unsettled cells, in order, and these."""
    n = cells.size
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
    return order[:n_left], new_cells[:n_left]


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
    order, cells = _unsettled(cells, a, b, levels, n_levels)
    left = np.empty((order.size, kept.size), planes.dtype)
    for i in range(order.size):
        row = order[i]
        for k in range(kept.size):
            left[i, k] = planes[row, kept[k]]
    return left, cells, a[order], b[order]


@njit(cache=True, nogil=True)
def shrink(problem):
    """Move nodes, one at a time, into the condition, each time the one that leaves most I(A;B|.).

    Parameters
    ----------
    problem : Problem
        What is counted.

    Returns
    -------
    order : ndarray of shape (n_nodes,), int64
        Nodes in the order they are moved.
    information : ndarray of shape (n_nodes + 1,), float64
        Bits: I(A;B|moved nodes) before the first move and after each.
    """
    states, n_levels, planes, a, b, n_b, logs = problem
    n, n_nodes = states.shape
    names = np.arange(n_nodes)
    order = np.empty(n_nodes, np.int64)
    information = np.zeros(n_nodes + 1)
    cells = np.zeros(n, np.int32)
    base = np.empty(4)
    for step in range(n_nodes):
        left = n_nodes - step
        logsums = np.empty((4, left))
        splits = np.empty((4, left), np.int64)
        _count_refined(planes, left, cells, a, b, n_b, logs, logsums, splits, base)
        if step == 0:
            information[0] = _shared(base) / n
        shared = _shared(logsums)
        best = 0
        for node in range(1, left):
            if shared[node] > shared[best] + _TIE:
                best = node
        order[step] = names[best]
        information[step + 1] = shared[best] / n
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


@njit(cache=True, nogil=True)
def _sorted_information(cells, a, b, total_b, seen_b, logs):
    """Return n * I(A;B|cells) of instances sorted by (cell, a, b); total_b starts and ends 0."""
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
    """Average, over orders of all nodes, what a node takes away from I(A;B|those before it).

    Parameters
    ----------
    problem : Problem
        What is counted.
    orders : ndarray of shape (n_orders, n_nodes), int64
        Permutations of the nodes.

    Returns
    -------
    contributions : ndarray of shape (n_nodes,), float64
        Bits.
    cells : ndarray of shape (n_nodes,), float64
        Average number of occupied cells of a node and those before it.
    """
    states, n_levels, _, a, b, n_b, logs = problem
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
