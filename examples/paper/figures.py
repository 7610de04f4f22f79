"""The figures of the page of findings, drawn from the stored results only."""

import numpy as np

from relayestimators.classifiers import CELLS
from relayestimators.displays import DriftDisplay, RelayMapDisplay, StateSpaceDisplay
from relayestimators.relay import DEFAULT_METHOD

from .beyond import (
    COURSE,
    FOLLOWED,
    RANKINGS,
    TWO_CLASSES,
    by_layer,
    course,
    followed,
    own_of_lstm,
    specificity,
)
from .nets import figures
from .plan import BEYOND, TASKS, WINDOWS
from .statistics import mean_over_nets

COLORS = {"RNN": "#d55e00", "GRU": "#0072b2", "LSTM": "#009e73"}


def _canvas(n_rows, n_columns, width=3.2, height=2.8, **options):
    """Return a figure and its axes."""
    from matplotlib.figure import Figure  # pyplot could open a window

    figure = Figure(figsize=(width * n_columns, height * n_rows), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def over_nets(columns):
    """Return means over networks and the ends of their intervals, given one array per point."""
    return np.transpose([mean_over_nets(column)[:3] for column in columns])


def _draw_points(ax, x, columns, label, color, **options):
    """Draw means over networks with their intervals, given one array per point."""
    mean, low, high = over_nets(columns)
    ends = np.nan_to_num([mean - low, high - mean])
    look = {"color": color, "marker": "o", "markersize": 4, "capsize": 2, **options}
    ax.errorbar(x, mean, yerr=ends, label=label, **look)


def _draw_by_task(ax, tasks, series, colors):
    """Draw means over networks for each task, side by side, of {label: one array per task}."""
    for i, (label, columns) in enumerate(series.items()):
        x = np.arange(len(tasks)) + 0.12 * (i - (len(series) - 1) / 2)
        _draw_points(ax, x, columns, label, colors[i], linestyle="none")
    ax.axhline(0, color="0.8", zorder=0)
    ax.set_xticks(range(len(tasks)), tasks)


def _legend(figure, title=None):
    """Draw the legend of the first axes beside all axes."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right center", title=title, frameon=False)


def draw_drift(nets):
    """Return the figure of similarity by lag (top row) and stability by lag (bottom row)."""
    figure, axes = _canvas(2, len(TASKS), sharey="row")
    paths = {"similarity": (DEFAULT_METHOD, "similarity"), "stability": ("stability",)}
    for column, task in enumerate(TASKS):
        for ax, (what, path) in zip(axes[:, column], paths.items(), strict=True):
            for cell in CELLS:
                values = figures(nets.group(task, cell), "drift", *path)
                if not len(values):
                    continue
                mean, *ends = over_nets(values.T)
                display = DriftDisplay(
                    range(len(mean)), mean, confidence_interval=ends, what=what, label=cell
                )
                display.plot(ax, legend=False, color=COLORS[cell])
            ax.axhline(0, color="0.8", zorder=0)
        axes[0, column].set_title(task)
        axes[0, column].set_xlabel("")
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    _legend(figure)
    return figure


def draw_maps(nets):
    """Return the figure of relay maps of one network per cell type, with a row per concept."""
    groups = {cell: nets.group("memory", cell)[0] for cell in CELLS}
    maps = {cell: np.array(net["map"], float) for cell, net in groups.items()}
    figure, axes = _canvas(3, len(maps), height=2.4)
    for column, (cell, relay_map) in enumerate(maps.items()):
        for concept, ax in enumerate(axes[:, column]):
            highest = max(relay_map[concept].max(), 1e-3)
            RelayMapDisplay(relay_map[concept]).plot(ax=ax, vmax=highest)
            ax.set_title(f"{cell}, seed {groups[cell]['seed']}, bit {concept + 1}")
            ax.set_xlabel("time step of the delay")
    return figure


def draw_set_size(nets):
    """Return the figure of own, other and random losses by number of clamped nodes."""
    figure, axes = _canvas(len(WINDOWS), len(CELLS), sharey=True, sharex=True)
    for column, cell in enumerate(CELLS):
        group = [net for net in nets.group("memory", cell) if "knockouts_by" in net]
        group = [net["knockouts_by"] for net in group if net["learned"]]
        for row, (window, words) in enumerate(WINDOWS.items()):
            ax = axes[row, column]
            ax.set_title(f"{cell}, {words}")
            if not group:
                continue
            by_size = [net[window]["by set size"] for net in group]
            sizes = list(by_size[0])
            for side, style in (("own", "-"), ("other", "--"), ("random", ":")):
                values = [[_loss(sets[size], side) for size in sizes] for sets in by_size]
                means = [mean_over_nets(v).mean for v in np.array(values, float).T]
                ax.plot(list(map(int, sizes)), means, style, color=COLORS[cell], label=side)
            ax.set_xscale("log", base=2)
            ax.set_xticks(list(map(int, sizes)), sizes)
    for ax in axes[-1]:
        ax.set_xlabel("clamped nodes")
    for ax in axes[:, 0]:
        ax.set_ylabel("I(A;B) lost (bits)")
    _legend(figure)
    return figure


def _loss(part, side):
    return part["random"] if side == "random" else part[side][DEFAULT_METHOD]


def draw_states(nets):
    """Return the figure of the mean trajectories of the classes, in one network per cell type."""
    figure, axes = _canvas(1, len(CELLS), width=4.4, height=4.0)
    for ax, cell in zip(axes[0], CELLS, strict=True):
        net = nets.group("memory", cell)[0]
        path, n_steps = net["path"], len(net["map"][0])
        means = np.array(path["means"], float)[..., :2]
        recall = means.shape[1] - 1
        StateSpaceDisplay(
            means,
            class_means=means,
            classes=path["classes"],
            explained_variance_ratio=path["explained"][:2],
            window=(recall - n_steps, recall),
        ).plot(ax, n_single=0, legend=False)
        ax.set_title(f"{cell}, seed {net['seed']}")
    _legend(figure, title="class")
    return figure


def draw_question(nets, question):
    """Return the figure of the followed values against the option that is varied."""
    figure, axes = _canvas(1, len(FOLLOWED), width=2.8)
    for ax, (column, path) in zip(axes[0], FOLLOWED.items(), strict=True):
        for cell in CELLS:
            groups = [nets.group("memory", cell, level) for level in question.levels.values()]
            seeds = min(map(len, groups))
            columns = [followed(group[:seeds], path) for group in groups]
            _draw_points(ax, range(len(columns)), columns, cell, COLORS[cell])
        ax.set_xticks(range(len(question.levels)), list(question.levels))
        ax.set_xlabel(question.varies)
        ax.set_title(column)
    _legend(figure)
    return figure


def draw_layers(nets):
    """Return the figure of the followed values by layer, in the deepest networks."""
    names = [name for name in FOLLOWED if name != "accuracy"]
    figure, axes = _canvas(1, len(names), width=2.8)
    for ax, name in zip(axes[0], names, strict=True):
        for cell in CELLS:
            columns = by_layer(nets, cell, name)
            _draw_points(ax, range(1, 1 + len(columns)), columns, cell, COLORS[cell])
        ax.set_xticks(range(1, 1 + len(columns)))
        ax.set_xlabel("layer, from the input")
        ax.set_title(name)
    _legend(figure)
    return figure


def draw_training(nets):
    """Return the figure of how relays form during training."""
    figure, axes = _canvas(1, len(COURSE), sharey=True)
    for ax, (name, title) in zip(axes[0], COURSE.items(), strict=True):
        for cell in CELLS:
            epochs, columns = course(nets, cell, name)
            _draw_points(ax, epochs, columns, cell, COLORS[cell])
        ax.set_title(title)
        ax.set_xlabel("epoch")
    _legend(figure)
    return figure


def draw_memory_cells(nets):
    """Return the figure of losses with hidden states and with memory cells clamped."""
    figure, axes = _canvas(1, 1, width=8.5)
    names = {"h": "hidden states", "c": "memory cells"}
    series = {
        name: [own_of_lstm(nets, task, state) for task in TASKS] for state, name in names.items()
    }
    _draw_by_task(axes[0, 0], list(TASKS), series, ("0.6", COLORS["LSTM"]))
    axes[0, 0].set_ylabel("own I(A;B) lost (bits)")
    _legend(figure)
    return figure


def draw_rankings(nets):
    """Return the figure of the specificity of three rankings."""
    figure, axes = _canvas(1, len(WINDOWS), width=7.0, sharey=True)
    tasks = [task for task in TASKS if task != TWO_CLASSES]
    for ax, (window, words) in zip(axes[0], WINDOWS.items(), strict=True):
        series = {
            ranking: [specificity(nets, task, ranking, window) for task in tasks]
            for ranking in RANKINGS
        }
        _draw_by_task(ax, tasks, series, ("0.6", "#cc79a7", "#56b4e9"))
        ax.set_title(f"clamped {words}")
    axes[0, 0].set_ylabel("own - other (bits)")
    _legend(figure)
    return figure


def all_figures(nets):
    """Yield the name of the file and the figure, for every figure of the page.

    Parameters
    ----------
    nets : Nets

    Yields
    ------
    name : str
    figure : matplotlib Figure
    """
    yield "drift.png", draw_drift(nets)
    yield "maps.png", draw_maps(nets)
    yield "set_size.png", draw_set_size(nets)
    yield "states.png", draw_states(nets)
    for name, question in BEYOND.items():
        yield f"{name}.png", draw_question(nets, question)
    yield "layers.png", draw_layers(nets)
    yield "training.png", draw_training(nets)
    yield "memory_cells.png", draw_memory_cells(nets)
    yield "rankings.png", draw_rankings(nets)
