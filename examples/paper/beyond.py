"""The part of the page that goes beyond the paper: one option is varied at a time."""

import numpy as np

from relayestimators.classifiers import CELLS
from relayestimators.relay import DEFAULT_METHOD

from .measure import COMBINED, RANKINGS
from .nets import figures
from .plan import BEYOND, TASKS, TWO_CLASSES, WINDOWS
from .statistics import ALPHA, mean_over_nets, trend
from .tables import interval, markdown, number, pvalue

#: Values that are followed while an option is varied: {column: where the value is stored}.
FOLLOWED = {
    "accuracy": None,
    "similarity": ("drift", DEFAULT_METHOD, "similarity", 1),
    "stability": ("drift", "stability", 1),
    "effective number of nodes": ("drift", DEFAULT_METHOD, "participation"),
    "own - other": ("own", "other"),
}
#: Values that are followed during training.
COURSE = {
    "accuracy": "accuracy",
    "similarity": "similarity at lag 1",
    "final": "similarity to the trained network",
}
SETTLED = 0.9  # similarity from which a map counts as the final one


def storing_state(cell):
    """Return the state in which a cell stores what it has seen."""
    return "c" if cell == "LSTM" else "h"


def followed(group, path, *, layer=-1):
    """Return one of the followed values, for every network that learned.

    Parameters
    ----------
    group : list of dict
        Records of networks of one cell type.
    path : None or tuple
        Value of `FOLLOWED`.
    layer : int, default=-1
        Number of the layer.

    Returns
    -------
    ndarray of shape (n_nets,)
    """
    if path is None or not group:
        return np.array([net["accuracy"] for net in group if net["learned"]], dtype=float)
    place = {"state": storing_state(group[0]["cell"]), "layer": layer}
    if path == ("own", "other"):
        own, other = (figures(group, "knockouts", "short", s, COMBINED, **place) for s in path)
        return own - other
    return figures(group, *path, **place)


def beyond_section(nets):
    """Return the section on questions that the paper left open."""
    parts = [
        "## Beyond the paper\n\n"
        "All networks here learn the memory task, and one option is varied at a time. *own - "
        f"other* is measured with nodes ranked by `{COMBINED}` and clamped for one time step. The "
        "other columns are defined above. All values are of the last layer: of hidden states, and "
        "of memory cells in LSTMs. The tables show means over networks that learned, with 95 % "
        "confidence intervals. rho is Spearman's correlation, over networks, with the option that "
        "is varied; p is not adjusted for multiple tests.\n"
    ]
    for name, question in BEYOND.items():
        parts.append(_varied(nets, name, question))
    more = (_layers_part, _course_part, _cells_part, _rankings_part)
    parts += [part(nets) for part in more]
    return "\n".join(parts)


def _varied(nets, name, question):
    """Return how the followed values change if one option is varied."""
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
    head = ["network", question.varies, "learned", *FOLLOWED]
    return (
        f"### {question.varies.capitalize()}\n\n{' '.join(sentences)}\n\n"
        f"{markdown(head, rows)}\n\n![{question.varies}]({name}.png)\n"
    )


def _trend(columns):
    """Return the trend of values with the number of the level, given one array per level."""
    levels = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
    return trend(levels, np.concatenate(columns))


def _trend_of(trends):
    """Return a sentence about the clear trends among {name: (rho, p)}."""
    said = [
        f"{name} {'rises' if rho > 0 else 'falls'} (rho {rho:.2f}, p {pvalue(p)})"
        for name, (rho, p) in trends.items()
        if p < ALPHA
    ]
    return ", ".join(said) or "no clear trend"


def by_layer(nets, cell, figure):
    """Return a followed value in every layer of the deepest networks, one array per layer.

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
    """Return the part about the single layers of stacked networks."""
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
        "### Layers of stacked networks\n\nThe values of every layer: of hidden states, and of "
        "memory cells in LSTMs. "
        f"{' '.join(sentences)}\n\n{markdown(['network', 'layers', 'layer', *names], rows)}\n\n"
        "![values by layer](layers.png)\n"
    )


def course(nets, cell, figure):
    """Return the epochs of training, and a followed value, one array of networks per epoch.

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
    """Return the part about how relays form during training."""
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
            f"{cell}: by epoch {epochs[there]} the similarity to the maps of the trained network "
            f"is above {SETTLED}, at accuracy {number(means['accuracy'][there])}."
        )
    head = ["network", "epoch", *map(str, epochs)]
    return (
        "### Training\n\nRelay maps were computed during training (`RelayHistory`). The table "
        "shows the accuracy, the similarity of maps one time step apart, and the similarity to the "
        "map of the trained network at the same time step, as means over networks. "
        f"{' '.join(sentences)}\n\n{markdown(head, rows)}\n\n"
        "![training](training.png)\n"
    )


def own_of_lstm(nets, task, state):
    """Return the own losses of LSTMs with states clamped for a short window.

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
    """Return the part that compares memory cells and hidden states of LSTMs."""
    rows, more = [], 0
    for task in TASKS:
        states, cells = (own_of_lstm(nets, task, state) for state in ("h", "c"))
        gap = mean_over_nets(cells - states, test=True)
        more += gap.mean > 0 and gap.pvalue < ALPHA
        means = [interval(mean_over_nets(values), 3) for values in (states, cells)]
        rows.append([task, *means, interval(gap, 3), pvalue(gap.pvalue)])
    head = ["task", "own, hidden states", "own, memory cells", "cells - states", "p"]
    return (
        "### Memory cells of the LSTM\n\nThe table shows the bits lost of the own concept if a "
        f"quarter of the nodes, ranked by `{COMBINED}`, is clamped for a short window. Clamping "
        f"memory cells costs more than clamping hidden states on {more} of {len(TASKS)} tasks "
        f"(p < {ALPHA}, not adjusted).\n\n{markdown(head, rows)}\n\n"
        "![memory cells](memory_cells.png)\n"
    )


def specificity(nets, task, ranking, window):
    """Return own minus other losses of all networks, in the state that stores what they have seen.

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
        group, state = nets.group(task, cell), storing_state(cell)
        own, other = (
            figures(group, "knockouts", window, side, ranking, state=state)
            for side in ("own", "other")
        )
        parts.append(own - other)
    return np.concatenate(parts)


def _rankings_part(nets):
    """Return the part that compares the specificity of three rankings."""
    tasks = [task for task in TASKS if task != TWO_CLASSES]
    rows, wins = [], 0
    for window, words in WINDOWS.items():
        for task in tasks:
            values = [specificity(nets, task, ranking, window) for ranking in RANKINGS]
            ahead = mean_over_nets(values[-1] - values[0], test=True)
            wins += ahead.mean > 0 and ahead.pvalue < ALPHA
            means = [interval(mean_over_nets(value), 3) for value in values]
            rows.append([words, task, *means, interval(ahead, 3), pvalue(ahead.pvalue)])
    head = ["clamped", "task", *(f"`{ranking}`" for ranking in RANKINGS), "last - first", "p"]
    return (
        "### Rankings\n\nThe table shows own minus other losses by how nodes are ranked "
        "(`compare_rankings`), over networks of all cell types; of hidden states, and of memory "
        "cells in LSTMs. Relay information times the effect of single knockouts is ahead of the "
        f"published search in {wins} of {len(rows)} rows (p < {ALPHA}, not adjusted). "
        "[Rankings](../rankings.md) compares them with rankings that do not use relay "
        f"information.\n\n{markdown(head, rows)}\n\n![rankings](rankings.png)\n"
    )
