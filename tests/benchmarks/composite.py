"""Composite networks: one specialized block per bit, so that the relays of each bit are known.

Bit i is shown at time step i; then the network has to remember all bits for six time steps. Every
block is trained to report one bit, and `compose_networks` puts the blocks side by side. In *own*
networks every block receives its own bit only. In *shared* networks all blocks receive all bits on
one channel, so that the other blocks know, and may remember for long, what they do not report. They
are decoys in a trained network.
"""

import numpy as np
import torch
from scipy.special import softmax
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from relayestimators import StateDiscretizer, relay_map
from relayestimators.datasets import compose_networks
from relayestimators.networks import RecurrentNetwork
from relayestimators.relay._concepts import concept_log_odds
from relayestimators.relay._order import strongest_nodes

from .tables import markdown

DELAY = 6
NOISE = 0.4
METHODS = ("throughput", "contexts", "single", "shapley", "shrink", "gaussian")
CASES = [
    ("own", 3, 8),
    ("own", 3, 32),
    ("own", 4, 16),
    ("own", 5, 8),
    ("shared", 3, 8),
    ("shared", 3, 16),
]


def task(rng, n, n_bits):
    """Return bits shown one after the other on separate channels, with noise on all channels."""
    values = rng.integers(0, 2, (n, n_bits))
    X = NOISE * rng.normal(size=(n, n_bits, n_bits + DELAY))
    X[:, range(n_bits), range(n_bits)] += 2 * values - 1
    return torch.as_tensor(X, dtype=torch.float32), values


def _input_of(X, layout, bit):
    return X[:, [bit]] if layout == "own" else X.sum(dim=1, keepdim=True) / X.shape[1] ** 0.5


