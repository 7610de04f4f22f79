"""Compiled counting of joint states of all nodes, within the cells that small sets of nodes form.

The states of some nodes form cells: instances with the same states are in the same cell. For every
further node Y, the information that A, B and Y share within the cells is computed in one pass.
C is the true class, of which A is the concept value, and D is what the network says, of which B is
the predicted concept value. Instances are sorted by (a, c, d). States are given as indicator
planes: column (level - 1) * n_nodes + node is 1 where the node is in that level; the count of level
0 is the number of instances less the counts of the other levels. Planes are packed into words of 64
instances with the same a, c and d, so that one AND with the members of a cell, and one count of the
bits that are left, counts 64 instances. All information is a sum of x * log2(x) over counts x,
which is looked up in a table.

The functions are single-threaded and release the GIL, so that callers can run them in threads.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

#: Rows of tables: the kind of cells in which the states of a node are counted. The cells ABZ are
#: those of (a, c, d, z), which are the same as those of (a, b, z) where C is A and D is B.
Z, AZ, BZ, ABZ, CZ = range(5)

#: Rows of `flow_averages`.
ENTERS, LEAVES, BEYOND, CELLS, CONCEPT_CELLS = range(5)


class Problem(NamedTuple):
    """Data of one concept at one time step, with instances sorted by (a, c, d).

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
    a, c, d, b : ndarray of shape (n_instances,), int64
        True concept values, true classes, what the network says, and predicted concept values, as
        codes from 0 without gaps. A class determines `a`, and what is said determines `b`.
    n_b : int
        Number of values of b.
    logs : ndarray of shape (n_instances + 1,), float64
        Table of x * log2(x) for x from 0 to n_instances.
    """

    states: np.ndarray
    n_levels: int
    planes: np.ndarray
    words: np.ndarray
    starts: np.ndarray
    a: np.ndarray
    c: np.ndarray
    d: np.ndarray
    b: np.ndarray
    n_b: int
    logs: np.ndarray


def sort_problem(a, b, states, *, classes=None, said=None, halves=False):
    """Return the Problem of codes and states whose instances are in any order.

    Parameters
    ----------
    a, b : ndarray of shape (n_instances,), int64
        Concept values, as codes from 0 without gaps.
    states : ndarray of shape (n_instances, n_nodes), uint8
        Discretized states.
    classes : ndarray of shape (n_instances,), int64, optional
        True classes, as codes from 0 without gaps, which determine `a`; `a` itself by default.
    said : ndarray of shape (n_instances,), int64, optional
        What the network says, as codes from 0 without gaps, which determine `b`; `b` itself by
        default.
    halves : bool, default=False
        Whether nodes that are conditioned on have two levels only, the lower and the upper ones of
        all levels, so that the cells of several nodes still hold enough instances. The cut is the
        one that leaves most nearly half of the instances on either side.

    Returns
    -------
    Problem
    """
    n_b = int(b.max()) + 1
    c, d = (a if classes is None else classes), (b if said is None else said)
    keys = (a * (int(c.max()) + 1) + c) * (int(d.max()) + 1) + d
    # Small integers are sorted in linear time.
    order = np.argsort(keys.astype(np.min_scalar_type(int(keys.max()))), kind="stable")
    states = np.ascontiguousarray(states[order])
    n_levels = max(int(states.max()) + 1, 2)
    levels = np.arange(1, n_levels, dtype=np.uint8)
    planes = np.ascontiguousarray(states[:, None, :] == levels[None, :, None])
    planes = planes.reshape(len(states), -1).view(np.uint8)
    if halves:
        states, n_levels = _halves(states, levels), 2
    logs = np.arange(len(states) + 1, dtype=np.float64)
    logs[1:] *= np.log2(logs[1:])
    codes = (values[order] for values in (a, c, d, b))
    return Problem(states, n_levels, planes, *_pack(planes, keys[order]), *codes, n_b, logs)


def _halves(states, levels):
    """Return whether states are at or above the level that splits a node most evenly."""
    n_above = np.array([(states >= level).sum(axis=0) for level in levels])
    return (states >= levels[np.abs(2 * n_above - len(states)).argmin(axis=0)]).astype(np.uint8)


@njit(cache=True, nogil=True)
def _pack(planes, keys):
    """Return the words of planes sorted by keys, and the first instance of each word."""
    n, width = planes.shape
    starts = np.empty(n + 1, np.int64)
    n_words = 0
    for i in range(n):
        if i == 0 or keys[i] != keys[i - 1] or i - starts[n_words - 1] == 64:
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
def _count_cells(problem, logs, cells, n_cells, joint, logsums, occupied, base):
    """Refine the kinds of cells (z; a,z; b,z; a,c,d,z; c,z) by every node in one pass.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.
    logs : ndarray of shape (n_instances + 1,), float64
        The function of counts that is summed, x * log2(x) or a corrected one.
    cells : ndarray of shape (n_instances,), int32
        Number of the cell z of every instance, below `n_cells`.
    n_cells : int
        Number of cells.
    joint : bool
        Whether to refine the cells of the last two kinds, which takes longest.
    logsums : ndarray of shape (5, n_nodes)
        Is filled with sums of `logs` over the refined cells of each kind.
    occupied : ndarray of shape (3, n_nodes)
        Is filled with the number of occupied refined cells of the first three kinds.
    base : ndarray of shape (5,)
        Is filled with sums of `logs` over the cells. Cells of one instance are left out of it and
        of `logsums`.
    """
    words, starts, a, c = problem.words, problem.starts, problem.a, problem.c
    d, b, n_b, n_nodes = problem.d, problem.b, problem.n_b, problem.states.shape[1]
    n_words, width = words.shape
    masks, seen = np.zeros(n_cells, np.uint64), np.empty(64, np.int64)
    # Counts in the cells of one a, c and d, of one a and c, of one a, and of all instances.
    counts, totals = np.zeros((4, n_cells, width), np.int32), np.zeros((4, n_cells), np.int64)
    of_b, total_b = np.zeros((n_b, n_cells, width), np.int32), np.zeros((n_b, n_cells), np.int64)
    logsums[:] = 0.0
    occupied[:] = 0
    base[:] = 0.0
    for w in range(n_words):
        first, n_seen = starts[w], 0
        for i in range(first, starts[w + 1]):
            cell = cells[i]
            if masks[cell] == 0:
                seen[n_seen] = cell
                n_seen += 1
            masks[cell] |= np.uint64(1) << np.uint64(i - first)
            totals[0, cell] += 1
        for s in range(n_seen):
            cell = seen[s]
            mask = masks[cell]
            masks[cell] = 0
            for k in range(width):
                counts[0, cell, k] += np.int32(_popcount(words[w, k] & mask))
        last = w == n_words - 1
        after = starts[w + 1]
        if not last and c[after] == c[first] and d[after] == d[first]:
            continue
        if joint:
            _add_cells(ABZ, counts[0], totals[0], n_nodes, logs, logsums, occupied, base)
        _pour(counts[0], totals[0], of_b[b[first]], total_b[b[first]], False)
        _pour(counts[0], totals[0], counts[1], totals[1], True)
        if not last and c[after] == c[first]:
            continue
        if joint:
            _add_cells(CZ, counts[1], totals[1], n_nodes, logs, logsums, occupied, base)
        _pour(counts[1], totals[1], counts[2], totals[2], True)
        if not last and a[after] == a[first]:
            continue
        _add_cells(AZ, counts[2], totals[2], n_nodes, logs, logsums, occupied, base)
        _pour(counts[2], totals[2], counts[3], totals[3], True)
    _add_cells(Z, counts[3], totals[3], n_nodes, logs, logsums, occupied, base)
    for value_b in range(n_b):
        of, total = of_b[value_b], total_b[value_b]
        _add_cells(BZ, of, total, n_nodes, logs, logsums, occupied, base)


@njit(cache=True, nogil=True)
def _pour(counts, totals, into, into_totals, clear):
    """Add counts of cells to others, and set them to 0 if `clear`."""
    for cell in range(len(totals)):
        if totals[cell] == 0:
            continue
        for k in range(counts.shape[1]):
            into[cell, k] += counts[cell, k]
        into_totals[cell] += totals[cell]
        if clear:
            counts[cell] = 0
            totals[cell] = 0


@njit(cache=True, nogil=True)
def _add_cells(kind, counts, totals, n_nodes, logs, logsums, occupied, base):
    """Add the counts of cells to a row of the tables of `_count_cells`."""
    sums, rest = logsums[kind], np.empty(n_nodes, np.int32)
    for cell in range(len(totals)):
        total = totals[cell]
        if total < 2:
            if kind < ABZ:
                occupied[kind] += total
            continue
        base[kind] += logs[total]
        rest[:] = total
        for start in range(0, counts.shape[1], n_nodes):
            for node in range(n_nodes):
                count = counts[cell, start + node]
                # Unsigned, so that it is not checked whether an index counts from the end.
                sums[node] += logs[np.uint32(count)]
                rest[node] -= count
            if kind < ABZ:
                for node in range(n_nodes):
                    occupied[kind, node] += counts[cell, start + node] > 0
        for node in range(n_nodes):
            sums[node] += logs[np.uint32(rest[node])]
            if kind < ABZ:
                occupied[kind, node] += rest[node] > 0


@njit(cache=True, nogil=True)
def flow_averages(problem, contexts, joint):
    """Average what enters and leaves nodes, and what they add to the true class, over sets S.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.
    contexts : ndarray of shape (n_contexts, context_size), int64
        Sets of nodes. The average of a node is over the sets that do not contain it, and NaN if
        all sets do.
    joint : bool
        Whether to count C and D jointly, which takes longest.

    Returns
    -------
    ndarray of shape (5, n_nodes), float64
        The rows ENTERS, LEAVES and BEYOND have I(A;Y|S), I(B;Y|S) and I(D;Y|C,S) in bits, with the
        Miller-Madow correction of each entropy, as root mean squares: the mean over sets of the
        squares with their signs, and the root of it with its sign. BEYOND is NaN without `joint`.
        CELLS has the mean number of occupied cells of (S, Y), and CONCEPT_CELLS that of (A, S, Y)
        or (B, S, Y), whichever are more.
    """
    n, n_nodes = problem.states.shape
    averages, n_used = np.zeros((5, n_nodes)), np.zeros(n_nodes)
    logsums, occupied = np.empty((5, n_nodes)), np.empty((3, n_nodes), np.int64)
    base, entropies = np.empty(5), np.empty(5)
    # Half a nat for every occupied cell, which is the correction of Miller and Madow.
    logs = problem.logs - 1.0 / (2.0 * np.log(2.0))
    logs[0] = 0.0
    for s in range(contexts.shape[0]):
        cells, n_cells = cells_of(problem.states, problem.n_levels, contexts[s])
        _count_cells(problem, logs, cells, n_cells, joint, logsums, occupied, base)
        for node in range(n_nodes):
            if _contains(contexts[s], node):
                continue
            for kind in range(5):
                entropies[kind] = base[kind] - logsums[kind, node]
            averages[ENTERS, node] += _square((entropies[Z] - entropies[AZ]) / n)
            averages[LEAVES, node] += _square((entropies[Z] - entropies[BZ]) / n)
            averages[BEYOND, node] += _square((entropies[CZ] - entropies[ABZ]) / n)
            averages[CELLS, node] += occupied[Z, node]
            averages[CONCEPT_CELLS, node] += max(occupied[AZ, node], occupied[BZ, node])
            n_used[node] += 1
    averages /= n_used
    for row in (ENTERS, LEAVES, BEYOND):
        averages[row] = np.sign(averages[row]) * np.sqrt(np.abs(averages[row]))
    if not joint:
        averages[BEYOND] = np.nan
    return averages


@njit(cache=True, nogil=True)
def _square(value):
    """Return the square with the sign of the value."""
    return value * abs(value)


@njit(cache=True, nogil=True)
def contribution_averages(problem, contexts):
    """Average what nodes contribute to the information that A and B share, over sets S.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step, where C is A and D is B.
    contexts : ndarray of shape (n_contexts, context_size), int64
        As for `flow_averages`.

    Returns
    -------
    contributions, cells : ndarray of shape (n_nodes,), float64
        I(A;B|S) - I(A;B|S,Y) in bits, and the number of occupied cells of (S, Y).
    """
    n, n_nodes = problem.states.shape
    contributions, n_cells_of = np.zeros(n_nodes), np.zeros(n_nodes)
    n_used = np.zeros(n_nodes)
    logsums, occupied = np.empty((5, n_nodes)), np.empty((3, n_nodes), np.int64)
    base = np.empty(5)
    for s in range(contexts.shape[0]):
        cells, n_cells = cells_of(problem.states, problem.n_levels, contexts[s])
        _count_cells(problem, problem.logs, cells, n_cells, True, logsums, occupied, base)
        for node in range(n_nodes):
            if _contains(contexts[s], node):
                continue
            contributions[node] += (shared(base) - shared(logsums[:, node])) / n
            n_cells_of[node] += occupied[Z, node]
            n_used[node] += 1
    return contributions / n_used, n_cells_of / n_used


@njit(cache=True, nogil=True)
def _contains(nodes, node):
    """Return whether a node is among nodes."""
    inside = False
    for member in nodes:
        inside |= member == node
    return inside


@njit(cache=True, nogil=True)
def degrees_of_freedom(problem):
    """Return the degrees of freedom of I(D;Y|C).

    This is the number of states of Y less one, times the number of values of D less one, both
    among the instances of a class, summed over the classes.

    Parameters
    ----------
    problem : Problem
        Data of one concept at one time step.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
    """
    planes, c, d = problem.planes, problem.c, problem.d
    n, n_nodes = problem.states.shape
    freedom = np.zeros(n_nodes, np.int64)
    counts = np.empty(planes.shape[1], np.int64)
    i = 0
    while i < n:
        start, n_values = i, 1
        counts[:] = 0
        while i < n and c[i] == c[start]:
            n_values += i > start and d[i] != d[i - 1]
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
