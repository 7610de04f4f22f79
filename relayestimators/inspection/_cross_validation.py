"""Knockouts under cross-validation."""

import time

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, check_random_state, indexable
from tqdm.auto import tqdm

from .._docs import fill_docs
from .._validation import check_alpha, check_integer
from ..analyzer import RelayAnalyzer
from ..panels._conversion import MULTIINDEX_ADVICE, is_multiindex
from ._specificity import knockout_specificity

QUANTITIES = ("own", "other", "random", "own_minus_other", "own_minus_random")


@fill_docs
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
    r"""Find relays on the training part of every fold, knock them out on the test part.

    Parameters
    ----------
    estimator : RelayAnalyzer or classifier
        An analyzer around a classifier. Both are cloned; on each training part the classifier is
        trained and analyzed. A classifier without an analyzer is analyzed with default parameters.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Any format except pd-multiindex, whose rows scikit-learn would split.
    %(y)s
    groups : array-like of shape (n_instances,), optional
        Groups of the instances, for splitters that need them.
    cv : int, splitter, iterable or None, default=None
        As in :func:`sklearn.model_selection.cross_validate`.
    %(value)s
    %(start)s
    %(stop)s
    %(scoring)s
    n_random : int, default=20
        Number of random sets per concept.
    %(n_draws)s
    %(alpha)s
    return_estimator : bool, default=False
        Whether to return the fitted analyzers.
    return_indices : bool, default=False
        Whether to return the instances of every fold.
    %(random_state)s the random sets and of drawn values, and of analyzing a classifier that comes
        without an analyzer. `estimator` has its own seeds
    %(n_jobs)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        test_score : ndarray of shape (n_folds,)
            Score of the intact networks.
        information : ndarray of shape (n_folds, n_concepts)
            I(A;B) of the intact networks in bits.
        relays : list of list of ndarray
            Sets of nodes, by fold and concept.
        loss : ndarray of shape (n_folds, n_concepts, n_concepts)
            Bits lost, by the concept of the relays and the concept that is measured.
        score_loss : ndarray of shape (n_folds, n_concepts)
            Score lost.
        own, other, random, own_minus_other, own_minus_random : ndarray (n_folds, n_concepts)
            Losses in bits, as in :func:`knockout_specificity`.
        pvalue : ndarray of shape (n_folds, n_concepts)
            p-value of `own` among the random sets, in every fold.
        summary : Bunch
            For each of these five, ndarray of shape (3, n_concepts) with the mean over folds and
            the lower and upper end of its confidence interval; NaN with a single fold.
        fit_time, score_time : ndarray of shape (n_folds,)
            Time in seconds of training with analysis, and of knockouts.
        estimator : list of RelayAnalyzer
            With `return_estimator`.
        indices : dict
            With `return_indices`: "train" and "test".

    Raises
    ------
    ValueError
        If the training part of a fold lacks a class, or an argument is not allowed.

    See Also
    --------
    knockout_specificity : Measures one network.
    sklearn.model_selection.cross_validate : The same for scores.

    Notes
    -----
    Training parts overlap, so folds vary less than new data would. The intervals are corrected for
    this [1]_. With the mean m and the standard deviation s over k folds they are

    .. math:: m \pm t_{1 - \alpha / 2, k - 1} \, s
        \sqrt{\frac{1}{k} + \frac{n_\mathrm{test}}{n_\mathrm{train}}}

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
    rng = check_random_state(random_state)
    analyzer_seed = rng.randint(2**31 - 1)
    analyzer = estimator
    if not hasattr(estimator, "relays"):
        analyzer = RelayAnalyzer(estimator, carried=False, random_state=analyzer_seed)
    X, y, groups = indexable(X, y, groups)
    folds = list(check_cv(cv, y, classifier=True).split(X, y, groups))
    for i, (train, _) in enumerate(folds):
        lacking = np.setdiff1d(y, _safe_indexing(y, train))
        if lacking.size:
            raise ValueError(
                f"cv={cv!r}: the training part of fold {i} lacks {lacking.tolist()}; use a "
                "stratified splitter or fewer folds."
            )
    seeds = rng.randint(2**31 - 1, size=len(folds))
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
    names = ("information", "loss", "score_loss", *QUANTITIES, "pvalue")
    result = Bunch(
        test_score=np.array([fold.score for fold in measured]),
        relays=[[a.relays(c) for c in range(len(a.relay_map_))] for a in analyzers],
        **{name: np.array([fold[name] for fold in measured]) for name in names},
        fit_time=np.array(fit_time),
        score_time=np.array(score_time),
    )
    ratio = np.mean([len(test) / len(train) for train, test in folds])
    result.summary = Bunch(**{name: _over_folds(result[name], ratio, alpha) for name in QUANTITIES})
    if return_estimator:
        result.estimator = list(analyzers)
    if return_indices:
        train, test = zip(*folds, strict=True)
        result.indices = {"train": train, "test": test}
    return result


def _one_fold(analyzer, X, y, train, test, seed, options):
    """Train, analyze and knock out in one fold; return analyzer, result, and two times."""
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
        n_resamples=2,  # the fewest, because intervals are over folds here
        random_state=seed,
        **options,
    )
    times.append(time.perf_counter())
    return analyzer, measured, *np.diff(times)


def _over_folds(values, ratio, alpha):
    """Return the mean over folds and its corrected interval, of shape (3, n_concepts)."""
    n_folds, mean = len(values), values.mean(axis=0)
    if n_folds < 2:
        return np.stack([mean, mean * np.nan, mean * np.nan])
    error = values.std(axis=0, ddof=1) * np.sqrt(1 / n_folds + ratio)
    margin = student.ppf(1 - alpha / 2, n_folds - 1) * error
    return np.stack([mean, mean - margin, mean + margin])
