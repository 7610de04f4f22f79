"""Rankings of nodes, compared by the cost of knocking out their top nodes; `make rankings`."""

import numpy as np
from scipy.stats import t as student
from tqdm import tqdm

from relayestimators import load_panel
from relayestimators._validation import check_concepts
from relayestimators.classifiers import CELLS
from relayestimators.datasets import make_memory_task
from relayestimators.inspection import (
    RANKINGS,
    combine_rankings,
    compare_rankings,
    knockout_sweep,
    rank_nodes,
)
from relayestimators.inspection._ablation import other_partitions
from relayestimators.inspection._combination import specific_scores
from relayestimators.relay import METHODS

from .tables import markdown

STATES = {"RNN": ("RNN", "h"), "GRU": ("GRU", "h"), "LSTM": ("LSTM", "h"), "LSTM, c": ("LSTM", "c")}
OF_CELLS = (*METHODS, "interchange", "random", "variance")  # also for memory cells
SPECIFIC = ("interchange", "knockout", "throughput", "readout")
FIRST = "throughput * knockout"
COMBINED = [("throughput", "knockout"), ("throughput", "readout"), ("throughput", "gradient")]


def memory_task(quick):
    """Return data for training, ranking and measuring, options by window, and training options."""
    task = make_memory_task(600 if quick else 5000, noise=0.4, random_state=0)
    ends = [0, 200, 400, 600] if quick else [0, 2000, 3000, 5000]
    parts = [slice(*pair) for pair in zip(ends[:-1], ends[1:], strict=True)]
    delay = list(range(*task.delay))
    steps = {None: [*delay, task.recall], 1: delay}
    options = {width: {"timepoints": t, "concepts": task.concepts} for width, t in steps.items()}
    training = {"lr": 0.003, "batch_size": 32, "max_epochs": 40}
    return *((task.data[part], task.target[part]) for part in parts), options, training


def shipped(name, steps):
    """Return a dataset of sktime; it is too small for a third part, so the training part ranks."""

    def make(quick):
        X_train, y_train, X_test, y_test = load_panel(name)
        options = {width: {"timepoints": timepoints} for width, timepoints in steps.items()}
        return (X_train, y_train), (X_train, y_train), (X_test, y_test), options, {}

    return make


SETS = {
    "memory task, 3 bits": memory_task,
    "BasicMotions": shipped("BasicMotions", {None: [9, 29, 49, 69, 89], 30: [9, 29, 49]}),
    "JapaneseVowels": shipped("JapaneseVowels", {None: [0, 2, 4, 6, 8, 10], 3: [0, 2, 4]}),
}
READING = {
    "memory task, 3 bits": (
        "The data are `make_memory_task(5000, noise=0.4)`: 2000 instances for training, 1000 for "
        "ranking nodes, and 2000 for measuring. The concepts are the bits. The time steps are "
        "those of the delay and, for knockouts until the end, also the recall."
    ),
    "BasicMotions": (
        "The official split has 40 and 40 instances. Nodes are ranked on the training part. The "
        "concepts are the classes."
    ),
    "JapaneseVowels": (
        "The official split has 270 and 370 instances of unequal length. Nodes are ranked on the "
        "training part. The concepts are the nine classes."
    ),
}


def run(quick):
    """Return the benchmark as text."""
    seeds = range(1 if quick else 5)
    parts = [
        "## Rankings of nodes, side by side\n\n"
        f"The networks have 32 nodes and seeds {seeds[0]} to {seeds[-1]}. Every ranking chooses 8 "
        "nodes for each concept at each time step. They are clamped to their mean (mean ablation) "
        "from that time step until the end, or for some time steps (`compare_rankings`, `width=`). "
        "*Own / other* are the bits of I(A;B) lost for the concept of the ranking, and the mean "
        "for the other concepts, as means over concepts, time steps and seeds. *LSTM, c* are "
        "memory cells, all other columns hidden states. *Own - other* is the mean over the "
        "networks (hidden states) with a 95 % interval over networks. *Behind* is how far the "
        f"ranking is behind `{FIRST}`, paired, with a 95 % interval over networks, and *in* is the "
        "number of networks in which it is behind. `A * B` is `combine_rankings`. `knockout` is "
        "the change of the log-odds if the node is clamped alone, over the same window. "
        "`interchange` exchanges states over the same window. *Specific* scores "
        "are a node's fraction for the concept less its mean fraction for the others."
    ]
    for name, make in SETS.items():
        parts += _tables(name, make, seeds, quick)
    return "\n\n".join(parts) + "\n"


