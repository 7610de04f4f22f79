"""Compiled counting of joint states of all nodes, within the cells that small sets of nodes form.

The states of some nodes form cells: instances with the same states are in the same cell. For every
further node Y, the information that A, B and Y share within the cells is computed in one pass.
Instances are sorted by (a, b). States are given as indicator planes: column
(level - 1) * n_nodes + node is 1 where the node is in that level; the count of level 0 is the
number of instances less the counts of the other levels. Planes are packed into words of 64
instances with the same a and b, so that one AND with the members of a cell, and one count of the
bits that are left, counts 64 instances. All information is a sum of c * log2(c) over counts c,
which is looked up in a table.

The functions are single-threaded and release the GIL, so that callers can run them in threads.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

#: Rows of tables: the kind of cells in which the states of a node are counted.
Z, AZ, BZ, ABZ = 0, 1, 2, 3

#: Rows of the averages over sets of nodes.
ENTERS, LEAVES, BEYOND, CONTRIBUTES, CELLS, CONCEPT_CELLS = range(6)


class Problem(NamedTuple):
    """Data of one concept at one time step, with instances sorted by (a, b).

    Parameters
    ----------
    states : ndarray of shape (n_instances, n_nodes), uint8
        States of the nodes that are conditioned on, integers below `n_levels`.
    n_levels : int
        Number of levels that these states can have, at least 2.
    planes : ndarray of shape (n_instances, n_planes * n_nodes), uint8
        The states of the nodes that are counted, as indicator planes.
    words : ndarray of shape (n_words, n_planes * n_nodes), uint64
        The planes, packed.
    starts : ndarray of shape (n_words + 1,), int64
        First instance of each word, and the number of instances.
    a, b : ndarray of shape (n_instances,), int64
        Concept values, as codes from 0 without gaps.
    n_b : int
        Number of values of b.
    logs : ndarray of shape (n_instances + 1,), float64
        Table of c * log2(c) for c from 0 to n_instances.
    """

    states: np.ndarray
    n_levels: int
    planes: np.ndarray
    words: np.ndarray
    starts: np.ndarray
    a: np.ndarray
    b: np.ndarray
    n_b: int
    logs: np.ndarray


def sort_problem(a, b, states, *, halves=False):
    """Return the Problem of codes and states whose instances are in any order.

    Parameters
    ----------
    a, b : ndarray of shape (n_instances,), int64
        Concept values, as codes from 0 without gaps.
    states : ndarray of shape (n_instances, n_nodes), uint8
        Discretized states.
    halves : bool, default=False
        Whether nodes that are conditioned on have two levels only, the lower and the upper half of
        all levels, so that the cells of several nodes still hold enough instances.

    Returns
    -------
    Problem
    """
    pairs = a * (int(b.max()) + 1) + b
    # Small integers are sorted in linear time.
    order = np.argsort(pairs.astype(np.min_scalar_type(int(pairs.max()))), kind="stable")
    states = np.ascontiguousarray(states[order])
    n_levels = max(int(states.max()) + 1, 2)
    levels = np.arange(1, n_levels, dtype=np.uint8)
    planes = np.ascontiguousarray(states[:, None, :] == levels[None, :, None])
    planes = planes.reshape(len(states), -1).view(np.uint8)
    if halves:
        states, n_levels = (states.astype(np.uint16) * 2 // n_levels).astype(np.uint8), 2
    logs = np.arange(len(states) + 1, dtype=np.float64)
    logs[1:] *= np.log2(logs[1:])
    a, b = a[order], b[order]
    return Problem(states, n_levels, planes, *_pack(planes, a, b), a, b, int(b.max()) + 1, logs)


@njit(cache=True, nogil=True)
def _pack(planes, a, b):
    """Return the words of sorted planes, and the first instance of each word."""
    n, width = planes.shape
    starts = np.empty(n + 1, np.int64)
    n_words = 0
    for i in range(n):
        if i == 0 or a[i] != a[i - 1] or b[i] != b[i - 1] or i - starts[n_words - 1] == 64:
            starts[n_words] = i
            n_words += 1
    starts[n_words] = n
    words = np.zeros((n_words, width), np.uint64)
    for w in range(n_words):
        for i in range(starts[w], starts[w + 1]):
            bit = np.uint64(i - starts[w])
            for k in range(width):
                words[w, k] |= np.uint64(planes[i, k]) << bit
    return words, starts[: n_words + 1]


@intrinsic
def _popcount(typingctx, word):
    """Return the number of ones in a word of 64 bits."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@njit(cache=True, nogil=True)
