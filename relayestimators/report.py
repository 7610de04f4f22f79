"""The results of a study as a table, as machine-readable files, and as figures."""

import csv
import io
import json
import platform
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ._files import jsonable, write_text
from .displays import KnockoutDisplay, RelayMapDisplay
from .relay._order import TIE

__all__ = ["study_table", "write_study"]

_PACKAGES = ("relayestimators", "numpy", "scikit-learn", "torch", "skorch", "sktime", "numba")


def study_table(results, *, dataset="data"):
    """Return the results of :func:`relay_study` as text.

    Parameters
    ----------
    results : dict of str to Bunch
        From :func:`relay_study`.
    dataset : str, default="data"
        Name of the data set, for the title.

    Returns
    -------
    str

    See Also
    --------
    write_study : Writes the table and more to files.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RNNClassifier, relay_study
    >>> from relayestimators.report import study_table
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1, 5))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> nets = {"RNN": RNNClassifier(max_epochs=2, random_state=0)}
    >>> results = relay_study(nets, X[:50], y[:50], X[50:], y[50:], n_random=2, random_state=0)
    >>> print(study_table(results, dataset="sums").splitlines()[0])
    Information relays in sums
    """
    analyzers = [result.analyzer for result in results.values()]
    rows = [row for name, result in results.items() for row in _rows(name, result)]
    lines = [
        f"Information relays in {dataset}",
        "",
        *_aligned([_HEADER, *rows]),
        "",
        "I(A;B)    bits of information about the class in the predictions, measured on the half of",
        "          the test data that was not used to find relays",
        "carried   bits of the class that all nodes together carry from time step t to the output;",
        "          mean over the same t as in the next column",
        "relays    bits lost when the relays of the class at time step t are clamped to their mean",
        "          from t on; mean over all t that at least half of the series have",
        "random    the same for random sets of as many nodes: median, and 10 to 90 % of the sets",
        "beats     fraction of the random sets that lose less than the relays; those that lose the",
        f"          same to {_EQUAL} bits count half",
        "accuracy  accuracy lost without the relays, and (median) without the random sets",
        "coverage  fewest instances per cell behind the relay map at these t; unreliable below 4",
        "strongest relays at the last of these t; nodes with equal scores are not named",
    ]
    if len(analyzers[0].classes_) == 2:
        lines += [
            "",
            "With two classes, 'one class against the rest' is the same partition of the instances",
            "for both, so their relays and losses are the same by definition.",
        ]
    for name, result in results.items():
        for remark in result.analyzer.remarks_:
            lines += ["", f"{name}: {remark}."]
    return "\n".join(lines)


_HEADER = [
    "net",
    "relays of nodes",
    "test accuracy",
    "class",
    "recall",
    "I(A;B)",
    "carried",
    "relays",
    "random",
    "beats",
    "accuracy",
    "coverage",
    "strongest",
]

# Losses in bits that differ by less are not told apart.
_EQUAL = 0.01


def _rows(name, result):
    """Yield the rows of the table for one network, one per class."""
    analyzer = result.analyzer
    knocked_out = np.isin(analyzer.timepoints_, result.timepoints)
    carried = getattr(analyzer, "carried_", np.full(analyzer.relay_map_.shape[:2], np.nan))
    for concept, label in enumerate(analyzer.classes_):
        own = result.loss[concept, :, concept].mean()
        random = result.random_loss[concept, :, :, concept].mean(axis=0)
        low, middle, high = np.quantile(random, [0.1, 0.5, 0.9]) if random.size else [np.nan] * 3
        random_accuracy = result.random_accuracy_loss[concept].mean(axis=0)
        yield [
            name if concept == 0 else "",
            f"{analyzer.n_relays_} of {len(analyzer.ranking_)}" if concept == 0 else "",
            f"{result.accuracy:.3f}" if concept == 0 else "",
            str(label),
            f"{result.recall[concept]:.3f}",
            f"{result.information[concept]:.3f}",
            f"{_of_known(np.mean, carried[concept, knocked_out]):.3f}",
            f"{own:.3f}",
            f"{middle:.3f} [{low:.3f}, {high:.3f}]",
            f"{_beaten(own, random):.0%}" if random.size else "-",
            f"{result.accuracy_loss[concept].mean():.3f} "
            f"({np.median(random_accuracy) if random_accuracy.size else np.nan:.3f})",
            f"{_of_known(np.min, analyzer.coverage_[concept][knocked_out]):.1f}",
            _strongest(analyzer, concept, result.timepoints[-1]),
        ]


