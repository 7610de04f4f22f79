"""Through which nodes a concept passes: an exchange of all states is attributed to single nodes.

If the states of a layer at one time step are exchanged for those of a source with another value of
a concept, the log-odds of the source's value against the base's change by a *total*. It is divided
among the nodes so that a node that is not heard gets nothing: along the straight path between the
states, where a part is the integral of a gradient (expected gradients), or in random orders of the
nodes (the value of Shapley).
"""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import Bunch, _safe_indexing

from ._runtime import run_tasks
from .networks import Clamp, RecurrentNetwork
from .networks._tail import Tail
from .relay._concepts import log_probabilities
from .relay._transfer import fewest, mean_over_pairs

#: How totals can be attributed to nodes.
CREDITS = ("auto", "gradients", "permutations")

# Time steps per task; fixed, so that results do not depend on the workers.
_CHUNK = 4

# How many times fewer pairs there are for permutations, and with the same value of a concept.
_FEWER = 2
_FEWER_SAME = 4

# Number of orders of nodes for windows of several time steps, and most clamps that run at once.
_ORDERS, _CLAMPS = 40, 32

#: A gap of more than this fraction of the total is too wide.
TOO_WIDE = 0.25

#: If sources of the same value change more than this fraction of the total, it is no sign of the
#: concept.
TOO_MUCH_SAME = 0.5

# About how many numbers a batch may hold at once. It limits the memory, not the result.
_MAX_NUMBERS = 2**26


class Attribution(NamedTuple):
    """Attributions of all concepts at one time step, in bits of log-odds; NaN without pairs.

    Parameters
    ----------
    scores, errors : ndarray of shape (n_concepts, n_nodes)
        Part of the total that every node has, and its standard error.
    total, total_error : ndarray of shape (n_concepts,)
        Change of the log-odds of the source's value against the base's if all states are exchanged,
        where the two differ, as a mean over pairs; and its standard error.
    total_same : ndarray of shape (n_concepts,)
        Change of the log-odds of all other values against the base's, where the source has the same
        value.
    gap, gap_error : ndarray of shape (n_concepts,)
        The total less the sum of the scores, and its standard error.
    permutations : bool
        Whether nodes were exchanged in random orders, instead of gradients.
    """

    scores: np.ndarray
    errors: np.ndarray
    total: np.ndarray
    total_error: np.ndarray
    total_same: np.ndarray
    gap: np.ndarray
    gap_error: np.ndarray
    permutations: bool


class Pairs(NamedTuple):
    """Pairs of a base and a source, for one concept.

    Parameters
    ----------
    base, source : ndarray of shape (n_pairs,), int
        Instances.
    concept : int
        The concept whose log-odds count.
    differ : ndarray of shape (n_pairs,), bool
        Whether they have different values of the concept.
    groups : ndarray of shape (n_pairs,), int, optional
        Groups of pairs with the same order of nodes.
    """

    base: np.ndarray
    source: np.ndarray
    concept: int
    differ: np.ndarray
    groups: np.ndarray | None = None

    def take(self, rows):
        """Return some of the pairs."""
        return Pairs(self.base[rows], self.source[rows], self.concept, self.differ[rows])


def attribute(
    layer, truth, coded, wanted, *, n_pairs, credit, seed, window=1, n_jobs=None, verbose=0
):
    """Attribute exchanges at every time step to the nodes.

    Parameters
    ----------
    layer : Layer
        Where states are exchanged.
    truth : ndarray of shape (n_instances, n_concepts), int
        Concept values of the true classes, from 0 without gaps.
    coded : ndarray of shape (n_classes, n_concepts), int
        Concept values of all classes.
    wanted : ndarray of shape (n_concepts, n_steps), bool
        Where too wide a gap matters.
    n_pairs : int
        Pairs with different values per concept and time step.
    credit : {"auto", "gradients", "permutations"}
        "auto" takes gradients if the module has them, and permutations at time steps where
        gradients leave too wide a gap that matters.
    seed : int
        Seed of the pairs.
    window : int or None, default=1
        Number of time steps for which nodes follow the source; None is to the end.
    n_jobs, verbose : int
        As elsewhere.

    Returns
    -------
    list of Attribution
        One for every time step.
    """
    n_steps = layer.when.shape[1]
    seeds = np.random.SeedSequence(seed).spawn(n_steps)
    steps = list(zip(range(n_steps), seeds, strict=True))
    tasks = [steps[at : at + _CHUNK] for at in range(0, n_steps, _CHUNK)]
    shared = layer, truth, coded, wanted, n_pairs, credit, window
    shown = {"verbose": verbose, "desc": "attributions"}
    return run_tasks(_attribute, tasks, *shared, n_jobs=n_jobs, **shown)


