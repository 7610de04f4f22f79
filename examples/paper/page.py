"""The page of findings: tables and sentences, written from the stored results only."""

from functools import cache
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


# ---------------------------------------------------------------- networks


def _nets_section(nets):
    """Return the section on what was trained, and how many networks learned it."""
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
    head = ["task", "network", "largest class", "accuracy: mean [min, max]", "learned"]
    return (
        "## Networks\n\n"
        "A network has *learned* its task if its accuracy, on data that were not used for "
        f"training, is more than {LEARNED:.0%} of the way from the frequency of the largest class "
        f"to 1. Networks that did not learn are counted here and left out below.\n\n"
        f"{markdown(head, rows)}\n"
    )


# ---------------------------------------------------------------- drift


@cache  # the summary and the section of the claim use them
def _drift_claims(nets):
    """Return how far gated networks are above plain ones: {(measure, task, cell): Estimate}."""
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
    """Return the section on the first claim: plain networks drift, gated ones do not."""
    rows = []
    for task in TASKS:
        for name, (cell, state) in STATES.items():
            group = nets.group(task, cell)

            def mean(*path, group=group, state=state, digits=2):
                values = figures(group, "drift", *path, state=state)
                return interval(mean_over_nets(values), digits)

            def residence(*path, group=group, state=state):
                rates = 1 / figures(group, "drift", *path, state=state)
                rate = np.nanmean(rates) if np.isfinite(rates).any() else np.nan
                return "never" if rate == 0 else number(1 / rate, 1)

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
    head += ["residence", "effective number of nodes"]
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
        "*Similarity* is the cosine similarity of relay maps one time step apart, averaged over "
        f"time steps and concepts, for maps computed by the published search (`{PUBLISHED}`) and "
        f"by the default method (`{DEFAULT_METHOD}`). *Stability* is corrected for errors of "
        "estimation by comparing maps from two halves of the instances: 0 means relays at random "
        "nodes, 1 means relays that stay. It is given at lag 1 and at the longest lag in the "
        "window. *Ceiling* is the similarity of the two halves at the same time step, and *chance* "
        "the similarity of relays at random nodes. *Residence* is the number of time steps for "
        "which a node stays a relay (`relay_lifetime`). The *effective number of nodes* is the "
        "number of nodes among which the relay information is distributed. *LSTM, c* are memory "
        "cells, all other rows hidden states. The table shows means over networks with "
        f"95 % confidence intervals.\n\n{markdown(head, rows)}\n\n"
        "The next table shows how far gated networks are above plain ones. *Above* is the fraction "
        "of pairs of networks in which the gated one is above the plain one (0.5 is no "
        "difference); p is of the Mann-Whitney test, adjusted for all tests in this table.\n\n"
        f"{markdown(['measure', 'task', '', 'difference', 'above', 'p', 'claim'], tests)}\n\n"
        "![similarity by lag](drift.png)\n\n![relay maps](maps.png)\n"
    )


# ---------------------------------------------------------------- knockouts


