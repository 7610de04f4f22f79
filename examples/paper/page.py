"""The page of findings: tables and sentences, all from the file of results."""

from pathlib import Path

import numpy as np

from relayestimators.classifiers import CELLS
from relayestimators.relay import DEFAULT_METHOD

from .beyond import beyond_section
from .figures import all_figures
from .measure import LEARNED, PUBLISHED, RANKINGS, SILENT_STEPS
from .nets import Nets, figures
from .plan import TASKS, WIDTHS, WINDOWS
from .statistics import adjusted, difference, mean_over_nets, verdict
from .tables import interval, markdown, number, pvalue

GATED = ("GRU", "LSTM")
DRIFT = {
    f"similarity, `{PUBLISHED}`": (PUBLISHED, "similarity", 1),
    f"similarity, `{DEFAULT_METHOD}`": (DEFAULT_METHOD, "similarity", 1),
    "stability": ("stability", 1),
}
STATES = {"RNN": ("RNN", "h"), "GRU": ("GRU", "h"), "LSTM": ("LSTM", "h"), "LSTM, c": ("LSTM", "c")}


# ---------------------------------------------------------------- nets


def _nets_section(nets):
    """Return what was trained, and how many nets learned it."""
    rows = []
    for task in TASKS:
        for cell in CELLS:
            group = nets.group(task, cell)
            accuracy = np.array([net["accuracy"] for net in group])
            learned = sum(net["learned"] for net in group)
            rows.append(
                [
                    task,
                    cell,
                    number(group[0]["majority"]),
                    f"{accuracy.mean():.3f} [{accuracy.min():.3f}, {accuracy.max():.3f}]",
                    f"{learned} of {len(group)}",
                ]
            )
    head = ["task", "net", "largest class", "accuracy: mean [least, most]", "learned"]
    return (
        "## Nets\n\n"
        f"Learned: more than {LEARNED:.0%} of the way from the share of the largest class to no "
        "error, on data the net was not trained on. Nets that did not learn are counted here and "
        f"left out below.\n\n{markdown(head, rows)}\n"
    )


# ---------------------------------------------------------------- drift


def _drift_claims(nets):
    """Return how far gated nets are above plain ones: {(measure, task, cell): Estimate}."""
    return adjusted(
        {
            (measure, task, cell): difference(
                *(figures(nets.group(task, c), "drift", *path) for c in (cell, "RNN"))
            )
            for measure, path in DRIFT.items()
            for task in TASKS
            for cell in GATED
        }
    )


def _drift_section(nets):
    """Return the first claim: plain nets drift, gated ones do not."""
    rows = []
    for task in TASKS:
        for name, (cell, state) in STATES.items():
            group = nets.group(task, cell)

            def mean(*path, group=group, state=state, digits=2):
                values = figures(group, "drift", *path, state=state)
                return interval(mean_over_nets(values), digits)

            def residence(*path, group=group, state=state):
                rates = 1 / figures(group, "drift", *path, state=state)
                left = np.nanmean(rates) if np.isfinite(rates).any() else np.nan
                return "never" if left == 0 else number(1 / left, 1)

            rows.append(
                [
                    task if name == "RNN" else "",
                    name,
                    *(mean(*path) for path in DRIFT.values()),
                    mean("stability", -1),
                    mean("ceiling"),
                    mean(DEFAULT_METHOD, "chance", 1),
                    residence(DEFAULT_METHOD, "lifetime"),
                    mean(DEFAULT_METHOD, "participation", digits=1),
                ]
            )
    head = ["task", "states", *DRIFT, "stability, longest lag", "ceiling", "chance"]
    head += ["residence", "nodes"]
    claims = _drift_claims(nets)
    tests = [
        [
            measure if (task, cell) == ("memory", "GRU") else "",
            task if cell == "GRU" else "",
            f"{cell} - RNN",
            interval(estimate),
            number(estimate.effect),
            pvalue(estimate.pvalue),
            verdict(estimate),
        ]
        for (measure, task, cell), estimate in claims.items()
    ]
    return (
        "## 1. Do relays drift in plain RNNs, and stay in GRU and LSTM?\n\n"
        "Cosine similarity of relay maps one time step apart, mean over steps and concepts: by the "
        f"published search (`{PUBLISHED}`) and by the default method (`{DEFAULT_METHOD}`). "
        "*Stability* is free of errors of estimation: maps of two halves of the instances are "
        "compared, 0 is relays at random nodes, 1 relays that stay; at lag 1, and at the longest "
        "lag in the window. *Ceiling*: similarity of the two halves at the same step. *Chance*: "
        "of relays at random nodes. *Residence*: time steps for which a node stays among the "
        "strongest quarter. *Nodes*: effective number that share the relay information. *LSTM, c* "
        "are memory cells, all else hidden states. Means over nets with 95 % intervals.\n\n"
        f"{markdown(head, rows)}\n\n"
        "How far gated nets are above plain ones, with the share of pairs of nets in which the "
        "gated one is above (0.5 is no difference), and p by Mann and Whitney, adjusted for all "
        f"tests of this table.\n\n"
        f"{markdown(['measure', 'task', '', 'difference', 'above', 'p', 'claim'], tests)}\n\n"
        "![similarity by lag](drift.png)\n\n![relay maps](maps.png)\n"
    )


