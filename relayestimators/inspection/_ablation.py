"""Ablation: the measurement of knockouts that all studies share.

The effect of a knockout is measured in three ways: the score that is lost; for every concept, the
bits of I(A;B) that are lost, where A and B are the concept values of the true and of the predicted
class; and for every concept, how far the log-odds of the intact network's prediction move, which
also shows effects that change no prediction.
"""

import sys
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d

from .._docs import fill_docs
from .._runtime import run_tasks
from .._validation import check_concepts, check_recurrent
from ..networks import Clamp
from ..networks._clamp_values import RANDOM, clamp_values, draw_values
from ..panels._conversion import frames_to_tensor
from ..relay._concepts import concept_values
from ..relay._information import information_of_counts

_CHUNK = 32  # knockouts per task; fixed, so that results do not depend on the workers
_CHUNK_RANDOM = 8  # the same if every instance has its own values, which need more memory
_MAIN_ONLY = ("hidden", "intact")  # large, and not needed by workers
_TINY = np.finfo(np.float32).tiny


class Knockout(NamedTuple):
    """A set of nodes that are knocked out in a window of time steps.

    Parameters
    ----------
    nodes : ndarray of shape (n_chosen,), int
        Node numbers.
    start, stop : int
        Half-open window.
    """

    nodes: np.ndarray
    start: int
    stop: int


class Reading(NamedTuple):
    """Scores and information that are left, or lost, under knockouts.

    Parameters
    ----------
    score : ndarray of shape (n_knockouts, n_draws)
        Score of all instances.
    information : ndarray of shape (n_knockouts, n_draws, n_concepts)
        I(A;B) of all instances in bits.
    effect : ndarray of shape (n_knockouts, n_draws, n_concepts)
        Absolute change of the log-odds in bits, mean over instances.
    half_scores : ndarray of shape (n_knockouts, n_draws, n_halves)
        Scores of random halves of the instances.
    half_information : ndarray of shape (n_knockouts, n_draws, n_halves, n_concepts)
        I(A;B) of random halves of the instances in bits.
    """

    score: np.ndarray
    information: np.ndarray
    effect: np.ndarray
    half_scores: np.ndarray
    half_information: np.ndarray

    def lost_from(self, intact):
        """Return the losses relative to the reading of the intact network."""
        return Reading(
            intact.score - self.score,
            intact.information - self.information,
            self.effect,
            intact.half_scores - self.half_scores,
            intact.half_information - self.half_information,
        )

    def over_draws(self):
        """Return the mean over draws."""
        return Reading(*(part.mean(axis=1) for part in self))