def _specific(nets, task, cell, state, ranking, window, minus):
    """Return own minus other losses, over networks that learned.

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
    reference = figures(group, "knockouts", window, *path, state=state)
    return mean_over_nets(own - reference, test=True)


@cache
def _knockout_claims(nets, window, minus):
    """Return {(task, states, ranking): Estimate} for one window, with adjusted p-values."""
    return adjusted(
        {
            (task, name, ranking): _specific(nets, task, cell, state, ranking, window, minus)
            for task in TASKS
            for name, (cell, state) in STATES.items()
            for ranking in RANKINGS
        }
    )


def _knockout_section(nets):
    """Return the section on the second claim: knockouts of relays cost their own concept."""
    parts = [
        "## 2. Are knockouts of relays specific to their concept?\n\n"
        "The quarter of the nodes that a ranking puts first for a concept at a time step is "
        "clamped to its mean (mean ablation), from that time step until the end of the series, or "
        f"for a short window ({', '.join(f'{task} {width}' for task, width in WIDTHS.items())} "
        "time steps). The tables show the bits of I(A;B) lost for the concept of the ranking "
        "(*own*), for the other concepts (*other*; with two classes there is no other concept), "
        "and with random nodes (*random*). p is of Wilcoxon's signed-rank test over networks, "
        "adjusted for all tests of the same difference and window.\n"
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
        parts.append(f"### Clamped {words}\n\n{markdown(head, rows)}\n")
    return "\n".join(parts) + "\n" + _settings_section(nets)


def _settings_section(nets):
    """Return the part on what the losses depend on: window, number of nodes, discretization."""
    rows = []
    for cell in CELLS:
        group = [net for net in nets.group("memory", cell) if "knockouts_by" in net]
        group = [net["knockouts_by"] for net in group if net["learned"]]
        for window, words in WINDOWS.items():
            for what, key in (("by set size", None), ("by discretization", "all")):
                for name, gain in _gains_by_setting(group, window, what, key):
                    rows.append([cell, words, name, interval(gain, 3)])
    head = ["network", "clamped", "sets or states", "own - other"]
    return (
        "### What it depends on\n\n"
        f"This table is for the memory task, hidden states, and relays found by "
        f"`{DEFAULT_METHOD}`. It shows sets of other sizes, and other discretizations of the "
        "states with a quarter of the nodes clamped.\n\n"
        f"{markdown(head, rows)}\n\n![losses by set size](set_size.png)\n"
    )


def _gains_by_setting(group, window, what, key):
    """Yield (name, own minus other losses over networks)."""
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
    """Return the section on the third claim: a knockout costs where there is relay information."""
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
        "## 3. Does relay information predict the cost of a knockout?\n\n"
        "The table shows Spearman's correlation, over all nodes and time steps, of the relay map "
        "with the cost of clamping the single node to its mean from that time step on. The cost is "
        "the mean change of the log-odds (*effect*) or the bits of I(A;B) lost (*loss*). Values "
        "are means over concepts, then over networks, with 95 % confidence intervals.\n\n"
        f"{markdown(['task', 'states', *columns], rows)}\n"
    )


_SILENT = ("end_points", "class_kept", "at_rest", "in_cycle")


def _states_section(nets):
    """Return the section on how trajectories move and cluster."""
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
        "The first columns describe the last time step of the window, which is the end of the "
        "delay in the first two tasks. *Speed* is the mean distance from the state one time step "
        "before, in units of the spread of states. *Contraction* is the spread within classes "
        "divided by its value at the first time step. *Separation* is the fraction of the variance "
        "between classes, *silhouette* is that of the classes, and *dimension* is the "
        f"participation ratio of the variances. The last columns describe the states after "
        f"{SILENT_STEPS} time steps without input: the number of different *end points*, how well "
        "these separate the classes (*class kept*: homogeneity, 0 to 1), and the fractions of "
        "series *at rest* and *in cycle*, which are back at an earlier state after one time "
        f"step, or after more.\n\n{markdown(head, rows)}\n\n![trajectories](states.png)\n"
    )


# ---------------------------------------------------------------- the page


def _summary_section(nets):
    """Return the section with the verdict on every claim of the paper, task by task."""
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
        "## The claims of the paper\n\nA claim *holds* if the result is as expected with p < .05 "
        "after adjustment for multiple tests. It is *reversed* if the opposite is significant, "
        "and *open* otherwise. For knockouts there are two verdicts: the first with nodes clamped "
        "until the end, the second with nodes clamped for a short window.\n\n"
        f"{markdown(['claim', 'by', *TASKS], rows)}\n"
    )


def findings_page(results):
    """Return the page as Markdown.

    Parameters
    ----------
    results : dict
        Content of ``results.json``.

    Returns
    -------
    str
    """
    nets, settings = Nets(results), results["settings"]
    versions = ", ".join(f"{name} {release}" for name, release in results["versions"].items())
    warning = "**Made with --quick: everything runs, but the results mean nothing.**\n\n"
    head = (
        "# Findings\n\n"
        f"{warning if settings['quick'] else ''}"
        "This page is written by `make reproduce` (`python -m paper`) from the results that it "
        f"stores in `results.json`. They are of {len(results['nets'])} networks, trained with "
        f"seeds 0 to {settings['seeds'] - 1} for the claims of Hintze, Najam and Schossau "
        f"(arXiv:2510.01271), and with seeds 0 to {settings['seeds beyond'] - 1} for the steps "
        "beyond them. Data, training and analysis depend on the seed. They also depend on the "
        "processor: rounding differs between CPUs, so networks and digits will too. Versions: "
        f"{versions}.\n"
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
        Result of :func:`reproduce`, or content of ``results.json``.
    folder : path
        Folder to write to.

    Returns
    -------
    list of Path
        The files written: the page, and the figures.
    """
    folder, nets = Path(folder), Nets(results)
    pages = [folder / "findings.md"]
    pages[0].write_text(findings_page(results))
    for name, figure in all_figures(nets):
        figure.savefig(folder / name, dpi=110)
        pages.append(folder / name)
    return pages
