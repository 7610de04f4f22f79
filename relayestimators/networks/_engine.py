"""The step engine: many copies of one direction of a layer, stepped through time together.

A knockout has to act inside the recurrence: a clamped node passes its value on to all nodes at the
next time step. Editing the output sequence of ``torch.nn.GRU`` would leave the node alive inside.
Therefore the engine does its own stepping, with the weights of the trained module, which it only
reads.

Knockouts of the same instances differ in nothing but their clamps. They are run as copies of one
layer that share weights and projected input: their states are the rows of one matrix. A copy whose
window begins later joins the matrix at that time step, with the states of the intact run.
"""

from typing import NamedTuple

import numpy as np
import torch

from ._clamps import ClampBatch
from ._compiled_steps import CompiledSteps
from ._torch_steps import TorchSteps


class Trajectory(NamedTuple):
    """One state of all copies over time.

    Parameters
    ----------
    path : Tensor of shape (n_timepoints, n_copies * n_instances, hidden_size) or None
        States after each time step; None if they were not kept.
    final : Tensor of shape (n_copies * n_instances, hidden_size)
        States after the last step.
    """

    path: torch.Tensor | None
    final: torch.Tensor


def step_through(
    kind,
    projected,
    weight,
    bias,
    *,
    clamps=None,
    shared=True,
    intact=None,
    alive=None,
    backward=False,
    keep=True,
    edit=None,
    edited="h",
):
    """Step copies of one direction of a layer through time.

    Parameters
    ----------
    kind : {"tanh", "relu", "gru", "lstm"}
        Kind of layer.
    projected : Tensor of shape (n_timepoints, n_rows, n_gates * hidden_size)
        Input times weight_ih plus biases, for all time steps. It includes all biases except the
        part of a GRU's bias_hh that the reset gate multiplies.
    weight : Tensor of shape (n_gates * hidden_size, hidden_size)
        Recurrent weights, weight_hh.
    bias : Tensor of shape (hidden_size,) or None
        The remaining part of the biases, from `split_bias`; None for layers other than GRU.
    clamps : ClampBatch, optional
        Clamped nodes of each copy; by default there is one intact copy.
    shared : bool, default=True
        Whether all copies have the same input. Then n_rows is n_instances; otherwise it is
        n_copies * n_instances.
    intact : dict of str to Tensor of shape (n_timepoints, n_instances, hidden_size), optional
        Paths of the intact run, by state. With them every copy starts where its window begins;
        without them all copies start at the first time step.
    alive : Tensor of shape (n_timepoints, n_instances), bool, optional
        Where a series has a time step. Elsewhere the state does not change.
    backward : bool, default=False
        Step from the last time step to the first.
    keep : bool, default=True
        Keep the paths.
    edit : callable, optional
        (states, timepoint) -> states, applied to the states in every step, where clamps act.
    edited : {"h", "c"}, default="h"
        Which states are edited.

    Returns
    -------
    dict of str to Trajectory
        For "h", and "c" of an LSTM.

    Notes
    -----
    In float32 on a CPU the steps are compiled; their tanh and sigmoid are rational functions with
    an absolute error of at most 4e-7. Everything else, and whatever needs gradients, uses torch.
    """
    clamps = ClampBatch.empty(1) if clamps is None else clamps
    n_copies, n_timepoints = len(clamps.nodes), len(projected)
    n_instances = projected.shape[1] // (1 if shared else n_copies)
    size, names = weight.shape[1], ("h", "c") if kind == "lstm" else ("h",)
    states = {name: projected.new_zeros(n_copies * n_instances, size) for name in names}
    paths = dict.fromkeys(names)
    if keep:
        paths = {name: states[name].new_empty(n_timepoints, *states[name].shape) for name in names}
    order = range(n_timepoints)[:: -1 if backward else 1]
    firsts = np.zeros(n_copies, dtype=int)
    if intact is not None:
        firsts = clamps.first_steps(n_timepoints, backward)
    options = {"n_instances": n_instances, "alive": alive}
    compiled = projected.device.type == "cpu" and projected.dtype == torch.float32
    if compiled and edit is None and not torch.is_grad_enabled():
        steps = CompiledSteps(kind, projected, weight, bias, clamps, **options)
    else:
        steps = TorchSteps(
            kind, projected, weight, bias, clamps, **options, edit=edit, edited=edited
        )
    n_before = 0
    for first, stop, n_running in _stretches(firsts, n_timepoints):
        timepoints = order[first:stop]
        if first:
            _copy_states(states, intact, order[first - 1], n_before, n_running)
        n_before, n_rows = n_running, n_running * n_instances
        if n_running:
            for t, states in steps.run(states, n_running, timepoints, at_rest=not first):  # noqa: B020
                if keep:
                    for name, path in paths.items():
                        path[t, :n_rows] = states[name][:n_rows]
        if keep and n_running < n_copies:
            _copy_paths(paths, intact, timepoints, n_running)
    if n_before < n_copies:
        _copy_states(states, intact, order[-1], n_before, n_copies)
    return {name: Trajectory(paths[name], states[name]) for name in names}


def split_bias(kind, bias):
    """Split recurrent biases into the part that can be added to the input, and the rest.

    Parameters
    ----------
    kind : {"tanh", "relu", "gru", "lstm"}
        Kind of layer.
    bias : Tensor of shape (n_gates * hidden_size,)
        Recurrent biases, bias_hh.

    Returns
    -------
    outer : Tensor of shape (n_gates * hidden_size,)
        Added to the projected input of all time steps in advance.
    inner : Tensor of shape (hidden_size,) or None
        What the reset gate of a GRU multiplies; None for other layers.
    """
    if kind != "gru":
        return bias, None
    inner = bias[2 * len(bias) // 3 :]
    return torch.cat([bias[: -len(inner)], torch.zeros_like(inner)]), inner


def _stretches(firsts, n_timepoints):
    """Return (first step, one after the last step, number of running copies) of each stretch.

    Within a stretch no copy joins.
    """
    begins = np.union1d([0], firsts[firsts < n_timepoints])
    counts = np.searchsorted(firsts, begins, side="right")
    return zip(begins.tolist(), [*begins[1:].tolist(), n_timepoints], counts.tolist(), strict=True)


def _copy_states(states, intact, timepoint, first, stop):
    """Set the states of the copies [first, stop) to those of the intact run after a time step."""
    for name, state in states.items():
        source = intact[name][timepoint]
        state.view(-1, *source.shape)[first:stop] = source


def _copy_paths(paths, intact, timepoints, n_running):
    """Set the paths of the copies that are not yet running to those of the intact run."""
    during = slice(min(timepoints), max(timepoints) + 1)  # they may run backward
    for name, path in paths.items():
        source = intact[name][during]
        path[during].unflatten(1, (-1, source.shape[1]))[:, n_running:] = source[:, None]
