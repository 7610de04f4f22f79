"""Good networks, of which the relays are known: precision of the strongest nodes by method."""

import warnings

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from relayestimators.relay import relay_scores
from relayestimators.relay._order import TIE, strongest_nodes

from . import constructed
from .good_nets import GOOD_NETS, IMPOSSIBLE, make_good
from .tables import markdown

OTHERS = ("contexts", "single", "shrink", "gaussian")
COLUMNS = ("`throughput`", "no margin", *(f"`{method}`" for method in OTHERS), "regression")
FIRST_SEED = 31_000
FEW_ERRORS = 10
N, N_NODES = 1000, 32
CELLS = ("rnn", "gru", "lstm")
COPY_STEPS = 5

#: Networks made by hand, by name: function of (seed, n) and its options.
NETWORKS = {
    **{
        f"latches, {cell.upper()}, noise {noise}": (
            constructed.latches,
            {"cell": cell, "noise": noise, "decoy_noise": decoy_noise},
        )
        for cell in CELLS
        for noise, decoy_noise in ((0.8, 0.6), (0.5, 0.4), (0.3, 0.25))
    },
    "register, RNN": (constructed.register, {}),
    "automaton, RNN": (constructed.automaton, {}),
    **{
        f"halved twins, {cell.upper()}": (constructed.widened, {"cell": cell, "twins": True})
        for cell in CELLS
    },
}

#: Options of networks with copies that are not heard, by what varies within a class.
COPIES = {
    "own noise only": {},
    "own noise, shared input noise": {},
    "impossible: exact copies": {"noise": 0.0},
}


def regression(case):
    """Score nodes by what their states add to a linear regression of what the network says.

    This reference is no measure of relays, in bits, for nodes of any code: it knows that votes add
    up. It shows how much the states contain.

    Parameters
    ----------
    case : Case

    Returns
    -------
    ndarray of shape (n_nodes,)
        Sum of squares that the states of a node explain beyond the class and the states of all
        other nodes, per degree of freedom. What the network says is its log-odds, or 1 and -1.
    """
    states = case.states()
    said = np.where(case.concept_out == case.concept_out.max(), 1.0, -1.0)
    target = said if case.log_odds is None else said * case.log_odds
    blocks = [np.equal.outer(case.classes, np.unique(case.classes))]
    blocks += [np.equal.outer(node, np.unique(node)[1:]) for node in states.T]
    owner = np.repeat(np.arange(len(blocks)) - 1, [block.shape[1] for block in blocks])
    design = np.concatenate(blocks, axis=1).astype(float)
    inverse = np.linalg.pinv(design.T @ design)
    weights = inverse @ design.T @ target
    scores = np.zeros(states.shape[1])
    for node in np.unique(owner[owner >= 0]):
        own = np.flatnonzero(owner == node)
        part = np.linalg.pinv(inverse[np.ix_(own, own)])
        scores[node] = weights[own] @ part @ weights[own] / len(own)
    return scores


def all_scores(case, seed):
    """Return the scores of all nodes by every column, of shape (n_columns, n_nodes).

    Each method has its default number of states. Without a margin the second row is the first.
    """
    warnings.simplefilter("ignore")
    options = {"labels": case.classes, "random_state": seed}
    a, b = case.concept_in, case.concept_out
    found = [relay_scores(a, b, case.states(), log_odds=case.log_odds, **options)]
    found += found if case.log_odds is None else [relay_scores(a, b, case.states(), **options)]
    states = case.states(2)
    found += [relay_scores(a, b, states, method=method, random_state=seed) for method in OTHERS]
    return np.array([*found, regression(case)])


def precision(scores, relays, seed):
    """Return the fraction of relays among as many strongest nodes; ties are broken at random."""
    priority = np.random.default_rng(seed).permutation(len(scores))
    return np.isin(strongest_nodes(scores, len(relays), priority=priority), relays).mean()


def in_order(scores, pairs):
    """Return the fraction of nodes with a higher score than their copies; ties count half."""
    more = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    return np.where(np.abs(more) <= TIE, 0.5, more > 0).mean()


def precisions(case, seed):
    """Return the precision of every column."""
    return [precision(scores, case.relays, seed) for scores in all_scores(case, seed)]


