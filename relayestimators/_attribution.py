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
from .relay._transfer import mean_over_pairs

#: How totals can be attributed to nodes.
CREDITS = ("auto", "gradients", "permutations")

# Time steps per task; fixed, so that results do not depend on the workers.
_CHUNK = 4

# How many times fewer pairs there are for permutations, and with the same value of a concept.
_FEWER = 2
_FEWER_SAME = 4

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
    """

    base: np.ndarray
    source: np.ndarray
    concept: int
    differ: np.ndarray


def attribute(layer, truth, coded, wanted, *, n_pairs, credit, seed, n_jobs=None, verbose=0):
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
    shared = layer, truth, coded, wanted, n_pairs, credit
    shown = {"verbose": verbose, "desc": "attributions"}
    return run_tasks(_attribute, tasks, *shared, n_jobs=n_jobs, **shown)


def _attribute(steps, layer, truth, coded, wanted, n_pairs, credit):
    """Return the attributions of some time steps; this is the task of a worker."""
    run = None if credit == "permutations" else differentiable(layer)
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
            parts = _by_permutations(*of_step, n_pairs // _FEWER, rng)
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
            Whether something is carried, parts add up to the total, and sources of the same value
            change less.
        remarks : list of str
    """
    wanted = np.ones((coded.shape[1], layer.when.shape[1]), dtype=bool)
    if carried is not None:
        wanted = ~(carried < 2 * error)  # NaN counts as carried
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
    n_nodes = result.relay_map.shape[2]
    result.reliable = np.repeat((adds_up & wanted)[:, :, None], n_nodes, axis=2)
    result.remarks = []
    if (wanted & ~adds_up).any():
        result.remarks = [
            f"at {np.count_nonzero(wanted & ~adds_up)} of {wanted.size} concepts and time steps "
            "the map by interchange is not reliable: its parts do not add up to the total, or "
            "sources with the same value change the output as well"
        ]
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
        mean, error = mean_over_pairs(columns, who[differ])
        same = change[~differ].mean() if not differ.all() else np.nan
        rows.append([mean[:-2], error[:-2], mean[-2], error[-2], same, mean[-1], error[-1]])
    return Attribution(*(np.array(column) for column in zip(*rows, strict=True)), permutations)


# ---------------------------------------------------------------- gradients


class _Edited:
    """A module with ``forward_with``, run with the states of a time step replaced."""

    def __init__(self, module, panel, layer):
        self._module, self._panel, self._layer = module, panel, layer

    def logits(self, rows, timepoint, states):
        def edit(h, t, *, nodes):
            return states[:, nodes] if t == timepoint else h

        return self._module.forward_with(self._panel[rows], edit, layer=self._layer)


class Differentiable(NamedTuple):
    """A network of which gradients with respect to the states of a layer are known.

    Parameters
    ----------
    tail : object
        Has ``logits(rows, timepoint, states)``.
    intact : Tensor of shape (n_instances, n_classes)
        Output without an exchange.
    is_proba : bool
        Whether outputs are probabilities instead of logits.
    per_row : int
        About how many numbers a row of a batch needs.
    """

    tail: object
    intact: torch.Tensor
    is_proba: bool
    per_row: int

    def log_proba(self, output):
        """Return logarithms of probabilities, up to a number that all classes share."""
        return output.clamp(min=torch.finfo(output.dtype).tiny).log() if self.is_proba else output


