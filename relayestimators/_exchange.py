"""Interchange: states of a layer are exchanged for those of other instances, and the run goes on.

A *base* runs up to a time step, where the states of some nodes are replaced by those that a
*source*, another instance, has at the same time step. What is predicted then shows how much of the
source the nodes carry to the output, and how much of the base comes from elsewhere.
"""

import sys
from typing import NamedTuple

import numpy as np

from ._runtime import run_tasks
from .networks import Clamp
from .relay._transfer import transferred

_CHUNK = 8  # exchanges per task; fixed, so that results do not depend on the workers


class Exchange(NamedTuple):
    """States that are exchanged, and for whose.

    Parameters
    ----------
    nodes : ndarray of shape (n_chosen,), int
        Node numbers.
    timepoint : int
        Time step after which the states are exchanged.
    shift : int
        Every base receives the states of the instance that is so many places behind it in a random
        order of the instances that have the time step.
    """

    nodes: np.ndarray
    timepoint: int
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
    layer : int
    state : {"h", "c"}
        Which layer, and which of its states.
    """

    estimator: object
    X: object
    hidden: np.ndarray
    layer: int
    state: str

    def __sizeof__(self):
        """Return the size in bytes with all data, because dask sends large objects only once."""
        return sum(map(sys.getsizeof, self))


def pairs_of(hidden, timepoint, shift, order):
    """Return the positions in `order` of bases and sources that have a time step.

    Parameters
    ----------
    hidden : ndarray of shape (n_instances, n_timepoints, n_nodes)
        States; NaN after the end of shorter series.
    timepoint : int
        Time step.
    shift : int
        Number of places from a base to its source.
    order : ndarray of shape (n_instances,), int
        Random order of the instances.

    Returns
    -------
    ndarray of shape (n_pairs, 2), int
        No instance is its own source; empty if there are not more than `shift` instances.
    """
    present = np.flatnonzero(~np.isnan(hidden[order, timepoint, 0]))
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
    by_time = sorted(range(len(exchanges)), key=lambda i: exchanges[i].timepoint)
    tasks = [
        [exchanges[i] for i in by_time[at : at + _CHUNK]] for at in range(0, len(by_time), _CHUNK)
    ]
    shown = {"verbose": verbose, "desc": "exchanges"}
    predicted = np.empty((len(exchanges), len(order)), dtype=np.int64)
    predicted[by_time] = run_tasks(_run, tasks, layer, order, n_jobs=n_jobs, **shown)
    return predicted


def _run(exchanges, layer, order):
    """Return the predictions after some exchanges; this is the task of a worker."""
    clamps = []
    for nodes, t, shift in exchanges:
        values = np.nan_to_num(layer.hidden[:, t, nodes])
        base, source = order[pairs_of(layer.hidden, t, shift, order)].T
        values[base] = layer.hidden[source[:, None], t, nodes]
        clamps.append(Clamp(nodes, values[:, None], t, t + 1, layer.layer, layer.state))
    return layer.estimator.knock_out(layer.X, clamps).proba.argmax(axis=-1)


def bits(predicted, pairs, truth, coded, order):
    """Return what predictions after exchanges say of the sources, and of the bases.

    Parameters
    ----------
    predicted : list of ndarray of shape (n_instances,), int
        Predicted classes after the exchange with each source, as positions in ``classes_``.
    pairs : list of ndarray of shape (n_pairs, 2), int
        From `pairs_of`, for each source.
    truth : ndarray of shape (n_instances, n_concepts), int
        Concept values of the true classes, from 0 without gaps.
    coded : ndarray of shape (n_classes, n_concepts), int
        Concept values of all classes.
    order : ndarray of shape (n_instances,), int
        Random order of the instances.

    Returns
    -------
    ndarray of shape (2, 2, n_concepts)
        Bits about the source given the base, and about the base given the source; and their
        standard errors.
    """
    pairs_of_all = np.concatenate(pairs)
    said = [codes[order[rows[:, 0]]] for codes, rows in zip(predicted, pairs, strict=True)]
    b = coded[np.concatenate(said)]
    base, source = (truth[order[column]] for column in pairs_of_all.T)
    found = np.empty((2, 2, coded.shape[1]))
    for k in range(coded.shape[1]):
        found[0, :, k] = transferred(source[:, k], base[:, k], b[:, k], pairs_of_all)
        found[1, :, k] = transferred(base[:, k], source[:, k], b[:, k], pairs_of_all)
    return found
