"""Error rates of both tests and of the number of relays, power, and coverage of intervals."""

import warnings

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from relayestimators.relay import relay_map

from .constructed import cases, latches
from .good_nets import make_good
from .models import MODELS, make
from .nulls import NO_NULLS, SETTINGS, STANDARD, null_model
from .tables import markdown

FIRST_SEED = 8000
REPEATED = 4  # times as many seeds for settings that seem to have too many errors


def trial(seed, setting):
    """Return the results of both tests for one draw of a null model.

    Returns
    -------
    list of list
        For each test, the fractions of p-values of at most .05 and .01 among nodes for which the
        null hypothesis is true, and whether more nodes are taken than those for which it is false;
        NaN where there is none.
    """
    warnings.simplefilter("ignore")
    a, b, states, log_odds, labels, chance, heard = null_model(seed, setting)
    m = (STANDARD | setting)["n_permutations"]
    options = {"log_odds": log_odds, "labels": labels, "n_permutations": m, "random_state": seed}
    result = relay_map(a, b, states, **options)
    found = []
    # "heard" takes nodes that are beyond chance as well, so that one true null is enough
    for pvalues, null, not_to_take, number in (
        (result.pvalues, chance, chance, result.n_beyond),
        (result.pvalues_heard, heard, chance | heard, result.n_heard),
    ):
        known = pvalues[..., null]
        tested = known.size and not np.isnan(known).all()
        rates = [(known <= x).mean() if tested else np.nan for x in (0.05, 0.01)]
        none = number is None or not not_to_take.any()
        found.append([*rates, np.nan if none else number > (~not_to_take).sum()])
    return found


def _rate(values, nominal):
    """Return a mean, marked where it exceeds the nominal rate by two standard errors."""
    values = values[~np.isnan(values)]
    if not len(values):
        return ""
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    if set(values) <= {0.0, 1.0}:
        error = np.sqrt(nominal * (1 - nominal) / len(values))
    return f"{mean:.3f}{' (!)' if mean > nominal + 2 * error else ''}"


def _named(setting):
    """Return what a setting changes, in words."""
    name = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in setting.items())
    return name.replace("kind ", "").replace(" True", "")


def _rates(setting, first_seed, n_trials):
    """Return the three error rates of each test in a setting, as text."""
    seeds = range(first_seed, first_seed + n_trials)
    found = Parallel(n_jobs=2)(delayed(trial)(seed, setting) for seed in seeds)
    found = np.array(found, dtype=float)  # trials, tests, rates
    return [
        _rate(found[:, test, k], level)
        for test in range(2)
        for k, level in enumerate((0.05, 0.01, 0.05))
    ]


def _errors(n_trials):
    """Return the table of error rates under null hypotheses.

    Settings with a mark are repeated with more seeds, because in so many settings some exceed the
    nominal rate by two standard errors by chance.
    """
    rows, again = [], []
    for setting in tqdm(SETTINGS, desc="null models"):
        rows.append([_named(setting), *_rates(setting, FIRST_SEED, n_trials)])
        if any("!" in rate for rate in rows[-1]):
            again.append(setting)
    for setting in again:
        name = f"again, {REPEATED * n_trials} other seeds: {_named(setting)}"
        rows.append([name, *_rates(setting, FIRST_SEED + n_trials, REPEATED * n_trials)])
    header = ["setting", "chance, .05", "chance, .01", "`auto`"]
    return markdown([*header, "heard, .05", "heard, .01", "`heard`"], rows)


def _rejected(seed, setting):
    """Return the fraction of p-values of at most .05, by test, for nodes that are beyond chance."""
    warnings.simplefilter("ignore")
    a, b, states, log_odds, labels, chance, _ = null_model(seed, setting)
    options = {"log_odds": log_odds, "labels": labels, "n_permutations": 39, "random_state": seed}
    result = relay_map(a, b, states, **options)
    values = result.pvalues, result.pvalues_heard
    return [(pvalues[..., ~chance] <= 0.05).mean() for pvalues in values]


def _no_nulls(n_trials):
    """Return the table of nodes that are no relays, and no null hypothesis of a test."""
    rows = []
    for setting in tqdm(NO_NULLS, desc="no null models"):
        seeds = range(FIRST_SEED, FIRST_SEED + n_trials)
        found = Parallel(n_jobs=2)(delayed(_rejected)(seed, setting) for seed in seeds)
        rows.append([_named(setting), *(f"{value:.2f}" for value in np.mean(found, axis=0))])
    return markdown(["nodes", "chance, .05", "heard, .05"], rows)