def differentiable(layer):
    """Return the network of a layer with gradients, or None if it has none.

    Parameters
    ----------
    layer : Layer

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
    of = (module, panel, layer.layer)
    tail = Tail(*of, layer.state) if ours else _Edited(*of)
    per_row = 16 * layer.hidden.shape[2] * getattr(module, "num_layers", 1) * panel.shape[2]
    return Differentiable(tail, intact, is_proba, per_row)


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
                batch = Pairs(pairs.base[rows], pairs.source[rows], concept, differ[rows])
                states = _states_of(run, layer, when, batch)
                change[rows] = _change(run, batch, int(t), states[1], truth, coded)
                rows = rows[differ[rows]]
                if len(rows):
                    part = _parts(run, batch, int(t), states, alpha[rows], truth, coded)
                    parts[rows] = part
        found.append((pairs, parts, change))
    return _summary(found, n_nodes, False)


def _states_of(run, layer, when, pairs):
    """Return the states of bases and sources as tensors."""
    return [
        torch.as_tensor(layer.hidden[who, when[who]]).to(run.intact)
        for who in (pairs.base, pairs.source)
    ]


def _change(run, pairs, timepoint, states, truth, coded):
    """Return the change of log-odds if all states are exchanged."""
    with torch.no_grad():
        rows = torch.as_tensor(pairs.base, device=states.device)
        outputs = run.tail.logits(rows, timepoint, states), run.intact[rows]
        after, before = (log_odds(run.log_proba(output), pairs, truth, coded) for output in outputs)
        return (after - before).cpu().double().numpy()


def _parts(run, pairs, timepoint, states, alpha, truth, coded):
    """Return the parts of the nodes, at one point of the path between base and source per pair."""
    rows = np.flatnonzero(pairs.differ)
    pairs = Pairs(pairs.base[rows], pairs.source[rows], pairs.concept, pairs.differ[rows])
    base, source = (part[torch.as_tensor(rows, device=part.device)] for part in states)
    alpha = torch.as_tensor(alpha, device=base.device, dtype=base.dtype)[:, None]
    with torch.enable_grad():
        between = (base + alpha * (source - base)).requires_grad_(True)
        output = run.tail.logits(torch.as_tensor(pairs.base), timepoint, between)
        odds = log_odds(run.log_proba(output), pairs, truth, coded)
        gradient = torch.autograd.grad(odds.sum(), between)[0]
    return ((source - base) * gradient).detach().cpu().double().numpy()


# ---------------------------------------------------------------- permutations


def _by_permutations(layer, when, truth, coded, n_pairs, rng):
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
    parts, change = np.zeros((n_concepts, len(base), n_nodes)), np.zeros((n_concepts, len(base)))
    for t in np.unique(when[base]):
        here = np.flatnonzero(when[base] == t)
        size = max(1, _MAX_NUMBERS // (4 * n_nodes * n_nodes))
        for rows in np.split(here, range(size, len(here), size)):
            each = [Pairs(base[rows], source[rows], k, differ[rows, k]) for k in range(n_concepts)]
            path = _along_orders(layer, when, each[0], int(t), orders[rows])
            for k, pairs in enumerate(each):
                odds = log_odds(path, pairs, truth, coded).numpy()  # 1 + n_nodes, pairs
                ordered = np.empty((len(rows), n_nodes))
                np.put_along_axis(ordered, orders[rows], np.diff(odds, axis=0).T, axis=1)
                parts[k, rows] = ordered
                change[k, rows] = odds[-1] - odds[0]
    found = [
        (Pairs(base, source, k, differ[:, k]), parts[k, differ[:, k]], change[k])
        for k in range(n_concepts)
    ]
    return _summary(found, n_nodes, True)


def _along_orders(layer, when, pairs, timepoint, orders):
    """Return log-probabilities after the exchange of the first nodes of an order, from none to all.

    Parameters
    ----------
    layer : Layer
    when : ndarray of shape (n_instances,), int
    pairs : Pairs
    timepoint : int
        Time step of the bases.
    orders : ndarray of shape (n_pairs, n_nodes), int
        Order of the nodes for every pair.

    Returns
    -------
    Tensor of shape (1 + n_nodes, n_pairs, n_classes), float64
    """
    n_nodes, rank = orders.shape[1], np.argsort(orders, axis=1)
    base, source = (layer.hidden[who, when[who]] for who in (pairs.base, pairs.source))
    nodes, panel = np.arange(n_nodes), _safe_indexing(layer.X, pairs.base)
    window = timepoint, timepoint + 1, layer.layer, layer.state
    clamps = [
        Clamp(nodes, np.where(rank < n_exchanged, source, base)[:, None], *window)
        for n_exchanged in range(n_nodes + 1)
    ]
    run = layer.estimator.knock_out(panel, clamps)
    logits = getattr(run, "logits", None)
    return torch.as_tensor(log_probabilities(logits, run.proba))