def refine(cells, n_cells, column, n_levels):
    """Split cells by the states of one more node.

    Parameters
    ----------
    cells : ndarray of shape (n_instances,), int32
        Number of the cell of every instance.
    n_cells : int
        Number of cells.
    column : ndarray of shape (n_instances,), unsigned ints below n_levels
        States of the node.
    n_levels : int
        Number of levels of the states.

    Returns
    -------
    refined : ndarray of shape (n_instances,), int32
        Number of the new cell of every instance, from 0 without gaps.
    n_new : int
        Number of new cells.
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
def shared(table):
    """Return n * I(A;B|.) from sums of c * log2(c) over the four kinds of cells."""
    return table[ABZ] - table[AZ] - table[BZ] + table[Z]


@njit(cache=True, nogil=True)
def cells_of(states, n_levels, nodes):
    """Return the cells that some nodes form, and the number of cells."""
    cells = np.zeros(len(states), np.int32)
    n_cells = 1
    for node in nodes:
        cells, n_cells = refine(cells, n_cells, states[:, node], n_levels)
    return cells, n_cells


@njit(cache=True, nogil=True)
def _count_cells(problem, cells, n_cells, joint, logsums, splits, base, numbers):
    """Refine four kinds of cells (z; a,z; b,z; a,b,z) by every node in one pass.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.
    cells : ndarray of shape (n_instances,), int32
        Number of the cell z of every instance, below `n_cells`.
    n_cells : int
        Number of cells.
    joint : bool
        Whether to refine the cells of the last kind, which takes longest.
    logsums, splits : ndarray of shape (4, n_nodes)
        Are filled with sums of c * log2(c) over the refined cells, and with the number of occupied
        refined cells less the number of cells.
    base, numbers : ndarray of shape (4,)
        Are filled with sums of c * log2(c) over the cells, and with the number of cells.
    """
    words, starts, a, b = problem.words, problem.starts, problem.a, problem.b
    n_nodes, n_b, logs = problem.states.shape[1], problem.n_b, problem.logs
    n_words, width = words.shape
    masks, seen = np.zeros(n_cells, np.uint64), np.empty(64, np.int64)
    of_ab, of_a = np.empty((n_cells, width), np.int32), np.empty((n_cells, width), np.int32)
    of_b, of_z = np.zeros((n_b, n_cells, width), np.int32), np.zeros((n_cells, width), np.int32)
    total_ab, total_a = np.empty(n_cells, np.int64), np.empty(n_cells, np.int64)
    total_b, total_z = np.zeros((n_b, n_cells), np.int64), np.zeros(n_cells, np.int64)
    logsums[:] = 0.0
    splits[:] = 0
    base[:] = 0.0
    numbers[:] = 0
    w = 0
    while w < n_words:
        value_a = a[starts[w]]
        of_a[:] = 0
        total_a[:] = 0
        while w < n_words and a[starts[w]] == value_a:
            value_b = b[starts[w]]
            of_ab[:] = 0
            total_ab[:] = 0
            while w < n_words and a[starts[w]] == value_a and b[starts[w]] == value_b:
                n_seen = 0
                for i in range(starts[w], starts[w + 1]):
                    cell = cells[i]
                    if masks[cell] == 0:
                        seen[n_seen] = cell
                        n_seen += 1
                    masks[cell] |= np.uint64(1) << np.uint64(i - starts[w])
                    total_ab[cell] += 1
                for s in range(n_seen):
                    cell = seen[s]
                    mask = masks[cell]
                    masks[cell] = 0
                    for k in range(width):
                        of_ab[cell, k] += np.int32(_popcount(words[w, k] & mask))
                w += 1
            of_a += of_ab
            of_b[value_b] += of_ab
            total_a += total_ab
            total_b[value_b] += total_ab
            if joint:
                _add_cells(ABZ, of_ab, total_ab, n_nodes, logs, logsums, splits, base, numbers)
        of_z += of_a
        total_z += total_a
        _add_cells(AZ, of_a, total_a, n_nodes, logs, logsums, splits, base, numbers)
    _add_cells(Z, of_z, total_z, n_nodes, logs, logsums, splits, base, numbers)
    for value_b in range(n_b):
        of, total = of_b[value_b], total_b[value_b]
        _add_cells(BZ, of, total, n_nodes, logs, logsums, splits, base, numbers)


@njit(cache=True, nogil=True)
def _add_cells(kind, counts, totals, n_nodes, logs, logsums, splits, base, numbers):
    """Add the counts of cells to a row of the tables of `_count_cells`."""
    for cell in range(len(totals)):
        total = totals[cell]
        if total == 0:
            continue
        base[kind] += logs[total]
        numbers[kind] += 1
        if total == 1:  # contributes nothing
            continue
        for node in range(n_nodes):
            rest = total
            value = 0.0
            levels = 0
            for k in range(node, counts.shape[1], n_nodes):
                count = counts[cell, k]
                value += logs[count]
                rest -= count
                levels += count > 0
            logsums[kind, node] += value + logs[rest]
            splits[kind, node] += levels + (rest > 0) - 1


@njit(cache=True, nogil=True)
def context_averages(problem, contexts, joint):
    """Average the information of nodes about A and B over small sets S of other nodes.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.
    contexts : ndarray of shape (n_contexts, context_size), int64
        Sets of nodes. The average of a node is over the sets that do not contain it, and NaN if
        all sets do.
    joint : bool
        Whether to count A and B jointly, which takes longest.

    Returns
    -------
    ndarray of shape (6, n_nodes), float64
        The rows ENTERS and LEAVES have I(A;Y|S) and I(B;Y|S) in bits, with the Miller-Madow
        correction of each entropy. With `joint`, BEYOND has I(B;Y|A,S) with the same correction,
        and CONTRIBUTES the plug-in contribution I(A;B|S) - I(A;B|S,Y). CELLS has the average
        number of occupied cells of (S, Y), and CONCEPT_CELLS that of (A, S, Y) or (B, S, Y),
        whichever are more.
    """
    states, n_levels = problem.states, problem.n_levels
    n, n_nodes = states.shape
    averages = np.zeros((6, n_nodes))
    n_used = np.zeros(n_nodes)
    logsums, splits = np.empty((4, n_nodes)), np.empty((4, n_nodes), np.int64)
    base, numbers, entropies = np.empty(4), np.empty(4, np.int64), np.empty(4)
    correction = 1.0 / (2.0 * np.log(2.0))
    for s in range(contexts.shape[0]):
        cells, n_cells = cells_of(states, n_levels, contexts[s])
        _count_cells(problem, cells, n_cells, joint, logsums, splits, base, numbers)
        for node in range(n_nodes):
            inside = False
            for member in contexts[s]:
                inside |= member == node
            if inside:
                continue
            for kind in range(4):
                entropies[kind] = base[kind] - logsums[kind, node] + splits[kind, node] * correction
            averages[ENTERS, node] += entropies[Z] - entropies[AZ]
            averages[LEAVES, node] += entropies[Z] - entropies[BZ]
            averages[BEYOND, node] += entropies[AZ] - entropies[ABZ]
            averages[CONTRIBUTES, node] += shared(base) - shared(logsums[:, node])
            averages[CELLS, node] += numbers[Z] + splits[Z, node]
            averages[CONCEPT_CELLS, node] += max(
                numbers[AZ] + splits[AZ, node], numbers[BZ] + splits[BZ, node]
            )
            n_used[node] += 1
    if not joint:
        averages[BEYOND] = averages[CONTRIBUTES] = np.nan
    averages[: CONTRIBUTES + 1] /= n
    return averages / n_used


@njit(cache=True, nogil=True)
def degrees_of_freedom(problem):
    """Return the degrees of freedom of I(B;Y|A).

    This is the number of states of Y less one, times the number of values of B less one, both
    among the instances with a value of A, summed over the values of A.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
    """
    planes, a, b = problem.planes, problem.a, problem.b
    n, n_nodes = problem.states.shape
    freedom = np.zeros(n_nodes, np.int64)
    counts = np.empty(planes.shape[1], np.int64)
    i = 0
    while i < n:
        start, n_values = i, 1
        counts[:] = 0
        while i < n and a[i] == a[start]:
            n_values += i > start and b[i] != b[i - 1]
            for k in range(counts.size):
                counts[k] += planes[i, k]
            i += 1
        for node in range(n_nodes):
            rest, n_states = i - start, 0
            for k in range(node, counts.size, n_nodes):
                rest -= counts[k]
                n_states += counts[k] > 0
            freedom[node] += (n_states + (rest > 0) - 1) * (n_values - 1)
    return freedom