def _of_known(function, values):
    """Return a function of the values that are not NaN; NaN if there is none."""
    known = values[~np.isnan(values)]
    return function(known) if known.size else np.nan


def _beaten(own, random):
    """Return the fraction of random losses that are smaller; those that are equal count half."""
    return np.mean((random < own - _EQUAL) + 0.5 * (np.abs(random - own) <= _EQUAL))


def _strongest(analyzer, concept, timepoint):
    """Return the time step and the strongest nodes, without names of those that are tied."""
    step = int(np.flatnonzero(analyzer.timepoints_ == timepoint)[0])
    relays = analyzer.relays(concept, timepoint)
    n_tied = analyzer.ties_[concept, step]
    if not n_tied:
        return f"t={timepoint}: {' '.join(map(str, relays))}"
    scores = analyzer._strength()[concept, step]
    certain = [node for node in relays if scores[node] > scores[relays[-1]] + TIE]
    n_places = len(relays) - len(certain)
    return " ".join(
        [f"t={timepoint}:", *map(str, certain), f"{n_places} of {n_tied} that are tied"]
    )


def _aligned(rows):
    """Return lines with aligned columns, and a rule below the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def write_study(results, folder, *, settings):
    """Write figures and machine-readable results of :func:`relay_study`.

    Parameters
    ----------
    results : dict of str to Bunch
        From :func:`relay_study`.
    folder : path
        Folder for the files; it is created if it does not exist.
    settings : dict
        Settings of the study, which are stored in the JSON file.

    Returns
    -------
    list of Path
        Files that were written: table.txt, results.json, relay_map.csv, knockouts.csv,
        relay_maps.png, knockouts.png, and for every network and class a picture of what is known,
        carried and needed in the folder known_carried_needed.

    See Also
    --------
    study_table : Returns the table.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from relayestimators import RNNClassifier, relay_study
    >>> from relayestimators.report import write_study
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1, 5))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> nets = {"RNN": RNNClassifier(max_epochs=2, random_state=0)}
    >>> results = relay_study(nets, X[:50], y[:50], X[50:], y[50:], n_random=2, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     paths = write_study(results, folder, settings={"dataset": "sums"})
    >>> [path.name for path in paths][:3]
    ['table.txt', 'results.json', 'relay_map.csv']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        name: folder / name
        for name in (
            "table.txt",
            "results.json",
            "relay_map.csv",
            "knockouts.csv",
            "relay_maps.png",
            "knockouts.png",
        )
    }
    table = study_table(results, dataset=settings.get("dataset", "data"))
    write_text(paths["table.txt"], table + "\n")
    document = {
        "settings": settings,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
        "results": {name: _as_json(result) for name, result in results.items()},
    }
    write_text(paths["results.json"], json.dumps(jsonable(document), indent=1) + "\n")
    _write_csv(paths["relay_map.csv"], _MAP_COLUMNS, _map_rows(results))
    _write_csv(paths["knockouts.csv"], _KNOCKOUT_COLUMNS, _knockout_rows(results))
    _draw_maps(results, paths["relay_maps.png"])
    _draw_knockouts(results, paths["knockouts.png"])
    return [*paths.values(), *_draw_pictures(results, folder / "known_carried_needed")]


def _as_json(result):
    """Return the fields of a result and of its analyzer that are stored in the JSON file."""
    analyzer = result.analyzer
    fields = {key: value for key, value in result.items() if key not in ("analyzer", "timepoints")}
    fields["knockout_timepoints"] = result.timepoints
    fitted = ("classes_", "concepts_", "timepoints_", "ranking_", "relay_map_", "coverage_")
    some = ("carried_", "carried_error_", "relay_map_error_", "total_", "total_same_", "gap_")
    fitted += (*(name for name in some if hasattr(analyzer, name)), "method_", "reliable_")
    return fields | {name.rstrip("_"): getattr(analyzer, name) for name in fitted}


_MAP_COLUMNS = ("net", "class", "timepoint", "node", "relay_information_bits", "coverage")


def _map_rows(results):
    """Yield the rows of relay_map.csv, one per network, class, time step and node."""
    for name, result in results.items():
        analyzer = result.analyzer
        for (concept, step, node), value in np.ndenumerate(analyzer.relay_map_):
            coverage = analyzer.coverage_[concept, step, node]
            yield (
                name,
                analyzer.classes_[concept],
                analyzer.timepoints_[step],
                node,
                value,
                coverage,
            )


