"""What all studies share: a fitted net, labelled data, and what a knockout costs there.

A knockout is read out three ways: the score it costs; per concept the bits of I(A;B) it costs, A
being the concept value of the true and B of the predicted class; and per concept how far it moves
the log-odds of what the net said, which shows effects that change no prediction.
"""

import sys
import warnings
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d
from tqdm.auto import tqdm

from .._runtime import one_thread
from .._validation import check_concepts, check_recurrent
from ..information import information_of_counts
from ..knockout import RANDOM, draw_values, knockout_values
from ..networks import Clamp
from ..panels import frames_to_tensor
from ..relay import concept_values

_CHUNK = 32  # knockouts per task; fixed, so that results do not depend on n_jobs
_CHUNK_RANDOM = 8  # where every instance has values of its own
_MAIN_ONLY = ("hidden", "intact")  # trajectories are large, and no business of workers
_TINY = np.finfo(np.float32).tiny


class Knockout(NamedTuple):
    """A set of nodes and a half-open window of time steps.

    Parameters
    ----------
    nodes : ndarray of shape (n_chosen,), int
    start, stop : int
    """

    nodes: np.ndarray
    start: int
    stop: int


class Reading(NamedTuple):
    """What is left, or lost, under knockouts.

    Parameters
    ----------
    score : ndarray of shape (n_knockouts, n_draws)
        Of all instances.
    information : ndarray of shape (n_knockouts, n_draws, n_concepts)
        Bits of I(A;B) of all instances.
    effect : ndarray of shape (n_knockouts, n_draws, n_concepts)
        Mean over instances of the absolute change of the log-odds, in bits.
    half_scores : ndarray of shape (n_knockouts, n_draws, n_halves)
        Of random halves of the instances.
    half_information : ndarray of shape (n_knockouts, n_draws, n_halves, n_concepts)
        The same.
    """

    score: np.ndarray
    information: np.ndarray
    effect: np.ndarray
    half_scores: np.ndarray
    half_information: np.ndarray

    def lost_from(self, intact):
        """Return losses, given the reading of the intact net."""
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


