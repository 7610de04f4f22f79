"""Measurements on one network: it is trained, its relays are found, and they are knocked out."""

import time

import numpy as np
from scipy.stats import spearmanr
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import homogeneity_score
from sklearn.model_selection import train_test_split

from relayestimators import RelayAnalyzer, RelayHistory
from relayestimators.classifiers import CELLS
from relayestimators.dynamics import (
    attractor_summary,
    drift_summary,
    end_points,
    relay_similarity,
    silent_panel,
    trajectory_pca,
)
from relayestimators.inspection import combine_rankings, compare_rankings, knockout_sweep
from relayestimators.relay import DEFAULT_METHOD

from .plan import HIDDEN_SIZE, TASKS

PUBLISHED = "shrink"  # the search of the paper
METHODS = (DEFAULT_METHOD, PUBLISHED)
COMBINED = f"{DEFAULT_METHOD} * knockout"
RANKINGS = (PUBLISHED, DEFAULT_METHOD, COMBINED)
LEARNED = 0.5  # fraction of the way from the frequency of the largest class to perfect accuracy
SET_SIZES = (1, 2, 4, 8, 16)
DISCRETIZATIONS = {
    "four states, between clusters or at quartiles": {},
    "four states, at quartiles": {"strategy": "quantile"},
    "two states, at the median": {"n_states": 2, "strategy": "quantile"},
    "two states, by k-means": {"n_states": 2, "strategy": "kmeans"},
    "two states, by sign": {"strategy": "sign"},
}
SILENT_STEPS = 300


