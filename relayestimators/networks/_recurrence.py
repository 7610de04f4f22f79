"""How a recurrent layer steps through time: many copies at once, with nodes held fixed.

A knockout has to act inside the recurrence: a node that is held at a
value must feed that value to every node at the next step. Editing the output sequence of
``torch.nn.GRU`` leaves the node alive inside. So the engine here steps through time on its own,
with the weights of the trained module, which it only reads.

Knockouts of the same instances differ in nothing but what is held, so they are copies of one
layer that share weights and projected input: their states are rows of one matrix, a step is one
matrix product and one compiled pass over the rows. A copy that is held from a later step on joins
when its time comes, and is until then the intact run.
"""

from typing import NamedTuple

import numpy as np
import torch
from llvmlite import ir
from llvmlite.binding import get_host_cpu_name
from numba import njit, types
from numba.extending import intrinsic


class Held(NamedTuple):
    """What is held in each copy of one direction of a layer.

    Parameters
    ----------
    nodes : ndarray of shape (n_copies, n_held), int64
        A copy that holds fewer nodes than others names one of them again.
    values : ndarray of shape (n_copies, n_timepoints or 1, n_instances or 1, n_held), float32
        What they are held at after each step.
    first, last : ndarray of shape (n_copies,), int64
        Half-open window of time steps.
    state : {"h", "c"}
        Hidden state, or memory cell of an LSTM.
    """

    nodes: np.ndarray
    values: np.ndarray
    first: np.ndarray
    last: np.ndarray
    state: str = "h"

    @classmethod
    def nothing(cls, n_copies):
        """Return what is held in intact copies."""
        return cls(
            np.empty((n_copies, 0), dtype=np.int64),
            np.empty((n_copies, 1, 1, 0), dtype=np.float32),
            *np.zeros((2, n_copies), dtype=np.int64),
        )

    def released(self):
        """Return the same windows with nothing held: copies that only differ in their input."""
        return Held.nothing(len(self.nodes))._replace(first=self.first, last=self.last)

    def joins(self, n_timepoints, backward):
        """Return after how many steps each copy leaves the intact run.

        Parameters
        ----------
        n_timepoints : int
        backward : bool
            Whether time runs backward.

        Returns
        -------
        ndarray of shape (n_copies,), int
            Never decreasing: a copy joins no later than those after it, which is earlier than it
            must but not wrong.
        """
        last = np.minimum(self.last, n_timepoints)
        steps = n_timepoints - last if backward else self.first
        steps = np.where(self.first < last, steps, n_timepoints)
        return np.minimum.accumulate(steps[::-1])[::-1]


class Trajectory(NamedTuple):
    """One state of all copies over time.

    Parameters
    ----------
    path : Tensor of shape (n_timepoints, n_copies * n_instances, hidden_size) or None
        After each time step; None if not kept.
    final : Tensor of shape (n_copies * n_instances, hidden_size)
        After the last step.
    """

    path: torch.Tensor | None
    final: torch.Tensor


