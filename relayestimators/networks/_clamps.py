"""Clamps: what is held, as users say it, and as the step engine takes it."""

import warnings
from typing import NamedTuple

import numpy as np
import torch

from .._validation import check_integer, check_nodes
from ._recurrence import Held


class Clamp(NamedTuple):
    """Nodes of one layer that are held at given values during a window of time steps.

    The clamp holds on the state after each step of the window; the initial state is never
    clamped, and a series that has ended keeps its state.

    Parameters
    ----------
    nodes : array-like of shape (n_chosen,), int
        Node numbers within the layer; the second half of a bidirectional layer's nodes are
        those of the backward direction.
    values : array-like
        What the nodes are held at: shape (n_chosen,); (n_timepoints, n_chosen); or, for every
        instance its own, (n_instances, n_timepoints, n_chosen). On a longer panel the last time
        step goes on.
    start : int, default=0
        First time step of the window, counted along the series in both directions.
    stop : int or None, default=None
        One after its last time step; None is the end.
    layer : int, default=-1
        Layer number; negative counts from the last.
    state : {"h", "c"}, default="h"
        Hidden state, or memory cell of an LSTM. A memory cell is held before the output gate
        reads it, so the hidden state of the same step shows it.

    Examples
    --------
    >>> import torch
    >>> from relayestimators.networks import Clamp, RecurrentNetwork
    >>> network, X = RecurrentNetwork(1, n_classes=2, hidden_size=4), torch.randn(3, 1, 6)
    >>> run = network.unroll(X, clamp=Clamp([0, 2], [0.0, 0.5], start=4))
    >>> run.hidden[0, 4:, 2]
    tensor([0.5000, 0.5000])
    """

    nodes: object
    values: object
    start: int = 0
    stop: int | None = None
    layer: int = -1
    state: str = "h"

    def of_instances(self, rows):
        """Return the clamp of some of the instances.

        Parameters
        ----------
        rows : slice or array-like of int
            Which.

        Returns
        -------
        Clamp
        """
        if np.ndim(self.values) < 3:
            return self
        return self._replace(values=self.values[rows])

    def hold(self, states, timepoint, *, state="h"):
        """Hold the nodes in the states of a layer after a step; for modules of your own.

        Parameters
        ----------
        states : Tensor of shape (n_instances, n_nodes)
            Of the layer that the clamp is for.
        timepoint : int
            The time step.
        state : {"h", "c"}, default="h"
            Which state these are.

        Returns
        -------
        Tensor of shape (n_instances, n_nodes)
            The states themselves outside of the window, and if the clamp is for the other state.
        """
        ended = self.stop is not None and timepoint >= self.stop
        if state != self.state or timepoint < self.start or ended:
            return states
        values = torch.as_tensor(self.values, dtype=states.dtype, device=states.device)
        if values.ndim > 1:
            values = values.select(-2, min(timepoint, values.shape[-2] - 1))
        nodes = torch.as_tensor(self.nodes, dtype=torch.int64, device=states.device)
        return states.index_copy(1, nodes, values.expand(len(states), -1))

    def prepared(self, n_instances, n_timepoints, layer, n_nodes):
        """Return the clamp as arrays to lay beside a panel, or refuse it.

        Parameters
        ----------
        n_instances, n_timepoints : int
            Of the panel.
        layer : int
            Layer number, from 0.
        n_nodes : int
            Nodes of the layer.

        Returns
        -------
        Clamp
            With values of shape (n_timepoints or 1, n_instances or 1, n_chosen).
        """
        nodes = check_nodes(self.nodes, n_nodes, name="nodes of a clamp")
        check_integer(self.start, name="start of a clamp", low=0)
        if self.stop is not None:
            check_integer(self.stop, name="stop of a clamp", low=self.start + 1)
        values = np.asarray(self.values, dtype=np.float32)
        fits = values.ndim in (1, 2, 3) and values.shape[-1] == len(nodes)
        if not fits or (values.ndim == 3 and len(values) != n_instances) or 0 in values.shape[:-1]:
            raise ValueError(
                f"values of a clamp have shape {values.shape}; for {len(nodes)} node(s) and "
                f"{n_instances} instance(s) allowed are (n_chosen,), (n_timepoints, n_chosen) and "
                "(n_instances, n_timepoints, n_chosen)."
            )
        if not np.isfinite(values).all():
            raise ValueError("values of a clamp contain NaN or infinity; expected finite numbers.")
        stop = n_timepoints if self.stop is None else min(self.stop, n_timepoints)
        if len(nodes) and self.start >= n_timepoints:
            warnings.warn(
                f"The panel has {n_timepoints} time steps, so a knockout from step {self.start} "
                "on changes nothing.",
                stacklevel=4,
            )
        if values.ndim > 1 and values.shape[-2] < stop:
            warnings.warn(
                f"The panel has {n_timepoints} time steps, the values nodes are held at have "
                f"{values.shape[-2]}; the last of them goes on.",
                stacklevel=4,
            )
        return self._replace(
            nodes=nodes,
            values=_laid_out(values, n_timepoints),
            start=min(self.start, n_timepoints),
            stop=stop,
            layer=layer,
        )

    def of_direction(self, direction, hidden_size):
        """Return nodes and values of a prepared clamp in one direction of the layer.

        Parameters
        ----------
        direction : {0, 1}
            1 is backward.
        hidden_size : int
            Nodes per direction.

        Returns
        -------
        nodes : ndarray of shape (n_held,)
        values : ndarray of shape (n_timepoints or 1, n_instances or 1, n_held)
        """
        local = self.nodes - direction * hidden_size
        mine = (local >= 0) & (local < hidden_size)
        return local[mine], self.values[..., mine]


