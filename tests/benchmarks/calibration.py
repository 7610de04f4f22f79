"""Error rates of both tests and of the number of relays, power, and coverage of intervals."""

import warnings

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from relayestimators import StateDiscretizer
from relayestimators.relay import relay_map

from .good_nets import make_good
from .models import make
from .tables import markdown

FIRST_SEED = 8000

# Settings of the null models, each a change of these.
STANDARD = {
    "kind": "noise",
    "n": 300,
    "n_nodes": 12,
    "n_timepoints": 1,
    "n_concepts": 1,
    "n_classes": 2,
    "agreement": 0.95,
    "balance": 0.5,
    "margin": False,
    "correlated": False,
    "n_permutations": 39,
}

SETTINGS = [
    *({"agreement": x} for x in (0.8, 0.9, 0.95, 0.975, 0.99, 1.0)),
    {"agreement": 1.0, "margin": True},
    {"margin": True},
    *({"n_permutations": m} for m in (3, 5, 9, 19, 99)),
    *({"n": n} for n in (100, 1000, 2000)),
    {"balance": 0.05},
    {"balance": 0.05, "margin": True},
    {"n_classes": 4},
    {"n_classes": 10, "margin": True},
    {"correlated": True},
    {"correlated": True, "n_timepoints": 5, "agreement": 0.9, "n_nodes": 8},
    *({"n_timepoints": t, "n_nodes": 8, "n_permutations": 20} for t in (5, 20)),
    {"n_timepoints": 20, "n_nodes": 8, "n_permutations": 20, "agreement": 1.0},
    {"n_timepoints": 60, "n": 100, "n_nodes": 4, "n_permutations": 20},
    {"n_timepoints": 100, "n": 100, "n_nodes": 4, "n_permutations": 20, "agreement": 1.0},
    {"n_concepts": 10, "n_classes": 10, "n_nodes": 8, "n_permutations": 20, "margin": True},
    *({"kind": kind} for kind in ("knows A", "knows A, independent B", "drives B")),
    {"kind": "knows A", "margin": True},
    {"kind": "knows A", "agreement": 0.99, "margin": True, "n": 1000},
    {"kind": "common cause"},
]


def null_model(seed, setting):
    """Return true and predicted values, states, log-odds, labels, and which tests must find none.

    "noise": nodes have nothing to do with A and B, which is the null hypothesis of both tests.
    "knows A": nodes know A, and B goes with A; the nodes have to do with A and with B, so that they
    are beyond chance, but they are not heard. "knows A, independent B" and "drives B": B is
    independent of A, and half of the nodes know A, or drive B. They have to do with one of the two
    only, and are not beyond chance. Nodes that drive B are heard. "common cause": a hidden variable
    drives half of the nodes and the errors of B, and A is independent of it; the nodes have to do
    with B only.
    """
    o = STANDARD | setting
    rng = np.random.default_rng([29, seed])
    n, k, t = o["n"], o["n_nodes"], o["n_timepoints"]
    if o["n_classes"] == 2:
        labels = (rng.random(n) < o["balance"]).astype(int)
        other = (rng.random(n) < o["balance"]).astype(int)
    else:
        labels, other = rng.integers(0, o["n_classes"], (2, n))
    wrong = rng.random(n) > o["agreement"]
    hidden = rng.normal(size=(n, t, k))
    if o["correlated"]:  # three latent variables that change little over time
        latent = rng.normal(size=(n, 1, 3)) + 0.3 * rng.normal(size=(n, t, 3))
        hidden += latent @ rng.normal(size=(3, k))
    half = np.arange(k) < k // 2
    if o["kind"] == "common cause":
        latent = rng.normal(size=n)
        wrong = latent > np.quantile(latent, o["agreement"])
        hidden += np.where(half, latent[:, None, None], 0.0)
    said = np.where(wrong, 1 - labels if o["n_classes"] == 2 else other, labels)
    if "independent" in o["kind"] or o["kind"] == "drives B":
        said = other
    known = {"knows A": labels, "knows A, independent B": labels, "drives B": said}
    if o["kind"] in known:
        hidden += np.where(half, 1.5 * known[o["kind"]][:, None, None], 0.0)
    states = StateDiscretizer().fit_transform(hidden)
    concepts = np.arange(o["n_concepts"]) if o["n_concepts"] > 1 else [1]
    a, b = (np.equal.outer(values, concepts).astype(int) for values in (labels, said))
    if o["n_concepts"] == 1 and o["n_classes"] > 2:
        a, b = labels[:, None], said[:, None]
    log_odds = rng.normal(2.0, 1.0, a.shape) if o["margin"] else None
    chance, heard = {
        "knows A": (~half, half | ~half),
        "drives B": (half | ~half, ~half),
        "common cause": (half | ~half, ~half),
    }.get(o["kind"], (half | ~half, half | ~half))
    return a, b, states, log_odds, labels, chance, heard


