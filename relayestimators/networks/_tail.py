"""The run from given states of a layer on, on torch's fused modules, with gradients."""

from contextlib import nullcontext

import torch
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ._intact_run import IntactRun
from ._layout import time_major


class Tail:
    """Goes on from states of one layer after a time step.

    Gradients flow to these states, and to nothing else.

    Parameters
    ----------
    network : RecurrentNetwork
        In evaluation mode; it is not changed.
    X : Tensor of shape (n_instances, n_channels, n_timepoints)
        Panel, with NaN after the end of shorter series.
    layer : int
        Layer whose states are replaced; negative numbers count from the last layer.
    state : {"h", "c"}
        Whether hidden states or the memory cells of an LSTM are replaced. The hidden state of the
        same time step then depends on the memory cell.
    """

    def __init__(self, network, X, layer=-1, state="h"):
        network.check_state(state)
        self._network, self._state = network, state
        self._layer, self._size = network.layer_number(layer), network.hidden_size
        _, lengths = time_major(X)
        full = torch.full((len(X),), X.shape[2], device=X.device)
        self._lengths = full if lengths is None else lengths.to(X.device)
        with torch.no_grad():
            self._intact = IntactRun(network, X)
            self._paths = [
                [self._intact.paths(depth, direction) for direction in range(network.n_directions)]
                for depth in range(network.num_layers)
            ]

    def logits(self, rows, timepoint, states):
        """Return the output of the network.

        Parameters
        ----------
        rows : Tensor of shape (n_rows,), int64
            Instances whose run goes on; they must have the time step.
        timepoint : int
            Time step after which states are replaced.
        states : Tensor of shape (n_rows, n_nodes)
            States of the layer.

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
        """
        network, last = self._network, self._network.num_layers - 1
        if network.n_directions == 2:
            return self._both_directions(rows, timepoint, states)
        left = self._lengths[rows] - 1 - timepoint
        after = slice(timepoint + 1, timepoint + 1 + int(left.max()))
        path = self._from(0, rows, timepoint, states, self._intact.inputs(self._layer)[after, rows])
        for depth in range(self._layer + 1, last + 1):
            before = self._before(depth, rows, timepoint)
            path = self._fused(depth, 0, path, before)
        return network.readout(path[left, torch.arange(len(rows), device=path.device)])

    def _both_directions(self, rows, timepoint, states):
        """Return the output of a bidirectional network."""
        network, intact = self._network, self._intact
        lengths = self._lengths[rows]
        longest = int(lengths.max())
        inputs = intact.inputs(self._layer)[:longest, rows]
        forward, backward = states.split(self._size, dim=1)
        known = [paths["h"][:longest, rows] for paths in self._paths[self._layer]]
        later = self._from(0, rows, timepoint, forward, inputs[timepoint + 1 :])
        earlier = self._from(1, rows, timepoint, backward, inputs[:timepoint].flip(0)).flip(0)
        path = torch.cat(
            [
                torch.cat([known[0][:timepoint], later]),
                torch.cat([earlier, known[1][timepoint + 1 :]]),
            ],
            dim=2,
        )
        for depth in range(self._layer + 1, network.num_layers):
            packed = pack_padded_sequence(path, lengths.cpu(), enforce_sorted=False)
            path, _ = pad_packed_sequence(self._fused(depth, None, packed, None))
        ends = path[lengths - 1, torch.arange(len(rows), device=path.device), : self._size]
        return network.readout(torch.cat([ends, path[0, :, self._size :]], dim=1))

    def _from(self, direction, rows, timepoint, states, inputs):
        """Return the path of the layer from the time step on, in the order of the direction."""
        now = {"h": states}
        if self._network.cell == "lstm":
            paths = self._paths[self._layer][direction]
            now["c"] = states if self._state == "c" else paths["c"][timepoint, rows]
            if self._state == "c":
                now["h"] = self._output_gate(direction, rows, timepoint) * torch.tanh(states)
        if not len(inputs):
            return now["h"][None]
        return torch.cat([now["h"][None], self._fused(self._layer, direction, inputs, now)])

    def _output_gate(self, direction, rows, timepoint):
        """Return the output gate of an LSTM at a time step of the intact run."""
        _, weight, _, _ = self._network._weights(self._layer, direction)
        before = self._before(self._layer, rows, timepoint, direction)["h"]
        own = slice(3 * self._size, None)
        projected = self._intact.projected(self._layer, direction)[timepoint, rows, own]
        return torch.sigmoid(projected + before @ weight[own].T)

    def _before(self, depth, rows, timepoint, direction=0):
        """Return the states of the intact run before a time step, in the order of a direction."""
        step = timepoint + 1 if direction else timepoint - 1
        paths = self._paths[depth][direction]
        inside = 0 <= step < len(self._intact.steps)
        if not inside:
            return {name: path.new_zeros(len(rows), self._size) for name, path in paths.items()}
        states = {name: path[step, rows] for name, path in paths.items()}
        if direction:  # the run of a series that ends here begins here
            begun = (step < self._lengths[rows])[:, None]
            states = {name: torch.where(begun, state, 0.0) for name, state in states.items()}
        return states

    def _fused(self, depth, direction, inputs, states):
        """Return the hidden states that a layer computes from inputs, by torch's fused module.

        `direction` None runs both directions from the beginning.
        """
        network, directions = self._network, (direction,)
        options = {"nonlinearity": network.nonlinearity} if network.cell == "rnn" else {}
        if direction is None:
            directions, options["bidirectional"] = (0, 1), True
        weights = {}
        for number, own in enumerate(directions):
            suffix = "_reverse" if number else ""
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            for name, weight in zip(names, network._weights(depth, own), strict=True):
                weights[f"{name}_l0{suffix}"] = weight.detach()
        size = weights["weight_ih_l0"].shape[1]
        kind = type(network.recurrent)
        module = kind(size, self._size, device="meta", **options)
        start = None
        if states is not None:
            start = tuple(state[None].contiguous() for state in states.values())
            start = start if network.cell == "lstm" else start[0]
        # cuDNN has no double backward and wants its training mode for a single one.
        on_cpu = next(iter(weights.values())).device.type == "cpu"
        with nullcontext() if on_cpu else torch.backends.cudnn.flags(enabled=False):
            return functional_call(module, weights, (inputs, start))[0]
