"""Significance, number of relays and confidence intervals, compared with the truth."""

import numpy as np
from tqdm import tqdm

from relayestimators import relay_map

from .models import make
from .tables import markdown

CASES = [
    (name, n, n_nodes)
    for name, n in (
        ("noise", 500),
        ("A only", 500),
        ("A and B", 500),
        ("hard", 500),
        ("weak", 1000),
        ("redundant", 1000),
    )
    for n_nodes in (16, 32)
]


def _map(problem, **options):
    a, b, states, _ = problem
    return relay_map(a[:, None], b[:, None], states[:, None], **options)


def run(quick):
    """Return the benchmark as text."""
    n_trials = 10 if quick else 100
    rows = []
    for name, n, n_nodes in tqdm(CASES, desc="significance"):
        false, wrong, power, sizes = [], [], [], []
        for seed in range(3000, 3000 + n_trials):
            problem = make(name, seed, n, n_nodes)
            result = _map(problem, n_permutations=39, random_state=seed)
            relays = problem[3]
            others = np.setdiff1d(np.arange(n_nodes), relays)
            significant = result.significant[0, 0]
            false.append(significant[others].any())
            wrong.append(significant[others].sum() / max(1, significant.sum()))
            power.append(significant[relays].mean() if len(relays) else np.nan)
            sizes.append(result.n_beyond)
        right = np.mean(np.array(sizes) == len(relays))
        rows.append(
            [
                name,
                n,
                n_nodes,
                f"{np.mean(false):.2f}",
                f"{np.mean(wrong):.2f}",
                f"{np.mean(power):.2f}" if len(relays) else "",
                len(relays),
                f"{right:.2f}",
                f"{np.mean(sizes):.2f}",
            ]
        )
    header = [
        "model",
        "n",
        "nodes",
        "any false",
        "fraction false",
        "power",
        "relays",
        "auto is right",
        "auto, mean",
    ]
    first = markdown(header, rows)
    return (
        "## Significance and the number of relays\n\nEvery trial has one concept, one time step, "
        f"and 39 permutations of A and of B; there are {n_trials} trials with seeds from 3000 on. "
        "*Any false* is the fraction of trials in which a node that is not a relay is called "
        "significant at a false discovery rate of 5 %; where there are no relays, this is the "
        "false positive rate. *Fraction false* is the fraction of false discoveries among all "
        "significant nodes, which the false discovery rate promises to keep below 5 %. *Power* is "
        'the fraction of true relays called significant. *Auto* is `n_relays="auto"`, before it is '
        "raised to at least 1.\n\n"
        f"{first}\n\n{_intervals(quick)}"
    )


def _intervals(quick):
    """Return how often a 95 % interval contains the score computed from very many instances."""
    n_trials = 5 if quick else 40
    rows = []
    for name in ("independent", "weak", "redundant", "hard"):
        inside = []
        for seed in tqdm(range(4000, 4000 + n_trials), desc=f"intervals, {name}"):
            a, b, states, relays = make(name, seed, 20_000, 16)
            options = {"context_size": 1, "n_contexts": 16, "random_state": 0}
            truth = _map((a, b, states, relays), **options).relay_map[0, 0, relays]
            few = _map((a[:500], b[:500], states[:500], relays), n_resamples=100, **options)
            low, high = few.confidence_interval[:, 0, 0, relays]
            inside.append((low <= truth) & (truth <= high))
        rows.append([name, f"{np.mean(inside):.2f}"])
    table = markdown(["model", "fraction of 95 % intervals that contain the truth"], rows)
    return (
        "The next table is about confidence intervals for the scores of true relays, with n=500, "
        f"16 nodes, 100 random halves, and {n_trials} trials with seeds from 4000 on. The truth is "
        "the score of 20000 instances of the same model, which include the 500 instances.\n\n"
        f"{table}\n"
    )