CELLS = ("rnn", "gru", "lstm")
LATCHES = {  # of `constructed.latches`, by what the network does
    "3 % errors": {"noise": 0.8, "decoy_noise": 0.6},
    "no errors": {"noise": 0.3, "decoy_noise": 0.25},
}
POWER = [
    ("hard", 250),
    ("hard", 500),
    ("weak", 1000),
    ("redundant", 1000),
    ("decoys 10/5", 1000),
    ("xor", 1000),
    ("vote of 3, decoys 2 %", 1000),
    ("vote of 3, margin", 1000),
    ("error-free, margin", 1000),
    ("8 copies", 1000),
    *((f"latches, {cell.upper()}, {what}", 1000) for cell in CELLS for what in LATCHES),
]


def drawn(name, seed, n, n_nodes):
    """Return data with relays by the name of a model, or of a network of latches.

    Returns
    -------
    data : dict
        Arguments of `relay_map`.
    relays : ndarray of shape (n_concepts, n_timepoints, n_nodes), bool
    """
    if name in MODELS:
        a, b, states, found = make(name, seed, n, n_nodes)
        data = {"concept_in": a[:, None], "concept_out": b[:, None], "states": states[:, None]}
        relays = np.isin(np.arange(n_nodes), found)[None, None]
        return data, relays
    if name.startswith("latches"):
        _, cell, what = name.split(", ")
        by_step = cases(latches(cell.lower(), seed, n, **LATCHES[what]))
    else:
        by_step = {(0, 0): make_good(name, seed, n, n_nodes)}
    steps = sorted({t for _, t in by_step})
    one_step = [case for (_, t), case in by_step.items() if t == steps[0]]
    names = ["concept_in", "concept_out", "log_odds"]
    data = {name: np.array([getattr(case, name) for case in one_step]).T for name in names}
    if one_step[0].log_odds is None:
        data["log_odds"] = None
    data["labels"] = one_step[0].classes
    data["states"] = np.stack([by_step[0, t].states() for t in steps], axis=1)
    relays = np.zeros((len(one_step), *data["states"].shape[1:]), dtype=bool)
    for (concept, t), case in by_step.items():
        relays[concept, t, case.relays] = True
    return data, relays


def _power(name, seed, n):
    """Return what both tests find if there are relays."""
    warnings.simplefilter("ignore")
    data, relays = drawn(name, seed, n, 32)
    result = relay_map(**data, n_permutations=39, random_state=seed)
    tests = result.significant, result.heard
    return [
        relays.any(axis=(0, 1)).sum(),
        *(found[relays].mean() for found in tests),
        *((found & ~relays).sum() / max(1, found.sum()) for found in tests),
        result.n_beyond,
        result.n_heard,
    ]


def _powers(n_trials):
    """Return the table of power and of the number of relays."""
    rows = []
    for name, n in tqdm(POWER, desc="power"):
        seeds = range(FIRST_SEED, FIRST_SEED + n_trials)
        found = Parallel(n_jobs=2)(delayed(_power)(name, seed, n) for seed in seeds)
        size, power, heard, false, false_heard, auto, n_heard = np.mean(found, axis=0)
        rows.append(
            [name, n, f"{size:.0f}", f"{power:.2f}", f"{false:.2f}", f"{auto:.1f}"]
            + [f"{heard:.2f}", f"{false_heard:.2f}", f"{n_heard:.1f}"]
        )
    header = ["model", "n", "relays", "chance: power", "other nodes", "`auto`"]
    return markdown([*header, "heard: power", "other nodes", "`heard`"], rows)


INTERVALS = [
    ("independent", 500),
    ("weak", 500),
    ("redundant", 500),
    ("hard", 500),
    ("vote of 3, margin", 500),
    ("vote of 3, 95 to 5, margin", 250),
    ("vote of 3, 95 to 5, margin", 500),
    ("vote of 3, 95 to 5, margin", 1000),
    ("error-free, margin", 500),
    ("saturated, margin", 500),
    ("one-hot, margin", 500),
]


def _one_interval(name, seed, n, resample):
    """Return scores of true relays, and their interval if asked for; relays in order of number."""
    warnings.simplefilter("ignore")
    data, relays = drawn(name, seed, n, 16)
    # With all sets of two nodes, so that only the choice of instances varies.
    options = {"n_contexts": 120, "random_state": 0}
    result = relay_map(**data, n_resamples=50 * resample, **options)
    ends = result.confidence_interval[:, relays] if resample else None
    return result.relay_map[relays], ends