def step_through(
    kind,
    projected,
    weight,
    bias,
    *,
    held=None,
    shared=True,
    trunk=None,
    alive=None,
    backward=False,
    keep=True,
    edit=None,
):
    """Step copies of one direction of one layer through time.

    Parameters
    ----------
    kind : {"tanh", "relu", "gru", "lstm"}
        What the layer is made of.
    projected : Tensor of shape (n_timepoints, n_rows, n_gates * hidden_size)
        Input times weight_ih plus biases, for all time steps. Both biases are added in advance,
        but for that part of a GRU's bias_hh which its reset gate multiplies.
    weight : Tensor of shape (n_gates * hidden_size, hidden_size)
        Recurrent weights, weight_hh.
    bias : Tensor of shape (hidden_size,) or None
        That part, from `split_bias`; None if not a GRU.
    held : Held, optional
        What is held in each copy; one intact copy by default.
    shared : bool, default=True
        Whether the copies have the same input, and n_rows is n_instances; else every copy has
        its own, and n_rows is n_copies * n_instances.
    trunk : dict of str to Tensor of shape (n_timepoints, n_instances, hidden_size), optional
        Paths of the intact run, by state. With it every copy starts from there when its window
        begins; without, all start at the first step.
    alive : Tensor of shape (n_timepoints, n_instances), bool, optional
        Where an instance has a time step. Elsewhere its state stays as it is.
    backward : bool, default=False
        Step from the last time step to the first.
    keep : bool, default=True
        Keep the paths.
    edit : callable, optional
        (h, timepoint) -> h, applied to the hidden state after every step.

    Returns
    -------
    dict of str to Trajectory
        For "h", and "c" of an LSTM.

    Notes
    -----
    float32 on a CPU runs through compiled kernels, whose tanh and sigmoid are rational functions
    right to 4e-7. All else, and what needs gradients, runs through torch.
    """
    held = Held.nothing(1) if held is None else held
    n_copies, n_timepoints = len(held.nodes), len(projected)
    n_instances = projected.shape[1] // (1 if shared else n_copies)
    size, names = weight.shape[1], ("h", "c") if kind == "lstm" else ("h",)
    states = {name: projected.new_zeros(n_copies * n_instances, size) for name in names}
    paths = {name: states[name].new_empty(n_timepoints, *states[name].shape) for name in names}
    if not keep:
        paths = dict.fromkeys(names)
    order = range(n_timepoints)[:: -1 if backward else 1]
    joins = np.zeros(n_copies, dtype=int) if trunk is None else held.joins(n_timepoints, backward)
    compiled = projected.device.type == "cpu" and projected.dtype == torch.float32
    compiled = compiled and edit is None and not torch.is_grad_enabled()
    stepper = (_Compiled if compiled else _Plain)(
        kind, projected, weight, bias, held, shared, alive, n_instances, edit
    )
    n_joined = 0
    for first, stop, n_begun in _stretches(joins, n_timepoints):
        times = order[first:stop]
        if first:
            _take_trunk(states, trunk, order[first - 1], n_joined, n_begun)
        n_joined, rows = n_begun, n_begun * n_instances
        if n_joined:
            for t, states in stepper.run(states, n_joined, times, at_rest=not first):  # noqa: B020
                if keep:
                    for name, path in paths.items():
                        path[t, :rows] = states[name][:rows]
        if keep and n_joined < n_copies:
            _follow_trunk(paths, trunk, times, n_joined)
    if n_joined < n_copies:
        _take_trunk(states, trunk, order[-1], n_joined, n_copies)
    return {name: Trajectory(paths[name], states[name]) for name in names}