def _laid_out(values, n_timepoints):
    """Return values as (n_timepoints or 1, n_instances or 1, n_chosen)."""
    if values.ndim == 1:
        return values[None, None]
    values = values[:, None] if values.ndim == 2 else values.swapaxes(0, 1)
    missing = n_timepoints - len(values)
    if missing > 0:
        values = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
    return values[:n_timepoints]


def stacked(clamps, direction, hidden_size, rows):
    """Return prepared clamps of one layer as what copies of one direction of it hold.

    Parameters
    ----------
    clamps : sequence of Clamp
        Prepared, one per copy.
    direction : {0, 1}
        1 is backward.
    hidden_size : int
        Nodes per direction.
    rows : slice
        The instances the copies are run on.

    Returns
    -------
    Held
    """
    parts = [clamp.of_direction(direction, hidden_size) for clamp in clamps]
    held = Held.nothing(len(clamps))
    window = np.array([[clamp.start, clamp.stop] for clamp in clamps], dtype=np.int64).T
    held = held._replace(first=window[0].copy(), last=window[1].copy(), state=clamps[0].state)
    width = max(len(nodes) for nodes, _ in parts)
    if not width:
        return held
    parts = [
        (nodes, values if values.shape[1] == 1 else values[:, rows]) for nodes, values in parts
    ]
    shape = np.max([values.shape[:2] for _, values in parts], axis=0)
    wide = [np.minimum(np.arange(width), len(nodes) - 1) for nodes, _ in parts]
    return held._replace(
        nodes=np.array([nodes[i] for (nodes, _), i in zip(parts, wide, strict=True)]),
        values=np.array(
            [
                np.broadcast_to(values[..., i], (*shape, width))
                for (_, values), i in zip(parts, wide, strict=True)
            ]
        ),
    )


def grouped(clamps, hidden_size, n_copies):
    """Return which clamps to run together.

    Parameters
    ----------
    clamps : sequence of Clamp
        Prepared.
    hidden_size : int
        Nodes per direction.
    n_copies : int
        How many at most.

    Returns
    -------
    list of list of int
        Positions; the clamps of a group are of the same layer, state and directions, sorted by
        start.
    """

    def kind(i):
        behind = clamps[i].nodes >= hidden_size
        return clamps[i].layer, clamps[i].state, bool(behind.any()), bool((~behind).any())

    def order(i):
        return *kind(i), clamps[i].start, len(clamps[i].nodes)

    groups = []
    for i in sorted(range(len(clamps)), key=order):
        if groups and len(groups[-1]) < n_copies and kind(groups[-1][0]) == kind(i):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups
