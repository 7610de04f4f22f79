"""RecurrentNetwork: trains on torch's fused modules, shows its states and holds them.

To show states and to hold them the network steps through time on the engine of `_recurrence`, with
the same weights. Nothing of it is changed by that, also when a run fails.
"""

from contextlib import contextmanager
from functools import partial
from numbers import Integral
from typing import NamedTuple

import torch
from llvmlite.binding import get_host_cpu_name
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from ._clamps import Clamp, grouped, stacked
from ._recurrence import Trajectory, split_bias, step_through

CELLS = ("rnn", "gru", "lstm")
NONLINEARITIES = ("tanh", "relu")


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
    >>> from relayestimators.networks import RecurrentNetwork
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
        final = torch.cat((final[-2], final[-1]), dim=1) if self.bidirectional else final[-1]
        return self.readout(self.dropout(final) if self.dropout.p else final)

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
        intact, runs = _Intact(self, X), {}
        if clamp is not None:
            clamp = self._prepared(clamp, X)
            runs = self._branch(intact, clamp.layer, self._held([clamp]), watch=layer)
        run = runs.get(layer) or intact.layer(layer)
        last = runs.get(self.num_layers - 1) or intact.layer(self.num_layers - 1)
        hidden, final = (_beside([way[state][i] for way in run]) for i in (0, 1))
        if intact.alive is not None:
            hidden = hidden.masked_fill(~intact.alive[:, :, None], torch.nan)
        return Unrolled(self._read_out(last), hidden.transpose(0, 1), final)

    @torch.no_grad()
    def knock_out(self, X, clamps):
        """Return the outputs under many clamps, each on its own.

        All of them share the input projection and, up to the step at which they begin, the intact
        run; they step through time together.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)
        clamps : sequence of Clamp
            Of any layers, windows and values.

        Returns
        -------
        Tensor of shape (n_clamps, n_instances, n_classes)
            What ``unroll(X, clamp=clamp).output`` is for each, up to rounding.
        """
        clamps = [self._prepared(clamp, X) for clamp in clamps]
        n_rows, n_instances = self._block(X)
        n_instances = min(n_instances, len(X))
        groups, held = grouped(clamps, self.hidden_size, max(1, n_rows // n_instances)), []
        for members in groups:
            chosen = [clamps[i] for i in members]
            large = any(clamp.values.shape[1] > 1 for clamp in chosen)  # every instance its own
            held.append(partial(self._held, chosen) if large else self._held(chosen))
        share = sum(clamp.start for clamp in clamps) > X.shape[2]  # else a trunk does not pay
        output = None
        for first in range(0, len(X), n_instances):
            rows = slice(first, first + n_instances)
            intact = _Intact(self, X[rows])
            for members, hold in zip(groups, held, strict=True):
                layer = clamps[members[0]].layer
                hold = hold(rows) if callable(hold) else hold
                runs = self._branch(intact, layer, hold, share=share)
                logits = self._read_out(runs[self.num_layers - 1])
                if output is None:
                    output = X.new_empty(len(clamps), len(X), logits.shape[1])
                output[members, rows] = logits.view(len(members), -1, logits.shape[1])
        return output

    def forward_with(self, X, edit, *, layer=-1):
        """Return the outputs, with the hidden states of a layer edited after every time step.

        Gradients pass, to the parameters and to whatever `edit` puts in. Slower than a clamp.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)
        edit : callable
            (h, timepoint, *, nodes) -> h with h of shape (n_instances, hidden_size), the states of
            the nodes in the slice `nodes`: all of them, or those of one direction.
        layer : int, default=-1
            The layer; negative counts from the last.

        Returns
        -------
        Tensor of shape (n_instances, n_classes)
        """
        layer, intact = self.layer_number(layer), _Intact(self, X)
        inputs = intact.inputs(0)
        for depth in range(self.num_layers):
            run = []
            for way in range(self.n_directions):
                nodes = slice(way * self.hidden_size, (way + 1) * self.hidden_size)
                run.append(
                    self._step_through(
                        self._project(inputs, depth, way),
                        depth,
                        way,
                        alive=intact.alive,
                        edit=partial(edit, nodes=nodes) if depth == layer else None,
                    )
                )
            inputs = _beside([way["h"].path for way in run])
        return self._read_out(run)

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

    def _prepared(self, clamp, X):
        if not isinstance(clamp, Clamp):
            raise TypeError(f"a clamp is {clamp!r}; expected Clamp(nodes, values, ...).")
        self.check_state(clamp.state)
        n_nodes = self.hidden_size * self.n_directions
        return clamp.prepared(len(X), X.shape[2], self.layer_number(clamp.layer), n_nodes)

    def _block(self, X):
        """Return how many rows to step at once, and how many instances at most, by memory."""
        gates = len(self.recurrent.weight_hh_l0)
        if X.device.type == "cpu":  # a step's rows stay in the cache
            rows, instances, floats = min(2048, max(256, 2**20 // gates)), 64, 2**24
        else:  # not tuned
            rows, instances, floats = 2**16, 2**12, 2**28
        steps = gates * X.shape[2]
        instances = max(1, min(instances, floats // steps))
        if self.num_layers > 1:  # the layers above project the inputs of every row
            rows = max(instances, min(rows, floats // steps))
        return rows, instances

    def _weights(self, depth, direction):
        suffix = f"l{depth}{'_reverse' if direction else ''}"
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self.recurrent, f"{name}_{suffix}") for name in names]

    def _project(self, inputs, depth, direction):
        weight_ih, _, bias_ih, bias_hh = self._weights(depth, direction)
        return nn.functional.linear(inputs, weight_ih, bias_ih + split_bias(self._kind, bias_hh)[0])

    @property
    def _kind(self):
        return self.nonlinearity if self.cell == "rnn" else self.cell

    def _step_through(self, projected, depth, direction, **options):
        _, weight, _, bias = self._weights(depth, direction)
        inner = split_bias(self._kind, bias)[1]
        options["backward"] = bool(direction)
        return step_through(self._kind, projected, weight, inner, **options)

    def _read_out(self, run):
        """Return the outputs that a run of the last layer, one part per direction, leads to."""
        return self.readout(_beside([way["h"].final for way in run]))

    def _held(self, clamps, rows=slice(None)):
        """Return what prepared clamps of one layer hold in each of its directions."""
        return [stacked(clamps, way, self.hidden_size, rows) for way in range(self.n_directions)]

    def _branch(self, intact, layer, held, *, watch=None, share=False):
        """Run copies in whose layer something is held, from that layer on.

        Returns {layer: [{state: Trajectory} for every direction]}; paths are kept in the layer to
        `watch` and where a layer above reads them.
        """
        top, ways, runs = self.num_layers - 1, range(self.n_directions), {}
        for depth in range(layer, top + 1):
            keep = depth in (watch, *range(layer, top))
            if depth == layer:
                runs[depth] = [
                    self._branch_off(intact, depth, way, held[way], keep, share) for way in ways
                ]
                continue
            inputs = _beside([way["h"].path for way in runs[depth - 1]])
            trunk = share and self.n_directions == 1
            runs[depth] = [
                self._step_through(
                    self._project(inputs, depth, way),
                    depth,
                    way,
                    held=held[0].released(),
                    shared=False,
                    trunk=intact.paths(depth, way) if trunk else None,
                    alive=intact.alive,
                    keep=keep,
                )
                for way in ways
            ]
        return runs

    def _branch_off(self, intact, depth, way, held, keep, share):
        """Run copies of one direction of the layer in which nodes are held."""
        if not held.nodes.size:
            return intact.copied(depth, way, len(held.nodes), keep)
        return self._step_through(
            intact.projected(depth, way),
            depth,
            way,
            held=held,
            trunk=intact.paths(depth, way) if share else None,
            alive=intact.alive,
            keep=keep,
        )


class _Intact:
    """What knockouts of the same instances share: input projections, and the intact run.

    Every part is computed when it is first asked for.
    """

    def __init__(self, network, X):
        self.network = network
        steps, lengths = time_major(X)
        self.steps, self.alive = steps.contiguous(), None  # the projection is twice as fast then
        if lengths is not None:
            times = torch.arange(len(self.steps), device=X.device)[:, None]
            self.alive = times < lengths
        self._projected, self._runs = {}, {}

    def inputs(self, depth):
        """Return what a layer reads, (n_timepoints, n_instances, n_inputs)."""
        if depth == 0:
            return self.steps
        return _beside([way["h"].path for way in self.layer(depth - 1)])

    def projected(self, depth, direction):
        """Return the projected input of one direction of a layer."""
        key = depth, direction
        if key not in self._projected:
            self._projected[key] = self.network._project(self.inputs(depth), depth, direction)
        return self._projected[key]

    def run(self, depth, direction):
        """Return the run of one direction of a layer: {state: Trajectory}."""
        key = depth, direction
        if key not in self._runs:
            self._runs[key] = self.network._step_through(
                self.projected(depth, direction), depth, direction, alive=self.alive
            )
        return self._runs[key]

    def layer(self, depth):
        """Return the runs of all directions of a layer."""
        return [self.run(depth, direction) for direction in range(self.network.n_directions)]

    def paths(self, depth, direction):
        """Return the trajectories of one direction of a layer, by state."""
        return {name: state.path for name, state in self.run(depth, direction).items()}

    def copied(self, depth, direction, n_copies, keep):
        """Return the run of one direction, for every copy; with its paths to `keep`."""
        return {
            name: Trajectory(
                state.path.repeat(1, n_copies, 1) if keep else None,
                state.final.repeat(n_copies, 1),
            )
            for name, state in self.run(depth, direction).items()
        }


@contextmanager
def one_thread(wanted=True):
    """Within, torch works with one thread: for workers that would get into each other's way.

    Parameters
    ----------
    wanted : bool, default=True
        False leaves everything as it is.
    """
    before = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if wanted:
            torch.set_num_threads(before)


def processor():
    """Return the kind of processor; on another kind sums are rounded in another order.

    Returns
    -------
    str
        As LLVM names it, and the vector instructions that torch uses.
    """
    return f"{get_host_cpu_name()} ({torch.backends.cpu.get_cpu_capability()})"


def _beside(ways):
    """Return the states of both directions side by side; those of one as they are."""
    return torch.cat(ways, dim=-1) if len(ways) > 1 else ways[0]


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
    if not steps[-1].sum().isnan():  # one number, for most panels; infinities are looked at below
        return steps, None
    ended = steps.isnan().all(dim=2)
    if not ended[-1].any():
        return steps, None
    return torch.nan_to_num(steps), len(steps) - ended.sum(dim=0)
