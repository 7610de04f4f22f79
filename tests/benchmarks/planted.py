"""Precision of the top k nodes by method and model, where k is the number of planted relays."""

import numpy as np
from tqdm import tqdm

from relayestimators.relay import METHODS, relay_pairs, relay_scores
from relayestimators.relay._order import strongest_nodes

from .models import make
from .tables import markdown

SETTINGS = [
    ("independent", 1000),
    ("weak", 1000),
    ("low rank", 1000),
    ("redundant", 1000),
    ("decoys 5/2", 1000),
    ("decoys 10/5", 1000),
    ("hard", 1000),
    ("hard", 500),
    ("xor", 1000),
]
SCALES = [(16, 250), (32, 250), (64, 500), (64, 1000), (128, 1000), (64, 5000)]


def precision(scores, relays):
    """Return the fraction of the true relays among as many strongest nodes."""
    return np.isin(strongest_nodes(scores, len(relays)), relays).mean()


def _scores(method, a, b, states):
    return relay_scores(a, b, states, method=method, random_state=0)


def _pair_precision(a, b, states, relays):
    return np.isin(relay_pairs(a, b, states).pairs[0], relays).mean()


def run(quick):
    """Return the benchmark as text."""
    n_seeds = 5 if quick else 40
    rows = {method: [f"`{method}`"] for method in METHODS}
    pairs = ["`relay_pairs`"] + ["" for _ in SETTINGS]
    for column, (name, n) in enumerate(tqdm(SETTINGS, desc="planted, 32 nodes")):
        problems = [make(name, seed, n, 32) for seed in range(1000, 1000 + n_seeds)]
        for method, row in rows.items():
            values = [precision(_scores(method, *p[:3]), p[3]) for p in problems]
            row.append(f"{np.mean(values):.2f}")
        if name == "xor":
            pairs[column + 1] = f"{np.mean([_pair_precision(*p) for p in problems]):.2f}"
    header = ["method", *(f"{name}, n={n}" for name, n in SETTINGS)]
    first = markdown(header, [*rows.values(), pairs])

    n_seeds = 2 if quick else 10
    names = [name for name, n in SETTINGS if n == 1000]
    rows = []
    for n_nodes, n in tqdm(SCALES, desc="planted, other sizes"):
        row = [n_nodes, n]
        for name in names:
            problems = [make(name, seed, n, n_nodes) for seed in range(2000, 2000 + n_seeds)]
            values = [
                np.mean([precision(_scores(method, *p[:3]), p[3]) for p in problems])
                for method in ("throughput", "contexts")
            ]
            row.append(" / ".join(f"{value:.2f}" for value in values))
        rows.append(row)
    second = markdown(["nodes", "n", *names], rows)
    return (
        "## Planted relays\n\nThe table shows the precision of the top k nodes, where k is the "
        f"true number of relays, for 32 nodes, as a mean over {5 if quick else 40} seeds from "
        '1000 on. The models are in `tests/benchmarks/models.py`; "decoys 5/2" has relays with 5 % '
        f"flips beside decoys with 2 % flips.\n\n{first}\n\nThe next table shows `throughput` / "
        f"`contexts` at other sizes, as a mean over {n_seeds} seeds from 2000 on.\n\n{second}\n"
    )