def _attribute(steps, layer, truth, coded, wanted, n_pairs, credit, window):
    """Return the attributions of some time steps; this is the task of a worker."""
    run = None if credit == "permutations" else differentiable(layer, window)
    if run is None and credit == "gradients":
        raise TypeError(
            "credit='gradients' needs a RecurrentNetwork, or for state='h' another module with "
            "forward_with(X, edit, *, layer), of which predict_proba is the softmax or which "
            f"returns probabilities; {type(layer.estimator).__name__} with state={layer.state!r} "
            "has none. Use credit='permutations', or 'auto'."
        )
    found = []
    for step, seed in steps:
        of_step = layer, layer.when[:, step], truth, coded
        rng = np.random.default_rng(seed)
        parts = None if run is None else _by_gradients(run, *of_step, n_pairs, rng)
        if parts is None or (credit == "auto" and _too_wide(parts)[wanted[:, step]].any()):
            parts = _by_permutations(*of_step, n_pairs // _FEWER, window, rng)
        found.append(parts)
    return found


def interchange_map(layer, truth, coded, carried=None, error=None, **options):
    """Return the relay map by interchange, and where it is reliable.

    Parameters
    ----------
    layer, truth, coded
        As in `attribute`.
    carried, error : ndarray of shape (n_concepts, n_steps), optional
        Bits that the layer carries to the output, and their standard error; NaN where not known.
    **options : dict
        Of `attribute`.

    Returns
    -------
    Bunch
        relay_map, relay_map_error : ndarray of shape (n_concepts, n_steps, n_nodes)
            Scores and standard errors, in bits of log-odds.
        total, total_error, total_same, gap, gap_error : ndarray of shape (n_concepts, n_steps)
            See `Attribution`.
        credit : ndarray of shape (n_steps,), str
            "gradients" or "permutations".
        reliable : ndarray of shape (n_concepts, n_steps, n_nodes), bool
            Whether there are enough instances, something is carried, the total is beyond chance,
            parts add up to it, and sources of the same value change less.
        remarks : list of str
    """
    _, fewest_instances = fewest(1 + coded.max(axis=0)[:, None])
    enough = (layer.when >= 0).sum(axis=0) >= fewest_instances
    wanted, known = np.ones(enough.shape, dtype=bool), enough
    if carried is not None:
        wanted = ~(carried < 2 * error)  # what is not known may be carried
        known = enough & (carried >= 2 * error)
    steps = attribute(layer, truth, coded, wanted, **options)
    *parts, permutations = (np.stack(part) for part in zip(*steps, strict=True))
    names = Attribution._fields
    result = Bunch(
        **{name: np.moveaxis(part, 0, 1) for name, part in zip(names, parts, strict=False)}
    )
    result.relay_map, result.relay_map_error = result.pop("scores"), result.pop("errors")
    result.credit = np.where(permutations, "permutations", "gradients")
    total = np.abs(result.total)
    same = np.nan_to_num(np.abs(result.total_same))
    adds_up = (np.abs(result.gap) <= TOO_WIDE * total) & (same <= TOO_MUCH_SAME * total)
    certain = known & adds_up & (total > 2 * result.total_error)
    n_nodes = result.relay_map.shape[2]
    result.reliable = np.repeat(certain[:, :, None], n_nodes, axis=2)
    drawn, result.remarks = ~np.isnan(result.total), []
    if not drawn.all():
        result.remarks.append(
            f"at {np.count_nonzero(~drawn)} of {drawn.size} concepts and time steps there are no "
            "pairs of instances with different values, and the map by interchange is unknown"
        )
    if (wanted & drawn & ~adds_up).any():
        result.remarks.append(
            f"at {np.count_nonzero(wanted & drawn & ~adds_up)} of {drawn.size} concepts and time "
            "steps the map by interchange is not reliable: its parts do not add up to the total, "
            "or sources with the same value change the output as well"
        )
    return result


def _too_wide(attribution):
    """Return whether the gap is too large a part of the total of each concept."""
    return np.abs(attribution.gap) > TOO_WIDE * np.abs(attribution.total)


# ---------------------------------------------------------------- pairs and their log-odds


def draw_pairs(values, present, n_pairs, rng, *, differ):
    """Draw pairs of a base and a source with different values, or with the same value.

    All such pairs are equally likely.

    Parameters
    ----------
    values : ndarray of shape (n_instances,), int
        Values from 0.
    present : ndarray of shape (n_present,), int
        Instances to draw from.
    n_pairs : int
    rng : Generator
    differ : bool
        Whether the values differ.

    Returns
    -------
    base, source : ndarray of shape (n_pairs,), int
        Empty if there are no such pairs.
    """
    order = present[np.argsort(values[present], kind="stable")]
    own = values[order]
    counts = np.bincount(own, minlength=1 + values.max())
    first, n_own = (np.cumsum(counts) - counts)[own], counts[own]
    n_sources = len(order) - n_own if differ else n_own - 1
    if not n_sources.any():
        return np.empty((2, 0), dtype=np.int64)
    base = rng.choice(len(order), n_pairs, p=n_sources / n_sources.sum())
    source = rng.integers(n_sources[base])  # the number of the source among those allowed
    if differ:
        source = np.where(source < first[base], source, source + n_own[base])
    else:
        source = first[base] + source
        source += source >= base
    return order[base], order[source]


def log_odds(log_proba, pairs, truth, coded):
    """Return log-odds of the source's concept value against the base's, in bits.

    Parameters
    ----------
    log_proba : Tensor of shape (..., n_pairs, n_classes)
        Logarithms of probabilities, up to a number that is the same for all classes.
    pairs : Pairs
    truth, coded
        As in `attribute`.

    Returns
    -------
    Tensor of shape (..., n_pairs)
        Where both have the same value, log-odds of all other values against it.
    """
    values = coded[:, pairs.concept]
    base, source = (truth[who, pairs.concept][:, None] for who in (pairs.base, pairs.source))
    against = values == base
    favored = np.where(pairs.differ[:, None], values == source, ~against)
    inside, outside = (
        log_proba.masked_fill(torch.as_tensor(~mask, device=log_proba.device), -torch.inf)
        for mask in (favored, against)
    )
    return (inside.logsumexp(dim=-1) - outside.logsumexp(dim=-1)) / np.log(2)


def _summary(of_concepts, n_nodes, permutations):
    """Return an Attribution from (pairs, parts, change) of every concept.

    The change of log-odds is that of every pair; parts are those of pairs that differ.
    """
    rows = []
    for pairs, parts, change in of_concepts:
        differ = pairs.differ
        if not differ.any():
            rows.append([np.full(n_nodes, np.nan)] * 2 + [np.nan] * 5)
            continue
        who = np.column_stack([pairs.base, pairs.source])
        columns = np.column_stack([parts, change[differ], change[differ] - parts.sum(axis=1)])
        groups = None if pairs.groups is None else pairs.groups[differ]
        mean, error = mean_over_pairs(columns, who[differ], groups)
        same = change[~differ].mean() if not differ.all() else np.nan
        rows.append([mean[:-2], error[:-2], mean[-2], error[-2], same, mean[-1], error[-1]])
    return Attribution(*(np.array(column) for column in zip(*rows, strict=True)), permutations)


# ---------------------------------------------------------------- gradients


class Between:
    """Runs of bases whose states are moved towards those of sources, with gradients.

    Parameters
    ----------
    module : Module
        Whose outputs are wanted, without gradients of its own.
    panel : Tensor of shape (n_instances, n_channels, n_timepoints)
    layer : Layer
    window : int or None
        Number of time steps; None is to the end.
    """

    def __init__(self, module, panel, layer, window):
        self._module, self._panel, self._layer, self._window = module, panel, layer, window
        self._hidden = torch.as_tensor(layer.hidden).to(panel)
        self._ends = torch.as_tensor(ends_of(layer.hidden), device=panel.device)
        self._tail = None
        if window == 1 and isinstance(module, RecurrentNetwork):
            self._tail = Tail(module, panel, layer.layer, layer.state)

    def logits(self, base, source, timepoint, timepoints, gate):
        """Return outputs with states h + gate * (that of the source - h) within the window.

        Parameters
        ----------
        base, source : Tensor of shape (n_rows,), int64
            Instances.
        timepoint : int
            First time step of the window, of all bases.
        timepoints : Tensor of shape (n_rows,), int64
            The time step of the sources.
        gate : Tensor of shape (n_rows, n_nodes)

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
        """
        if self._tail is not None:
            own, other = self._hidden[base, timepoint], self._hidden[source, timepoints]
            return self._tail.logits(base, timepoint, own + gate * (other - own))

        def edit(states, step, *, nodes):
            ahead = step - timepoint
            if ahead < 0 or (self._window is not None and ahead >= self._window):
                return states
            at = torch.minimum(timepoints + ahead, self._ends[source])
            return states + gate[:, nodes] * (self._hidden[source, at][:, nodes] - states)

        options = {} if self._layer.state == "h" else {"state": self._layer.state}
        options["layer"] = self._layer.layer
        return self._module.forward_with(self._panel[base], edit, **options)


def ends_of(hidden):
    """Return the last time step of every series."""
    return (~np.isnan(hidden[:, :, 0])).sum(axis=1) - 1


class Differentiable(NamedTuple):
    """A network of which gradients with respect to the states of a layer are known.

    Parameters
    ----------
    between : Between
    intact : Tensor of shape (n_instances, n_classes)
        Output without an exchange.
    is_proba : bool
        Whether outputs are probabilities instead of logits.
    per_row : int
        About how many numbers a row of a batch needs.
    """

    between: Between
    intact: torch.Tensor
    is_proba: bool
    per_row: int

    def log_proba(self, output):
        """Return logarithms of probabilities, up to a number that all classes share."""
        return output.clamp(min=torch.finfo(output.dtype).tiny).log() if self.is_proba else output


def differentiable(layer, window):
    """Return the network of a layer with gradients, or None if it has none.

    Parameters
    ----------
    layer : Layer
    window : int or None

    Returns
    -------
    Differentiable or None
    """
    estimator, module = layer.estimator, getattr(layer.estimator, "module_", None)
    ours = isinstance(module, RecurrentNetwork)
    if not ours and not (hasattr(module, "forward_with") and layer.state == "h"):
        return None
    run = estimator.unroll(_safe_indexing(layer.X, np.arange(min(8, len(layer.when)))))
    is_proba = np.array_equal(run.logits, run.proba)
    softmax = torch.as_tensor(run.logits).softmax(dim=1).numpy()
    if not is_proba and not np.allclose(softmax, run.proba, atol=1e-4):
        return None
    module = deepcopy(module).eval().requires_grad_(False)
    panel = torch.tensor(estimator.checked_panel(layer.X))
    panel = panel.to(next(module.parameters()))
    with torch.no_grad():
        intact = module(panel)
    per_row = 16 * layer.hidden.shape[2] * getattr(module, "num_layers", 1) * panel.shape[2]
    return Differentiable(Between(module, panel, layer, window), intact, is_proba, per_row)


def _by_gradients(run, layer, when, truth, coded, n_pairs, rng):
    """Return the attributions of one time step by expected gradients."""
    present, n_nodes = np.flatnonzero(when >= 0), layer.hidden.shape[2]
    found = []
    for concept in range(coded.shape[1]):
        values = truth[:, concept]
        others = draw_pairs(values, present, n_pairs, rng, differ=True)
        same = draw_pairs(values, present, n_pairs // _FEWER_SAME, rng, differ=False)
        differ = np.arange(len(others[0]) + len(same[0])) < len(others[0])
        pairs = Pairs(*np.concatenate([others, same], axis=1), concept, differ)
        alpha = (rng.permutation(n_pairs) + rng.random(n_pairs)) / n_pairs
        parts, change = np.zeros((len(others[0]), n_nodes)), np.zeros(len(differ))
        for t in np.unique(when[pairs.base]):
            here = np.flatnonzero(when[pairs.base] == t)
            size = max(1, _MAX_NUMBERS // run.per_row)
            for rows in np.split(here, range(size, len(here), size)):
                batch = pairs.take(rows)
                before = run.log_proba(run.intact[torch.as_tensor(batch.base)])
                with torch.no_grad():
                    odds = _odds(run, batch, when, np.ones(len(rows)), n_nodes, truth, coded)[0]
                    change[rows] = odds.cpu() - log_odds(before, batch, truth, coded).cpu()
                rows = rows[differ[rows]]
                if len(rows):
                    of = pairs.take(rows), when, alpha[rows], n_nodes
                    with torch.enable_grad():
                        odds, gate = _odds(run, *of, truth, coded)
                        parts[rows] = torch.autograd.grad(odds.sum(), gate)[0].cpu()
        found.append((pairs, parts, change))
    return _summary(found, n_nodes, False)


def _odds(run, pairs, when, alpha, n_nodes, truth, coded):
    """Return log-odds at one point of the path between base and source per pair, and the gate."""
    like = {"device": run.intact.device, "dtype": run.intact.dtype}
    gate = torch.as_tensor(alpha, **like)[:, None].repeat(1, n_nodes).requires_grad_(True)
    base, source, timepoints = (
        torch.as_tensor(part, device=run.intact.device)
        for part in (pairs.base, pairs.source, when[pairs.source])
    )
    output = run.between.logits(base, source, int(when[pairs.base[0]]), timepoints, gate)
    return log_odds(run.log_proba(output), pairs, truth, coded), gate


# ---------------------------------------------------------------- permutations


def _by_permutations(layer, when, truth, coded, n_pairs, window, rng):
    """Return the attributions of one time step by exchanging nodes in random orders."""
    present, n_nodes = np.flatnonzero(when >= 0), layer.hidden.shape[2]
    joint = np.unique(truth, axis=0, return_inverse=True)[1].ravel()
    drawn = [
        draw_pairs(joint, present, n, rng, differ=differ)
        for n, differ in ((n_pairs, True), (n_pairs // _FEWER_SAME, False))
    ]
    base, source = np.concatenate(drawn, axis=1)
    differ = truth[base] != truth[source]  # pairs, concepts
    orders = rng.permuted(np.tile(np.arange(n_nodes), (len(base), 1)), axis=1)
    n_concepts = coded.shape[1]
    groups = None if window == 1 else np.zeros(len(base), dtype=np.int64)
    parts, change = np.zeros((n_concepts, len(base), n_nodes)), np.zeros((n_concepts, len(base)))
    for t in np.unique(when[base]):
        here = np.flatnonzero(when[base] == t)
        if window == 1:
            size = max(1, _MAX_NUMBERS // (4 * n_nodes * n_nodes))
        else:  # nodes run on freely until they are exchanged, so that a batch needs one order
            size = -(-len(here) // _ORDERS)
        for rows in np.split(here, range(size, len(here), size)):
            if window != 1:
                orders[rows], groups[rows] = orders[rows[0]], rows[0]
            each = [Pairs(base[rows], source[rows], k, differ[rows, k]) for k in range(n_concepts)]
            path = _along_orders(layer, when, each[0], int(t), orders[rows], window)
            for k, pairs in enumerate(each):
                odds = log_odds(path, pairs, truth, coded).numpy()  # 1 + n_nodes, pairs
                ordered = np.empty((len(rows), n_nodes))
                np.put_along_axis(ordered, orders[rows], np.diff(odds, axis=0).T, axis=1)
                parts[k, rows] = ordered
                change[k, rows] = odds[-1] - odds[0]
    found = [
        (Pairs(base, source, k, differ[:, k], groups), parts[k, differ[:, k]], change[k])
        for k in range(n_concepts)
    ]
    return _summary(found, n_nodes, True)


def _along_orders(layer, when, pairs, timepoint, orders, window):
    """Return log-probabilities after the exchange of the first nodes of an order, from none to all.

    Parameters
    ----------
    layer : Layer
    when : ndarray of shape (n_instances,), int
    pairs : Pairs
    timepoint : int
        Time step of the bases.
    orders : ndarray of shape (n_pairs, n_nodes), int
        Order of the nodes for every pair; the same for all pairs if `window` is not 1.
    window : int or None

    Returns
    -------
    Tensor of shape (1 + n_nodes, n_pairs, n_classes), float64
    """
    n_nodes, panel = orders.shape[1], _safe_indexing(layer.X, pairs.base)
    place = {"layer": layer.layer, "state": layer.state, "start": timepoint}
    if window == 1:
        rank = np.argsort(orders, axis=1)
        base, source = (layer.hidden[who, when[who]] for who in (pairs.base, pairs.source))
        place["stop"] = timepoint + 1
        clamps = [
            Clamp(np.arange(n_nodes), np.where(rank < n, source, base)[:, None], **place)
            for n in range(n_nodes + 1)
        ]
    else:
        place["stop"] = None if window is None else timepoint + window
        ahead = np.maximum(np.arange(layer.hidden.shape[1]) - timepoint, 0)
        at = when[pairs.source][:, None] + ahead
        at = np.minimum(at, ends_of(layer.hidden)[pairs.source][:, None])
        states = layer.hidden[pairs.source[:, None], at][:, :, orders[0]]
        clamps = [Clamp(orders[0, :n], states[:, :, :n], **place) for n in range(n_nodes + 1)]
    found = []
    for at in range(0, len(clamps), _CLAMPS):
        run = layer.estimator.knock_out(panel, clamps[at : at + _CLAMPS])
        found.append(log_probabilities(getattr(run, "logits", None), run.proba))
    return torch.as_tensor(np.concatenate(found))