def train_block(layout, cell, n_bits, bit, size, seed, n_steps):
    """Return a block that is trained to report one bit."""
    rng = np.random.default_rng([seed, n_bits, bit, size])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        block = RecurrentNetwork(1, 2, hidden_size=size, cell=cell)
    optimizer = torch.optim.Adam(block.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for _ in range(n_steps):
        X, values = task(rng, 64, n_bits)
        logits = block(_input_of(X, layout, bit))
        loss = torch.nn.functional.cross_entropy(logits, torch.as_tensor(values[:, bit]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(block.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return block.eval()


def precisions(layout, cell, n_bits, size, seed, n_steps):
    """Return the precisions of all methods, by time step and pooled, and the accuracy of bits."""
    blocks = [train_block(layout, cell, n_bits, i, size, seed, n_steps) for i in range(n_bits)]
    channels = [[i] for i in range(n_bits)] if layout == "own" else None
    whole = compose_networks(blocks, channels=channels)
    X, values = task(np.random.default_rng([seed, 77]), 1000, n_bits)
    X = X if layout == "own" else _input_of(X, layout, None)
    with torch.no_grad():
        run = whole.unroll(X)
    combinations = np.array(list(np.ndindex(*(2,) * n_bits)))
    logits = run.output.numpy()
    said = combinations[logits.argmax(axis=1)]
    margin = concept_log_odds(logits, softmax(logits, axis=1), combinations)
    states = {  # each method has its default number of states
        n_states: StateDiscretizer(n_states).fit_transform(run.hidden.numpy()[:, n_bits:])
        for n_states in (2, 4)
    }
    found = {}
    if layout == "shared":
        found["explained"] = _explained(run, combinations, n_bits, size)
    for method in METHODS:
        options = {"method": method, "random_state": 0}
        if method == "throughput":
            options |= {"log_odds": margin, "labels": values @ 2 ** np.arange(n_bits)}
        n_states = 4 if method == "throughput" else 2
        relays = relay_map(values, said, states[n_states], **options).relay_map
        truth = [np.arange(i * size, (i + 1) * size) for i in range(n_bits)]
        steps = [_hits(relays[i, t], truth[i]) for i in range(n_bits) for t in range(DELAY)]
        pooled = [_hits(relays[i].mean(axis=0), truth[i]) for i in range(n_bits)]
        found[method] = np.mean(steps), np.mean(pooled)
    return found, (said == values).mean()


def _explained(run, combinations, n_bits, size):
    """Return how well the states of the own, and of the best other, block predict the log-odds.

    The measure is the held-out R2 of kernel regression, right after the last bit and at the end,
    averaged over bits.
    """
    hidden = run.hidden.double()[:, [n_bits - 1, -1]].numpy()
    output = run.output.double()
    explained = np.empty((2, n_bits, n_bits))
    for bit in range(n_bits):
        one = torch.as_tensor(combinations[:, bit] == 1)
        odds = (output[:, one].logsumexp(1) - output[:, ~one].logsumexp(1)).numpy()
        for block in range(n_bits):
            for step in range(2):
                states = hidden[:, step, block * size : (block + 1) * size]
                model = make_pipeline(StandardScaler(), KernelRidge(alpha=0.01, kernel="rbf"))
                scores = cross_val_score(model, states, odds, cv=3, scoring="r2")
                explained[step, bit, block] = scores.mean()
    own = explained.diagonal(axis1=1, axis2=2).mean(axis=1)
    explained[:, range(n_bits), range(n_bits)] = -np.inf
    return np.column_stack([own, explained.max(axis=2).mean(axis=1)])


def _hits(scores, truth):
    return np.isin(strongest_nodes(scores, len(truth)), truth).mean()


def run(quick):
    """Return the benchmark as text."""
    cases = [("own", 3, 8), ("shared", 3, 8)] if quick else CASES
    n_seeds, n_steps = (1, 100) if quick else (3, 500)
    rows, bounds = [], []
    bar = tqdm(total=3 * n_seeds * len(cases), desc="composite networks")
    for layout, n_bits, size in cases:
        table = {method: [f"{layout}, {n_bits} bits, {size} nodes"] for method in METHODS}
        for method in METHODS:
            table[method].append(f"`{method}`")
        for cell in ("rnn", "gru", "lstm"):
            results = []
            for seed in range(n_seeds):
                results.append(precisions(layout, cell, n_bits, size, seed, n_steps))
                bar.update()
            if layout == "shared":
                (own0, other0), (own1, other1) = np.mean([r[0]["explained"] for r in results], 0)
                bounds.append(
                    [f"{n_bits} bits, {size} nodes", cell.upper()]
                    + [f"{own0:.2f} / {other0:.2f}", f"{own1:.2f} / {other1:.2f}"]
                )
            accuracy = np.mean([result[1] for result in results])
            for method in METHODS:
                step, pooled = np.mean([result[0][method] for result in results], axis=0)
                table[method].append(f"{step:.2f} / {pooled:.2f}")
            table[METHODS[0]][-1] += f" (bits {accuracy:.2f})"
        rows += table.values()
    bar.close()
    first = markdown(["network", "method", "RNN", "GRU", "LSTM"], rows)
    second = markdown(["network", "cell", "after the last bit", "at the end"], bounds)
    return (
        "## Composite networks\n\nThe table shows the precision of the top H nodes for every bit, "
        "where H is the number of nodes of its block: the mean over the time steps after the last "
        "bit (left), and the precision of the map averaged over these time steps (right). There "
        f"are 1000 instances that the blocks have not seen, input noise {NOISE}, and {n_seeds} "
        f"seeds from 0 on. The accuracy of the bits is in brackets.\n\n{first}\n\n"
        "In *shared* networks every block receives every bit, and the same noise. As long as a "
        "block remembers what it does not report, it is a decoy that knows the errors too. The "
        "next table shows how well the states of the own block, and of the best other block, "
        "predict the log-odds that the network gives to a bit (held-out R2 of kernel regression). "
        "Where the second value is as high as the first, nothing computed from A, B and the states "
        f"can tell which block drives the output. A knockout can.\n\n{second}\n"
    )
