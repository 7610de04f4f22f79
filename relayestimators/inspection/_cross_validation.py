"""The ablation study under cross-validation."""

import time

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, check_random_state, indexable
from tqdm.auto import tqdm

from .._validation import check_alpha, check_integer
from ..analyzer import RelayAnalyzer
from ..panels._conversion import MULTIINDEX_ADVICE, is_multiindex
from ._specificity import knockout_specificity

FIGURES = ("own", "other", "random", "own_minus_other", "own_minus_random")


def cross_validate_knockout(
    estimator,
    X,
    y,
    *,
    groups=None,
    cv=None,
    value="mean",
    start=0,
    stop=None,
    scoring=None,
    n_random=20,
    n_draws=5,
    alpha=0.05,
    return_estimator=False,
    return_indices=False,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Find relays on the training part of every fold, knock them out on the test part.

    Parameters
    ----------
    estimator : RelayAnalyzer or classifier
        An analyzer around a classifier, which is cloned, trained and analyzed on each training
        part: it says how many relays, of which concepts, found when and how. A classifier alone is
        analyzed with the defaults.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Any mtype but pd-multiindex, whose rows scikit-learn would split.
    y : array-like of shape (n_instances,)
        Labels.
    groups : array-like of shape (n_instances,), optional
        For group-wise splitters.
    cv : int, splitter, iterable or None, default=None
        As in :func:`sklearn.model_selection.cross_validate`.
    value : {"mean", "zero", "resample", "noise"}, float or array-like, default="mean"
        What nodes are held at, as in :func:`knockout_importance`, on the test part.
    start : int, default=0
        First time step of the knockouts.
    stop : int or None, default=None
        One after the last; None is the end.
    scoring : str, callable or None, default=None
        Score as in scikit-learn; None is accuracy.
    n_random : int, default=20
        Random sets per concept.
    n_draws : int, default=5
        How often values are drawn if they are random.
    alpha : float, default=0.05
        Share outside the confidence intervals over folds.
    return_estimator : bool, default=False
        Return the fitted analyzers.
    return_indices : bool, default=False
        Return the instances of every fold.
    random_state : int, RandomState instance or None, default=None
        Draws random sets and values. Training and relays have the seeds of `estimator`.
    n_jobs : int, optional
        Joblib workers over folds.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        test_score : ndarray of shape (n_folds,)
            Score of the intact nets.
        information : ndarray of shape (n_folds, n_concepts)
            Bits of I(A;B) of the intact nets.
        relays : list of list of ndarray
            The sets, by fold and concept.
        loss : ndarray of shape (n_folds, n_concepts, n_concepts)
            Bits lost: relays of which concept, measured on which.
        score_loss : ndarray of shape (n_folds, n_concepts)
            Score lost.
        own, other, random, own_minus_other, own_minus_random : ndarray (n_folds, n_concepts)
            As :func:`knockout_specificity` has them, bits.
        pvalue : ndarray of shape (n_folds, n_concepts)
            Of own among random, in every fold.
        summary : Bunch
            For each of these five, the mean over folds and its confidence interval: ndarray of
            shape (3, n_concepts), mean, lower, upper.
        fit_time, score_time : ndarray of shape (n_folds,)
            Seconds of training and analysis, and of knockouts.
        estimator, indices
            If asked for: list of RelayAnalyzer; dict of "train", "test".

    See Also
    --------
    knockout_specificity : One such measurement.
    sklearn.model_selection.cross_validate : The same for scores.

    Notes
    -----
    Training parts overlap, so folds vary less than new data would; the intervals have the
    correction of [1]_.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio (2003). Inference for the generalization error. Machine Learning 52,
       239-281.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RelayAnalyzer, RNNClassifier
    >>> from relayestimators.inspection import cross_validate_knockout
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1, 5))
    >>> y = np.where(X[:, 0, 1] > 0, "up", "down")
    >>> net = RNNClassifier(max_epochs=5, module__hidden_size=8, random_state=0)
    >>> analyzer = RelayAnalyzer(net, n_relays=2, timepoints=[3], random_state=0)
    >>> result = cross_validate_knockout(analyzer, X, y, cv=3, start=3, n_random=2, random_state=0)
    >>> result.own.shape, result.summary.own.shape
    ((3, 2), (3, 2))
    """
    if is_multiindex(X):
        raise ValueError(f"X is a pd-multiindex panel. {MULTIINDEX_ADVICE}")
    check_alpha(alpha)
    check_integer(n_random, name="n_random", low=0)
    check_integer(n_draws, name="n_draws", low=1)
    check_integer(start, name="start", low=0)
    if stop is not None:
        check_integer(stop, name="stop", low=start + 1)
    analyzer = estimator if hasattr(estimator, "relays") else RelayAnalyzer(estimator)
    X, y, groups = indexable(X, y, groups)
    folds = list(check_cv(cv, y, classifier=True).split(X, y, groups))
    for i, (train, _) in enumerate(folds):
        lacking = np.setdiff1d(y, _safe_indexing(y, train))
        if lacking.size:
            raise ValueError(
                f"The training part of fold {i} lacks {lacking.tolist()}; use a stratified "
                "splitter, or fewer folds."
            )
    seeds = check_random_state(random_state).randint(2**31 - 1, size=len(folds))
    options = {
        "value": value,
        "start": start,
        "stop": stop,
        "scoring": scoring,
        "n_random": n_random,
        "n_draws": n_draws,
    }
    results = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_one_fold)(clone(analyzer), X, y, *fold, seed, options)
        for fold, seed in zip(folds, seeds, strict=True)
    )
    bar = tqdm(results, total=len(folds), disable=not verbose, desc="folds", unit="fold")
    analyzers, measured, fit_time, score_time = zip(*bar, strict=True)
    names = ("information", "loss", "score_loss", *FIGURES, "pvalue")
    result = Bunch(
        test_score=np.array([fold.score for fold in measured]),
        relays=[[a.relays(c) for c in range(len(a.relay_map_))] for a in analyzers],
        **{name: np.array([fold[name] for fold in measured]) for name in names},
        fit_time=np.array(fit_time),
        score_time=np.array(score_time),
    )
    ratio = np.mean([len(test) / len(train) for train, test in folds])
    result.summary = Bunch(**{name: _over_folds(result[name], ratio, alpha) for name in FIGURES})
    if return_estimator:
        result.estimator = list(analyzers)
    if return_indices:
        train, test = zip(*folds, strict=True)
        result.indices = {"train": train, "test": test}
    return result


def _one_fold(analyzer, X, y, train, test, seed, options):
    """Train, analyze and knock out; return analyzer, what was measured, and the times."""
    times = [time.perf_counter()]
    analyzer.fit(_safe_indexing(X, train), _safe_indexing(y, train))
    times.append(time.perf_counter())
    measured = knockout_specificity(
        analyzer.estimator_,
        _safe_indexing(X, test),
        _safe_indexing(y, test),
        relays=analyzer,
        layer=analyzer.layer_,
        state=analyzer.state_,
        n_resamples=2,  # the intervals here are over folds
        random_state=seed,
        **options,
    )
    times.append(time.perf_counter())
    return analyzer, measured, *np.diff(times)


def _over_folds(values, ratio, alpha):
    """Return mean and corrected confidence interval over folds, (3, n_concepts)."""
    n_folds, mean = len(values), values.mean(axis=0)
    if n_folds < 2:
        return np.stack([mean, mean * np.nan, mean * np.nan])
    error = values.std(axis=0, ddof=1) * np.sqrt(1 / n_folds + ratio)
    reach = student.ppf(1 - alpha / 2, n_folds - 1) * error
    return np.stack([mean, mean - reach, mean + reach])