# ---------------------------------------------------------------- knockouts


def _specific(nets, task, cell, state, ranking, window, minus):
    """Return own losses less others, over nets that learned.

    Parameters
    ----------
    nets : Nets
    task, cell, state, ranking, window : str
    minus : {"other", "random"}

    Returns
    -------
    Estimate
    """
    group = nets.group(task, cell)
    own = figures(group, "knockouts", window, "own", ranking, state=state)
    path = ("random",) if minus == "random" else ("other", ranking)
    return mean_over_nets(own - figures(group, "knockouts", window, *path, state=state))


def _knockout_claims(nets, window, minus):
    """Return {(task, states, ranking): Estimate} for one window, p adjusted."""
    return adjusted(
        {
            (task, name, ranking): _specific(nets, task, cell, state, ranking, window, minus)
            for task in TASKS
            for name, (cell, state) in STATES.items()
            for ranking in RANKINGS
        }
    )


def _knockout_section(nets):
    """Return the second claim: knockouts of the relays of a concept cost that concept."""
    parts = [
        "## 2. Are knockouts of relays specific to their concept?\n\n"
        "A quarter of the nodes, those that a ranking puts first for a concept at a time step, are "
        "held at their mean from that step to the end of the series, or for a moment "
        f"({', '.join(f'{task} {width}' for task, width in WIDTHS.items())} steps). Bits of I(A;B) "
        "lost of the concept they are for (*own*), of the other concepts (*other*; with two "
        "classes there is no other), and with random nodes. p by Wilcoxon's signed-rank test over "
        "nets, adjusted for all tests of the same difference and window.\n"
    ]
    for window, words in WINDOWS.items():
        against = {minus: _knockout_claims(nets, window, minus) for minus in ("other", "random")}
        rows = []
        for key in against["other"]:
            task, name, ranking = key
            cell, state = STATES[name]
            group = nets.group(task, cell)

            def bits(*path, group=group, window=window, state=state):
                values = figures(group, "knockouts", window, *path, state=state)
                return number(mean_over_nets(values).mean, 3)

            rows.append(
                [
                    task if (name, ranking) == ("RNN", RANKINGS[0]) else "",
                    name if ranking == RANKINGS[0] else "",
                    f"`{ranking}`",
                    f"{bits('own', ranking)} / {bits('other', ranking)} / {bits('random')}",
                    *(
                        text
                        for claims in against.values()
                        for text in (
                            interval(claims[key], 3),
                            pvalue(claims[key].pvalue),
                            verdict(claims[key]),
                        )
                    ),
                ]
            )
        head = ["task", "states", "ranking", "own / other / random"]
        head += ["own - other", "p", "claim", "own - random", "p", "claim"]
        parts.append(f"### Held {words}\n\n{markdown(head, rows)}\n")
    return "\n".join(parts) + "\n" + _depends_section(nets)


def _depends_section(nets):
    """Return what the losses depend on: window, size of the sets, discretization."""
    rows = []
    for cell in CELLS:
        group = [net for net in nets.group("memory", cell) if "knockouts_by" in net]
        group = [net["knockouts_by"] for net in group if net["learned"]]
        for window, words in WINDOWS.items():
            for what, key in (("by set size", None), ("by discretization", "all")):
                for name, gain in _gains(group, window, what, key):
                    rows.append([cell, words, name, interval(gain, 3)])
    head = ["net", "held", "", "own - other"]
    return (
        "### What it depends on\n\n"
        f"Memory task, hidden states, relays by `{DEFAULT_METHOD}`: sets of other sizes, and "
        "states cut in other ways (a quarter of the nodes).\n\n"
        f"{markdown(head, rows)}\n\n![losses by set size](set_size.png)\n"
    )


def _gains(group, window, what, key):
    """Yield (name, own less other over nets)."""
    if not group:
        return
    parts = [net[window][what] for net in group]
    if key is None:
        for size in parts[0]:
            own, other = (
                np.array([part[size][side][DEFAULT_METHOD] for part in parts], dtype=float)
                for side in ("own", "other")
            )
            yield f"{size} node{'s' * (size != '1')}", mean_over_nets(own - other)
        return
    for name in parts[0]["own"]:
        own, other = (
            np.array([part[side][name] for part in parts], dtype=float) for side in ("own", "other")
        )
        yield name, mean_over_nets(own - other)


# ---------------------------------------------------------------- relays against knockouts


