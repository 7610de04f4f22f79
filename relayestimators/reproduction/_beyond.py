"""The part of the page that goes beyond the paper: one thing varied at a time."""

import numpy as np

from ..relay import DEFAULT_METHOD
from ._measure import COMBINED
from ._nets import figures
from ._plan import BEYOND, CELLS, TASKS
from ._statistics import mean_over_nets, trend
from ._text import interval, number, pvalue, table

FOLLOWED = {
    "accuracy": None,
    "similarity": ("drift", DEFAULT_METHOD, "similarity", 1),
    "stability": ("drift", "stability", 1),
    "nodes": ("drift", DEFAULT_METHOD, "participation"),
    "own - other": ("own", "other"),
}


def held_in(cell):
    """Return the states in which a cell holds what it has seen."""
    return "c" if cell == "LSTM" else "h"


def followed(group, path):
    """Return one of the figures that are followed, of every net that learned.

    Parameters
    ----------
    group : list of dict
        Nets of one cell.
    path : None or tuple
        Value of `FOLLOWED`.

    Returns
    -------
    ndarray of shape (n_nets,)
    """
    if path is None or not group:
        return np.array([net["accuracy"] for net in group if net["learned"]], dtype=float)
    state = held_in(group[0]["cell"])
    if path == ("own", "other"):
        own, other = (
            figures(group, "knockouts", "short", side, COMBINED, state=state) for side in path
        )
        return own - other
    return figures(group, *path, state=state)


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
    parts += [_layers_part(nets), _course_part(nets), _cells_part(nets)]
    return "\n".join(parts)


def _varied(nets, name, question):
    rows, sentences = [], []
    for cell in CELLS:
        groups = {
            label: nets.group("memory", cell, level) for label, level in question.levels.items()
        }
        seeds = min(len(group) for group in groups.values())
        groups = {label: group[:seeds] for label, group in groups.items()}
        for label, group in groups.items():
            learned = sum(net["learned"] for net in group)
            values = [interval(mean_over_nets(followed(group, p))) for p in FOLLOWED.values()]
            rows.append([cell, label, f"{learned} of {len(group)}", *values])
        trends = {}
        for column, path in FOLLOWED.items():
            found = [followed(group, path) for group in groups.values()]
            order = np.repeat(np.arange(len(found)), [len(values) for values in found])
            trends[column] = trend(order, np.concatenate(found))
        said = [
            f"{column} {'rises' if rho > 0 else 'falls'} (rho {rho:.2f}, p {pvalue(p)})"
            for column, (rho, p) in trends.items()
            if p < 0.05
        ]
        sentences.append(f"{cell}: {', '.join(said) if said else 'no clear trend'}.")
    head = ["net", question.varies, "learned", *FOLLOWED]
    return (
        f"### {question.varies.capitalize()}\n\n{' '.join(sentences)}\n\n{table(head, rows)}\n\n"
        f"![{question.varies}]({name}.png)\n"
    )


def _layers_part(nets):
    """Return the layers of stacked nets, one by one."""
    rows = []
    for cell in CELLS:
        for label, level in BEYOND["depth"].levels.items():
            group = [net for net in nets.group("memory", cell, level) if net["learned"]]
            for layer in range(int(label)):
                place = f"{held_in(cell)}{layer}"
                values = [
                    mean_over_nets([_of_place(net, place, figure) for net in group])
                    for figure in ("similarity", "stability", "nodes", "own - other")
                ]
                rows.append([cell, label, layer + 1, *map(interval, values)])
    head = ["net", "layers", "layer", "similarity", "stability", "nodes", "own - other"]
    return (
        "### Layers of stacked nets\n\nEvery layer: hidden states, and of LSTMs memory cells.\n\n"
        f"{table(head, rows)}\n"
    )


def _of_place(net, place, figure):
    part = net["places"][place]
    if figure == "own - other":
        losses = part["knockouts"]["short"]
        values = losses["own"][COMBINED], losses["other"][COMBINED]
        return np.nan if None in values else values[0] - values[1]
    for key in FOLLOWED[figure]:
        part = part[key]
    return np.nan if part is None else part


def _course_part(nets):
    """Return how relays form during training."""
    rows = []
    for cell in CELLS:
        group = [net for net in nets.group("memory", cell) if "history" in net]
        epochs = group[0]["history"]["epochs"]
        for figure in ("accuracy", "similarity", "final"):
            values = np.array([net["history"][figure] for net in group], dtype=float)
            means = [mean_over_nets(column).mean for column in values.T]
            rows.append([cell, _WORDS[figure], *map(number, means)])
    head = ["net", "epoch", *map(str, epochs)]
    return (
        "### Training\n\nRelay maps at epochs of training (`RelayHistory`): accuracy, similarity "
        "of maps one time step apart, and similarity to the map of the trained net at the same "
        f"step; means over nets.\n\n{table(head, rows)}\n\n![training](training.png)\n"
    )


_WORDS = {
    "accuracy": "accuracy",
    "similarity": "similarity at lag 1",
    "final": "similar to the end",
}


def _cells_part(nets):
    """Return what memory cells of LSTMs are worth beside their outputs."""
    rows = []
    for task in TASKS:
        group = nets.group(task, "LSTM")
        own = [
            figures(group, "knockouts", "short", "own", COMBINED, state=state)
            for state in ("h", "c")
        ]
        gap = mean_over_nets(own[1] - own[0])
        means = [interval(mean_over_nets(values), 3) for values in own]
        rows.append([task, *means, interval(gap, 3), pvalue(gap.pvalue)])
    head = ["task", "own, hidden states", "own, memory cells", "cells - states", "p"]
    return (
        "### Memory cells of the LSTM\n\nBits lost of the own concept with a quarter of the nodes "
        f"held for a moment, ranked by `{COMBINED}`.\n\n{table(head, rows)}\n"
    )
