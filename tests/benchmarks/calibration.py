"""Significance, number of relays and confidence intervals against what is true."""

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
    """Return the tables as text."""
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
        "share false",
        "power",
        "relays",
        "auto is right",
        "auto, mean",
    ]
    first = markdown(header, rows)
    return (
        "## Significance and the number of relays\n\nOne concept, one time step, 39 permutations "
        f"of A and of B, {n_trials} trials with seeds from 3000 on. *any false*: share of trials "
        "in which a node that is no relay is called significant at a false discovery rate of 5 %; "
        "where there are no relays this is the false positive rate. *share false*: of all called "
        "significant, what the rate promises to keep below 5 %. *power*: share of the true relays "
        'called significant. *auto*: `n_relays="auto"`, before it is raised to 1.\n\n'
        f"{first}\n\n{_intervals(quick)}"
    )


def _intervals(quick):
    """How often a 95 % interval holds the score of very many instances."""
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
    table = markdown(["model", "share of 95 % intervals that hold the truth"], rows)
    return (
        "Confidence intervals of the scores of true relays, n=500, 16 nodes, 100 halves, "
        f"{n_trials} trials with seeds from 4000 on; the truth is the score of 20000 instances of "
        f"the same model, of which the 500 are a part.\n\n{table}\n"
    )
