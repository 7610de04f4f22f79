"""The part of the page that goes beyond the paper: one thing varied at a time."""

import numpy as np

from relayestimators.classifiers import CELLS
from relayestimators.relay import DEFAULT_METHOD

from .measure import COMBINED, RANKINGS
from .nets import figures
from .plan import BEYOND, TASKS, TWO_CLASSES, WINDOWS
from .statistics import ALPHA, mean_over_nets, trend
from .tables import interval, markdown, number, pvalue

FOLLOWED = {
    "accuracy": None,
    "similarity": ("drift", DEFAULT_METHOD, "similarity", 1),
    "stability": ("drift", "stability", 1),
    "nodes": ("drift", DEFAULT_METHOD, "participation"),
    "own - other": ("own", "other"),
}


#: What is followed during training.
COURSE = {
    "accuracy": "accuracy",
    "similarity": "similarity at lag 1",
    "final": "similarity to the trained net",
}
SETTLED = 0.9


def held_in(cell):
    """Return the states in which a cell holds what it has seen."""
    return "c" if cell == "LSTM" else "h"


def followed(group, path, *, layer=-1):
    """Return one of the figures that are followed, of every net that learned.

    Parameters
    ----------
    group : list of dict
        Nets of one cell.
    path : None or tuple
        Value of `FOLLOWED`.
    layer : int, default=-1
        Of which layer.

    Returns
    -------
    ndarray of shape (n_nets,)
    """
    if path is None or not group:
        return np.array([net["accuracy"] for net in group if net["learned"]], dtype=float)
    place = {"state": held_in(group[0]["cell"]), "layer": layer}
    if path == ("own", "other"):
        own, other = (figures(group, "knockouts", "short", s, COMBINED, **place) for s in path)
        return own - other
    return figures(group, *path, **place)


def beyond_section(nets):
    """Return the short studies of what the paper left open."""
    parts = [
        "## Beyond the paper\n\n"
        "Memory task; one thing is varied at a time. *own - other* with nodes held for one step, "
        f"ranked by `{COMBINED}`; the other columns as above, all for the last layer: "
        "hidden states, and of LSTMs memory cells. Means over nets that learned, with 95 % "
        "intervals; rho is Spearman's correlation with what is varied, over nets, and p is not "
        "adjusted.\n"
    ]
    for name, question in BEYOND.items():
        parts.append(_varied(nets, name, question))
    more = (_layers_part, _course_part, _cells_part, _rankings_part)
    parts += [part(nets) for part in more]
    return "\n".join(parts)


def _varied(nets, name, question):
    """Return what becomes of the figures followed if one thing is varied."""
    rows, sentences = [], []
    for cell in CELLS:
        groups = [nets.group("memory", cell, level) for level in question.levels.values()]
        groups = [group[: min(map(len, groups))] for group in groups]
        found = {name: [followed(g, path) for g in groups] for name, path in FOLLOWED.items()}
        for i, (label, group) in enumerate(zip(question.levels, groups, strict=True)):
            learned = sum(net["learned"] for net in group)
            means = [interval(mean_over_nets(columns[i])) for columns in found.values()]
            rows.append([cell, label, f"{learned} of {len(group)}", *means])
        trends = {name: _trend(columns) for name, columns in found.items()}
        sentences.append(f"{cell}: {_trend_of(trends)}.")
    head = ["net", question.varies, "learned", *FOLLOWED]
    return (
        f"### {question.varies.capitalize()}\n\n{' '.join(sentences)}\n\n"
        f"{markdown(head, rows)}\n\n![{question.varies}]({name}.png)\n"
    )


def _trend(columns):
    """Return how figures go with the number of the level, of one array of nets per level."""
    levels = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
    return trend(levels, np.concatenate(columns))


def _trend_of(trends):
    """Say which of some trends {name: (rho, p)} there are."""
    said = [
        f"{name} {'rises' if rho > 0 else 'falls'} (rho {rho:.2f}, p {pvalue(p)})"
        for name, (rho, p) in trends.items()
        if p < ALPHA
    ]
    return ", ".join(said) or "no clear trend"


def by_layer(nets, cell, figure):
    """Return a figure of every layer of the deepest nets, one array of nets per layer.

    Parameters
    ----------
    nets : Nets
    cell, figure : str
        Keys of `CELLS` and `FOLLOWED`.

    Returns
    -------
    list of ndarray
    """
    depth, level = list(BEYOND["depth"].levels.items())[-1]
    group = nets.group("memory", cell, level)
    return [followed(group, FOLLOWED[figure], layer=layer) for layer in range(int(depth))]


def _layers_part(nets):
    """Return the layers of stacked nets, one by one."""
    names = [name for name in FOLLOWED if name != "accuracy"]
    rows, sentences = [], []
    for cell in CELLS:
        for depth, level in BEYOND["depth"].levels.items():
            group = nets.group("memory", cell, level)
            for layer in range(int(depth)):
                values = [followed(group, FOLLOWED[name], layer=layer) for name in names]
                means = [interval(mean_over_nets(value)) for value in values]
                rows.append([cell, depth, layer + 1, *means])
        trends = {name: _trend(by_layer(nets, cell, name)) for name in names}
        sentences.append(f"{cell}, from the input to the output: {_trend_of(trends)}.")
    return (
        "### Layers of stacked nets\n\nEvery layer: hidden states, and of LSTMs memory cells. "
        f"{' '.join(sentences)}\n\n{markdown(['net', 'layers', 'layer', *names], rows)}\n\n"
        "![layers one by one](layers.png)\n"
    )