def _agreement_section(nets):
    """Return the third claim: where there is relay information, a knockout costs."""
    rows = []
    columns = {
        f"`{method}`, {WINDOWS[window]}, {what}": f"{method}, {window}, {what}"
        for method in (DEFAULT_METHOD, PUBLISHED)
        for window in WINDOWS
        for what in ("effect", "loss")
    }
    for task in TASKS:
        for name, (cell, state) in STATES.items():
            group = nets.group(task, cell)
            estimates = [
                mean_over_nets(figures(group, "agreement", path, state=state))
                for path in columns.values()
            ]
            rows.append([task if name == "RNN" else "", name, *map(interval, estimates)])
    return (
        "## 3. Does relay information tell what a knockout costs?\n\n"
        "Spearman's correlation, over all nodes and time steps, of the relay map with what holding "
        "the single node at its mean from that step on costs: the mean change of the log-odds "
        "(*effect*) or the bits of I(A;B) lost (*loss*). Mean over concepts, then over nets with "
        f"95 % intervals.\n\n{markdown(['task', 'states', *columns], rows)}\n"
    )


_SILENT = ("end_points", "class_kept", "at_rest", "in_cycle")


def _states_section(nets):
    """Return how trajectories move and cluster."""
    rows = []
    names = ("speed", "contraction", "separation", "silhouette", "dimension")
    for task in TASKS:
        for name, (cell, state) in STATES.items():
            group = nets.group(task, cell)
            ends = [
                interval(mean_over_nets(figures(group, "states", figure, -1, state=state)))
                for figure in names
            ]
            silent = ["-"] * len(_SILENT)
            if group[0]["places"]["h0"]["states"].get("end_points") is not None:
                silent = [
                    interval(mean_over_nets(figures(group, "states", figure, state=state)))
                    for figure in _SILENT
                ]
            rows.append([task if name == "RNN" else "", name, *ends, *silent])
    head = ["task", "states", *names, *(figure.replace("_", " ") for figure in _SILENT)]
    return (
        "## State space\n\n"
        "At the last time step of the window, the end of the delay in the first two tasks. "
        "*speed*: mean distance from the state one step before, in units of the spread of states; "
        "*contraction*: spread within classes over what it was at the first step; *separation*: "
        "share of the variance between classes; *silhouette* of the classes; *dimension*: "
        f"participation ratio of the variances. Then, after a silence of {SILENT_STEPS} steps: "
        "*end points* the states are at, how well these keep the class (*class kept*: homogeneity, "
        "0 to 1), and the shares of series *at rest* and *in cycle*, back where they were one or "
        "more steps before.\n\n"
        f"{markdown(head, rows)}\n\n![trajectories](states.png)\n"
    )


# ---------------------------------------------------------------- the page


def _summary_section(nets):
    """Return the claims of the paper and what became of them, task by task."""
    drift = _drift_claims(nets)
    rows = [
        [
            f"relays stay in {cell}, drift in RNN",
            measure,
            *(verdict(drift[measure, task, cell]) for task in TASKS),
        ]
        for cell in GATED
        for measure in DRIFT
    ]
    for minus in ("other", "random"):
        claims = [_knockout_claims(nets, window, minus) for window in WINDOWS]
        for name in STATES:
            for ranking in RANKINGS:
                rows.append(
                    [
                        f"{name}: knockouts cost own > {minus}",
                        f"`{ranking}`",
                        *(
                            ", ".join(verdict(by[task, name, ranking]) for by in claims)
                            for task in TASKS
                        ),
                    ]
                )
    return (
        "## The claims of the paper\n\n*holds*: as expected, p < .05 after adjustment. *reversed*: "
        "the opposite, p < .05. *open*: neither. For knockouts first with nodes held to the end, "
        f"then for a moment.\n\n{markdown(['claim', 'by', *TASKS], rows)}\n"
    )


def findings_page(results):
    """Return the page as Markdown.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds.

    Returns
    -------
    str
    """
    nets, settings = Nets(results), results["settings"]
    versions = ", ".join(f"{name} {release}" for name, release in results["versions"].items())
    warning = "**Made with --quick: it shows that it runs, not what is true.**\n\n"
    head = (
        "# Findings\n\n"
        f"{warning if settings['quick'] else ''}"
        "Made by `make reproduce` (`relayestimators reproduce`) from `results.json`, which it "
        f"wrote: {len(results['nets'])} nets, seeds 0 to {settings['seeds'] - 1} for the claims "
        "of Hintze, Najam and Schossau (arXiv:2510.01271), 0 to "
        f"{settings['seeds beyond'] - 1} beyond them; data, training and analysis all depend "
        "on the seed, and on the processor: another kind rounds sums in another order, so that the "
        f"nets trained there are others. {versions}.\n"
    )
    sections = [
        _summary_section,
        _nets_section,
        _drift_section,
        _knockout_section,
        _agreement_section,
        _states_section,
        beyond_section,
    ]
    return "\n".join([head, *(section(nets) for section in sections)])


def write_findings(results, folder):
    """Write the page of findings and its figures.

    Parameters
    ----------
    results : dict
        From :func:`reproduce`, or read from ``results.json``.
    folder : path
        Where to write.

    Returns
    -------
    list of Path
        The files: the page, and the figures.
    """
    folder, nets = Path(folder), Nets(results)
    pages = [folder / "findings.md"]
    pages[0].write_text(findings_page(results))
    for name, figure in all_figures(nets):
        figure.savefig(folder / name, dpi=110)
        pages.append(folder / name)
    return pages