_KNOCKOUT_COLUMNS = ("net", "relays_of_class", "start", "nodes", "set", "class", "loss_bits")
_KNOCKOUT_COLUMNS += ("accuracy_loss",)


def _knockout_rows(results):
    """Yield the rows of knockouts.csv, one per set of nodes, time step and measured class."""
    for name, result in results.items():
        classes, steps = result.analyzer.classes_, result.timepoints
        for (owner, step, measured), loss in np.ndenumerate(result.loss):
            common = (name, classes[owner], steps[step])
            nodes = " ".join(map(str, result.relays[owner, step]))
            accuracy = result.accuracy_loss[owner, step]
            yield *common, nodes, "relays", classes[measured], loss, accuracy
            for k, random_loss in enumerate(result.random_loss[owner, step, :, measured]):
                accuracy = result.random_accuracy_loss[owner, step, k]
                yield *common, "", f"random {k}", classes[measured], random_loss, accuracy


def _write_csv(path, columns, rows):
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, table.getvalue())


def _grid(results, width, height):
    """Return a figure and axes, with one row per network and one column per class."""
    from matplotlib.figure import Figure  # without pyplot, so that no window is opened

    n_classes = len(next(iter(results.values())).analyzer.classes_)
    figure = Figure(figsize=(width * n_classes, height * len(results)), layout="constrained")
    return figure, figure.subplots(len(results), n_classes, squeeze=False)


def _draw_maps(results, path):
    """Draw the relay maps of all networks and classes, with one color scale per network."""
    figure, axes = _grid(results, 5.0, 3.8)
    for row, (name, result) in zip(axes, results.items(), strict=True):
        analyzer = result.analyzer
        sizes = np.abs(analyzer.relay_map_)
        reliable = sizes[analyzer.reliable_]
        highest = reliable.max() if reliable.size else np.nanmax(sizes)
        for concept, ax in enumerate(row):
            display = RelayMapDisplay.from_estimator(
                result.analyzer, concept=concept, ax=ax, vmax=max(highest, 1e-3)
            )
            title = f"{name}, class {result.analyzer.classes_[concept]}"
            display.title_ax_.set_title(title, loc="left")
    figure.savefig(path, dpi=120)


def _draw_knockouts(results, path):
    """Draw what knockouts lose of their own class, for all networks and classes."""
    figure, axes = _grid(results, 5.0, 3.2)
    for row, (name, result) in zip(axes, results.items(), strict=True):
        for concept, ax in enumerate(row):
            _draw_knockout(result, concept, ax, result.timepoints)
            ax.set_title(f"{name}, class {result.analyzer.classes_[concept]}")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=120)


def _draw_knockout(result, concept, ax, timepoints):
    """Draw what knockouts lose of the own class, for one network and class."""
    KnockoutDisplay(
        result.loss[concept, :, concept],
        result.random_loss[concept, :, :, concept],
        timepoints=timepoints,
        intact=result.information[concept],
    ).plot(ax=ax, legend=False)


def _draw_pictures(results, folder):
    """Draw what is known, carried and needed, in a file per network and class; return the files."""
    from matplotlib.figure import Figure

    folder.mkdir(exist_ok=True)
    paths = []
    for name, result in results.items():
        analyzer = result.analyzer
        for concept, label in enumerate(analyzer.classes_):
            n_rows = 2 + hasattr(analyzer, "carried_")
            figure = Figure(figsize=(7.0, 2.3 + 1.5 * n_rows), layout="constrained")
            ratios = (1.0, 2.8, 1.4)[-n_rows:]
            *upper, middle, lower = figure.subplots(n_rows, 1, sharex=True, height_ratios=ratios)
            above = upper[0] if upper else None
            known = RelayMapDisplay.from_estimator(
                analyzer, concept=concept, ax=middle, carried_ax=above
            )
            known.title_ax_.set_title(f"{name}, class {label}", loc="left")
            steps = np.searchsorted(analyzer.timepoints_, result.timepoints)
            _draw_knockout(result, concept, lower, steps)
            middle.set_xlabel("")
            lower.legend(fontsize="x-small")
            words = re.sub(r"[^\w.-]+", "-", f"{name}_{concept}_{label}")
            path = folder / f"{words}.png"
            paths.append(folder / f"{words}_{len(paths)}.png" if path in paths else path)
            figure.savefig(paths[-1], dpi=120)
    return paths
