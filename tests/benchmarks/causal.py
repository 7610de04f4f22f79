"""The map by interchange in networks whose relays are known, its sanity, and what it costs."""

import time

import numpy as np
import torch
from joblib import Parallel, delayed
from scipy.special import softmax
from scipy.stats import spearmanr
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch
from tqdm import tqdm

from relayestimators import RelayAnalyzer
from relayestimators._attribution import interchange_map
from relayestimators._exchange import Layer
from relayestimators.classifiers import CELLS as CLASSIFIERS
from relayestimators.datasets import compose_networks, make_memory_task
from relayestimators.inspection import interchange_information, knockout_sweep
from relayestimators.relay import relay_scores

from . import composite, constructed
from .tables import markdown
from .truth import CELLS, COPIES, COPY_STEPS, NETWORKS, N, in_order, precision

# Written down before the first run, and not used for any choice.
FIRST_SEED = 21_000
COMPOSITE_SEED = 90

ROWS = {
    **NETWORKS,
    **{
        f"exact copies, 3 heard beside 3 unheard, {cell.upper()}": (
            constructed.latches,
            {"cell": cell, "noise": 0.0, "decoy_noise": 0.0},
        )
        for cell in CELLS
    },
    "exclusive or": (constructed.parity, {"n_bits": 2}),
    "parity of 3": (constructed.parity, {"n_bits": 3}),
}


class Frozen:
    """A module of double precision with what the map needs of a fitted classifier."""

    def __init__(self, module):
        self.module_ = module.eval()

    def checked_panel(self, X):
        """Return the panel as it is."""
        return X

    def unroll(self, X):
        """Return outputs."""
        with torch.no_grad():
            return self._outputs(self.module_(torch.as_tensor(X)))

    def knock_out(self, X, clamps):
        """Return outputs with each of the clamps."""
        return self._outputs(self.module_.knock_out(torch.as_tensor(X), clamps))

    def _outputs(self, output):
        logits = output.numpy()
        return Bunch(logits=logits, proba=softmax(logits, axis=-1))


def by_interchange(module, X, concepts, timepoints, seed, **options):
    """Return the map by interchange of all concepts of 0 and 1 at some time steps."""
    X = np.asarray(X)
    with torch.no_grad():
        hidden = module.unroll(torch.as_tensor(X)).hidden.numpy()
    when = np.tile(np.asarray(timepoints), (len(X), 1))
    coded = np.array(list(np.ndindex(*(2,) * concepts.shape[1])))
    layer = Layer(Frozen(module), X, hidden, when, -1, "h")
    options = {"n_pairs": 2000, "credit": "auto", "seed": seed} | options
    return interchange_map(layer, concepts, coded, **options)


def default(case, seed):
    """Return the default score."""
    options = {"labels": case.classes, "log_odds": case.log_odds, "random_state": seed}
    return relay_scores(case.concept_in, case.concept_out, case.states(), **options)


def of_network(name, seed):
    """Return precision of both methods, and what else is known of the map, for a network.

    Returns
    -------
    list of float
        Precision of the default and of interchange; the fraction of maps in which nodes that are
        not heard have exactly 0; the largest difference of twins relative to the strongest node.
    """
    network, options = ROWS[name]
    net = network(seed=seed, n=N, **options)
    steps = sorted({t for _, t in net.truth})
    found = by_interchange(net.module, net.X, net.concepts, steps, seed)
    rows = []
    for (concept, t), case in constructed.cases(net).items():
        scores = np.abs(found.relay_map[concept, steps.index(t)])
        others = np.setdiff1d(np.arange(len(scores)), case.relays)
        twins = np.nan
        if len(net.pairs):
            twins = np.abs(np.subtract(*scores[net.pairs].T)).max() / scores.max()
        rows.append(
            [
                precision(default(case, seed), case.relays, seed),
                precision(scores, case.relays, seed),
                scores[others].max() < 1e-9 * scores.max(),
                twins,
            ]
        )
    return np.mean(rows, axis=0)


def of_copies(kind, cell, seed):
    """Return the fraction of strong nodes above their unheard copies, by both methods."""
    rows = []
    for step in range(COPY_STEPS):
        options = {"step": step} if kind == "own noise only" else {}
        options |= {"twins": False, "n_timepoints": COPY_STEPS, **COPIES[kind]}
        net = constructed.widened(cell, seed, N, **options)
        case, pairs = constructed.cases(net)[0, step], constructed.strong_pairs(net, step)
        found = by_interchange(net.module, net.X, net.concepts, [step], seed)
        scores = np.abs(found.relay_map[0, 0])
        rows.append(
            [
                in_order(default(case, seed), pairs),
                in_order(scores, pairs),
                scores[pairs[:, 1]].max() < 1e-9 * scores.max(),
            ]
        )
    return np.mean(rows, axis=0)


