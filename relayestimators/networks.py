"""The recurrent network, and the step engine that runs it with nodes held fixed.

Floor 0: torch only. A knockout has to act inside the recurrence: a node that is held at a value
must feed that value to every node at the next step. Editing the output sequence of
``torch.nn.GRU`` leaves the node alive inside. So the engine here steps through time on its own,
with the weights of the trained module, and applies the clamp to the state after every step. It
only reads the module: nothing of it is changed, also when a run fails.
"""

import warnings
from functools import partial
from numbers import Integral
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

CELLS = ("rnn", "gru", "lstm")
NONLINEARITIES = ("tanh", "relu")


class Clamp(NamedTuple):
    """Nodes of one layer that are held at given values during a window of time steps.

    The clamp holds on the state after each step of the window; the initial state is never
    clamped, and a series that has ended keeps its state.

    Parameters
    ----------
    nodes : array-like of shape (n_chosen,), int
        Node numbers within the layer; the second half of a bidirectional layer's nodes are
        those of the backward direction.
    values : array-like of shape (n_chosen,) or (n_timepoints, n_chosen)
        What the nodes are held at. On a longer panel the last time step goes on.
    start : int, default=0
        First time step of the window, counted along the series in both directions.
    stop : int or None, default=None
        One after its last time step; None is the end.
    layer : int, default=-1
        Layer number; negative counts from the last.
    state : {"h", "c"}, default="h"
        Hidden state, or memory cell of an LSTM. A memory cell is held before the output gate
        reads it, so the hidden state of the same step shows it.
    """

    nodes: object
    values: object
    start: int = 0
    stop: int | None = None
    layer: int = -1
    state: str = "h"

    def prepared(self, X, layer):
        """Return the clamp as tensors beside a panel, with `layer` and end of the window known."""
        nodes = torch.as_tensor(self.nodes, dtype=torch.int64, device=X.device)
        values = torch.as_tensor(self.values, dtype=X.dtype, device=X.device)
        stop = X.shape[2] if self.stop is None else self.stop
        if len(nodes) and self.start >= X.shape[2]:
            warnings.warn(
                f"The panel has {X.shape[2]} time steps, so a knockout from step {self.start} on "
                "changes nothing.",
                stacklevel=4,
            )
        if values.ndim == 2 and len(values) < min(stop, X.shape[2]):
            warnings.warn(
                f"The panel has {X.shape[2]} time steps, the values nodes are held at have "
                f"{len(values)}; the last of them goes on.",
                stacklevel=4,
            )
            values = torch.cat([values, values[-1:].expand(X.shape[2] - len(values), -1)])
        return self._replace(nodes=nodes, values=values, stop=stop, layer=layer)

    def of_direction(self, direction, hidden_size):
        """Return the part of a prepared clamp that concerns one direction of the layer."""
        local = self.nodes - direction * hidden_size
        mine = (local >= 0) & (local < hidden_size)
        return self._replace(nodes=local[mine], values=self.values[..., mine])

    def hold(self, name, tensor, timepoint):
        """Return the state `name` after a step: with the nodes held, if it is their time."""
        if name != self.state or not self.start <= timepoint < self.stop:
            return tensor
        values = self.values if self.values.ndim == 1 else self.values[timepoint]
        return tensor.index_copy(1, self.nodes, values.expand(len(tensor), -1))


class Unrolled(NamedTuple):
    """What a run through time returns.

    Parameters
    ----------
    output : Tensor of shape (n_instances, n_classes)
        What ``forward`` returns.
    hidden : Tensor of shape (n_instances, n_timepoints, n_nodes)
        Trajectories of the layer asked for; NaN where a series has ended.
    final : Tensor of shape (n_instances, n_nodes)
        States of that layer after the last step of each series; for backward nodes, after the
        first time step, where they end.
    """

    output: torch.Tensor
    hidden: torch.Tensor
    final: torch.Tensor


