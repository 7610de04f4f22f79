"""Training time, compared with a bare loop in torch and with sktime's torch classifiers.

Runs are short and come in pairs in alternating order, and their processor times are compared, so
that other processes matter little. The loops do what the classifiers do: they use the same batches,
loss, clipping and optimizer, and read the loss of every batch. They therefore end with the same
weights, bit for bit.
"""

import time
from itertools import repeat

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from tqdm import tqdm

from relayestimators.classifiers import CELLS
from relayestimators.networks import RecurrentNetwork

from .tables import markdown

N_CHANNELS, N_CLASSES = 3, 4
LR, CLIP = 0.01, 1.0  # the defaults of the classifiers
SPLIT = ValidSplit(5, stratified=True)
SIZES = [  # nodes, time steps, instances, batch, epochs, pairs of runs
    (16, 20, 640, 16, 3, 30),
    (64, 100, 640, 64, 3, 30),
]


class PlainNetwork(nn.Module):
    """A network as one would write it by hand, without series of unequal length or knockouts."""

    def __init__(self, cell, hidden_size):
        super().__init__()
        self.recurrent = getattr(nn, cell)(N_CHANNELS, hidden_size)
        self.readout = nn.Linear(hidden_size, N_CLASSES)

    def forward(self, X):
        """Return the logits of a panel (n_instances, n_channels, n_timepoints)."""
        _, final = self.recurrent(X.permute(2, 0, 1))
        final = final[0] if isinstance(final, tuple) else final
        return self.readout(final[-1])


def _own(cell, hidden_size):
    return RecurrentNetwork(N_CHANNELS, N_CLASSES, hidden_size, cell=cell.lower())


LOOPS = {"the same network": _own, "a plain network": PlainNetwork}


def _panel(n, n_timepoints):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, N_CHANNELS, n_timepoints)).astype(np.float32)
    return X, rng.integers(0, N_CLASSES, n)