def of_model(name, seed):
    """Return the precision of every column for a model."""
    return precisions(make_good(name, seed, N, N_NODES), seed)


def of_network(name, seed):
    """Return errors, precision by time step and column, and the difference of twins, if any.

    The difference is that of the default scores of twins, relative to the highest score, as the
    mean over twins.
    """
    network, options = NETWORKS[name]
    net = network(seed=seed, n=N, **options)
    steps = sorted({t for _, t in net.truth})
    found, errors, apart = {t: [] for t in steps}, [], []
    for (_, t), case in constructed.cases(net).items():
        scores = all_scores(case, seed)
        found[t].append([precision(row, case.relays, seed) for row in scores])
        errors.append(np.mean(case.concept_in != case.concept_out))
        if len(net.pairs):
            one, other = scores[0][net.pairs].T
            apart.append(np.abs(one - other).mean() / scores[0].max())
    by_step = np.array([np.mean(found[t], axis=0) for t in steps])
    return np.mean(errors), by_step, np.mean(apart) if apart else np.nan


def of_copies(kind, cell, seed):
    """Return errors, and the fraction of strong nodes above their copies by step and column."""
    alone = kind == "own noise only"
    errors, found = [], []
    for step in range(COPY_STEPS):
        options = {"step": step} if alone else {}
        net = constructed.widened(
            cell, seed, N, twins=False, n_timepoints=COPY_STEPS, **options, **COPIES[kind]
        )
        case = constructed.cases(net)[0, step]
        pairs = constructed.strong_pairs(net, step)
        found.append([in_order(row, pairs) for row in all_scores(case, seed)])
        errors.append(np.mean(case.concept_in != case.concept_out))
    return np.mean(errors), np.array(found), np.nan


def _models(n_seeds):
    """Return the table of models, and the precision of the default by the number of errors.

    The second is of the possible rows with decoys and without a margin: the mean precision of the
    default where the network makes at most `FEW_ERRORS` errors, and where it makes more.
    """
    rows, few, many = [], [], []
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    for name in tqdm(GOOD_NETS | IMPOSSIBLE, desc="good networks, models"):
        found = np.array(Parallel(n_jobs=2)(delayed(of_model)(name, seed) for seed in seeds))
        cases = [make_good(name, seed, N, N_NODES) for seed in seeds]
        errors = np.array([np.sum(case.concept_in != case.concept_out) for case in cases])
        cells = [f"{value:.2f}" for value in found.mean(axis=0)]
        if cases[0].log_odds is None:
            cells[1] = ""
            if name in GOOD_NETS and errors.any():
                few.extend(found[errors <= FEW_ERRORS, 0])
                many.extend(found[errors > FEW_ERRORS, 0])
        name = f"{'impossible: ' * (name in IMPOSSIBLE)}{name}"
        rows.append([name, f"{100 * errors.mean() / N:.1f} %", *cells])
    return markdown(["model", "errors", *COLUMNS], rows), np.mean(few), np.mean(many)


def _by_step(measure, tasks, n_seeds, desc):
    """Return a table of networks: errors, the default by time step, and means over time steps."""
    rows, apart = [], {}
    for task in tqdm(tasks, desc=desc):
        seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
        found = Parallel(n_jobs=2)(delayed(measure)(*task, seed) for seed in seeds)
        errors, by_step, difference = zip(*found, strict=True)
        mean = np.mean(by_step, axis=0)
        steps = ", ".join(f"{value:.2f}" for value in mean[:, 0])
        name = ", ".join([task[0], *(cell.upper() for cell in task[1:])])
        apart[name] = np.mean(difference)
        cells = [f"{value:.2f}" for value in mean.mean(axis=0)]
        rows.append([name, f"{100 * np.mean(errors):.1f} %", steps, *cells])
    return markdown(["network", "errors", "by time step", *COLUMNS], rows), apart


def _effects_by_step(n_seeds):
    """Return how much the noise of the register's relays changes the output, by time step."""
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + n_seeds):
        net = constructed.register(seed, N)
        effects = constructed.effects(net)
        found.append([effects[relays, t].mean() for (_, t), relays in net.truth.items()])
    return ", ".join(f"{value:.2f}" for value in np.mean(found, axis=0))


