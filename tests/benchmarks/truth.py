"""Good networks, of which the relays are known: precision of the strongest nodes by method."""

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from relayestimators.relay import relay_scores
from relayestimators.relay._order import strongest_nodes

from . import constructed
from .good_nets import GOOD_NETS, IMPOSSIBLE, make_good
from .tables import markdown

METHODS = ("throughput", "contexts", "single", "shrink", "gaussian")
FIRST_SEED = 7000

#: Networks made by hand: name -> function of (seed, n) that returns a `constructed.Net`.
NETWORKS = {
    **{
        f"latches, {cell.upper()}, {errors}": (
            lambda seed, n, cell=cell, noise=noise: constructed.latches(
                cell, seed, n, noise=noise, decoy_noise=0.8 * noise
            )
        )
        for cell in ("rnn", "gru", "lstm")
        for errors, noise in (("3 % errors", 0.8), ("no errors", 0.3))
    },
    "register, RNN": constructed.register,
    "automaton, RNN": constructed.automaton,
    **{
        f"halved twins, trained {cell.upper()}": (
            lambda seed, n, cell=cell: constructed.widened(cell, seed, n, twins=True)
        )
        for cell in ("rnn", "gru", "lstm")
    },
}

#: Copies that are not heard, and know what the network knows, its errors and its noise included.
COPIES = {
    f"unheard copies{what}, trained {cell.upper()}": (
        lambda seed, n, cell=cell, noise=noise: constructed.widened(
            cell, seed, n, twins=False, noise=noise
        )
    )
    for what, noise in (("", 0.5), (", exact", 0.0))
    for cell in ("rnn", "gru", "lstm")
}


def precision(scores, relays, seed):
    """Return the fraction of relays among as many strongest nodes; ties are broken at random."""
    priority = np.random.default_rng(seed).permutation(len(scores))
    return np.isin(strongest_nodes(scores, len(relays), priority=priority), relays).mean()


def precisions(case, seed):
    """Return the precision of all methods, each with its default number of states."""
    found = []
    for method in METHODS:
        options = {"method": method, "random_state": seed}
        if method == "throughput":
            options |= {"log_odds": case.log_odds, "labels": case.classes}
        states = case.states(4 if method == "throughput" else 2)
        scores = relay_scores(case.concept_in, case.concept_out, states, **options)
        found.append(precision(scores, case.relays, seed))
    return found


def _of_model(name, seed, n):
    return [precisions(make_good(name, seed, n, 32), seed)]


def _of_network(name, seed, n):
    cases = constructed.cases((NETWORKS | COPIES)[name](seed, n))
    return [precisions(case, seed) for case in cases.values()]


def run(quick):
    """Return the benchmark as text."""
    n_seeds = 2 if quick else 40
    n_seeds_of_networks = 2 if quick else 12
    rows = []
    groups = [
        (GOOD_NETS, _of_model, n_seeds, ""),
        (NETWORKS, _of_network, n_seeds_of_networks, ""),
        (IMPOSSIBLE, _of_model, n_seeds, "impossible: "),
        (COPIES, _of_network, n_seeds_of_networks, "impossible: "),
    ]
    tasks = [(group[1], name, group) for group in groups for name in group[0]]
    for measure, name, group in tqdm(tasks, desc="good networks"):
        seeds = range(FIRST_SEED, FIRST_SEED + group[2])
        of_seeds = Parallel(n_jobs=2)(delayed(measure)(name, seed, 1000) for seed in seeds)
        mean = np.mean([np.mean(cases, axis=0) for cases in of_seeds], axis=0)
        rows.append([f"{group[3]}{name}", *(f"{value:.2f}" for value in mean)])
    table = markdown(["model", *(f"`{method}`" for method in METHODS)], rows)
    return (
        "## Good networks\n\nAccurate, redundant and saturated networks, and nodes of any shape. "
        "The table shows the precision of the top k nodes, where k is the true number of relays, "
        f"with n=1000. Models (`tests/benchmarks/good_nets.py`) have 32 nodes and {n_seeds} seeds "
        f"from {FIRST_SEED} on. *Votes* are the majority, or with a margin the sum, of nodes that "
        "know the concept with 10 % errors unless stated otherwise, beside decoys that know it "
        "better and are not heard. Networks (`tests/benchmarks/constructed.py`) have weights set "
        "by hand, or are trained and then get copies of all nodes: *halved twins* share the "
        "outgoing weights of a node, *unheard copies* have none. These copies receive all that the "
        "nodes receive, the noise included, and so know the errors too. The precision in networks "
        f"is the mean over all time steps and bits, with {n_seeds_of_networks} seeds. `throughput` "
        "knows the margin where the name of a model says so, and in all networks. The other "
        "methods cannot use it. Each method has the number of states that it has by default. "
        "The constants of `throughput` were chosen on other models of the same kinds (votes, "
        "copies, error-free, one-hot, sparse, saturated, U-shaped; seeds 100 to 129) and on the "
        "planted models below; the number of sets for the evidence also on seeds 5000 to 5039 of "
        "four rows of this table. *Impossible* rows are those in which A, B, the states and the "
        f"margin do not tell relays from other nodes.\n\n{table}\n"
    )