def split_bias(kind, bias):
    """Split recurrent biases into what can be added to the input in advance, and the rest.

    Parameters
    ----------
    kind : {"tanh", "relu", "gru", "lstm"}
    bias : Tensor of shape (n_gates * hidden_size,)
        Recurrent biases, bias_hh.

    Returns
    -------
    outer : Tensor of shape (n_gates * hidden_size,)
    inner : Tensor of shape (hidden_size,) or None
    """
    if kind != "gru":
        return bias, None
    inner = bias[2 * len(bias) // 3 :]
    return torch.cat([bias[: -len(inner)], torch.zeros_like(inner)]), inner


def _stretches(joins, n_timepoints):
    """Return (first step, one after its last, copies that have joined) between two joins."""
    firsts = np.union1d([0], joins[joins < n_timepoints])
    counts = np.searchsorted(joins, firsts, side="right")
    return zip(firsts.tolist(), [*firsts[1:].tolist(), n_timepoints], counts.tolist(), strict=True)


def _take_trunk(states, trunk, timepoint, first, last):
    """Set the states of some copies to those of the intact run."""
    for name, state in states.items():
        intact = trunk[name][timepoint]
        state.view(-1, *intact.shape)[first:last] = intact


def _follow_trunk(paths, trunk, times, n_joined):
    """Keep the intact run as the paths of the copies that have not joined."""
    during = slice(min(times), max(times) + 1)  # they may run backward
    for name, path in paths.items():
        intact = trunk[name][during]
        path[during].unflatten(1, (-1, intact.shape[1]))[:, n_joined:] = intact[:, None]


# ---------------------------------------------------------------- in torch


def _rnn_step(activation):
    def step(recurrent, projected, bias, states, hold):
        return {"h": hold("h", activation(recurrent + projected))}

    return step


def _gru_step(recurrent, projected, bias, states, hold):
    size = states["h"].shape[-1]
    gates = torch.sigmoid(projected[..., : 2 * size] + recurrent[..., : 2 * size])
    reset, update = gates[..., :size], gates[..., size:]
    candidate = torch.tanh(projected[..., 2 * size :] + reset * (recurrent[..., 2 * size :] + bias))
    return {"h": hold("h", candidate + update * (states["h"] - candidate))}


def _lstm_step(recurrent, projected, bias, states, hold):
    enter, forget, candidate, leave = (recurrent + projected).chunk(4, dim=-1)
    c = torch.sigmoid(forget) * states["c"] + torch.sigmoid(enter) * torch.tanh(candidate)
    c = hold("c", c)
    return {"h": hold("h", torch.sigmoid(leave) * torch.tanh(c)), "c": c}


#: How a layer moves one step: (recurrent and projected input, inner bias, states, hold) -> states,
#: of shape (n_copies, n_instances, ...).
STEPS = {
    "tanh": _rnn_step(torch.tanh),
    "relu": _rnn_step(torch.relu),
    "gru": _gru_step,
    "lstm": _lstm_step,
}


class _Plain:
    """A step in torch operations: any device and dtype, and gradients."""

    def __init__(self, kind, projected, weight, bias, held, shared, alive, n_instances, edit):
        self.cell, self.weight, self.bias = STEPS[kind], weight, bias
        n_copies = 1 if shared else len(held.nodes)
        self.projected = projected.view(len(projected), n_copies, n_instances, -1)
        self.alive, self.edit, self.held, self.n_instances = alive, edit, held, n_instances
        self.nodes = torch.as_tensor(held.nodes, device=projected.device)[:, None, :]
        self.values = torch.as_tensor(held.values, device=projected.device, dtype=projected.dtype)

    def run(self, states, n_joined, times, at_rest):
        """Step the copies that have joined; yield every time step, and the states after it."""
        for timepoint in times:
            states = self.step(states, n_joined, timepoint)
            yield timepoint, states

    def step(self, states, n_joined, timepoint):
        rows = n_joined * self.n_instances
        shape = (n_joined, self.n_instances, -1)
        before = {name: state[:rows].view(shape) for name, state in states.items()}
        recurrent = torch.mm(states["h"][:rows], self.weight.T).view(shape)
        projected = self.projected[timepoint, :n_joined]

        def hold(name, state):
            return self.hold(name, state, timepoint)

        after = self.cell(recurrent, projected, self.bias, before, hold)
        if self.edit is not None:
            edited = self.edit(after["h"].reshape(rows, -1), timepoint)
            after["h"] = edited.view(shape)
        if self.alive is not None:
            running = self.alive[timepoint][:, None]
            after = {name: torch.where(running, after[name], before[name]) for name in after}
        return {
            name: torch.cat([state.reshape(rows, -1), states[name][rows:]])
            for name, state in after.items()
        }

    def hold(self, name, state, timepoint):
        held, n_joined = self.held, len(state)
        inside = (held.first <= timepoint) & (timepoint < held.last)
        inside = inside[:n_joined]
        if name != held.state or not inside.any() or not held.nodes.shape[1]:
            return state
        where = self.nodes[:n_joined].expand(-1, self.n_instances, -1)
        values = self.values[:n_joined, timepoint % held.values.shape[1]].expand(where.shape)
        if not inside.all():
            inside = torch.as_tensor(inside, device=state.device)[:, None, None]
            values = torch.where(inside, values, state.gather(2, where))
        return state.scatter(2, where, values)


# ---------------------------------------------------------------- compiled

# No fast math beyond fused multiplication: NaN must stay NaN, so that a diverged net shows.
_compiled = njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
_inline = njit(inline="always", fastmath={"contract"}, error_model="numpy")
_F = np.float32


@intrinsic
def _arguments_are_apart(typingctx):
    """Promise that no two arrays overlap, and allow vectors of 512 bits where there are any.

    Without the promise every row begins with comparing addresses. LLVM prefers 256 bits, lest wide
    instructions slow the clock; the products in between use them anyway.
    """

    def generate(context, builder, signature, arguments):
        function = builder.function
        for argument in function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        if isinstance(function.attributes, set):  # whose `add` takes no attribute with a value
            set.add(function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate


# tanh(x) = x P(x^2) / Q(x^2), lowest power first: the minimax fit of these degrees on [0, 8.2],
# where tanh rounds to one. Q ends in x^8 itself, which saves a product. For sigmoid(x), which is
# (1 + tanh(x / 2)) / 2, all are powers of two times these, so that halving costs nothing.
_END = _F(8.2)
_P = tuple(map(_F, (1204722.5, 161740.359, 4275.48779, 25.9166698, 0.0176747441)))
_Q = tuple(map(_F, (1204722.62, 563314.375, 31417.4922, 406.461548)))
_SIGMOID_P = tuple(_F(64 * p / 4**i) for i, p in enumerate(_P))
_SIGMOID_Q = tuple(_F(256 * q / 4**i) for i, q in enumerate(_Q))
_HALF = _F(0.5)


@_inline
def _fraction(x, end, p, q):
    x = min(max(x, -end), end)
    s = x * x
    top = (((p[4] * s + p[3]) * s + p[2]) * s + p[1]) * s + p[0]
    return x * top, (((s + q[3]) * s + q[2]) * s + q[1]) * s + q[0]


@_inline
def _tanh(x):
    """Return numerator and denominator of tanh(x), so that formulas can share one division."""
    return _fraction(x, _END, _P, _Q)


@_inline
def _sigmoid(x):
    """Return those of sigmoid(x) - 1/2, which is odd as tanh is."""
    return _fraction(x, _END + _END, _SIGMOID_P, _SIGMOID_Q)


@_inline
def _hold(states, nodes, values, instance, alive, t):
    """Hold nodes of one copy, in some of its rows; `instance` is what the first of them is of."""
    for k in range(len(nodes)):
        for i in range(len(states)):
            if not len(alive) or alive[t, instance + i]:
                states[i, nodes[k]] = values[instance + i if len(values) > 1 else 0, k]


# Gates are sliced before a loop over nodes: with offsets inside, the loop is not vectorised. Where
# one division waits for another, two loops are faster: more of their steps are under way at a time.
# What the first hands on is kept in `spare`, a row of its own: to write it into those of g would
# need comparisons of addresses, which LLVM makes for all rows at once, and gives up. Windows
# and values are looked up here, outside of the rows, since LSTMs were slower with that in `_hold`.


@_compiled
def _rnn_rows(t, g, h, c, n, x, bias, alive, spare, shared, relu, on_c, nodes, values, first, last):
    _arguments_are_apart()
    for copy in range(len(g) // n):
        for i in range(n):
            if len(alive) and not alive[t, i]:
                continue
            r = copy * n + i
            gr, xr, hr = g[r], x[t, i if shared else r], h[r]
            if relu:
                for j in range(len(hr)):
                    v = gr[j] + xr[j]
                    hr[j] = _F(0) if v < _F(0) else v
            else:
                for j in range(len(hr)):
                    p, d = _tanh(gr[j] + xr[j])
                    hr[j] = p / d
        if first[copy] <= t < last[copy]:
            held = values[copy, t if values.shape[1] > 1 else 0]
            _hold(h[copy * n : copy * n + n], nodes[copy], held, 0, alive, t)


@_compiled
def _gru_rows(t, g, h, c, n, x, bias, alive, spare, shared, relu, on_c, nodes, values, first, last):
    _arguments_are_apart()
    size = h.shape[1]
    for copy in range(len(g) // n):
        for i in range(n):
            if len(alive) and not alive[t, i]:
                continue
            r = copy * n + i
            gr, xr, hr = g[r], x[t, i if shared else r], h[r]
            gz, xz = gr[size:], xr[size:]
            gc, xc = gr[2 * size :], xr[2 * size :]
            for j in range(size):
                pr, dr = _sigmoid(gr[j] + xr[j])
                spare[j] = xc[j] + (_HALF + pr / dr) * (gc[j] + bias[j])
            for j in range(size):
                pz, dz = _sigmoid(gz[j] + xz[j])
                pc, dc = _tanh(spare[j])
                enter, stay = _HALF * dz - pz, _HALF * dz + pz
                hr[j] = (pc * enter + hr[j] * dc * stay) / (dc * dz)
        if first[copy] <= t < last[copy]:
            held = values[copy, t if values.shape[1] > 1 else 0]
            _hold(h[copy * n : copy * n + n], nodes[copy], held, 0, alive, t)


@_compiled
def _lstm_rows(
    t, g, h, c, n, x, bias, alive, spare, shared, relu, on_c, nodes, values, first, last
):
    _arguments_are_apart()
    size = h.shape[1]
    for copy in range(len(g) // n):
        inside = first[copy] <= t < last[copy]
        held = values[copy, t if values.shape[1] > 1 else 0]
        for i in range(n):
            if len(alive) and not alive[t, i]:
                continue
            r = copy * n + i
            gi, xi, hr, cr = g[r], x[t, i if shared else r], h[r], c[r]
            gf, xf = gi[size:], xi[size:]
            gg, xg = gi[2 * size :], xi[2 * size :]
            go, xo = gi[3 * size :], xi[3 * size :]
            for j in range(size):
                pi, di = _sigmoid(gi[j] + xi[j])
                pf, df = _sigmoid(gf[j] + xf[j])
                pg, dg = _tanh(gg[j] + xg[j])
                enter, stay, d = _HALF * di + pi, _HALF * df + pf, di * dg
                cr[j] = (stay * cr[j] * d + enter * pg * df) / (df * d)
            if inside and on_c:
                _hold(c[r : r + 1], nodes[copy], held, i, alive, t)
            for j in range(size):
                po, do = _sigmoid(go[j] + xo[j])
                pc, dc = _tanh(cr[j])
                hr[j] = (_HALF * do + po) * pc / (do * dc)
        if inside and not on_c:
            _hold(h[copy * n : copy * n + n], nodes[copy], held, 0, alive, t)


ROWS = {"tanh": _rnn_rows, "relu": _rnn_rows, "gru": _gru_rows, "lstm": _lstm_rows}


#: Multiplications from which on oneDNN pays, whose calls take 20 to 70 us more. Where the BLAS of
#: torch, MKL, is at home it never does. Chosen by name, not by time: bits shall not depend on time.
_MANY = 2**23 if get_host_cpu_name().startswith("znver") else float("inf")


def _multiplier(h, weight, out):
    """Return a function that returns h @ weight.T, which is most of the work, as an array.

    It multiplies what is in h when it is called; into `out`, or into new memory. MKL keeps to 256
    bits on processors of AMD. oneDNN does not, and it is behind torch's convolutions: every row is
    a pixel.
    """
    if len(h) * weight.numel() < _MANY or not torch.backends.mkldnn.is_available():
        weight, found = weight.T, out.numpy()

        def multiply():
            torch.mm(h, weight, out=out)
            return found

        return multiply

    pixels = h.view(1, len(h), 1, -1).permute(0, 3, 1, 2)  # channels last, so nothing is copied
    kernel = weight[..., None, None]

    def convolve():
        found = torch.mkldnn_convolution(pixels, kernel, None, [0, 0], [1, 1], [1, 1], 1)
        return found.permute(0, 2, 3, 1).view(out.shape).numpy()

    return convolve


class _Compiled:
    """A step as a matrix product in torch and one compiled pass over its rows, in place.

    What the steps need is laid out before the first: the caches are full of states by then, and
    every bit of Python between two steps is slow.
    """

    def __init__(self, kind, projected, weight, bias, held, shared, alive, n_instances, edit):
        self.pass_over, self.weight, self.n_instances = ROWS[kind], weight.detach(), n_instances
        self.recurrent = projected.new_empty(n_instances * len(held.nodes), len(weight))
        no_bias, all_alive = np.empty(0, dtype=np.float32), np.empty((0, 0), dtype=bool)
        self.fixed = (
            projected.numpy(),
            no_bias if bias is None else bias.detach().numpy(),
            all_alive if alive is None else alive.numpy(),
            projected.new_empty(weight.shape[1]).numpy(),  # aligned, which numpy's are not
            shared,
            kind == "relu",
            held.state == "c",
            *held[:4],
        )

    def run(self, states, n_joined, times, at_rest):
        """Step the copies that have joined; yield every time step, and the states after it."""
        rows = n_joined * self.n_instances
        h, out = states["h"][:rows], self.recurrent[:rows]
        multiply, pass_over = _multiplier(h, self.weight, out), self.pass_over
        fixed = h.numpy(), states.get("c", h)[:rows].numpy(), self.n_instances, *self.fixed
        for timepoint in times:
            product = out.zero_().numpy() if at_rest else multiply()
            at_rest = False
            pass_over(timepoint, product, *fixed)
            yield timepoint, states