class Ablation:
    """A fitted net and labelled instances to knock nodes out on; the net is not changed.

    Parameters
    ----------
    estimator : fitted classifier
        With ``unroll`` and ``knock_out``.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
    y : array-like of shape (n_instances,)
    concepts : {"ovr", "class"} or array-like of shape (n_classes, n_concepts)
    layer : int
    state : {"h", "c"}
    scoring : str, callable or None
        None is accuracy.
    n_halves : int
        Random halves of the instances everything is also measured on.
    random_state : RandomState
        Draws the halves.
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
        present = ~np.isnan(self.hidden).all(axis=(0, 2))
        self.n_present = int(present.sum())  # steps that any series has
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
        """Return what workers need."""
        return {name: part for name, part in vars(self).items() if name not in _MAIN_ONLY}

    def __sizeof__(self):
        """Return bytes, data included: dask sends its workers what is large only once."""
        return sum(map(sys.getsizeof, self.__getstate__().values()))

    @property
    def n_concepts(self):
        """Number of concepts."""
        return self.table.shape[1]

    def measure(self, knockouts, *, value, n_draws=1, seed=0, n_jobs=None, verbose=0):
        """Return what is lost under each of many knockouts.

        Parameters
        ----------
        knockouts : sequence of Knockout
        value : {"zero", "mean", "resample", "noise"}, float or array-like
            What nodes are held at; arrays of shape (n_nodes,) or (n_timepoints, n_nodes) have a
            value for every node of the layer.
        n_draws : int, default=1
            How often values are drawn, if they are random.
        seed : int
            Draws them. In the same draw all knockouts get the same donors.
        n_jobs : int, optional
            Joblib workers, threads unless another backend is configured.
        verbose : int, default=0
            Show a progress bar.

        Returns
        -------
        Reading
            Losses; one draw if values are not random.
        """
        values = knockout_values(value, np.arange(self.n_nodes), self.hidden)
        late = {start for _, start, _ in knockouts if start >= self.n_present}
        if late:
            warnings.warn(
                f"All series have ended by step {min(late)}: knockouts from then on change "
                "nothing.",
                stacklevel=3,
            )
        random = isinstance(value, str) and value in RANDOM
        seeds = check_random_state(seed).randint(2**31 - 1, size=n_draws if random else 1)
        # the same knockout, such as a random set that stands beside many, is run once
        keys = [(tuple(nodes), start, stop) for nodes, start, stop in knockouts]
        distinct = dict(zip(keys, knockouts, strict=True))
        runs = [(*knockout, draw) for knockout in distinct.values() for draw in seeds]
        order = sorted(range(len(runs)), key=lambda i: runs[i][1])  # neighbours share a prefix
        size = _CHUNK_RANDOM if random else _CHUNK
        tasks = [[runs[i] for i in order[at : at + size]] for at in range(0, len(runs), size)]
        read = []
        alone = effective_n_jobs(n_jobs) > 1  # workers, and each in one thread
        with one_thread(alone):
            results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
                delayed(_run)(self, task, value, values, alone) for task in tasks
            )
            with tqdm(total=len(runs), disable=not verbose, desc="knockouts") as bar:
                for result in results:
                    read += result
                    bar.update(len(result))
        place = {key: i for i, key in enumerate(distinct)}
        back = np.argsort(order).reshape(len(distinct), len(seeds))
        back = back[[place[key] for key in keys]] if keys else back
        parts = zip(*read, strict=True) if read else [[]] * len(Reading._fields)
        shapes = [part.shape[2:] for part in self.intact]
        left = [
            np.array(p).reshape(len(runs), *s)[back] for p, s in zip(parts, shapes, strict=True)
        ]
        return Reading(*left).lost_from(self.intact)

    def read(self, proba):
        """Return the parts of a Reading, of one run."""
        codes = proba.argmax(axis=1)
        everybody = np.arange(len(codes))[None]
        information, half_information = (
            _information(self.truth, self.coded[codes], self.n_values, selections)
            for selections in (everybody, self.halves)
        )
        effect = np.abs(self._log_odds(proba) - self.odds).mean(axis=0)
        score, half_scores = self._score(proba, codes)
        return score, information[0], effect, half_scores, half_information

    def _score(self, proba, codes):
        """Return the score of all instances and of the halves."""
        if self.scorer is None:
            right = self.classes[codes] == self.y
            return right.mean(), right[self.halves].mean(axis=1)
        scores = [self._ask(proba, rows) for rows in (np.arange(len(self.y)), *self.halves)]
        return np.float64(scores[0]), np.array(scores[1:], dtype=np.float64)

    def _ask(self, proba, rows):
        """Ask the scorer, about some of the instances."""
        answers = _Answers(self.classes, proba[rows])
        try:
            return self.scorer(answers, _safe_indexing(self.X, rows), self.y[rows])
        except ValueError as error:
            if len(rows) == len(self.y):
                raise
            raise ValueError(
                f"scoring={self.scorer!r} cannot score a random half of the instances, as may be "
                f"when a half lacks a class; use more instances or another metric. It says: {error}"
            ) from error

    def _log_odds(self, proba):
        """Return the log-odds, in bits, of the concept values the intact net predicts."""
        said = self.coded[self.proba.argmax(axis=1)]
        same = said[:, None, :] == self.coded[None]  # instances, classes, concepts
        proba = np.asarray(proba, dtype=np.float64)
        with_it = np.einsum("ik,ikc->ic", proba, same)
        without = np.einsum("ik,ikc->ic", proba, ~same)
        return np.log2(np.maximum(with_it, _TINY)) - np.log2(np.maximum(without, _TINY))


def _run(ablation, runs, value, values, alone):
    """Knock out and read, for some runs (nodes, start, stop, seed); what a worker does."""
    clamps = []
    for nodes, start, stop, seed in runs:
        rng = np.random.RandomState(seed)
        held = draw_values(value, values[..., nodes], rng, len(ablation.y), same=True)
        clamps.append(Clamp(nodes, held, start, stop, ablation.layer, ablation.state))
    with one_thread(alone):
        proba = ablation.estimator.knock_out(ablation.X, clamps).proba
    return [ablation.read(part) for part in proba]


def of_analyzer(analyzer, concepts, layer, state):
    """Return what to measure on which nodes: as asked, else as of the analyzer that ranked them.

    Parameters
    ----------
    analyzer : RelayAnalyzer or None
    concepts : str, array-like or None
    layer : int or None
    state : {"h", "c"} or None
        What was asked for.

    Returns
    -------
    dict
        The options of `Ablation` of these names.

    Raises
    ------
    ValueError
        If another layer or state is asked for than that of the analyzer's nodes.
    """
    asked = {"concepts": concepts, "layer": layer, "state": state}
    own = {"concepts": "ovr", "layer": -1, "state": "h"}
    if analyzer is not None:
        check_is_fitted(analyzer)
        own = {name: getattr(analyzer, f"{name}_") for name in own}
        for name in ("layer", "state"):
            if asked[name] not in (None, own[name]):
                raise ValueError(
                    f"{name}={asked[name]!r}, but the nodes of the analyzer are of {own[name]!r}."
                )
    return {name: own[name] if asked[name] is None else asked[name] for name in own}


def other_divisions(table):
    """Tell which concepts are another division of the classes than each concept.

    Parameters
    ----------
    table : ndarray of shape (n_classes, n_concepts)

    Returns
    -------
    ndarray of shape (n_concepts, n_concepts), bool
        With two classes, "one against the rest" is the same division for both.
    """
    same = (table[:, None] == table[None]).reshape(-1, table.shape[1])  # pairs of classes together
    return (same[:, :, None] != same[:, None, :]).any(axis=0)


def mean_of_others(by_set, different):
    """Return what sets cost, on average, the concepts that are other divisions.

    Parameters
    ----------
    by_set : ndarray of shape (..., n_concepts, n_concepts)
        Bits lost: set of which concept, measured on which.
    different : ndarray of shape (n_concepts, n_concepts), bool
        From `other_divisions`.

    Returns
    -------
    ndarray of shape (..., n_concepts)
        NaN where there are none.
    """
    number = different.sum(axis=1)
    total = np.where(different, by_set, 0.0).sum(axis=-1)
    return np.where(number, total / np.maximum(number, 1), np.nan)


def _information(truth, predicted, n_values, selections):
    """Return I(A;B) in bits, (n_selections, n_concepts), over each selection of instances."""
    bits = np.empty((len(selections), len(n_values)))
    for c, n in enumerate(n_values):
        joint = (truth[:, c] * n + predicted[:, c])[selections]
        joint = joint + n**2 * np.arange(len(selections))[:, None]
        counts = np.bincount(joint.ravel(), minlength=len(selections) * n**2)
        bits[:, c] = information_of_counts(counts.reshape(-1, n, n))
    return bits


class _Answers(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are known, for scikit-learn's scorers to ask."""

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
    if isinstance(scoring, (list, tuple, set, dict)):
        raise TypeError(
            f"scoring={scoring!r}; expected one metric: a name, a callable (estimator, X, y) or "
            "None for accuracy."
        )
    return check_scoring(estimator, scoring)