class RecurrentNetwork(nn.Module):
    """Recurrent layers and a linear readout of the last state.

    Parameters
    ----------
    input_size : int
        Number of channels.
    n_classes : int
        Number of outputs.
    hidden_size : int, default=32
        Nodes per layer and direction.
    num_layers : int, default=1
        Stacked recurrent layers.
    cell : {"rnn", "gru", "lstm"}, default="gru"
        Kind of recurrence.
    nonlinearity : {"tanh", "relu"}, default="tanh"
        Of the plain RNN; the gated cells have tanh only.
    bidirectional : bool, default=False
        Also run backward in time. The layer then has 2 * hidden_size nodes, forward first.
    dropout : float, default=0.0
        Probability of dropping a node's output between layers and before the readout, during
        training.

    Notes
    -----
    Input is a panel of shape (n_instances, n_channels, n_timepoints); time steps that are NaN at
    the end of a series are padding. The readout sees the state after each series' own last step.

    Examples
    --------
    >>> import torch
    >>> from relayestimators import RecurrentNetwork
    >>> network = RecurrentNetwork(input_size=3, n_classes=2, hidden_size=8, cell="lstm")
    >>> network(torch.zeros(5, 3, 20)).shape
    torch.Size([5, 2])
    >>> network.unroll(torch.zeros(5, 3, 20)).hidden.shape
    torch.Size([5, 20, 8])
    """

    def __init__(
        self,
        input_size,
        n_classes,
        hidden_size=32,
        num_layers=1,
        cell="gru",
        nonlinearity="tanh",
        bidirectional=False,
        dropout=0.0,
    ):
        super().__init__()
        _check_one_of("cell", cell, CELLS)
        _check_one_of("nonlinearity", nonlinearity, NONLINEARITIES if cell == "rnn" else ("tanh",))
        self.cell = cell
        self.nonlinearity = nonlinearity
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        options = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
        self.recurrent = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](
            input_size,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,
            **options,
        )
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(hidden_size * self.n_directions, n_classes)

    @property
    def n_directions(self):
        """Number of directions, 1 or 2."""
        return 2 if self.bidirectional else 1

    def forward(self, X):
        """Return the outputs (logits) of a panel.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)

        Returns
        -------
        Tensor of shape (n_instances, n_classes)
        """
        steps, lengths = time_major(X)
        if lengths is not None:
            steps = pack_padded_sequence(steps, lengths.cpu(), enforce_sorted=False)
        _, final = self.recurrent(steps)
        final = final[0] if self.cell == "lstm" else final
        final = torch.cat(list(final[-self.n_directions :]), dim=1)
        return self.readout(self.dropout(final))

    @torch.no_grad()
    def unroll(self, X, *, clamp=None, layer=-1, state="h"):
        """Step through time, as ``forward`` without dropout, and keep the states.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)
        clamp : Clamp, optional
            Nodes to hold.
        layer : int, default=-1
            The layer whose states are returned; negative counts from the last.
        state : {"h", "c"}, default="h"
            Hidden state, or memory cell of an LSTM.

        Returns
        -------
        Unrolled
            output, hidden, final.
        """
        layer = self.layer_number(layer)
        self.check_state(state)
        if clamp is not None:
            self.check_state(clamp.state)
            clamp = clamp.prepared(X, self.layer_number(clamp.layer))
        inputs, lengths = time_major(X)
        active = None
        if lengths is not None:
            active = torch.arange(len(inputs), device=X.device)[:, None] < lengths
        for depth in range(self.num_layers):
            clamped = clamp if clamp is not None and clamp.layer == depth else None
            runs = [
                self._run(inputs, active, depth, direction, clamped)
                for direction in range(self.n_directions)
            ]
            inputs = torch.cat([run["h"][0] for run in runs], dim=2)
            if depth == layer:
                hidden, final = (torch.cat([run[state][i] for run in runs], dim=-1) for i in (0, 1))
        output = self.readout(torch.cat([run["h"][1] for run in runs], dim=1))
        if active is not None:
            hidden = hidden.masked_fill(~active[:, :, None], torch.nan)
        return Unrolled(output, hidden.transpose(0, 1), final)

    def layer_number(self, layer):
        """Return a layer number from 0, or refuse it.

        Parameters
        ----------
        layer : int
            Negative numbers count from the last layer.

        Returns
        -------
        int
        """
        number = isinstance(layer, Integral) and not isinstance(layer, bool)
        if not number or not -self.num_layers <= layer < self.num_layers:
            raise ValueError(
                f"layer={layer!r}; the network has {self.num_layers} layer(s), allowed are whole "
                f"numbers from {-self.num_layers} to {self.num_layers - 1}."
            )
        return int(layer) % self.num_layers

    def check_state(self, state):
        """Refuse a state this cell does not have.

        Parameters
        ----------
        state : {"h", "c"}
        """
        allowed = ("h", "c") if self.cell == "lstm" else ("h",)
        _check_one_of("state", state, allowed, f" for cell={self.cell!r}")

    def _run(self, inputs, active, depth, direction, clamp):
        """Run one direction of one layer; return {state: (trajectory, final)}."""
        suffix = f"l{depth}{'_reverse' if direction else ''}"
        weight_ih, weight_hh, bias_ih, bias_hh = (
            getattr(self.recurrent, f"{name}_{suffix}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return step_through(
            self.nonlinearity if self.cell == "rnn" else self.cell,
            nn.functional.linear(inputs, weight_ih, bias_ih),
            weight_hh,
            bias_hh,
            active=active,
            backward=bool(direction),
            clamp=None if clamp is None else clamp.of_direction(direction, self.hidden_size),
        )


def _check_one_of(name, value, allowed, where=""):
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{name}={value!r}; allowed{where}: {choices}.")


def time_major(X):
    """Turn a panel into what recurrent layers step through. The one place of this transpose.

    Parameters
    ----------
    X : Tensor of shape (n_instances, n_channels, n_timepoints)
        NaN at the end of shorter series.

    Returns
    -------
    steps : Tensor of shape (n_timepoints, n_instances, n_channels)
        Padding is 0.
    lengths : Tensor of shape (n_instances,), int64, or None
        None if every series fills the panel.
    """
    steps = X.permute(2, 0, 1)
    ended = torch.isnan(steps).all(dim=2)
    if not ended[-1].any():
        return steps, None
    return torch.nan_to_num(steps), len(steps) - ended.sum(dim=0)


# ---------------------------------------------------------------- the step engine


def _hold(clamp, timepoint, name, tensor):
    return tensor if clamp is None else clamp.hold(name, tensor, timepoint)


def _rnn_step(activation):
    def step(projected, states, weight, bias, hold):
        return {"h": hold("h", activation(projected + torch.addmm(bias, states["h"], weight.T)))}

    return step


def _gru_step(projected, states, weight, bias, hold):
    h = states["h"]
    size = h.shape[1]
    recurrent = torch.addmm(bias, h, weight.T)
    gates = torch.sigmoid(projected[:, : 2 * size] + recurrent[:, : 2 * size])
    reset, update = gates[:, :size], gates[:, size:]
    candidate = torch.tanh(projected[:, 2 * size :] + reset * recurrent[:, 2 * size :])
    return {"h": hold("h", candidate + update * (h - candidate))}


def _lstm_step(projected, states, weight, bias, hold):
    gates = projected + torch.addmm(bias, states["h"], weight.T)
    enter, forget, candidate, leave = gates.chunk(4, dim=1)
    c = torch.sigmoid(forget) * states["c"] + torch.sigmoid(enter) * torch.tanh(candidate)
    c = hold("c", c)
    return {"h": hold("h", torch.sigmoid(leave) * torch.tanh(c)), "c": c}


#: How a layer moves one step: (projected input, states, weight_hh, bias_hh, hold) -> states.
STEPS = {
    "tanh": _rnn_step(torch.tanh),
    "relu": _rnn_step(torch.relu),
    "gru": _gru_step,
    "lstm": _lstm_step,
}


def step_through(kind, projected, weight, bias, *, active=None, backward=False, clamp=None):
    """Step one direction of one layer through time, with the clamp inside.

    Parameters
    ----------
    kind : {"tanh", "relu", "gru", "lstm"}
        Key of STEPS.
    projected : Tensor of shape (n_timepoints, n_instances, n_gates * hidden_size)
        Input times weight_ih plus bias_ih, for all time steps.
    weight : Tensor of shape (n_gates * hidden_size, hidden_size)
        Recurrent weights, weight_hh.
    bias : Tensor of shape (n_gates * hidden_size,)
        Recurrent biases, bias_hh.
    active : Tensor of shape (n_timepoints, n_instances), bool, optional
        Where an instance still has a time step. Elsewhere its state stays as it is.
    backward : bool, default=False
        Step from the last time step to the first.
    clamp : Clamp, optional
        Nodes to hold, prepared and numbered within this direction.

    Returns
    -------
    dict
        For "h", and "c" of an LSTM: the trajectory (n_timepoints, n_instances, hidden_size) and
        the final state (n_instances, hidden_size).
    """
    n_timepoints, n_instances, _ = projected.shape
    size = weight.shape[1]
    step = STEPS[kind]
    names = ("h", "c") if kind == "lstm" else ("h",)
    states = {name: projected.new_zeros(n_instances, size) for name in names}
    paths = {name: projected.new_empty(n_timepoints, n_instances, size) for name in names}
    order = range(n_timepoints - 1, -1, -1) if backward else range(n_timepoints)
    for t in order:
        new = step(projected[t], states, weight, bias, partial(_hold, clamp, t))
        if active is not None:
            running = active[t][:, None]
            new = {name: torch.where(running, new[name], states[name]) for name in names}
        states = new
        for name in names:
            paths[name][t] = states[name]
    return {name: (paths[name], states[name]) for name in names}