def _tables(name, make, seeds, quick):
    train, find, measure, options, training = make(quick)
    if quick:
        training = training | {"max_epochs": 10}
    results = {width: {} for width in options}
    scores = {}
    for cell, seed in tqdm([(cell, seed) for cell in CELLS for seed in seeds], desc=name):
        net = CELLS[cell](module__hidden_size=32, random_state=seed, **training).fit(*train)
        scores.setdefault(cell, []).append(net.score(*measure))
        for column, (kind, state) in STATES.items():
            if kind != cell:
                continue
            ranked = _ranked(net, find, options, state, seed)
            for width in options:
                results[width][column, seed] = compare_rankings(
                    net,
                    *measure,
                    find=find,
                    rankings=ranked[width],
                    width=width,
                    n_relays=8,
                    state=state,
                    random_state=seed,
                    **options[width],
                )
    accuracy = ", ".join(f"{cell} {min(v):.2f}-{max(v):.2f}" for cell, v in scores.items())
    yield f"### {name}\n\n{READING[name]} Accuracy: {accuracy}."
    for width, steps in options.items():
        until = "until the end" if width is None else f"for {width} time step{'s' * (width > 1)}"
        at = ", ".join(map(str, steps["timepoints"]))
        yield f"*Clamped {until}, from time steps {at}:*\n\n{_table(results[width])}"


def _ranked(net, find, options, state, seed):
    """Return the scores of all rankings by width of the window."""
    steps = sorted({t for window in options.values() for t in window["timepoints"]})
    shared = {key: value for key, value in options[None].items() if key != "timepoints"}
    shared |= {"state": state, "random_state": seed}
    concepts = check_concepts(shared.get("concepts", "ovr"), len(net.classes_))
    made = {
        method: rank_nodes(net, *find, method=method, timepoints=steps, **shared)
        for method in (RANKINGS if state == "h" else OF_CELLS)
        if method != "interchange"  # depends on the window, as knockouts do
    }
    ranked = {}
    for width, window in options.items():
        at = np.searchsorted(steps, window["timepoints"])
        here = {method: scores[:, at] for method, scores in made.items()}
        here["knockout"] = knockout_sweep(net, *find, width=width, **{**shared, **window}).effect
        here["interchange"] = rank_nodes(
            net, *find, method="interchange", window=width, **{**shared, **window}
        )
        ranked[width] = {
            " * ".join(parts): combine_rankings(*(here[part] for part in parts))
            for parts in COMBINED
            if here.keys() >= set(parts)
        } | here
        for method in SPECIFIC:
            if method in here:
                different = other_partitions(concepts)
                ranked[width][f"specific {method}"] = specific_scores(here[method], different)
    return ranked


def _table(results):
    names = next(iter(results.values())).rankings
    order = [name for name in names if name != "random"] + ["random"]
    hidden = [key for key in results if STATES[key[0]][1] == "h"]
    specificity = np.array([results[key].specificity for key in hidden])
    behind = specificity[:, [names.index(FIRST)]] - specificity
    rows = []
    for name in order:
        cells = [
            f"{_over(results, column, 'own', name)} / {_over(results, column, 'other', name)}"
            for column in STATES
        ]
        i = names.index(name)
        ahead = f"{(behind[:, i] > 0).sum()}/{len(hidden)}"
        rows.append([f"`{name}`", *cells, _mean(specificity[:, i]), _mean(behind[:, i]), ahead])
    for text, part in (("*random nodes*", "random"), ("*information to lose*", "information")):
        rows.append([text, *(_over(results, column, part) for column in STATES), "", "", ""])
    header = ["ranking", *(f"{column}: own / other" for column in STATES)]
    return markdown([*header, "own - other", "behind", "in"], rows)


def _over(results, column, part, name=None):
    """Return the mean over seeds of one result, for one ranking or for all of them."""
    values = []
    for (where, _), result in results.items():
        if where == column and (name is None or name in result.rankings):
            i = slice(None) if name is None else result.rankings.index(name)
            values.append(result[part][i].mean())
    return f"{np.mean(values):.3f}" if values else "-"


def _mean(values):
    """Return the mean and 95 % interval over networks as text."""
    if len(values) < 2:
        return f"{values.mean():.3f}"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"
