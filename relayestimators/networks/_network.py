"""RecurrentNetwork, which trains on torch's fused modules and can be observed and clamped.

To return or clamp its states, the network steps through time on the step engine, with the same
weights. It is not changed by that, even if a run fails.
"""

from functools import partial
from numbers import Integral
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from .._validation import check_choice
from ._clamps import Clamp, ClampBatch, group_clamps, prepare_clamp
from ._engine import split_bias, step_through
from ._intact_run import IntactRun
from ._layout import join_directions, time_major

CELLS = ("rnn", "gru", "lstm")
NONLINEARITIES = ("tanh", "relu")


class Unrolled(NamedTuple):
    """Result of running a network step by step.

    Parameters
    ----------
    output : Tensor of shape (n_instances, n_classes)
        Output of the network, as ``forward`` returns it.
    hidden : Tensor of shape (n_instances, n_timepoints, n_nodes) or None
        Trajectories of one layer; NaN after the end of a series. None if they were not asked for.
    final : Tensor of shape (n_instances, n_nodes)
        States of that layer after the last time step of each series; for backward nodes, after
        the first time step, where their run ends.
    """

    output: torch.Tensor
    hidden: torch.Tensor | None
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
        Number of nodes per layer and direction.
    num_layers : int, default=1
        Number of stacked recurrent layers.
    cell : {"rnn", "gru", "lstm"}, default="gru"
        Kind of recurrent layer.
    nonlinearity : {"tanh", "relu"}, default="tanh"
        Activation of a plain RNN. GRU and LSTM allow only "tanh".
    bidirectional : bool, default=False
        Whether to also run backward in time. Each layer then has 2 * hidden_size nodes, those of
        the forward direction first.
    dropout : float, default=0.0
        Probability that the output of a node is dropped between layers and before the readout,
        during training.

    Raises
    ------
    ValueError
        If `cell` or `nonlinearity` is not one of the choices.

    Notes
    -----
    The input is a panel of shape (n_instances, n_channels, n_timepoints). Time steps that are NaN
    in all channels at the end of a series are padding. The readout reads the state after the last
    time step of each series.

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
        check_choice(cell, name="cell", choices=CELLS)
        allowed = NONLINEARITIES if cell == "rnn" else ("tanh",)
        check_choice(nonlinearity, name="nonlinearity", choices=allowed, other=f"for {cell=}")
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
        """Return the output of the network for a panel.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)
            Panel, with NaN after the end of shorter series.

        Returns
        -------
        Tensor of shape (n_instances, n_classes)
            Logits.
        """
        steps, lengths = time_major(X)
        if lengths is not None:
            steps = pack_padded_sequence(steps, lengths.cpu(), enforce_sorted=False)
        _, final = self.recurrent(steps)
        final = final[0] if self.cell == "lstm" else final
        final = torch.cat((final[-2], final[-1]), dim=1) if self.bidirectional else final[-1]
        return self.readout(self.dropout(final) if self.dropout.p else final)

    @torch.no_grad()
    def unroll(self, X, *, clamp=None, layer=-1, state="h", trajectories=True):
        """Run the network step by step, without dropout, and return the states of a layer.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)
            Panel, with NaN after the end of shorter series.
        clamp : Clamp, optional
            Nodes to clamp.
        layer : int, default=-1
            Layer whose states are returned; negative numbers count from the last layer.
        state : {"h", "c"}, default="h"
            Whether to return hidden states or the memory cells of an LSTM.
        trajectories : bool, default=True
            Whether to return the states after every time step. If False, those of the last layer
            are not kept in memory.

        Returns
        -------
        Unrolled
            With the fields `output`, `hidden` and `final`.

        Raises
        ------
        ValueError
            If `layer`, `state` or `clamp` does not fit the network or the panel.
        TypeError
            If `clamp` is not a Clamp.

        Examples
        --------
        >>> import torch
        >>> from relayestimators.networks import Clamp, RecurrentNetwork
        >>> network, X = RecurrentNetwork(1, n_classes=2, hidden_size=4), torch.zeros(3, 1, 6)
        >>> run = network.unroll(X, clamp=Clamp([1], [0.5], start=2), trajectories=False)
        >>> run.final[:, 1]
        tensor([0.5000, 0.5000, 0.5000])
        """
        layer = self.layer_number(layer)
        self.check_state(state)
        intact, runs = IntactRun(self, X, keep_last=trajectories), {}
        if clamp is not None:
            clamp = self._prepare(clamp, X)
            kept = layer if trajectories else None
            runs = self._run_copies(intact, clamp.layer, self._batches([clamp]), keep_layer=kept)
        run = runs.get(layer) or intact.layer(layer)
        last = runs.get(self.num_layers - 1) or intact.layer(self.num_layers - 1)
        final = join_directions([direction[state].final for direction in run])
        hidden = None
        if trajectories:
            hidden = join_directions([direction[state].path for direction in run])
            if intact.alive is not None:
                hidden = hidden.masked_fill(~intact.alive[:, :, None], torch.nan)
            hidden = hidden.transpose(0, 1)
        return Unrolled(self._read_out(last), hidden, final)

    @torch.no_grad()
    def knock_out(self, X, clamps):
        """Return the outputs under many clamps, applied one at a time.

        All clamps share the projected input. They step through time together, and each shares the
        intact run up to the time step where its window begins.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)
            Panel, with NaN after the end of shorter series.
        clamps : sequence of Clamp
            Clamps of any layers, windows and values.

        Returns
        -------
        Tensor of shape (n_clamps, n_instances, n_classes)
            For each clamp the same as ``unroll(X, clamp=clamp).output``, up to rounding.

        Raises
        ------
        ValueError
            If a clamp does not fit the network or the panel.
        TypeError
            If one of `clamps` is not a Clamp.

        Examples
        --------
        >>> import torch
        >>> from relayestimators.networks import Clamp, RecurrentNetwork
        >>> network, X = RecurrentNetwork(1, n_classes=2, hidden_size=4), torch.zeros(3, 1, 6)
        >>> network.knock_out(X, [Clamp([node], [0.0]) for node in range(4)]).shape
        torch.Size([4, 3, 2])
        """
        clamps = [self._prepare(clamp, X) for clamp in clamps]
        n_rows, n_instances = self._block_size(X)
        n_instances = min(n_instances, len(X))
        groups = group_clamps(clamps, self.hidden_size, max(1, n_rows // n_instances))
        batches = []
        for members in groups:
            chosen = [clamps[i] for i in members]
            # values that differ between instances are large, so they are laid out block by block
            large = any(clamp.values.shape[1] > 1 for clamp in chosen)
            batches.append(partial(self._batches, chosen) if large else self._batches(chosen))
        # keeping the intact run pays only if it spares enough steps
        branch = sum(clamp.start for clamp in clamps) > X.shape[2]
        output = None
        for first in range(0, len(X), n_instances):
            rows = slice(first, first + n_instances)
            intact = IntactRun(self, X[rows], keep_last=branch)
            for members, batch in zip(groups, batches, strict=True):
                layer = clamps[members[0]].layer
                batch = batch(rows) if callable(batch) else batch
                runs = self._run_copies(intact, layer, batch, branch=branch)
                logits = self._read_out(runs[self.num_layers - 1])
                if output is None:
                    output = X.new_empty(len(clamps), len(X), logits.shape[1])
                output[members, rows] = logits.view(len(members), -1, logits.shape[1])
        return output

    def forward_with(self, X, edit, *, layer=-1, state="h"):
        """Return the output, with the states of a layer edited after every time step.

        Gradients flow to the parameters and to whatever `edit` adds. This is slower than a clamp.

        Parameters
        ----------
        X : Tensor of shape (n_instances, n_channels, n_timepoints)
            Panel, with NaN after the end of shorter series.
        edit : callable
            Called as ``edit(h, timepoint, nodes=nodes)``, where h of shape (n_instances,
            hidden_size) holds the hidden states of the nodes in the slice `nodes`: all nodes of
            the layer, or those of one direction. It returns the new h.
        layer : int, default=-1
            Layer to edit; negative numbers count from the last layer.
        state : {"h", "c"}, default="h"
            Whether hidden states are edited, or the memory cells of an LSTM, before the output
            gate reads them.

        Returns
        -------
        Tensor of shape (n_instances, n_classes)
            Logits.

        Raises
        ------
        ValueError
            If the network has no such layer or state.

        Examples
        --------
        >>> import torch
        >>> from relayestimators.networks import RecurrentNetwork
        >>> network, X = RecurrentNetwork(1, n_classes=2, hidden_size=4), torch.zeros(3, 1, 6)
        >>> gate = torch.ones(6, 4, requires_grad=True)
        >>> output = network.forward_with(X, lambda h, t, nodes: h * gate[t, nodes])
        >>> output.sum().backward()
        >>> gate.grad.shape
        torch.Size([6, 4])
        """
        layer, intact = self.layer_number(layer), IntactRun(self, X)
        self.check_state(state)
        inputs = intact.inputs(0)
        for depth in range(self.num_layers):
            run = []
            for direction in range(self.n_directions):
                first = direction * self.hidden_size
                nodes = slice(first, first + self.hidden_size)
                run.append(
                    self._step_through(
                        self._project(inputs, depth, direction),
                        depth,
                        direction,
                        alive=intact.alive,
                        edit=partial(edit, nodes=nodes) if depth == layer else None,
                        edited=state,
                    )
                )
            inputs = join_directions([direction["h"].path for direction in run])
        return self._read_out(run)

    def layer_number(self, layer):
        """Return a layer number counted from 0, after checking that the layer exists.

        Parameters
        ----------
        layer : int
            Negative numbers count from the last layer.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If the network has no such layer.
        """
        is_integer = isinstance(layer, Integral) and not isinstance(layer, bool)
        if not is_integer or not -self.num_layers <= layer < self.num_layers:
            raise ValueError(
                f"layer={layer!r}; expected an integer from {-self.num_layers} to "
                f"{self.num_layers - 1}, because num_layers={self.num_layers}."
            )
        return int(layer) % self.num_layers

    def check_state(self, state):
        """Check that the cell has a kind of state.

        Parameters
        ----------
        state : {"h", "c"}
            Hidden state, or memory cell of an LSTM.

        Raises
        ------
        ValueError
            If the cell has no such state.
        """
        choices = ("h", "c") if self.cell == "lstm" else ("h",)
        check_choice(state, name="state", choices=choices, other=f"for cell={self.cell!r}")

    def _prepare(self, clamp, X):
        if not isinstance(clamp, Clamp):
            raise TypeError(f"clamp={clamp!r}; expected a Clamp.")
        self.check_state(clamp.state)
        n_nodes = self.hidden_size * self.n_directions
        layer = self.layer_number(clamp.layer)
        return prepare_clamp(clamp, len(X), X.shape[2], layer, n_nodes)

    def _block_size(self, X):
        """Return the number of rows to step at once, and the largest number of instances."""
        gates = len(self.recurrent.weight_hh_l0)
        if X.device.type == "cpu":  # the rows of a step should stay in the cache
            rows, instances, floats = min(2048, max(256, 2**20 // gates)), 64, 2**24
        else:  # not tuned
            rows, instances, floats = 2**16, 2**12, 2**28
        floats_per_row = gates * X.shape[2]
        instances = max(1, min(instances, floats // floats_per_row))
        if self.num_layers > 1:  # the layers above project the inputs of every row
            rows = max(instances, min(rows, floats // floats_per_row))
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
        """Return the output, given the run of each direction of the last layer."""
        return self.readout(join_directions([direction["h"].final for direction in run]))

    def _batches(self, clamps, rows=slice(None)):
        """Return prepared clamps of one layer as a ClampBatch for each of its directions."""
        return [
            ClampBatch.of_direction(clamps, direction, self.hidden_size, rows)
            for direction in range(self.n_directions)
        ]

    def _run_copies(self, intact, layer, batches, *, keep_layer=None, branch=False):
        """Run copies with clamps in one layer, from that layer up to the last.

        Parameters
        ----------
        intact : IntactRun
            What the copies share.
        layer : int
            The layer of the clamps.
        batches : list of ClampBatch
            The clamps of each direction.
        keep_layer : int, optional
            A layer whose paths are to be kept. Those that a layer above reads are always kept.
        branch : bool, default=False
            Whether copies follow the intact run until their windows begin.

        Returns
        -------
        dict of int to list of dict of str to Trajectory
            By layer, direction and state.
        """
        last, directions, runs = self.num_layers - 1, range(self.n_directions), {}
        for depth in range(layer, last + 1):
            keep = depth < last or depth == keep_layer
            if depth == layer:
                runs[depth] = [
                    self._run_clamped(intact, depth, direction, batches[direction], keep, branch)
                    for direction in directions
                ]
                continue
            inputs = join_directions([direction["h"].path for direction in runs[depth - 1]])
            # with two directions, a copy differs from the intact run in all time steps
            follow = branch and self.n_directions == 1
            runs[depth] = [
                self._step_through(
                    self._project(inputs, depth, direction),
                    depth,
                    direction,
                    clamps=batches[0].without_nodes(),
                    shared=False,
                    intact=intact.paths(depth, direction) if follow else None,
                    alive=intact.alive,
                    keep=keep,
                )
                for direction in directions
            ]
        return runs

    def _run_clamped(self, intact, depth, direction, batch, keep, branch):
        """Run copies of one direction of the layer that has the clamps."""
        if not batch.nodes.size:
            return intact.repeat(depth, direction, len(batch.nodes), keep)
        return self._step_through(
            intact.projected(depth, direction),
            depth,
            direction,
            clamps=batch,
            intact=intact.paths(depth, direction) if branch else None,
            alive=intact.alive,
            keep=keep,
        )