def of_composite(layout, cell, seed, only_correct, n_steps):
    """Return the precision of both methods in a composite network of 3 blocks of 8 nodes."""
    n_bits, size = 3, 8
    blocks = [
        composite.train_block(layout, cell, n_bits, bit, size, seed, n_steps)
        for bit in range(n_bits)
    ]
    whole = compose_networks(
        blocks, channels=[[i] for i in range(n_bits)] if layout == "own" else None
    ).double()
    X, values = composite.task(np.random.default_rng([seed, 77]), N, n_bits)
    X = (X if layout == "own" else composite._input_of(X, layout, None)).double()
    truth = {(i, t): np.arange(i * size, (i + 1) * size) for i in range(n_bits) for t in (3, 5, 8)}
    net = constructed.Net(whole, X, values, truth)
    if only_correct:
        with torch.no_grad():
            said = constructed._combinations(n_bits)[whole(X).argmax(dim=1).numpy()]
        right = (said == values).all(axis=1)
        net = net._replace(X=X[right], concepts=values[right])
    found = by_interchange(net.module, net.X, net.concepts, [3, 5, 8], seed)
    rows = []
    for (bit, t), case in constructed.cases(net).items():
        scores = np.abs(found.relay_map[bit, [3, 5, 8].index(t)])
        of_methods = default(case, seed), scores
        rows.append([precision(each, case.relays, seed) for each in of_methods])
    return np.mean(rows, axis=0)


def _table(measure, tasks, seeds, header, desc):
    """Return a table of means over seeds, a row for each task."""
    rows = []
    for task in tqdm(tasks, desc=desc):
        found = Parallel(n_jobs=2)(delayed(measure)(*task, seed) for seed in seeds)
        means = np.mean(found, axis=0)
        name = ", ".join([task[0], *(str(part).upper() for part in task[1:])])
        rows.append([name, *("" if np.isnan(value) else f"{value:.2f}" for value in means)])
    return markdown(header, rows)


# ---------------------------------------------------------------- sanity and cost


def sanity(cell, seed, quick):
    """Return what becomes of the map of a trained network when something is changed.

    Returns
    -------
    list of float
        Rank correlations, over the nodes and as means over concepts and three time steps of the
        delay, of the map by gradients with another draw of the pairs, with permutations, with the
        readout weights shuffled, and with the recurrent weights shuffled; the bits that the layer
        carries in the trained network, and in one that was not trained; and what is transferred
        together by the eight nodes with the highest scores, and by eight others.
    """
    task = make_memory_task(
        1000 if quick else 2000, n_bits=2, delay=8, noise=0.4, random_state=seed
    )
    half = len(task.data) // 2
    train, X = (task.data[:half], task.target[:half]), task.data[half:]
    y, times = task.target[half:], list(range(*task.delay))[1::3]
    training = {"lr": 0.005, "batch_size": 32, "max_epochs": 5 if quick else 40}
    net = CLASSIFIERS[cell](random_state=seed, **training).fit(*train)

    def of(net, random_state=0, **options):
        where = {"concepts": task.concepts, "timepoints": times, "random_state": random_state}
        analyzer = RelayAnalyzer(FrozenEstimator(net), method="interchange", **where, **options)
        return analyzer.fit(X, y)

    def alike(one, other):
        pairs = zip(*(np.abs(m.relay_map_).reshape(-1, 32) for m in (one, other)), strict=True)
        return np.mean([spearmanr(*pair).statistic for pair in pairs])

    (X, X_test), (y, y_test) = np.split(X, 2), np.split(y, 2)
    first = of(net, credit="gradients")
    again, by_permutations = of(net, 1, credit="gradients"), of(net, credit="permutations")
    strongest = first.relays()[:8]
    others = np.random.default_rng(seed).choice(np.setdiff1d(np.arange(32), strongest), 8, False)
    together = interchange_information(
        net,
        X_test,
        y_test,
        groups=[strongest, others],
        concepts=task.concepts,
        timepoints=times,
        random_state=0,
    ).transferred.mean(axis=(1, 2))
    shuffled = []
    for part in ("readout.weight", "recurrent.weight_hh_l0"):
        weights = net.module_.get_parameter(part)
        kept = weights.detach().clone()
        with torch.no_grad():
            order = np.random.default_rng(seed).permutation(weights.shape[1])
            weights[:] = kept[:, order]
            shuffled.append(alike(first, of(net, credit="gradients")))
            weights[:] = kept
    untrained = CLASSIFIERS[cell](random_state=seed, max_epochs=1, lr=0.0).fit(*train)
    carried = [np.nanmean(each.carried_) for each in (first, of(untrained))]
    return [alike(first, again), alike(first, by_permutations), *shuffled, *carried, *together]