def trial(seed, setting):
    """Return the fractions of false positives, and whether any node is taken, of both tests."""
    warnings.simplefilter("ignore")
    a, b, states, log_odds, labels, chance, heard = null_model(seed, setting)
    m = (STANDARD | setting)["n_permutations"]
    options = {"log_odds": log_odds, "labels": labels, "n_permutations": m, "random_state": seed}
    result = relay_map(a, b, states, **options)
    found = []
    for pvalues, null, number in (
        (result.pvalues, chance, result.n_beyond),
        (result.pvalues_heard, heard, result.n_heard),
    ):
        known = pvalues[..., null]
        rates = (
            [np.nan] * 2 if np.isnan(known).all() else [(known <= x).mean() for x in (0.05, 0.01)]
        )
        any_found = np.nan if number is None or not null.all() else float(number > 0)
        found.append([*rates, any_found])
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


def _errors(n_trials):
    """Return the table of error rates under null hypotheses."""
    rows = []
    for setting in tqdm(SETTINGS, desc="null models"):
        seeds = range(FIRST_SEED, FIRST_SEED + n_trials)
        found = Parallel(n_jobs=2)(delayed(trial)(seed, setting) for seed in seeds)
        found = np.array(found, dtype=float)  # trials, tests, rates
        name = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in setting.items())
        row = [name.replace("kind ", "").replace(" True", "")]
        for test in range(2):
            row += [_rate(found[:, test, k], level) for k, level in enumerate((0.05, 0.01, 0.05))]
        rows.append(row)
    header = ["setting", "chance, .05", "chance, .01", "`auto` > 0"]
    return markdown([*header, "heard, .05", "heard, .01", "`heard` > 0"], rows)


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
]


def _powers(n_trials):
    """Return the table of power and of the number of relays."""
    rows = []
    for name, n in tqdm(POWER, desc="power"):
        found = []
        for seed in range(FIRST_SEED, FIRST_SEED + n_trials):
            options = {"n_permutations": 39, "random_state": seed}
            if name[0].isdigit() or "vote" in name or "error" in name:
                case = make_good(name, seed, n, 32)
                a, b, states, relays = *case[:2], case.states(4), case.relays
                options["labels"] = case.classes
                if case.log_odds is not None:
                    options["log_odds"] = case.log_odds[:, None]
            else:
                a, b, states, relays = make(name, seed, n, 32)
            result = relay_map(a[:, None], b[:, None], states[:, None], **options)
            others = np.setdiff1d(np.arange(32), relays)
            tests = [result.significant[0, 0], result.heard[0, 0]]
            found.append(
                [
                    *(x[relays].mean() for x in tests),
                    *(x[others].sum() / max(1, x.sum()) for x in tests),
                ]
                + [result.n_beyond, result.n_heard]
            )
        power, heard, false, false_heard, auto, n_heard = np.mean(found, axis=0)
        rows.append(
            [name, n, len(relays), f"{power:.2f}", f"{false:.2f}", f"{auto:.1f}"]
            + [f"{heard:.2f}", f"{false_heard:.2f}", f"{n_heard:.1f}"]
        )
    header = ["model", "n", "relays", "chance: power", "other nodes", "`auto`"]
    return markdown([*header, "heard: power", "other nodes", "`heard`"], rows)


