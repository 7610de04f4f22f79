"""Interchange: states of a layer are exchanged for those of other instances, and the run goes on.

A *base* runs up to a time step, where the states of some nodes are replaced by those that a
*source*, another instance, has at the same time step. What is predicted then shows how much of the
source the nodes carry to the output, and how much of the base comes from elsewhere.
"""

import sys
from itertools import product
from typing import NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing

from ._runtime import run_tasks
from .networks import Clamp
from .relay._transfer import fewest, transferred

# Most exchanges per task, and about how many of their states a task may hold. What a task holds
# does not depend on the workers, so that results do not.
_CHUNK, _MOST_STATES = 32, 2**23


class Exchange(NamedTuple):
    """States that are exchanged, and for whose.

    Parameters
    ----------
    nodes : ndarray of shape (n_chosen,), int
        Node numbers.
    step : int
        Which of the time steps of the layer; the states after it are exchanged.
    shift : int
        Every base receives the states of the instance that is so many places behind it in a random
        order of the instances that have the time step.
    """

    nodes: np.ndarray
    step: int
    shift: int


class Layer(NamedTuple):
    """A layer of a fitted classifier, run on a panel.

    Parameters
    ----------
    estimator : fitted classifier
        With ``knock_out``.
    X : array-like
        Panel that was checked.
    hidden : ndarray of shape (n_instances, n_timepoints, n_nodes)
        States in the intact run; NaN after the end of shorter series.
    when : ndarray of shape (n_instances, n_steps), int
        Time steps of every series; -1 where it has no such time step.
    layer : int
    state : {"h", "c"}
        Which layer, and which of its states.
    """

    estimator: object
    X: object
    hidden: np.ndarray
    when: np.ndarray
    layer: int
    state: str

    def __sizeof__(self):
        """Return the size in bytes with all data, because dask sends large objects only once."""
        return sum(map(sys.getsizeof, self))


def exchange_bits(layer, sets, shifts, truth, coded, order, *, kept=True, n_jobs=None, verbose=0):
    """Return the bits about sources and bases in predictions after exchanges.

    Parameters
    ----------
    layer : Layer
        Where states are exchanged.
    sets : list of ndarray of int
        Sets of nodes that are exchanged together.
    shifts : range
        Sources of every base; see `Exchange`.
    truth : ndarray of shape (n_instances, n_concepts), int
        Concept values of the true classes, from 0 without gaps.
    coded : ndarray of shape (n_classes, n_concepts), int
        Concept values of all classes.
    order : ndarray of shape (n_instances,), int
        Random order of the instances.
    kept : bool, default=True
        Whether to measure the bits about the base.
    n_jobs, verbose : int
        As elsewhere.

    Returns
    -------
    bits : ndarray of shape (1 + kept, 2, n_sets, n_concepts, n_steps)
        Bits about the source given the base and, if `kept`, about the base given the source; and
        their standard errors.
    n_pairs : ndarray of shape (n_steps,), int
        Number of pairs of a base and a source.
    enough : ndarray of shape (n_concepts, n_steps), bool
        Whether there are enough pairs and instances for the number of concept values.
    """
    n_steps = layer.when.shape[1]
    exchanges = [Exchange(*which) for which in product(sets, range(n_steps), shifts)]
    predicted = predictions(layer, exchanges, order, n_jobs=n_jobs, verbose=verbose)
    predicted = predicted.reshape(len(sets), n_steps, len(shifts), len(order))
    pairs = [[pairs_of(layer.when[:, step], k, order) for k in shifts] for step in range(n_steps)]
    found = np.empty((1 + kept, 2, len(sets), coded.shape[1], n_steps))
    for chosen, step in np.ndindex(len(sets), n_steps):
        of_step = predicted[chosen, step], pairs[step]
        found[:, :, chosen, :, step] = _bits(*of_step, truth, coded, order, kept)
    n_pairs = np.array([sum(map(len, of_step)) for of_step in pairs])
    n_present = (layer.when >= 0).sum(axis=0)
    fewest_pairs, fewest_instances = fewest(1 + coded.max(axis=0)[:, None])
    return found, n_pairs, (n_pairs >= fewest_pairs) & (n_present >= fewest_instances)


def sources(n_sources, n_instances):
    """Return the shifts of so many sources, because nobody is its own source."""
    return range(1, 1 + max(1, min(n_sources, n_instances - 1)))


def pairs_of(when, shift, order):
    """Return the positions in `order` of bases and sources that have a time step.

    Parameters
    ----------
    when : ndarray of shape (n_instances,), int
        The time step of every series; -1 where it has none.
    shift : int
        Number of places from a base to its source.
    order : ndarray of shape (n_instances,), int
        Random order of the instances.

    Returns
    -------
    ndarray of shape (n_pairs, 2), int
        No instance is its own source; empty if there are not more than `shift` instances.
    """
    present = np.flatnonzero(when[order] >= 0)
    if len(present) <= shift:
        return np.empty((0, 2), dtype=np.int64)
    return np.column_stack([present, np.roll(present, -shift)])


