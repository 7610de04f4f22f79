"""The figures of the page of findings, all from the file of results."""

import numpy as np

from ..displays import RelayMapDisplay
from ..relay import DEFAULT_METHOD
from ._beyond import FOLLOWED, followed
from ._nets import figures
from ._plan import BEYOND, CELLS, TASKS, WINDOWS
from ._statistics import mean_over_nets

COLOURS = {"RNN": "#d55e00", "GRU": "#0072b2", "LSTM": "#009e73"}


def _canvas(n_rows, n_columns, width=3.2, height=2.8, **options):
    """Return a figure and its axes."""
    from matplotlib.figure import Figure  # no window is wanted, so no pyplot

    figure = Figure(figsize=(width * n_columns, height * n_rows), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def _band(ax, x, values, label, **options):
    """Draw the mean over nets, and its 95 % interval, of values (n_nets, n_points)."""
    if not len(values):
        return
    estimates = [mean_over_nets(column) for column in values.T]
    mean, low, high = (np.array([e[i] for e in estimates]) for i in (0, 1, 2))
    ax.plot(x, mean, color=COLOURS[label.split(",")[0]], label=label, **options)
    ax.fill_between(x, low, high, color=COLOURS[label.split(",")[0]], alpha=0.15, linewidth=0)


def _legend(ax):
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        ax.legend(handles, labels, frameon=False)


def draw_drift(nets):
    """Return similarity by lag, above, and stability by lag, below."""
    figure, axes = _canvas(2, len(TASKS), sharey="row")
    paths = {
        f"similarity, {DEFAULT_METHOD}": (DEFAULT_METHOD, "similarity"),
        "stability": ("stability",),
    }
    for column, task in enumerate(TASKS):
        for row, (name, path) in enumerate(paths.items()):
            ax = axes[row, column]
            for cell in CELLS:
                values = figures(nets.group(task, cell), "drift", *path)
                if values.ndim == 2:
                    _band(ax, np.arange(values.shape[1]), values, cell)
            ax.axhline(0, color="0.8", zorder=0)
            ax.set_ylim(-0.1, 1.1)
            if column == 0:
                ax.set_ylabel(name)
        axes[0, column].set_title(task)
        axes[1, column].set_xlabel("lag (time steps)")
    _legend(axes[0, 0])
    return figure


def draw_maps(nets):
    """Return the relay maps of one net of each cell, a row per concept."""
    groups = {cell: nets.group("memory", cell)[0] for cell in CELLS}
    maps = {cell: np.array(net["map"], float) for cell, net in groups.items()}
    figure, axes = _canvas(3, len(maps), height=2.4)
    for column, (cell, relay_map) in enumerate(maps.items()):
        for concept, ax in enumerate(axes[:, column]):
            highest = max(relay_map[concept].max(), 1e-3)
            RelayMapDisplay(relay_map[concept]).plot(ax=ax, vmax=highest)
            ax.set_title(f"{cell}, seed {groups[cell]['seed']}, bit {concept + 1}")
            ax.set_xlabel("step of the delay")
    return figure


def draw_set_size(nets):
    """Return own, other and random losses by the size of the sets."""
    figure, axes = _canvas(len(WINDOWS), len(CELLS), sharey=True, sharex=True)
    for column, cell in enumerate(CELLS):
        group = [net for net in nets.group("memory", cell) if "knockouts_by" in net]
        group = [net["knockouts_by"] for net in group if net["learned"]]
        for row, (window, words) in enumerate(WINDOWS.items()):
            ax = axes[row, column]
            ax.set_title(f"{cell}, held {words}")
            if not group:
                continue
            by_size = [net[window]["by set size"] for net in group]
            sizes = list(by_size[0])
            for side, style in (("own", "-"), ("other", "--"), ("random", ":")):
                values = [[_loss(sets[size], side) for size in sizes] for sets in by_size]
                means = [mean_over_nets(v).mean for v in np.array(values, float).T]
                ax.plot(list(map(int, sizes)), means, style, color=COLOURS[cell], label=side)
            ax.set_xscale("log", base=2)
            ax.set_xticks(list(map(int, sizes)), sizes)
    for ax in axes[-1]:
        ax.set_xlabel("nodes held")
    for ax in axes[:, 0]:
        ax.set_ylabel("I(A;B) lost (bits)")
    _legend(axes[0, 0])
    return figure


def _loss(part, side):
    return part["random"] if side == "random" else part[side][DEFAULT_METHOD]


def draw_states(nets):
    """Return mean trajectories of the classes in one net of each cell."""
    figure, axes = _canvas(1, len(CELLS), width=3.6, height=3.4)
    for ax, cell in zip(axes[0], CELLS, strict=True):
        net = nets.group("memory", cell)[0]
        path = net["path"]
        means = np.array(path["means"], float)
        for label, way in zip(path["classes"], means, strict=True):
            line = ax.plot(way[:, 0], way[:, 1], marker=".", linewidth=1, label=str(label))
            ax.plot(*way[-1, :2], "s", color=line[0].get_color())
        ax.set_title(f"{cell}, seed {net['seed']}")
        for axis, share in zip("xy", path["explained"], strict=False):
            ax.set(**{f"{axis}label": f"PC {'xy'.index(axis) + 1} ({share:.0%} of the variance)"})
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside right center",
        title="class (■ recall)",
        frameon=False,
    )
    return figure


def draw_question(nets, question):
    """Return the figures followed, by what is varied."""
    figure, axes = _canvas(1, len(FOLLOWED), width=2.8)
    for ax, (column, path) in zip(axes[0], FOLLOWED.items(), strict=True):
        for cell in CELLS:
            groups = [nets.group("memory", cell, level) for level in question.levels.values()]
            seeds = min(map(len, groups))
            estimates = [mean_over_nets(followed(group[:seeds], path)) for group in groups]
            mean, low, high = (np.array([e[i] for e in estimates]) for i in (0, 1, 2))
            ax.errorbar(
                np.arange(len(mean)),
                mean,
                yerr=np.nan_to_num([mean - low, high - mean]),
                color=COLOURS[cell],
                label=cell,
                marker="o",
                markersize=4,
                capsize=2,
            )
        ax.set_xticks(range(len(question.levels)), list(question.levels))
        ax.set_xlabel(question.varies)
        ax.set_title(column)
    _legend(axes[0, 0])
    return figure


def draw_training(nets):
    """Return how relays form during training."""
    names = {
        "accuracy": "accuracy",
        "similarity": "similarity at lag 1",
        "final": "similarity to the trained net",
    }
    figure, axes = _canvas(1, len(names), sharey=True)
    for ax, (key, title) in zip(axes[0], names.items(), strict=True):
        for cell in CELLS:
            group = [net["history"] for net in nets.group("memory", cell) if "history" in net]
            values = np.array([history[key] for history in group], float)
            _band(ax, group[0]["epochs"], values, cell)
        ax.set_title(title)
        ax.set_xlabel("epochs trained")
    _legend(axes[0, 0])
    return figure


def all_figures(nets):
    """Yield (name of the file, figure) for the page.

    Parameters
    ----------
    nets : Nets
    """
    yield "drift.png", draw_drift(nets)
    yield "maps.png", draw_maps(nets)
    yield "set_size.png", draw_set_size(nets)
    yield "states.png", draw_states(nets)
    for name, question in BEYOND.items():
        yield f"{name}.png", draw_question(nets, question)
    yield "training.png", draw_training(nets)