def run(quick):
    """Return the benchmark as text."""
    n_seeds, n_seeds_of_networks = (2, 2) if quick else (40, 12)
    models, few, many = _models(n_seeds)
    networks, apart = _by_step(
        of_network, [(name,) for name in NETWORKS], n_seeds_of_networks, "good networks, by hand"
    )
    kinds = [(kind, cell) for kind in COPIES for cell in CELLS]
    copies, _ = _by_step(of_copies, kinds, n_seeds_of_networks, "good networks, copies")
    twins = ", ".join(
        f"{100 * value:.1f} % ({name[-4:].strip(' ,')})"
        for name, value in apart.items()
        if "twins" in name
    )
    return (
        "## Good networks\n\nAccurate, redundant and saturated networks, and nodes of any shape, "
        f"with n={N}. The first table shows the precision of the top k nodes of {N_NODES}, where k "
        f"is the true number of relays, as a mean over {n_seeds} seeds from {FIRST_SEED} on. Ties "
        "are broken at random. The models are in `tests/benchmarks/good_nets.py`. *Votes* are the "
        "majority, or with a margin the sum, of nodes that know the concept with 10 % errors "
        "unless stated otherwise, beside three decoys that know it with as many errors as is said, "
        "mostly fewer, and are not heard. `throughput` is the default, with the margin of the "
        "network where the model has one, and *no margin* the same without it. Other methods "
        "cannot use it. Each method has the number of states that it has by default. *Regression* "
        "is a reference that only suits networks in which nodes add up: it scores a node by what "
        "its states add to a linear regression of what the network says on the class and the "
        "states of all other nodes.\n\n"
        "The constants of `throughput` were chosen on other models of the same kinds (votes, "
        "copies, error-free, one-hot, sparse, saturated, U-shaped; seeds 100 to 129) and on the "
        "planted models below; the sets, the root mean squares and the cut of activations also on "
        "seeds 5000 to 5039 and 7000 to 7039 of these tables and 3000 to 3039 of the planted model "
        "xor. *Impossible* rows are those in which a score of single nodes, "
        "given small sets of other nodes, cannot tell relays from other nodes. Where the "
        "regression can, all nodes together contain what small sets do not show.\n\n"
        f"{models}\n\n"
        "Without a margin only the errors show who is heard. In the possible rows without a "
        f"margin and with errors, the precision of `throughput` is {few:.2f} in the data sets "
        f"with at most {FEW_ERRORS} errors, and {many:.2f} in the others.\n\n"
        "The relays of the next networks (`tests/benchmarks/constructed.py`) are known at every "
        "time step for which a value is given, because their weights were set by hand; *halved "
        "twins* are put into trained networks, and share the outgoing weights of a node. The "
        "columns are the errors of the network, the precision of the default by time step, and "
        "means over time steps and bits. Every network has a margin. *Latches* hold two bits, each "
        "in three nodes that are heard, beside three for each that know it better and are not "
        "heard. A *register* moves a bit to other nodes at every time step, beside one that is not "
        "heard. An *automaton* computes the parity of symbols, and is known at its last time step. "
        f"There are {n_seeds_of_networks} seeds from {FIRST_SEED} on.\n\n{networks}\n\n"
        "In the register, noise fades from node to node: by time step, that of a relay changes the "
        f"logits by {_effects_by_step(n_seeds_of_networks)} per unit. At its first steps there is "
        "little evidence of who is heard, for any method that does not ask the network.\n\n"
        "Halved twins are heard as much as each other. Their scores differ by "
        f"{twins} of the highest score, as a mean over twins, because they have noise of their "
        "own. Without it they are the same, up to which nodes are in the sets that are drawn.\n\n"
        "In the next table nodes of trained networks have *unheard copies*, which receive all that "
        "the nodes receive and have no outgoing weights. The values are the fractions of strong "
        "nodes with a higher score than their copy; .5 is chance. With *own noise only*, nodes and "
        "copies have noise at the time step in question, and nothing else varies within a class. "
        "With *shared input noise* the copies know most errors of the network too. They have to do "
        "with the output beyond the class, and the default does not tell them from the nodes. "
        "Copies without noise of their own are *exact*: A, B and the states are the same for both, "
        f"so that only the draw of sets tells them apart.\n\n{copies}\n"
    )