def course(nets, cell, figure):
    """Return a figure over training: the epochs, and one array of nets per epoch.

    Parameters
    ----------
    nets : Nets
    cell, figure : str
        Keys of `CELLS` and `COURSE`.

    Returns
    -------
    epochs : list of int
    columns : ndarray of shape (n_epochs, n_nets)
    """
    group = [net["history"] for net in nets.group("memory", cell) if "history" in net]
    return group[0]["epochs"], np.array([net[figure] for net in group], dtype=float).T


def _course_part(nets):
    """Return how relays form during training."""
    rows, sentences = [], []
    for cell in CELLS:
        for name, words in COURSE.items():
            epochs, columns = course(nets, cell, name)
            rows.append([cell, words, *(number(mean_over_nets(c).mean) for c in columns)])
        means = {
            name: [mean_over_nets(column).mean for column in course(nets, cell, name)[1]]
            for name in COURSE
        }
        there = next(i for i, value in enumerate(means["final"]) if value > SETTLED)
        sentences.append(
            f"{cell}: by epoch {epochs[there]} maps are like those of the trained net (above "
            f"{SETTLED}), at accuracy {number(means['accuracy'][there])}."
        )
    head = ["net", "epoch", *map(str, epochs)]
    return (
        "### Training\n\nRelay maps at epochs of training (`RelayHistory`): accuracy, similarity "
        "of maps one time step apart, and similarity to the map of the trained net at the same "
        f"step; means over nets. {' '.join(sentences)}\n\n{markdown(head, rows)}\n\n"
        "![training](training.png)\n"
    )


def own_of_lstm(nets, task, state):
    """Return what nets lose of the own concept with states held for a moment.

    Parameters
    ----------
    nets : Nets
    task : str
    state : {"h", "c"}

    Returns
    -------
    ndarray of shape (n_nets,)
    """
    group = nets.group(task, "LSTM")
    return figures(group, "knockouts", "short", "own", COMBINED, state=state)


def _cells_part(nets):
    """Return what memory cells of LSTMs are worth beside their outputs."""
    rows, more = [], 0
    for task in TASKS:
        states, cells = (own_of_lstm(nets, task, state) for state in ("h", "c"))
        gap = mean_over_nets(cells - states)
        more += gap.mean > 0 and gap.pvalue < ALPHA
        means = [interval(mean_over_nets(values), 3) for values in (states, cells)]
        rows.append([task, *means, interval(gap, 3), pvalue(gap.pvalue)])
    head = ["task", "own, hidden states", "own, memory cells", "cells - states", "p"]
    return (
        "### Memory cells of the LSTM\n\nBits lost of the own concept with a quarter of the nodes "
        f"held for a moment, ranked by `{COMBINED}`. Memory cells cost more than hidden states on "
        f"{more} of {len(TASKS)} tasks (p < {ALPHA}, not adjusted).\n\n{markdown(head, rows)}\n\n"
        "![memory cells](memory_cells.png)\n"
    )


def specificity(nets, task, ranking, window):
    """Return own less other losses of the nets of all cells, where they hold what they have seen.

    Parameters
    ----------
    nets : Nets
    task, ranking, window : str

    Returns
    -------
    ndarray of shape (n_nets,)
    """
    parts = []
    for cell in CELLS:
        group, state = nets.group(task, cell), held_in(cell)
        own, other = (
            figures(group, "knockouts", window, side, ranking, state=state)
            for side in ("own", "other")
        )
        parts.append(own - other)
    return np.concatenate(parts)


def _rankings_part(nets):
    """Return how specific the published search is beside ours, and with knockouts."""
    tasks = [task for task in TASKS if task != TWO_CLASSES]
    rows, wins = [], 0
    for window, words in WINDOWS.items():
        for task in tasks:
            values = [specificity(nets, task, ranking, window) for ranking in RANKINGS]
            ahead = mean_over_nets(values[-1] - values[0])
            wins += ahead.mean > 0 and ahead.pvalue < ALPHA
            means = [interval(mean_over_nets(value), 3) for value in values]
            rows.append([words, task, *means, interval(ahead, 3), pvalue(ahead.pvalue)])
    head = ["held", "task", *(f"`{ranking}`" for ranking in RANKINGS), "last - first", "p"]
    return (
        "### Rankings\n\nOwn less other losses by how nodes are ranked (`compare_rankings`), nets "
        "of all cells together; hidden states, and of LSTMs memory cells. Relay information times "
        f"single knockouts is ahead of the published search in {wins} of {len(rows)} rows "
        f"(p < {ALPHA}, not adjusted). Rankings that know nothing of relays are put beside these "
        f"in [Rankings](../rankings.md).\n\n{markdown(head, rows)}\n\n![rankings](rankings.png)\n"
    )