INTERVALS = [
    *(f"model: {name}" for name in ("independent", "weak", "redundant", "hard")),
    "vote of 3, margin",
    "vote of 3, 95 to 5, margin",
    "error-free, margin",
    "saturated, margin",
    "one-hot, margin",
]


def _one_interval(name, seed, n, resample):
    """Return scores of true relays, and their interval if asked for; relays in order of number."""
    warnings.simplefilter("ignore")
    options = {"random_state": 0, "n_resamples": 50 * resample}
    if name.startswith("model: "):
        a, b, states, relays = make(name.removeprefix("model: "), seed, n, 16)
    else:
        case = make_good(name, seed, n, 16)
        a, b, states, relays = *case[:2], case.states(4), case.relays
        options |= {"labels": case.classes, "log_odds": case.log_odds[:, None]}
    result = relay_map(a[:, None], b[:, None], states[:, None], **options)
    ends = result.confidence_interval[:, 0, 0, relays] if resample else None
    return result.relay_map[0, 0, relays], ends


def _intervals(n_trials):
    """Return how often a 95 % interval contains the expected score at this number of instances."""
    rows = []
    for name in tqdm(INTERVALS, desc="intervals"):
        run = Parallel(n_jobs=2)
        truth = run(
            delayed(_one_interval)(name, seed, 500, False)
            for seed in range(FIRST_SEED + 10_000, FIRST_SEED + 10_000 + 2 * n_trials)
        )
        expected = np.mean([scores for scores, _ in truth])
        found = run(
            delayed(_one_interval)(name, seed, 500, True)
            for seed in range(FIRST_SEED, FIRST_SEED + n_trials)
        )
        inside = [((low <= expected) & (expected <= high)).mean() for _, (low, high) in found]
        error = np.std(inside, ddof=1) / np.sqrt(n_trials)
        rows.append([name.removeprefix("model: "), f"{np.mean(inside):.3f} ± {error:.3f}"])
    return markdown(["model", "fraction that contains the expected score"], rows)


def run(quick):
    """Return the benchmark as text."""
    n_trials = 10 if quick else 200
    n_power = 3 if quick else 40
    standard = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in STANDARD.items())
    return (
        "## Significance and the number of relays\n\nError rates of the tests *chance* and *heard* "
        f"under their null hypotheses, from {n_trials} trials with seeds from {FIRST_SEED} on: the "
        "fraction of nodes and time steps with p-values of at most .05 and .01, over nodes for "
        'which the null hypothesis is true; and the fraction of trials in which `n_relays="auto"` '
        'or `"heard"` would take any node, where it is true for all of them. An exclamation mark '
        "says that a rate exceeds the nominal one by two standard errors. *Noise* has nothing to "
        "do with A and B. Nodes that *know A* are beyond chance if B goes with A, and are not "
        "heard. If B is independent of A, nodes that know A, or drive B, have to do with one of "
        "the two, and are not beyond chance. A *common cause* of nodes and errors makes nodes "
        "heard, but not beyond chance where B goes with A only through the class. The standard is "
        f"{standard}; rows say what differs from it.\n\n{_errors(n_trials)}\n\n"
        "The next table shows what is found if there are relays, among 32 nodes, with 39 "
        f"permutations and {n_power} seeds: the fraction of relays that are significant at a false "
        "discovery rate of 5 %, other nodes among all significant ones, and the mean number of "
        "relays. Decoys are beyond chance, so that the first test takes them too; XOR codes are "
        f"never seen to be heard.\n\n{_powers(n_power)}\n\n"
        "The last table shows how often 95 % confidence intervals of true relays contain the "
        "expected score at the same number of instances (from twice as many other seeds), with "
        f"n=500, 16 nodes, 50 random halves and {n_trials // 2} trials, ± the standard error.\n\n"
        f"{_intervals(n_trials // 2)}\n"
    )