def costs(cell, n_nodes, n_concepts, quick):
    """Return times relative to all single knockouts at the same three time steps: medians of 3.

    Returns
    -------
    list of float
        The map by gradients, and by permutations; and the time that the analyzer needs for what all
        nodes together carry, relative to one single knockout at each of all time steps.
    """
    n, n_timepoints = 500, 30
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3, n_timepoints)).astype(np.float32)
    y = rng.integers(0, n_concepts, n)
    net = CLASSIFIERS[cell](max_epochs=1, module__hidden_size=n_nodes, random_state=0).fit(X, y)
    times = [7, 15, 22]

    def of(credit):
        options = {"credit": credit, "carried": False, "timepoints": times, "random_state": 0}
        RelayAnalyzer(FrozenEstimator(net), method="interchange", **options).fit(X, y)

    def what_is_carried(wanted):
        options = {"method": "single", "carried": wanted, "random_state": 0}
        RelayAnalyzer(FrozenEstimator(net), **options).fit(X, y)

    tasks = [
        lambda: knockout_sweep(net, X, y, timepoints=times, width=1, value="zero"),
        lambda: of("gradients"),
        lambda: of("permutations"),
        lambda: knockout_sweep(net, X, y, nodes=[0], width=1, value="zero"),
        lambda: what_is_carried(True),
        lambda: what_is_carried(False),
    ]
    seconds = np.empty((1 if quick else 3, len(tasks)))
    for task in tasks:
        task()  # compiles
    for repeat in seconds:
        for k, task in enumerate(tasks):
            start = time.process_time()
            task()
            repeat[k] = time.process_time() - start
    all_nodes, by_gradients, by_permutations, one_node, both, without = seconds.T
    ratios = by_gradients / all_nodes, by_permutations / all_nodes, (both - without) / one_node
    return np.median(ratios, axis=1)


def run(quick):
    """Return the benchmark as text."""
    n_seeds, n_composite, n_steps = (1, 1, 100) if quick else (8, 2, 500)
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    header = ["network", "`throughput`", "`interchange`", "unheard exactly 0", "twins differ by"]
    networks = _table(of_network, [(name,) for name in ROWS], seeds, header, "interchange")
    kinds = [(kind, cell) for kind in COPIES for cell in CELLS]
    header = ["network", "`throughput`", "`interchange`", "copies exactly 0"]
    copies = _table(of_copies, kinds, seeds, header, "interchange, copies")
    rows = []
    blocks = [(layout, correct) for layout in ("own", "shared") for correct in (False, True)]
    for layout, correct in tqdm(blocks, desc="interchange, composite"):
        row = [f"{layout}{', correct instances only' * correct}"]
        for cell in CELLS:
            several = range(COMPOSITE_SEED, COMPOSITE_SEED + n_composite)
            found = [of_composite(layout, cell, seed, correct, n_steps) for seed in several]
            row.append("{:.2f} / {:.2f}".format(*np.mean(found, axis=0)))
        rows.append(row)
    blocks = markdown(["network", *map(str.upper, CELLS)], rows)
    rows = []
    for cell in tqdm(CLASSIFIERS, desc="interchange, sanity"):
        found = [sanity(cell, seed, quick) for seed in seeds[:3]]
        rows.append([cell, *(f"{value:.2f}" for value in np.mean(found, axis=0))])
    header = ["network", "other pairs", "permutations", "readout shuffled", "recurrence shuffled"]
    header += ["carried", "untrained", "8 strongest", "8 others"]
    checks = markdown(header, rows)
    rows = []
    for cell in CLASSIFIERS:
        for n_nodes, n_concepts in ((32, 3), (64, 3), (64, 9)):
            found = costs(cell, n_nodes, n_concepts, quick)
            rows.append([cell, n_nodes, n_concepts, *(f"{value:.2f}" for value in found)])
    header = ["network", "nodes", "concepts", "gradients", "permutations", "carried"]
    cost = markdown(header, rows)
    return (
        '## Interchange\n\nThe map by interchange (`method="interchange"`, 2000 pairs) where the '
        "relays are known by construction; see *Good networks* for the networks. The tables show "
        "the precision of the top k nodes by the absolute score, with as many nodes as there are "
        f"relays, as means over concepts, time steps and {n_seeds} seeds from {FIRST_SEED} on, "
        "which were not used for any choice; and that of the default on the same data. *Unheard "
        "exactly 0* is the fraction of maps in which all nodes that are not heard have no more "
        "than rounding errors. Twins are heard as much as each other.\n\n"
        f"{networks}\n\nThe next table shows the fraction of strong nodes of trained networks with "
        f"a higher score than their unheard copy; .5 is chance.\n\n{copies}\n\n"
        "The next table shows composite networks of 3 blocks of 8 nodes, of which each reports one "
        f"bit, at three time steps of the delay, with {n_composite} seeds from {COMPOSITE_SEED} "
        "on: the precision of `throughput` / `interchange`. With *correct instances only*, B "
        f"equals A.\n\n{blocks}\n\n"
        "Sanity, in networks with 32 nodes that were trained to remember two bits (3 seeds; hidden "
        "states at three time steps of the delay): rank correlations of the absolute map with that "
        "of other pairs, with permutations instead of gradients, after the columns of the readout "
        "weights or of the recurrent weights were shuffled; the bits that the layer carries, and "
        "those of an untrained network; and the bits that the eight strongest nodes transfer "
        f"together in other instances, and eight others.\n\n{checks}\n\n"
        "The last table shows times relative to all single-node knockouts for one step at the same "
        "time steps, with 500 instances and 30 time steps; and the time for what all nodes "
        "together carry (`carried_`), relative to one single knockout at each time step."
        f"\n\n{cost}\n"
    )