def measure(experiment, *, quick=False, in_depth=False):
    """Train the network of an experiment and measure it.

    Parameters
    ----------
    experiment : Experiment
    quick : bool, default=False
        Whether to use little data and short training.
    in_depth : bool, default=False
        Whether to also follow the relays through training, and to measure what the losses depend
        on.

    Returns
    -------
    dict
        Measured values: numbers, arrays, and dicts of these.
    """
    start = time.perf_counter()
    seed = experiment.seed
    data = TASKS[experiment.task](seed, quick=quick, **dict(experiment.task_options))
    options = {"module__hidden_size": HIDDEN_SIZE} | data.training | dict(experiment.net_options)
    net = CELLS[experiment.cell](random_state=seed, **options)
    if in_depth:
        every = -(-net.max_epochs // 8)
        relays = RelayHistory(
            *data.find, every=every, timepoints=data.window, concepts=data.concepts
        )
        net.set_params(callbacks=[("relays", relays)])
    net.fit(*data.train)
    accuracy = net.score(*data.measure)
    majority = np.unique(data.measure[1], return_counts=True)[1].max() / len(data.measure[1])
    states = ("h", "c") if experiment.cell == "LSTM" else ("h",)
    places = [(layer, state) for layer in range(net.module_.num_layers) for state in states]
    measured = {
        f"{state}{layer}": _measure_layer(net, data, seed, layer=layer, state=state)
        for layer, state in places
    }
    maps = {place: figures.pop("map") for place, figures in measured.items()}
    record = {
        "accuracy": accuracy,
        "train_accuracy": net.score(*data.train),
        "majority": majority,
        "learned": has_learned(accuracy, majority),
        "places": measured,
    }
    if in_depth:
        record["map"] = maps["h0"]
        record["history"] = _history(net)
        record["knockouts_by"] = _losses_by_setting(net, data, seed)
        record["path"] = _mean_path(net, data)
    return record | {"seconds": time.perf_counter() - start}


def has_learned(accuracy, majority):
    """Return whether a network has learned its task.

    Parameters
    ----------
    accuracy : float
        Accuracy on data that were not used for training.
    majority : float
        Frequency of the largest class, below 1.

    Returns
    -------
    bool
    """
    return (accuracy - majority) / (1 - majority) > LEARNED


def _measure_layer(net, data, seed, **place):
    """Return what is measured on the states of one layer."""
    options = {"concepts": data.concepts, "random_state": seed, **place}
    maps = {
        method: _relay_map(net, *data.find, data.window, method=method, **options)
        for method in METHODS
    }
    windows = {"short": data.width, "long": None}
    sweeps = {
        name: knockout_sweep(net, *data.find, timepoints=data.window, width=width, **options)
        for name, width in windows.items()
    }
    return {
        "map": maps[DEFAULT_METHOD],
        "drift": _drift(net, data, maps, options),
        "knockouts": {
            name: _knocked_out(
                net, data, width, _rankings(data, maps, sweeps[name].effect), **options
            )
            for name, width in windows.items()
        },
        "agreement": {
            f"{method}, {name}, {what}": _agreement(relays, sweep[what])
            for method, relays in maps.items()
            for name, sweep in sweeps.items()
            for what in ("effect", "loss")
        },
        "states": _states(net, data, **place),
    }


def _drift(net, data, maps, options):
    """Return drift by both methods, and drift corrected for errors of estimation."""
    X, y = data.find
    X_a, X_b, y_a, y_b = train_test_split(
        X, y, test_size=0.5, stratify=y, random_state=options["random_state"]
    )
    halves = [_relay_map(net, *half, data.window, **options) for half in ((X_a, y_a), (X_b, y_b))]
    corrected = drift_summary([halves[0]], [halves[1]])
    result = {
        "stability": corrected.stability.per_net[0],
        "ceiling": corrected.ceiling.per_net[0],
    }
    for method, relays in maps.items():
        summary = drift_summary([relays])
        names = ("similarity", "chance", "localization", "participation", "lifetime", "half_life")
        result[method] = {name: summary[name].per_net[0] for name in names}
    return result


def _relay_map(net, X, y, timepoints, **options):
    analyzer = RelayAnalyzer(FrozenEstimator(net), timepoints=timepoints, **options)
    return analyzer.fit(X, y).relay_map_


def _rankings(data, maps, effect):
    """Return the scores of every ranking at the time steps at which windows begin."""
    at = np.searchsorted(data.window, data.starts)
    scores = {method: relays[:, at] for method, relays in maps.items()}
    return scores | {COMBINED: combine_rankings(scores[DEFAULT_METHOD], effect[:, at])}


def _knocked_out(net, data, width, rankings, *, n_relays=0.25, **options):
    """Return own, other and random losses of the relay sets of every ranking, in bits."""
    result = compare_rankings(
        net,
        *data.measure,
        find=data.find,
        rankings=rankings,
        timepoints=data.starts,
        width=width,
        n_relays=n_relays,
        n_resamples=2,  # confidence intervals are computed over networks
        **options,
    )
    return {
        "own": dict(zip(result.rankings, result.own.mean(axis=1), strict=True)),
        "other": dict(zip(result.rankings, result.other.mean(axis=1), strict=True)),
        "random": result.random.mean(),
        "information": result.information.mean(),
    }


def _agreement(relays, causal):
    """Return the rank correlation of two maps over nodes and time steps, averaged over concepts."""
    values = [
        spearmanr(a.ravel(), b.ravel())[0] if np.ptp(a) > 0 and np.ptp(b) > 0 else np.nan
        for a, b in zip(relays, causal, strict=True)
    ]
    return np.mean(values)


def _states(net, data, *, layer, state):
    """Return how states move and cluster in the window, and where they end without input."""
    X, y = data.find
    first, last = data.window[[0, -1]]
    hidden = net.hidden_states(X, layer=layer, state=state)
    summary = attractor_summary(hidden, y, start=first, stop=last + 1)
    names = ("speed", "contraction", "separation", "silhouette", "dimension")
    figures = {name: summary[name] for name in names}
    if data.silent:
        silent = silent_panel(X, start=first, n_steps=SILENT_STEPS)
        ends = end_points(net.hidden_states(silent, layer=layer, state=state))
        figures["end_points"] = len(ends.points)
        figures["at_rest"] = np.mean(ends.period == 1)
        figures["in_cycle"] = np.mean(ends.period > 1)
        figures["period"] = np.median(ends.period)
        figures["class_kept"] = homogeneity_score(y, ends.point_of)
    return figures


# ---------------------------------------------------------------- in depth


def _history(net):
    """Return accuracy, similarity over time, and similarity to the last map, epoch by epoch."""
    relays = dict(net.callbacks_)["relays"]
    final = relays.maps_[-1]
    return {
        "epochs": relays.epochs_,
        "accuracy": relays.accuracy_,
        "similarity": [np.nanmean(relay_similarity(m, lags=1)) for m in relays.maps_],
        "final": [np.nanmean(relay_similarity(m, final, lags=0)) for m in relays.maps_],
    }


def _losses_by_setting(net, data, seed):
    """Return losses by number of nodes, length of the window, and discretization."""
    options = {"concepts": data.concepts, "random_state": seed}
    windows = {"short": data.width, "long": None}
    found = {
        name: _relay_map(net, *data.find, data.starts, **how, **options)
        for name, how in DISCRETIZATIONS.items()
    }
    standard = {DEFAULT_METHOD: found[next(iter(found))]}
    return {
        name: {
            "by set size": {
                str(n): _knocked_out(net, data, width, standard, n_relays=n, **options)
                for n in SET_SIZES
            },
            "by discretization": _knocked_out(net, data, width, found, **options),
        }
        for name, width in windows.items()
    }


def _mean_path(net, data):
    """Return the mean trajectory of every class in the first principal components."""
    X, y = data.find
    result = trajectory_pca(net.hidden_states(X), y, n_components=3)
    ratio = result.explained_variance_ratio
    return {"classes": result.classes, "means": result.class_means, "explained": ratio}
