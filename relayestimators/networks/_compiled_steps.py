"""Time steps of recurrent layers on a CPU in float32: a matrix product and a compiled pass.

The product of the states with the recurrent weights is most of the work and is left to torch. The
compiled pass over its rows applies gates and clamps in place.
"""

import numpy as np
import torch
from numba import njit

# Of fast math only the fusion of multiplication and addition is allowed: NaN must stay NaN, so
# that a diverged network can be recognized.
_kernel = njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
_inline = njit(inline="always", fastmath={"contract"}, error_model="numpy")
_F = np.float32
_HALF = _F(0.5)

# tanh(x) is approximated by x P(x^2) / Q(x^2), coefficients from the lowest power on: the minimax
# fit of these degrees on [0, 8.2], beyond which tanh rounds to one. Q ends in x^8 with the
# coefficient one, which saves a product. In sigmoid(x) = (1 + tanh(x / 2)) / 2 the argument is
# halved exactly, by scaling the coefficients with powers of two.
_TANH_LIMIT = _F(8.2)
_TANH_P = tuple(map(_F, (1204722.5, 161740.359, 4275.48779, 25.9166698, 0.0176747441)))
_TANH_Q = tuple(map(_F, (1204722.62, 563314.375, 31417.4922, 406.461548)))
_SIGMOID_LIMIT = _F(2) * _TANH_LIMIT
_SIGMOID_P = tuple(_F(64 * p / 4**i) for i, p in enumerate(_TANH_P))
_SIGMOID_Q = tuple(_F(256 * q / 4**i) for i, q in enumerate(_TANH_Q))


@_inline
def _rational(x, limit, p, q):
    x = min(max(x, -limit), limit)
    s = x * x
    numerator = (((p[4] * s + p[3]) * s + p[2]) * s + p[1]) * s + p[0]
    return x * numerator, (((s + q[3]) * s + q[2]) * s + q[1]) * s + q[0]


@_inline
def _tanh(x):
    """Return numerator and denominator of tanh(x), so that formulas can share one division."""
    return _rational(x, _TANH_LIMIT, _TANH_P, _TANH_Q)


@_inline
def _sigmoid(x):
    """Return numerator and denominator of sigmoid(x) - 1/2, an odd function like tanh."""
    return _rational(x, _SIGMOID_LIMIT, _SIGMOID_P, _SIGMOID_Q)


# The functions below move one row, the states of one instance in one copy. Gates are sliced before
# a loop over nodes, because the loop is not vectorized with offsets inside it. Where one division
# depends on the result of another, two loops are faster than one.


@_inline
def _move_tanh(h, recurrent, projected):
    for j in range(len(h)):
        top, bottom = _tanh(recurrent[j] + projected[j])
        h[j] = top / bottom


@_inline
def _move_relu(h, recurrent, projected):
    for j in range(len(h)):
        total = recurrent[j] + projected[j]
        h[j] = _F(0) if total < _F(0) else total


@_inline
def _move_gru(h, recurrent, projected, bias, candidate):
    size = len(h)
    recurrent_update, projected_update = recurrent[size:], projected[size:]
    recurrent_candidate, projected_candidate = recurrent[2 * size :], projected[2 * size :]
    for j in range(size):
        top, bottom = _sigmoid(recurrent[j] + projected[j])
        reset = _HALF + top / bottom
        candidate[j] = projected_candidate[j] + reset * (recurrent_candidate[j] + bias[j])
    for j in range(size):
        top, bottom = _sigmoid(recurrent_update[j] + projected_update[j])
        new, scale = _tanh(candidate[j])
        replace, keep = _HALF * bottom - top, _HALF * bottom + top
        h[j] = (new * replace + h[j] * scale * keep) / (scale * bottom)


@_inline
def _move_memory(c, recurrent, projected):
    size = len(c)
    recurrent_forget, projected_forget = recurrent[size:], projected[size:]
    recurrent_candidate, projected_candidate = recurrent[2 * size :], projected[2 * size :]
    for j in range(size):
        input_top, input_bottom = _sigmoid(recurrent[j] + projected[j])
        forget_top, forget_bottom = _sigmoid(recurrent_forget[j] + projected_forget[j])
        new, scale = _tanh(recurrent_candidate[j] + projected_candidate[j])
        admit = _HALF * input_bottom + input_top
        keep = _HALF * forget_bottom + forget_top
        scale = input_bottom * scale
        c[j] = (keep * c[j] * scale + admit * new * forget_bottom) / (forget_bottom * scale)


@_inline
def _show_memory(h, c, recurrent, projected):
    size = len(h)
    recurrent_output, projected_output = recurrent[3 * size :], projected[3 * size :]
    for j in range(size):
        output_top, output_bottom = _sigmoid(recurrent_output[j] + projected_output[j])
        top, bottom = _tanh(c[j])
        h[j] = (_HALF * output_bottom + output_top) * top / (output_bottom * bottom)


@_inline
def _clamp_rows(states, nodes, values, alive, t, first):
    """Clamp nodes of one copy in some of its rows, the first of which is of instance `first`."""
    for k in range(len(nodes)):
        for i in range(len(states)):
            if not len(alive) or alive[t, first + i]:
                states[i, nodes[k]] = values[first + i if len(values) > 1 else 0, k]


