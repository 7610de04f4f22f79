"""Time steps of recurrent layers in plain torch, for any device and data type, with gradients.

They are also the reference implementation that the compiled steps are tested against.
"""

import torch


def _rnn_step(activation):
    def step(recurrent, projected, bias, states, clamp):
        return {"h": clamp("h", activation(recurrent + projected))}

    return step


def _gru_step(recurrent, projected, bias, states, clamp):
    size = states["h"].shape[-1]
    gates = torch.sigmoid(projected[..., : 2 * size] + recurrent[..., : 2 * size])
    reset, update = gates[..., :size], gates[..., size:]
    candidate = torch.tanh(projected[..., 2 * size :] + reset * (recurrent[..., 2 * size :] + bias))
    return {"h": clamp("h", candidate + update * (states["h"] - candidate))}


def _lstm_step(recurrent, projected, bias, states, clamp):
    input_gate, forget_gate, candidate, output_gate = (recurrent + projected).chunk(4, dim=-1)
    c = torch.sigmoid(forget_gate) * states["c"] + torch.sigmoid(input_gate) * torch.tanh(candidate)
    c = clamp("c", c)
    return {"h": clamp("h", torch.sigmoid(output_gate) * torch.tanh(c)), "c": c}


#: The step of each kind of layer: (recurrent input, projected input, inner bias, states, clamp)
#: -> states, with tensors of shape (n_copies, n_instances, ...).
STEPS = {
    "tanh": _rnn_step(torch.tanh),
    "relu": _rnn_step(torch.relu),
    "gru": _gru_step,
    "lstm": _lstm_step,
}


class TorchSteps:
    """Steps of many copies of one direction of a layer, in torch operations.

    Parameters
    ----------
    kind : {"tanh", "relu", "gru", "lstm"}
        Kind of layer.
    projected : Tensor of shape (n_timepoints, n_rows, n_gates * hidden_size)
        Input of the layer, multiplied by its weights. n_rows is n_instances if all copies have
        the same input, n_copies * n_instances otherwise.
    weight : Tensor of shape (n_gates * hidden_size, hidden_size)
        Recurrent weights.
    bias : Tensor of shape (hidden_size,) or None
        Bias that the reset gate of a GRU multiplies.
    clamps : ClampBatch
        Clamped nodes of each copy.
    n_instances : int
        Instances per copy.
    alive : Tensor of shape (n_timepoints, n_instances), bool, or None
        Where a series has a time step; None if all have all.
    edit : callable or None
        (states, timepoint) -> states, applied to the states in every step, where clamps act.
    edited : {"h", "c"}, default="h"
        Which states are edited.
    """

    def __init__(
        self,
        kind,
        projected,
        weight,
        bias,
        clamps,
        *,
        n_instances,
        alive=None,
        edit=None,
        edited="h",
    ):
        self._edited = edited
        self._step_layer, self._weight, self._bias = STEPS[kind], weight, bias
        self._n_instances, self._alive, self._edit, self._clamps = n_instances, alive, edit, clamps
        n_timepoints, n_rows, width = projected.shape
        self._projected = projected.view(n_timepoints, n_rows // n_instances, n_instances, width)
        self._clamped_state = "c" if clamps.on_memory else "h"
        self._nodes = torch.as_tensor(clamps.nodes, device=projected.device)[:, None, :]
        self._values = torch.as_tensor(
            clamps.values, device=projected.device, dtype=projected.dtype
        )

    def run(self, states, n_running, timepoints, at_rest=False):
        """Step the first copies through some time steps.

        Parameters
        ----------
        states : dict of str to Tensor of shape (n_copies * n_instances, hidden_size)
            States before the first of the steps.
        n_running : int
            Number of copies to step; the states of the others are left as they are.
        timepoints : iterable of int
            Time steps in the order of the direction.
        at_rest : bool, default=False
            Whether all states are zero at first. Not used here.

        Yields
        ------
        timepoint : int
        states : dict of str to Tensor
            States after this time step.
        """
        for timepoint in timepoints:
            states = self._step(states, n_running, timepoint)
            yield timepoint, states

    def _step(self, states, n_running, timepoint):
        n_rows = n_running * self._n_instances
        shape = (n_running, self._n_instances, -1)
        before = {name: state[:n_rows].view(shape) for name, state in states.items()}
        recurrent = torch.mm(states["h"][:n_rows], self._weight.T).view(shape)
        projected = self._projected[timepoint, :n_running]

        def clamp(name, state):
            state = self._clamp(name, state, timepoint)
            if self._edit is None or name != self._edited:
                return state
            return self._edit(state.reshape(n_rows, -1), timepoint).view(shape)

        after = self._step_layer(recurrent, projected, self._bias, before, clamp)
        if self._alive is not None:
            running = self._alive[timepoint][:, None]
            after = {name: torch.where(running, after[name], before[name]) for name in after}
        return {
            name: torch.cat([state.reshape(n_rows, -1), states[name][n_rows:]])
            for name, state in after.items()
        }

    def _clamp(self, name, state, timepoint):
        clamps, n_running = self._clamps, len(state)
        inside = (clamps.start <= timepoint) & (timepoint < clamps.stop)
        inside = inside[:n_running]
        if name != self._clamped_state or not inside.any() or not clamps.nodes.shape[1]:
            return state
        nodes = self._nodes[:n_running].expand(-1, self._n_instances, -1)
        # constant values have a single time step
        values = self._values[:n_running, timepoint % clamps.values.shape[1]].expand(nodes.shape)
        if not inside.all():
            inside = torch.as_tensor(inside, device=state.device)[:, None, None]
            values = torch.where(inside, values, state.gather(2, nodes))
        return state.scatter(2, nodes, values)
