"""Compiled counting of what nodes know and pass on, given small sets of other nodes.

A set S of nodes is a *context*. For every other node Y, four quantities are counted in one pass:
what Y contributes to the information about B, I(A;Y|S), I(B;Y|S) and I(B;Y|C,S). C refines A, as
the true class refines the value of a concept, or is A itself. Instances are sorted by
(cell, a, c, b), and states are given as indicator planes, as in `_counting`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ._counting import indicator_planes, refine, sort_by_cell, table_of_logs, take_rows

# Rows of the tables below: the kind of cells in which the states of a node are counted.
_Z, _AZ, _BZ, _CZ, _CBZ = range(5)

#: Rows of the averages that :func:`context_averages` returns.
CONTRIBUTES, ENTERS, LEAVES, BEYOND = range(4)


class ContextProblem(NamedTuple):
    """Data of one concept at one time step, with instances sorted by (a, c, b).

    Parameters
    ----------
    given : ndarray of shape (n_instances, n_nodes), uint8
        States of the nodes of a context, integers below `n_given`.
    n_given : int
        Number of these states.
    planes : ndarray of shape (n_instances, (n_levels - 1) * n_nodes), uint8
        States of the nodes that are counted, as indicator planes.
    a, c, b : ndarray of shape (n_instances,), int64
        Codes from 0 without gaps.
    n_b : int
        Number of values of b.
    logs : ndarray of shape (n_instances + 1,), float64
        Table of x * log2(x).
    """

    given: np.ndarray
    n_given: int
    planes: np.ndarray
    a: np.ndarray
    c: np.ndarray
    b: np.ndarray
    n_b: int
    logs: np.ndarray


def context_problem(a, b, c, states, *, order=None, halves=False):
    """Return the ContextProblem of codes and states whose instances are in any order.

    Parameters
    ----------
    a, b, c : ndarray of shape (n_instances,), int64
        Codes from 0 without gaps; instances with the same c have the same a.
    states : ndarray of shape (n_instances, n_nodes), uint8
        Discretized states.
    order : ndarray of shape (n_instances,), int64, optional
        Instances sorted by (a, c, b), if they have been sorted before.
    halves : bool, default=False
        Whether the nodes of a context have two states only, the lower and the upper half of all
        states, so that the cells of larger contexts still hold enough instances.

    Returns
    -------
    ContextProblem
    """
    order = np.lexsort((b, c, a)) if order is None else order
    states = np.ascontiguousarray(states[order])
    n_levels = max(int(states.max()) + 1, 2)
    given, n_given = states, n_levels
    if halves:
        given, n_given = (states.astype(np.uint16) * 2 // n_levels).astype(np.uint8), 2
    return ContextProblem(
        given,
        n_given,
        indicator_planes(states, n_levels),
        *(codes[order] for codes in (a, c, b)),
        int(b.max()) + 1,
        table_of_logs(len(states)),
    )


@njit(cache=True, nogil=True)
def _add(kind, counts, total, n_values, n_nodes, logs, tables):
    """Add the counts of one cell to the tables of `_count`.

    The number of values of b in the cell, `n_values`, is needed for its degrees of freedom.
    """
    logsums, splits, base, occupied, freedom = tables
    occupied[kind, 0] += 1
    if total == 1:  # contributes nothing to any entropy
        return
    base[kind, 0] += logs[total]
    for node in range(n_nodes):
        rest = total
        value = 0.0
        levels = 0
        for k in range(node, counts.size, n_nodes):
            count = counts[k]
            value += logs[count]
            rest -= count
            levels += count > 0
        logsums[kind, node] += value + logs[rest]
        levels += (rest > 0) - 1
        splits[kind, node] += levels
        freedom[0, node] += levels * (n_values - 1)


@njit(cache=True, nogil=True)
def _count(planes, cells, a, c, b, n_nodes, n_b, logs, tables):
    """Refine five kinds of cells (z; a,z; b,z; c,z; c,b,z) by every node in one pass.

    Parameters
    ----------
    planes, cells, a, c, b : ndarrays
        Instances sorted by (cell, a, c, b).
    n_nodes, n_b : int
        Number of nodes, and of values of b.
    logs : ndarray
        Table of x * log2(x).
    tables : tuple of five ndarray
        Are filled, for every kind of cells, with sums of x * log2(x) over refined cells; with the
        number of refined cells less that of cells; with sums of x * log2(x) over cells; with the
        number of cells; and, for cells (c,z) only, with degrees of freedom.
    """
    n, width = planes.shape
    joint = np.zeros(width, np.int32)
    of_c = np.zeros(width, np.int32)
    of_a = np.zeros(width, np.int32)
    of_b = np.zeros((n_b, width), np.int32)
    of_cell = np.zeros(width, np.int32)
    total_b = np.zeros(n_b, np.int64)
    seen_b = np.empty(n_b, np.int64)
    for table in tables:
        table[:] = 0
    i = 0
    while i < n:
        cell, cell_start, n_seen = cells[i], i, 0
        of_cell[:] = 0
        while i < n and cells[i] == cell:
            value_a, a_start = a[i], i
            of_a[:] = 0
            while i < n and cells[i] == cell and a[i] == value_a:
                value_c, c_start, n_values = c[i], i, 0
                of_c[:] = 0
                while i < n and cells[i] == cell and c[i] == value_c:
                    value_b, start = b[i], i
                    joint[:] = 0
                    while i < n and cells[i] == cell and c[i] == value_c and b[i] == value_b:
                        for k in range(width):
                            joint[k] += planes[i, k]
                        i += 1
                    n_values += 1
                    if total_b[value_b] == 0:
                        seen_b[n_seen] = value_b
                        n_seen += 1
                        of_b[value_b, :] = 0
                    total_b[value_b] += i - start
                    for k in range(width):
                        of_b[value_b, k] += joint[k]
                        of_c[k] += joint[k]
                    _add(_CBZ, joint, i - start, 1, n_nodes, logs, tables)
                for k in range(width):
                    of_a[k] += of_c[k]
                _add(_CZ, of_c, i - c_start, n_values, n_nodes, logs, tables)
            for k in range(width):
                of_cell[k] += of_a[k]
            _add(_AZ, of_a, i - a_start, 1, n_nodes, logs, tables)
        _add(_Z, of_cell, i - cell_start, 1, n_nodes, logs, tables)
        for s in range(n_seen):
            value_b = seen_b[s]
            _add(_BZ, of_b[value_b], total_b[value_b], 1, n_nodes, logs, tables)
            total_b[value_b] = 0


@njit(cache=True, nogil=True)
def context_averages(problem, contexts):
    """Average four quantities of every node over contexts that do not contain it.

    Parameters
    ----------
    problem : ContextProblem
        Data of one concept at one time step.
    contexts : ndarray of shape (n_contexts, context_size), int64
        Sets of nodes.

    Returns
    -------
    averages : ndarray of shape (4, n_nodes), float64
        Averages in bits: the plug-in contribution I(C;B|S) - I(C;B|S,Y); and I(A;Y|S), I(B;Y|S)
        and I(B;Y|C,S), with the Miller-Madow correction of each entropy.
    cells : ndarray of shape (2, n_nodes), float64
        Average number of occupied cells of (S, Y), and of (A, S, Y) or (B, S, Y), whichever are
        more.
    freedom : ndarray of shape (n_nodes,), float64
        Average degrees of freedom of I(B;Y|C,S): (states of Y - 1) (values of B - 1), summed over
        the cells of (C, S).
    n_used : ndarray of shape (n_nodes,), float64
        Number of contexts that do not contain the node. If it is 0, the averages are NaN.
    """
    given, n_given, planes, a, c, b, n_b, logs = problem
    n, n_nodes = given.shape
    averages, occupied = np.zeros((4, n_nodes)), np.zeros((2, n_nodes))
    freedom, n_used = np.zeros(n_nodes), np.zeros(n_nodes)
    logsums, splits = np.empty((5, n_nodes)), np.empty((5, n_nodes))
    base, n_occupied, of_context = np.empty((5, 1)), np.empty((5, 1)), np.empty((1, n_nodes))
    tables = logsums, splits, base, n_occupied, of_context
    correction = 0.5 / np.log(2.0)
    # Allocated once, because new memory for every set may take longer than the counting.
    sorted_planes = np.empty_like(planes)
    for s in range(contexts.shape[0]):
        cells, n_cells = np.zeros(n, np.int32), 1
        for member in contexts[s]:
            cells, n_cells = refine(cells, n_cells, given[:, member], n_given)
        order = sort_by_cell(cells, n_cells)
        take_rows(planes, order, sorted_planes)
        _count(
            sorted_planes, cells[order], a[order], c[order], b[order], n_nodes, n_b, logs, tables
        )
        for node in range(n_nodes):
            inside = False
            for member in contexts[s]:
                inside |= member == node
            if inside:
                continue
            gained = base[:, 0] - logsums[:, node]
            entropy = gained + splits[:, node] * correction
            averages[CONTRIBUTES, node] += gained[_CBZ] - gained[_CZ] - gained[_BZ] + gained[_Z]
            averages[ENTERS, node] += entropy[_Z] - entropy[_AZ]
            averages[LEAVES, node] += entropy[_Z] - entropy[_BZ]
            averages[BEYOND, node] += entropy[_CZ] - entropy[_CBZ]
            occupied[0, node] += n_occupied[_Z, 0] + splits[_Z, node]
            occupied[1, node] += max(
                n_occupied[_AZ, 0] + splits[_AZ, node], n_occupied[_BZ, 0] + splits[_BZ, node]
            )
            freedom[node] += of_context[0, node]
            n_used[node] += 1
    return averages / (n * n_used), occupied / n_used, freedom / n_used, n_used