# A pass moves all copies that are running by one time step.
#
# - recurrent, h, c: the product of the states with the recurrent weights, and the states, which are
#   changed in place. All have the shape (n_running, n_instances, ...).
# - layer: projected, of shape (n_timepoints, n_copies or 1, n_instances, ...), the projected input;
#   bias, of shape (hidden_size,), which the reset gate of a GRU multiplies; alive, of shape
#   (n_timepoints, n_instances), or (0, 0) if no series ends early; candidate, of shape
#   (hidden_size,), working memory of one row.
# - clamps: the fields of a ClampBatch.
#
# Plain tuples are unpacked here, because every call takes twice as long with named ones. Rows are
# addressed by copy and instance, and windows and values are looked up outside the loop over
# instances, because other ways were slower.


@_kernel
def _tanh_pass(t, recurrent, h, c, layer, clamps):
    projected, bias, alive, candidate = layer
    nodes, values, start, stop, on_memory = clamps
    for copy in range(len(h)):
        source = copy if projected.shape[1] > 1 else 0
        for i in range(h.shape[1]):
            if len(alive) and not alive[t, i]:
                continue
            _move_tanh(h[copy, i], recurrent[copy, i], projected[t, source, i])
        if start[copy] <= t < stop[copy]:
            now = values[copy, t if values.shape[1] > 1 else 0]
            _clamp_rows(h[copy], nodes[copy], now, alive, t, 0)


@_kernel
def _relu_pass(t, recurrent, h, c, layer, clamps):
    projected, bias, alive, candidate = layer
    nodes, values, start, stop, on_memory = clamps
    for copy in range(len(h)):
        source = copy if projected.shape[1] > 1 else 0
        for i in range(h.shape[1]):
            if len(alive) and not alive[t, i]:
                continue
            _move_relu(h[copy, i], recurrent[copy, i], projected[t, source, i])
        if start[copy] <= t < stop[copy]:
            now = values[copy, t if values.shape[1] > 1 else 0]
            _clamp_rows(h[copy], nodes[copy], now, alive, t, 0)


@_kernel
def _gru_pass(t, recurrent, h, c, layer, clamps):
    projected, bias, alive, candidate = layer
    nodes, values, start, stop, on_memory = clamps
    for copy in range(len(h)):
        source = copy if projected.shape[1] > 1 else 0
        for i in range(h.shape[1]):
            if len(alive) and not alive[t, i]:
                continue
            _move_gru(
                h[copy, i],
                recurrent[copy, i],
                projected[t, source, i],
                bias,
                candidate,
            )
        if start[copy] <= t < stop[copy]:
            now = values[copy, t if values.shape[1] > 1 else 0]
            _clamp_rows(h[copy], nodes[copy], now, alive, t, 0)


@_kernel
def _lstm_pass(t, recurrent, h, c, layer, clamps):
    projected, bias, alive, candidate = layer
    nodes, values, start, stop, on_memory = clamps
    for copy in range(len(h)):
        source = copy if projected.shape[1] > 1 else 0
        inside = start[copy] <= t < stop[copy]
        now = values[copy, t if values.shape[1] > 1 else 0]
        for i in range(h.shape[1]):
            if len(alive) and not alive[t, i]:
                continue
            _move_memory(c[copy, i], recurrent[copy, i], projected[t, source, i])
            if inside and on_memory:
                _clamp_rows(c[copy, i : i + 1], nodes[copy], now, alive, t, i)
            _show_memory(h[copy, i], c[copy, i], recurrent[copy, i], projected[t, source, i])
        if inside and not on_memory:
            _clamp_rows(h[copy], nodes[copy], now, alive, t, 0)


#: The pass of each kind of layer: (time step, product, h, c, layer, clamps) -> None.
PASSES = {"tanh": _tanh_pass, "relu": _relu_pass, "gru": _gru_pass, "lstm": _lstm_pass}


class CompiledSteps:
    """Steps of many copies of one direction of a layer, compiled, in place.

    Everything that the steps need is laid out before the first one, because Python between two
    steps is slow once the caches are full of states.

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
    """

    def __init__(self, kind, projected, weight, bias, clamps, *, n_instances, alive=None):
        self._pass, self._weight, self._clamps = PASSES[kind], weight.detach(), tuple(clamps)
        self._product = projected.new_empty(n_instances * len(clamps.nodes), len(weight))
        self._n_instances = n_instances
        self._layer = (
            projected.unflatten(1, (-1, n_instances)).numpy(),
            np.empty(0, dtype=np.float32) if bias is None else bias.detach().numpy(),
            np.empty((0, 0), dtype=bool) if alive is None else alive.numpy(),
            projected.new_empty(weight.shape[1]).numpy(),  # aligned, unlike numpy's
        )

    def run(self, states, n_running, timepoints, at_rest=False):
        """Step the first copies through some time steps.

        Parameters
        ----------
        states : dict of str to Tensor of shape (n_copies * n_instances, hidden_size)
            States before the first of the steps; changed in place.
        n_running : int
            Number of copies to step; the states of the others are left as they are.
        timepoints : iterable of int
            Time steps in the order of the direction.
        at_rest : bool, default=False
            Whether all states are zero at first, so that there is nothing to multiply.

        Yields
        ------
        timepoint : int
        states : dict of str to Tensor
            States after this time step, until the next one.
        """
        n_rows, shape = n_running * self._n_instances, (n_running, self._n_instances, -1)
        h, product, weight = states["h"][:n_rows], self._product[:n_rows], self._weight.T
        fixed = (
            product.view(shape).numpy(),
            h.view(shape).numpy(),
            states.get("c", h)[:n_rows].view(shape).numpy(),
            self._layer,
            self._clamps,
        )
        for timepoint in timepoints:
            if at_rest:
                product.zero_()
                at_rest = False
            else:
                torch.mm(h, weight, out=product)
            self._pass(timepoint, *fixed)
            yield timepoint, states