@fill_docs
class Ablation:
    """A fitted network and labeled instances on which knockouts are measured.

    The network is not changed.

    Parameters
    ----------
    %(estimator)s
    %(X)s Data to measure on
    %(y)s
    %(concepts)s
    %(layer)s
    %(state)s
    %(scoring)s
    n_halves : int, default=0
        Number of random halves of the instances on which everything is measured as well.
    %(random_state)s the halves
    """

    def __init__(
        self,
        estimator,
        X,
        y,
        *,
        concepts="ovr",
        layer=-1,
        state="h",
        scoring=None,
        n_halves=0,
        random_state=None,
    ):
        check_recurrent(estimator)
        check_is_fitted(estimator)
        self.estimator, self.layer, self.state = estimator, layer, state
        self.X = frames_to_tensor(X)
        self.y, self.classes = column_or_1d(y, warn=True), estimator.classes_
        self.table = check_concepts(concepts, len(self.classes))
        run = estimator.unroll(self.X, layer=layer, state=state)
        self.hidden, self.proba = run.hidden, run.proba
        check_consistent_length(self.hidden, self.y)
        self.n_timepoints, self.n_nodes = self.hidden.shape[1:]
        self.longest = int(run.lengths.max())
        self.coded = np.column_stack([np.unique(v, return_inverse=True)[1] for v in self.table.T])
        self.n_values = 1 + self.coded.max(axis=0)
        self.truth = concept_values(self.y, self.classes, self.coded)
        self.scorer = None if scoring in (None, "accuracy") else _check_scoring(estimator, scoring)
        rng, size = check_random_state(random_state), max(1, len(self.y) // 2)
        halves = [rng.permutation(len(self.y))[:size] for _ in range(n_halves)]
        self.halves = np.array(halves, dtype=np.int64).reshape(n_halves, size)
        self.odds = self._log_odds(self.proba)
        self.intact = Reading(*(part[None, None] for part in self.read(self.proba)))

    def __getstate__(self):
        """Return the attributes that workers need."""
        return {name: part for name, part in vars(self).items() if name not in _MAIN_ONLY}

    def __sizeof__(self):
        """Return the size in bytes with all data, because dask sends large objects only once."""
        return sum(map(sys.getsizeof, self.__getstate__().values()))

    @property
    def n_concepts(self):
        """Number of concepts."""
        return self.table.shape[1]

    @fill_docs
    def measure(self, knockouts, *, value, n_draws=1, seed=0, n_jobs=None, verbose=0):
        """Return the losses under each of many knockouts.

        Parameters
        ----------
        knockouts : sequence of Knockout
            Knockouts, each applied on its own.
        value : {"zero", "mean", "resample", "noise"}, float or array-like
            Value that nodes are clamped to; an array of shape (n_nodes,) or (n_timepoints,
            n_nodes) has a value for every node of the layer.
        n_draws : int, default=1
            Number of draws of random values.
        seed : int
            Seed of these draws. Within a draw, all knockouts use the same donors.
        %(n_jobs_threads)s
        %(verbose)s

        Returns
        -------
        Reading
            Losses. There is one draw if the values are not random.
        """
        values = clamp_values(value, np.arange(self.n_nodes), self.hidden)
        late = {start for _, start, _ in knockouts if start >= self.longest}
        if late:
            warnings.warn(
                f"All series have ended by time step {min(late)}, so knockouts that start there or "
                "later change nothing.",
                stacklevel=3,
            )
        random = isinstance(value, str) and value in RANDOM
        seeds = check_random_state(seed).randint(2**31 - 1, size=n_draws if random else 1)
        # A knockout that occurs several times, such as a random set shared by many, is run once.
        keys = [(tuple(nodes), start, stop) for nodes, start, stop in knockouts]
        distinct = dict(zip(keys, knockouts, strict=True))
        runs = [(*knockout, draw) for knockout in distinct.values() for draw in seeds]
        # Sorted by start, because runs in a task share the intact run up to the earliest start.
        order = sorted(range(len(runs)), key=lambda i: runs[i][1])
        size = _CHUNK_RANDOM if random else _CHUNK
        tasks = [[runs[i] for i in order[at : at + size]] for at in range(0, len(runs), size)]
        shown = {"verbose": verbose, "desc": "knockouts"}
        readings = run_tasks(_run, tasks, self, value, values, n_jobs=n_jobs, **shown)
        number = {key: i for i, key in enumerate(distinct)}
        positions = np.argsort(order).reshape(len(distinct), len(seeds))  # in `readings`
        positions = positions[[number[key] for key in keys]] if keys else positions
        parts = zip(*readings, strict=True) if readings else [[]] * len(Reading._fields)
        shapes = [part.shape[2:] for part in self.intact]
        remaining = [
            np.array(part).reshape(len(runs), *shape)[positions]
            for part, shape in zip(parts, shapes, strict=True)
        ]
        return Reading(*remaining).lost_from(self.intact)

    def read(self, proba):
        """Return the fields of a Reading for one run."""
        codes = proba.argmax(axis=1)
        all_instances = np.arange(len(codes))[None]
        information, half_information = (
            _information(self.truth, self.coded[codes], self.n_values, selections)
            for selections in (all_instances, self.halves)
        )
        effect = np.abs(self._log_odds(proba) - self.odds).mean(axis=0)
        score, half_scores = self._score(proba, codes)
        return score, information[0], effect, half_scores, half_information

    def _score(self, proba, codes):
        """Return the score of all instances, and of the halves."""
        if self.scorer is None:
            correct = self.classes[codes] == self.y
            return correct.mean(), correct[self.halves].mean(axis=1)
        scores = [self._call_scorer(proba, rows) for rows in (np.arange(len(self.y)), *self.halves)]
        return np.float64(scores[0]), np.array(scores[1:], dtype=np.float64)

    def _call_scorer(self, proba, rows):
        """Return the score that the scorer gives to predictions for some of the instances."""
        predictor = _FixedPredictions(self.classes, proba[rows])
        try:
            return self.scorer(predictor, _safe_indexing(self.X, rows), self.y[rows])
        except ValueError as error:
            if len(rows) == len(self.y):
                raise
            raise ValueError(
                f"scoring={self.scorer!r} cannot score a random half of the instances, which may "
                "happen if a half lacks a class; use more instances or another metric. The metric "
                f"reported: {error}"
            ) from error

    def _log_odds(self, proba):
        """Return the log-odds, in bits, of the concept values that the intact network predicts."""
        predicted = self.coded[self.proba.argmax(axis=1)]
        same = predicted[:, None, :] == self.coded[None]  # instances, classes, concepts
        proba = np.asarray(proba, dtype=np.float64)
        with_it = np.einsum("ik,ikc->ic", proba, same)
        without = np.einsum("ik,ikc->ic", proba, ~same)
        return np.log2(np.maximum(with_it, _TINY)) - np.log2(np.maximum(without, _TINY))


def _run(runs, ablation, value, values):
    """Measure some runs (nodes, start, stop, seed); this is the task of a worker."""
    clamps = []
    for nodes, start, stop, seed in runs:
        rng = np.random.RandomState(seed)
        drawn = draw_values(value, values[..., nodes], rng, len(ablation.y), same=True)
        clamps.append(Clamp(nodes, drawn, start, stop, ablation.layer, ablation.state))
    proba = ablation.estimator.knock_out(ablation.X, clamps).proba
    return [ablation.read(part) for part in proba]


def of_analyzer(analyzer, concepts, layer, state):
    """Return concepts, layer and state as requested, or else those of the analyzer.

    Parameters
    ----------
    analyzer : RelayAnalyzer or None
        Analyzer that ranked the nodes, if one did.
    concepts : str, array-like or None
    layer : int or None
    state : {"h", "c"} or None
        Requested values; None takes those of the analyzer.

    Returns
    -------
    dict
        Options of `Ablation` with these names.

    Raises
    ------
    ValueError
        If the requested layer or state is not that of the analyzer's nodes.
    """
    requested = {"concepts": concepts, "layer": layer, "state": state}
    own = {"concepts": "ovr", "layer": -1, "state": "h"}
    if analyzer is not None:
        check_is_fitted(analyzer)
        own = {name: getattr(analyzer, f"{name}_") for name in own}
        for name in ("layer", "state"):
            if requested[name] not in (None, own[name]):
                raise ValueError(
                    f"{name}={requested[name]!r}; expected {own[name]!r} or None, because the "
                    "nodes were ranked there."
                )
    return {name: own[name] if requested[name] is None else requested[name] for name in own}


def other_partitions(table):
    """Return which concepts partition the classes differently from each concept.

    Parameters
    ----------
    table : ndarray of shape (n_classes, n_concepts)

    Returns
    -------
    ndarray of shape (n_concepts, n_concepts), bool
        With two classes, "one class against the rest" is the same partition for both.
    """
    # For every pair of classes, whether they have the same value of each concept.
    same = (table[:, None] == table[None]).reshape(-1, table.shape[1])
    return (same[:, :, None] != same[:, None, :]).any(axis=0)


def mean_of_others(by_set, different):
    """Return the mean loss of the concepts that are other partitions of the classes.

    Parameters
    ----------
    by_set : ndarray of shape (..., n_concepts, n_concepts)
        Bits lost, by the concept that the set belongs to and the concept that is measured.
    different : ndarray of shape (n_concepts, n_concepts), bool
        From `other_partitions`.

    Returns
    -------
    ndarray of shape (..., n_concepts)
        NaN where there is no such concept.
    """
    number = different.sum(axis=1)
    total = np.where(different, by_set, 0.0).sum(axis=-1)
    return np.where(number, total / np.maximum(number, 1), np.nan)


def _information(truth, predicted, n_values, selections):
    """Return I(A;B) in bits, of shape (n_selections, n_concepts), of selections of instances."""
    bits = np.empty((len(selections), len(n_values)))
    for c, n in enumerate(n_values):
        joint = (truth[:, c] * n + predicted[:, c])[selections]
        joint = joint + n**2 * np.arange(len(selections))[:, None]
        counts = np.bincount(joint.ravel(), minlength=len(selections) * n**2)
        bits[:, c] = information_of_counts(counts.reshape(-1, n, n))
    return bits


class _FixedPredictions(ClassifierMixin, BaseEstimator):
    """A classifier whose predictions are given, for scikit-learn's scorers."""

    def __init__(self, classes, proba):
        self.classes = self.classes_ = classes
        self.proba = proba

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        return self.proba

    def predict(self, X):
        return self.classes_[self.proba.argmax(axis=1)]


def _check_scoring(estimator, scoring):
    """Return the scorer of a metric, or raise an error if `scoring` is not a single metric."""
    if isinstance(scoring, (list, tuple, set, dict)):
        raise TypeError(
            f"scoring={scoring!r}; expected one metric: a name, a callable (estimator, X, y) or "
            "None for accuracy."
        )
    return check_scoring(estimator, scoring)