def bare_loop(make, X, y, batch_size, epochs, split):
    """Train a network that `make` returns; `split` is a pair of rows (train, valid) or None."""
    torch.manual_seed(check_random_state(0).randint(2**31 - 1))  # as random_state=0 does
    network, criterion = make(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    if split is not None:
        (X, X_valid), (y, y_valid) = ([part[rows] for rows in split] for part in (X, y))
    history = []
    for _ in range(epochs):
        network.train()
        total = 0.0
        for rows in _shuffled(len(X)).split(batch_size):
            loss = criterion(network(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            total += loss.item() * len(rows)
        history.append([total / len(X)])
        if split is not None:
            history[-1] += _validated(network, criterion, X_valid, y_valid, batch_size)
    return network


def _shuffled(n):
    """Return the order that a DataLoader draws."""
    torch.empty((), dtype=torch.int64).random_()  # a DataLoader draws the seed of its workers here
    generator = torch.Generator()
    generator.manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
    return torch.randperm(n, generator=generator)


@torch.no_grad()
def _validated(network, criterion, X, y, batch_size):
    network.eval()
    torch.empty((), dtype=torch.int64).random_()  # as a DataLoader does
    loss = hits = 0.0
    for some, labels in zip(X.split(batch_size), y.split(batch_size), strict=True):
        logits = network(some)
        loss += criterion(logits, labels).item() * len(labels)
        hits += (logits.argmax(dim=1) == labels).sum().item()
    return [loss / len(X), hits / len(X)]


def seconds_of(function):
    """Return the processor time of a call, and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def compare(ours, others, n_pairs):
    """Compare the time of `ours` with that of every other function.

    Return the median and quartiles of the ratios, and the results of all functions.
    """
    ours()
    results = [other() for other in others]
    found = []
    for other in others:
        ratios = []
        for i in range(n_pairs):
            pair = [seconds_of(call)[0] for call in ((ours, other) if i % 2 else (other, ours))]
            ratios.append(pair[0] / pair[1] if i % 2 else pair[1] / pair[0])
        low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        found.append(f"{median:.2f} ({low:.2f} to {high:.2f})")
    return found, [ours(), *results]


def _beside_loops(size, cell, split, quick):
    """Return a row of the first table."""
    hidden_size, n_timepoints, n, batch_size, epochs, n_pairs = size
    X, y = _panel(n, n_timepoints)
    rows = None if split is None else [part.indices for part in split(Dataset(X, y), y)]

    def ours():
        net = CELLS[cell](
            module__hidden_size=hidden_size,
            batch_size=batch_size,
            max_epochs=epochs,
            train_split=split,
            random_state=0,
        )
        return net.fit(X, y).module_

    def loop(make):
        return lambda: bare_loop(
            lambda: make(cell, hidden_size), X, y, batch_size, epochs, split=rows
        )

    others = [loop(make) for make in LOOPS.values()]
    ratios, networks = compare(ours, others, 2 if quick else n_pairs)
    same = all(
        torch.equal(a, b)
        for network in networks[1:]
        for a, b in zip(networks[0].parameters(), network.parameters(), strict=True)
    )
    what = f"H={hidden_size}, T={n_timepoints}, batches of {batch_size}"
    return [what, cell, "" if split is None else "a fifth", *ratios, "yes" if same else "no"]


def _beside_sktime(cell, quick):
    """Return a row of the second table."""
    from sktime.classification.deep_learning.gru import GRUClassifier as GRUOfSktime
    from sktime.classification.deep_learning.rnn import SimpleRNNClassifierTorch

    hidden_size, n_timepoints, n, batch_size, epochs, n_pairs = SIZES[0]
    X, y = _panel(n, n_timepoints)
    settings = {"hidden_dim": hidden_size, "n_layers": 1, "num_epochs": epochs, "lr": LR}
    settings |= {"batch_size": batch_size, "optimizer": "Adam", "random_state": 0}
    peer, options = {
        "RNN": (SimpleRNNClassifierTorch, {"activation_hidden": "Tanh", "callbacks": None}),
        "GRU": (GRUOfSktime, {"batch_first": True}),
    }[cell]

    def ours(**more):
        net = CELLS[cell](
            module__hidden_size=hidden_size, batch_size=batch_size, max_epochs=epochs, **more
        )
        return net.fit(X, y)

    equal = {"callbacks__gradient_clipping": None, "iterator_train__shuffle": False}
    n_pairs = 2 if quick else n_pairs
    ratios = [
        compare(lambda o=o: ours(**o), [lambda: peer(**settings, **options).fit(X, y)], n_pairs)[0]
        for o in (equal, {})
    ]
    return [f"`{peer.__name__}`", *(ratio[0] for ratio in ratios)]


def run(quick):
    """Return the benchmark as text."""
    cases = [(size, cell, split) for size in SIZES for split in (None, SPLIT) for cell in CELLS]
    rows = [_beside_loops(*case, q) for case, q in zip(tqdm(cases, "loops"), repeat(quick))]
    header = ["size", "cell", "held out", *(f"loop, {name}" for name in LOOPS), "same weights"]
    first = markdown(header, rows)
    second = markdown(
        ["sktime's", "ours as sktime trains", "ours with defaults"],
        [_beside_sktime(cell, quick) for cell in tqdm(("RNN", "GRU"), "sktime")],
    )
    nodes, steps, n, batch, epochs, _ = SIZES[0]
    return (
        "## Training\n\nThe table shows the processor time of `fit` with defaults, as a multiple "
        "of that of a bare loop in torch that does the same work: the median over pairs of runs, "
        f"and quartiles. There are {n} instances, {N_CHANNELS} channels, {epochs} epochs and one "
        "torch thread. The loop trains our `RecurrentNetwork`, or a plain `nn.RNN` (`nn.GRU`, "
        "`nn.LSTM`) with `nn.Linear`, which does not look for the ends of series. *Held out*: with "
        "`train_split=ValidSplit(5, stratified=True)`; the loop then computes loss and accuracy of "
        "the held-out part in every epoch. *Same weights*: our classifier and both loops end with "
        f"the same weights, bit for bit.\n\n{first}\n\n"
        "The next table shows the same time as a multiple of that of sktime's torch classifiers "
        f"with the same number of nodes, epochs, batches and Adam (H={nodes}, T={steps}, batches "
        f"of {batch}). sktime neither shuffles nor clips gradients; in the first column our "
        f"classifiers do not either. sktime has no plain LSTM classifier in torch.\n\n{second}\n"
    )