def _intervals(n_trials):
    """Return how often a 95 % interval contains the expected score at this number of instances."""
    rows = []
    for name, n in tqdm(INTERVALS, desc="intervals"):
        run = Parallel(n_jobs=2)
        truth = run(
            delayed(_one_interval)(name, seed, n, False)
            for seed in range(FIRST_SEED + 10_000, FIRST_SEED + 10_000 + 2 * n_trials)
        )
        expected = np.mean([scores for scores, _ in truth])
        found = run(
            delayed(_one_interval)(name, seed, n, True)
            for seed in range(FIRST_SEED, FIRST_SEED + n_trials)
        )
        inside = [((low <= expected) & (expected <= high)).mean() for _, (low, high) in found]
        error = np.std(inside, ddof=1) / np.sqrt(n_trials)
        rows.append([name, n, f"{np.mean(inside):.3f} ± {error:.3f}"])
    return markdown(["model", "n", "fraction that contains the expected score"], rows)


def run(quick):
    """Return the benchmark as text."""
    n_trials = 10 if quick else 200
    n_power = 3 if quick else 40
    standard = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in STANDARD.items())
    return (
        "## Significance and the number of relays\n\nError rates of the tests *chance* and *heard* "
        f"under their null hypotheses, from {n_trials} trials with seeds from {FIRST_SEED} on: the "
        "fraction of nodes and time steps with p-values of at most .05 and .01, over nodes for "
        "which the null hypothesis is true; and the fraction of trials in which "
        '`n_relays="auto"` or `"heard"` takes more nodes than those for which it is false, none in '
        "most rows. An exclamation mark says that a rate exceeds the nominal one by two standard "
        "errors; if all rates were nominal, about one in forty would, so that such rows are "
        "repeated with more seeds at the end. All rows have the same seeds.\n\n"
        "The null hypothesis of *chance* is that a node has nothing to do with A, or nothing to do "
        "with B; that of *heard* is that a node has nothing to do with what the network says "
        "beyond the true class. Rows without a name are *noise*, a null hypothesis of both. In the "
        "others half of the nodes are what the name says, and the rest is noise. Nodes that "
        "*know A*, where B goes with A, have to do with B through A. They are rightly beyond "
        "chance, and are a null hypothesis of *heard* only; *chance* is then shown for the noise, "
        "if it is not correlated with them. "
        "If B is independent of A, nodes that know A, or know B, or some of them A and others B, "
        "have to do with one of the two, and are a null hypothesis of *chance*. Nodes that know B "
        "are heard, and so are those that have a *common cause* with B or with its errors. If the "
        "cause is independent of A, they are a null hypothesis of *chance*. A common cause of "
        "nodes and of A is another way to know A. *Beside relays*: a quarter of the nodes decides "
        "what the network says, and rates are those of noise, or of nodes that know A as well as "
        "these. The models are in "
        f"`tests/benchmarks/nulls.py`. The standard is {standard}; rows say what differs from it."
        f"\n\n{_errors(n_trials)}\n\n"
        "Some nodes are no relays, and yet no null hypothesis of a test. The next table shows how "
        "often they are rejected at .05, which is no error of the tests: a node that depends on A "
        "and on B separately, that reads B from the output, or that shares the noise of relays, "
        "has to do with A, and with B beyond the class. Only the network itself can tell, by "
        f"knockouts.\n\n{_no_nulls(n_trials)}\n\n"
        "The next table shows what is found if there are relays, among 32 nodes, with 39 "
        f"permutations and {n_power} seeds: the fraction of relays that are significant at a false "
        "discovery rate of 5 %, other nodes among all significant ones, and the mean number of "
        "relays. Decoys are beyond chance, so that the first test takes them too. Codes of two "
        "nodes such as XOR are never seen to be heard, because this test looks at single nodes. "
        "The last rows are networks with 20 "
        "nodes, 2 bits and 4 time steps, in which 6 latches are heard and 6 are not "
        f"(`tests/benchmarks/constructed.py`).\n\n{_powers(n_power)}\n\n"
        "The last table shows how often 95 % confidence intervals of true relays contain the "
        "expected score at the same number of instances (from twice as many other seeds), with 16 "
        f"nodes, all sets of two of them, 50 random halves and {n_trials} trials, ± the standard "
        "error.\n\n"
        f"{_intervals(n_trials)}\n"
    )
