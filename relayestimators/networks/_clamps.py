"""Clamps: as users describe them, and as the step engine applies them to many copies."""

import warnings
from typing import NamedTuple

import numpy as np
import torch

from .._validation import check_integer, check_nodes


class Clamp(NamedTuple):
    """Nodes of one layer that are clamped to given values during a window of time steps.

    The clamp acts on the state after each time step of the window [start, stop). The initial
    state is never clamped, and a series that has ended keeps its last state.

    Parameters
    ----------
    nodes : array-like of shape (n_chosen,), int
        Node numbers within the layer. In a bidirectional layer, the second half of the nodes
        belongs to the backward direction.
    values : array-like
        Values of the clamped nodes, of shape (n_chosen,), (n_timepoints, n_chosen) or, with
        separate values for every instance, (n_instances, n_timepoints, n_chosen). Values of one
        time step are used for all of them. If the panel has more time steps than the values, the
        last values are used for the remaining ones.
    start : int, default=0
        First time step of the window. Time steps are numbered along the series in both
        directions of a bidirectional layer.
    stop : int or None, default=None
        One after the last time step of the window; None is the end of the panel.
    layer : int, default=-1
        Layer number; negative numbers count from the last layer.
    state : {"h", "c"}, default="h"
        Whether to clamp the hidden state or the memory cell of an LSTM. A memory cell is clamped
        before the output gate reads it, so that the hidden state of the same time step depends
        on the clamped value.

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
        """Return the same clamp for a selection of the instances.

        Parameters
        ----------
        rows : slice or array-like of int
            The selected instances.

        Returns
        -------
        Clamp
        """
        if np.ndim(self.values) < 3:
            return self
        return self._replace(values=self.values[rows])

    def hold(self, states, timepoint, *, state="h"):
        """Apply the clamp to the states of its layer, for modules that do their own stepping.

        Parameters
        ----------
        states : Tensor of shape (n_instances, n_nodes)
            States of the layer after the time step.
        timepoint : int
            The time step.
        state : {"h", "c"}, default="h"
            Whether these are hidden states or memory cells.

        Returns
        -------
        Tensor of shape (n_instances, n_nodes)
            The states with the nodes clamped. Outside the window, and if the clamp is for the
            other kind of state, `states` itself.

        Examples
        --------
        >>> import torch
        >>> from relayestimators.networks import Clamp
        >>> clamp = Clamp([1], [0.5], start=2)
        >>> clamp.hold(torch.zeros(1, 3), timepoint=2)
        tensor([[0.0000, 0.5000, 0.0000]])
        """
        ended = self.stop is not None and timepoint >= self.stop
        if state != self.state or timepoint < self.start or ended:
            return states
        values = torch.as_tensor(self.values, dtype=states.dtype, device=states.device)
        if values.ndim > 1:
            values = values.select(-2, min(timepoint, values.shape[-2] - 1))
        nodes = torch.as_tensor(self.nodes, dtype=torch.int64, device=states.device)
        return states.index_copy(1, nodes, values.expand(len(states), -1))


def prepare_clamp(clamp, n_instances, n_timepoints, layer, n_nodes):
    """Validate a clamp and return it with all fields as they fit the panel.

    Parameters
    ----------
    clamp : Clamp
        As given by the user.
    n_instances, n_timepoints : int
        Size of the panel.
    layer : int
        Number of the clamp's layer, counted from 0.
    n_nodes : int
        Number of nodes of that layer, in all directions.

    Returns
    -------
    Clamp
        With nodes of shape (n_chosen,), int64, values of shape (n_timepoints or 1, n_instances or
        1, n_chosen), float32, and a window within the panel.

    Raises
    ------
    ValueError
        If nodes, values or the window do not fit.
    TypeError
        If nodes, start or stop are not integers.
    """
    nodes = check_nodes(clamp.nodes, n_nodes, name="Clamp.nodes")
    check_integer(clamp.start, name="Clamp.start", low=0)
    if clamp.stop is not None:
        check_integer(clamp.stop, name="Clamp.stop", low=clamp.start + 1)
    values = np.asarray(clamp.values, dtype=np.float32)
    fits = values.ndim in (1, 2, 3) and values.shape[-1] == len(nodes)
    if not fits or (values.ndim == 3 and len(values) != n_instances) or 0 in values.shape[:-1]:
        raise ValueError(
            f"Clamp.values has shape {values.shape}; expected (n_chosen,), (n_timepoints, "
            "n_chosen) or (n_instances, n_timepoints, n_chosen), with "
            f"n_chosen={len(nodes)} and n_instances={n_instances}."
        )
    if not np.isfinite(values).all():
        raise ValueError("Clamp.values contains NaN or infinity; expected finite numbers.")
    stop = n_timepoints if clamp.stop is None else min(clamp.stop, n_timepoints)
    if len(nodes) and clamp.start >= n_timepoints:
        warnings.warn(
            f"Clamp.start={clamp.start}, but the panel has only {n_timepoints} time steps; the "
            "knockout has no effect.",
            stacklevel=4,
        )
    if values.ndim > 1 and 1 < values.shape[-2] < stop:
        warnings.warn(
            f"Clamp.values has {values.shape[-2]} time steps, but the panel has {n_timepoints}; "
            "the last values are used for the remaining time steps.",
            stacklevel=4,
        )
    return clamp._replace(
        nodes=nodes,
        values=_fit_values(values, n_timepoints),
        start=min(clamp.start, n_timepoints),
        stop=stop,
        layer=layer,
    )


def _fit_values(values, n_timepoints):
    """Return values with shape (n_timepoints or 1, n_instances or 1, n_chosen)."""
    if values.ndim == 1:
        return values[None, None]
    values = values[:, None] if values.ndim == 2 else values.swapaxes(0, 1)
    n_missing = n_timepoints - len(values)
    if n_missing > 0 and len(values) > 1:
        values = np.concatenate([values, np.repeat(values[-1:], n_missing, axis=0)])
    return values[:n_timepoints]


def group_clamps(clamps, hidden_size, max_copies):
    """Group clamps that can be run together.

    Parameters
    ----------
    clamps : sequence of Clamp
        Prepared clamps.
    hidden_size : int
        Number of nodes per direction.
    max_copies : int
        Largest size of a group.

    Returns
    -------
    list of list of int
        Positions of the clamps of each group. All clamps of a group have the same layer, state
        and directions, and they are sorted by start.
    """

    def kind(i):
        backward = clamps[i].nodes >= hidden_size
        return clamps[i].layer, clamps[i].state, bool(backward.any()), bool((~backward).any())

    def order(i):
        return *kind(i), clamps[i].start, len(clamps[i].nodes)

    groups = []
    for i in sorted(range(len(clamps)), key=order):
        if groups and len(groups[-1]) < max_copies and kind(groups[-1][0]) == kind(i):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


class ClampBatch(NamedTuple):
    """Clamps of many copies of one direction of a layer, one clamp per copy.

    Parameters
    ----------
    nodes : ndarray of shape (n_copies, n_clamped), int64
        Node numbers within the direction. A copy with fewer nodes than others repeats one.
    values : ndarray of shape (n_copies, n_timepoints or 1, n_instances or 1, n_clamped), float32
        Values of the nodes after each time step.
    start, stop : ndarray of shape (n_copies,), int64
        Window [start, stop) of time steps.
    on_memory : bool, default=False
        Whether the memory cells of an LSTM are clamped instead of the hidden states.
    """

    nodes: np.ndarray
    values: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    on_memory: bool = False

    @classmethod
    def empty(cls, n_copies):
        """Return a batch of copies without any clamped node.

        Parameters
        ----------
        n_copies : int

        Returns
        -------
        ClampBatch
        """
        return cls(
            np.empty((n_copies, 0), dtype=np.int64),
            np.empty((n_copies, 1, 1, 0), dtype=np.float32),
            *np.zeros((2, n_copies), dtype=np.int64),
        )

    @classmethod
    def of_direction(cls, clamps, direction, hidden_size, rows):
        """Return the part of some clamps that concerns one direction of their layer.

        Parameters
        ----------
        clamps : sequence of Clamp
            Prepared clamps of one layer and one kind of state, one per copy.
        direction : {0, 1}
            0 is forward, 1 is backward.
        hidden_size : int
            Number of nodes per direction.
        rows : slice
            The instances that the copies are run on.

        Returns
        -------
        ClampBatch
        """
        parts = [_nodes_and_values(clamp, direction, hidden_size, rows) for clamp in clamps]
        start, stop = np.array([[clamp.start, clamp.stop] for clamp in clamps], dtype=np.int64).T
        batch = cls.empty(len(clamps))._replace(
            start=start.copy(), stop=stop.copy(), on_memory=clamps[0].state == "c"
        )
        width = max(len(nodes) for nodes, _ in parts)
        if not width:
            return batch
        shape = np.max([values.shape[:2] for _, values in parts], axis=0)
        columns = [np.minimum(np.arange(width), len(nodes) - 1) for nodes, _ in parts]
        return batch._replace(
            nodes=np.array([nodes[j] for (nodes, _), j in zip(parts, columns, strict=True)]),
            values=np.array(
                [
                    np.broadcast_to(values[..., j], (*shape, width))
                    for (_, values), j in zip(parts, columns, strict=True)
                ]
            ),
        )

    def without_nodes(self):
        """Return the same windows without nodes, for copies that differ only in their input.

        Returns
        -------
        ClampBatch
        """
        empty = ClampBatch.empty(len(self.nodes))
        return empty._replace(start=self.start, stop=self.stop)

    def first_steps(self, n_timepoints, backward):
        """Return how many steps each copy can share with the intact run before its window.

        Parameters
        ----------
        n_timepoints : int
            Number of time steps of the panel.
        backward : bool
            Whether the direction runs backward in time.

        Returns
        -------
        ndarray of shape (n_copies,), int
            Never decreasing from copy to copy: a copy begins no later than any copy after it.
            That may be earlier than necessary, but it is never wrong.
        """
        stop = np.minimum(self.stop, n_timepoints)
        steps = n_timepoints - stop if backward else self.start
        steps = np.where(self.start < stop, steps, n_timepoints)
        return np.minimum.accumulate(steps[::-1])[::-1]


def _nodes_and_values(clamp, direction, hidden_size, rows):
    """Return nodes and values of a prepared clamp in one direction, for some instances."""
    nodes = clamp.nodes - direction * hidden_size
    chosen = (nodes >= 0) & (nodes < hidden_size)
    values = clamp.values if clamp.values.shape[1] == 1 else clamp.values[:, rows]
    return nodes[chosen], values[..., chosen]