def predictions(layer, exchanges, order, *, n_jobs=None, verbose=0):
    """Return the classes that are predicted after each of many exchanges.

    Parameters
    ----------
    layer : Layer
        Where states are exchanged.
    exchanges : list of Exchange
        Exchanges, each on its own.
    order : ndarray of shape (n_instances,), int
        Random order of the instances.
    n_jobs : int or None
        Number of joblib workers.
    verbose : int
        If nonzero, show a progress bar.

    Returns
    -------
    ndarray of shape (n_exchanges, n_instances), int
        Positions in ``classes_``. An instance without a source is predicted as it is.
    """
    # Sorted by time step, because runs in a task share the intact run up to the earliest one.
    by_time = sorted(range(len(exchanges)), key=lambda i: exchanges[i].step)
    n_instances, _, n_nodes = layer.hidden.shape
    size = max(1, min(_CHUNK, _MOST_STATES // (n_instances * n_nodes)))
    tasks = [[exchanges[i] for i in by_time[at : at + size]] for at in range(0, len(by_time), size)]
    shown = {"verbose": verbose, "desc": "exchanges"}
    predicted = np.empty((len(exchanges), len(order)), dtype=np.int64)
    predicted[by_time] = run_tasks(_run, tasks, layer, order, n_jobs=n_jobs, **shown)
    return predicted


def _run(exchanges, layer, order):
    """Return the predictions after some exchanges; this is the task of a worker."""
    steps = np.array([exchange.step for exchange in exchanges])
    values = [_exchanged(layer, *exchange, order) for exchange in exchanges]
    predicted = np.empty((len(exchanges), len(order)), dtype=np.int64)
    for rows, timepoints in _same_time_steps(layer.when[:, steps]):
        clamps = [
            Clamp(nodes, states[rows, None], t, t + 1, layer.layer, layer.state)
            if t >= 0
            else Clamp(nodes[:0], states[rows, None, :0], layer=layer.layer, state=layer.state)
            for (nodes, *_), states, t in zip(exchanges, values, timepoints.tolist(), strict=True)
        ]
        panel = layer.X if isinstance(rows, slice) else _safe_indexing(layer.X, rows)
        predicted[:, rows] = layer.estimator.knock_out(panel, clamps).proba.argmax(axis=-1)
    return predicted


def _exchanged(layer, nodes, step, shift, order):
    """Return the states of nodes at a time step after the exchange: those of the sources."""
    when = layer.when[:, step]
    base, source = order[pairs_of(when, shift, order).T]
    values = np.zeros((len(when), len(nodes)), dtype=layer.hidden.dtype)
    alone = np.setdiff1d(np.flatnonzero(when >= 0), base)
    values[alone] = layer.hidden[alone[:, None], when[alone, None], nodes]
    values[base] = layer.hidden[source[:, None], when[source, None], nodes]
    return values


def _same_time_steps(when):
    """Yield groups of instances that have the same time steps, and these.

    A series that lacks a time step goes with any, because its states are not exchanged there.
    """
    latest = when.max(axis=0)
    if ((when == latest) | (when < 0)).all():
        yield slice(None), latest
        return
    distinct, group = np.unique(when, axis=0, return_inverse=True)
    for k, timepoints in enumerate(distinct):
        yield np.flatnonzero(group.ravel() == k), timepoints


def _bits(predicted, pairs, truth, coded, order, kept):
    """Return what predictions after exchanges of one set at one time step say.

    Parameters
    ----------
    predicted : list of ndarray of shape (n_instances,), int
        Predicted classes after the exchange with each source, as positions in ``classes_``.
    pairs : list of ndarray of shape (n_pairs, 2), int
        From `pairs_of`, for each source.
    truth, coded, order, kept
        As in `exchange_bits`.

    Returns
    -------
    ndarray of shape (1 + kept, 2, n_concepts)
    """
    pairs_of_all = np.concatenate(pairs)
    said = [codes[order[rows[:, 0]]] for codes, rows in zip(predicted, pairs, strict=True)]
    b = coded[np.concatenate(said)]
    base, source = (truth[order[column]] for column in pairs_of_all.T)
    found = np.empty((1 + kept, 2, coded.shape[1]))
    for k in range(coded.shape[1]):
        found[0, :, k] = transferred(source[:, k], base[:, k], b[:, k], pairs_of_all)
        if kept:
            found[1, :, k] = transferred(base[:, k], source[:, k], b[:, k], pairs_of_all)
    return found
