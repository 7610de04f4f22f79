"""The whole line, from training to knockouts over time, for several classifiers."""

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, check_random_state
from tqdm.auto import tqdm

from .._validation import check_integer
from ..analyzer import RelayAnalyzer
from ..relay import DEFAULT_METHOD
from ._ablation import Ablation, Knockout
from ._specificity import measure_beside_random


def relay_study(
    estimators,
    X_train,
    y_train,
    X_test,
    y_test,
    *,
    n_relays=0.25,
    method=DEFAULT_METHOD,
    n_random=20,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Train classifiers, find the relays of every class at every time step, knock them out.

    The nets are trained on the training data. The test data are split into two stratified
    halves: relays are found on the first, and what their knockout costs is measured on the
    second. At each time step t the relays of each class are held at their mean from t on.

    Parameters
    ----------
    estimators : dict of str to classifier
        What to study, by name; they are cloned.
    X_train : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Training data.
    y_train : array-like of shape (n_instances,)
        Labels.
    X_test : array-like of shape (n_instances, n_channels, n_timepoints)
        Test data.
    y_test : array-like of shape (n_instances,)
        Labels.
    n_relays : int or float, default=0.25
        Nodes per relay set; a float is a fraction of all.
    method : str, default="throughput"
        As in :class:`RelayAnalyzer`.
    n_random : int, default=20
        Random sets, the same for all classes and time steps.
    random_state : int, RandomState instance or None, default=None
        Splits the test data, draws contexts and random sets. Training has the seeds of the
        classifiers.
    n_jobs : int, optional
        Joblib workers.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    results : dict of str to :class:`~sklearn.utils.Bunch`
        By name of the classifier:

        analyzer : RelayAnalyzer
            Fitted on the first half of the test data, with the trained net.
        accuracy : float
            On all test data.
        recall : ndarray of shape (n_classes,)
            On all test data.
        information : ndarray of shape (n_concepts,)
            Bits: I(A;B) on the second half.
        timepoints : ndarray of shape (n_timepoints,), int
            The time steps at least half of the series have, and whose map is reliable throughout if
            there are such; relays of others are not knocked out.
        relays : ndarray of shape (n_concepts, n_timepoints, n_relays), int
            The sets, strongest node first.
        loss : ndarray of shape (n_concepts, n_timepoints, n_concepts)
            Bits lost: relays of which concept, from which time step on, measured on which.
        accuracy_loss : ndarray of shape (n_concepts, n_timepoints)
            Accuracy lost.
        random_loss : ndarray of shape (n_concepts, n_timepoints, n_random, n_concepts)
            Bits lost by random sets of the same size.
        random_accuracy_loss : ndarray of shape (n_concepts, n_timepoints, n_random)
            Accuracy lost by them.

    See Also
    --------
    RelayAnalyzer : The analysis.
    knockout_specificity : The knockouts.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RNNClassifier, relay_study
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1, 5))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> nets = {"RNN": RNNClassifier(max_epochs=10, random_state=0)}
    >>> results = relay_study(nets, X[:50], y[:50], X[50:], y[50:], n_random=2, random_state=0)
    >>> results["RNN"].loss.shape
    (2, 5, 2)
    """
    if not hasattr(estimators, "items"):
        raise TypeError(f"estimators={estimators!r}; expected a dict of name to classifier.")
    check_integer(n_random, name="n_random", low=0)
    rng = check_random_state(random_state)
    X_find, X_measure, y_find, y_measure = train_test_split(
        X_test, y_test, test_size=0.5, stratify=y_test, random_state=rng
    )
    seed = int(rng.randint(2**31 - 1))
    results = {}
    bar = tqdm(estimators.items(), disable=not verbose, desc="study", unit="net")
    for name, estimator in bar:
        bar.set_postfix_str(f"{name}: training")
        net = clone(estimator).fit(X_train, y_train)
        bar.set_postfix_str(f"{name}: finding relays")
        analyzer = RelayAnalyzer(
            FrozenEstimator(net), method=method, n_relays=n_relays, random_state=seed, n_jobs=n_jobs
        ).fit(X_find, y_find)
        bar.set_postfix_str(f"{name}: knocking out")
        knockouts = _knock_out_over_time(
            analyzer, X_measure, y_measure, n_random, seed, n_jobs=n_jobs, verbose=verbose
        )
        predicted = net.predict(X_test)
        results[name] = Bunch(
            analyzer=analyzer,
            accuracy=accuracy_score(y_test, predicted),
            recall=recall_score(
                y_test, predicted, labels=net.classes_, average=None, zero_division=np.nan
            ),
            **knockouts,
        )
    return results


def _knock_out_over_time(analyzer, X, y, n_random, seed, **options):
    """Hold the relays of every concept at every time step from that step on."""
    ablation = Ablation(analyzer.estimator_, X, y, concepts=analyzer.concepts_)
    concepts = range(ablation.n_concepts)
    timepoints = analyzer.timepoints_[_worth_a_knockout(analyzer)]
    relays = np.array([[analyzer.relays(c, t) for t in timepoints] for c in concepts])
    lost = measure_beside_random(
        ablation,
        [
            Knockout(relays[c, i], int(t), ablation.n_timepoints)
            for c in concepts
            for i, t in enumerate(timepoints)
        ],
        n_random,
        np.random.RandomState(seed),
        "mean",
        **options,
    )
    shape = len(concepts), len(timepoints), 1 + n_random
    loss, accuracy_loss = lost.information.reshape(*shape, -1), lost.score.reshape(shape)
    return Bunch(
        information=ablation.intact.information[0, 0],
        timepoints=timepoints,
        relays=relays,
        loss=loss[:, :, 0],
        accuracy_loss=accuracy_loss[:, :, 0],
        random_loss=loss[:, :, 1:],
        random_accuracy_loss=accuracy_loss[:, :, 1:],
    )


def _worth_a_knockout(analyzer):
    """Tell which time steps most series have, and of these, if any, which have a map to rely on."""
    common = 2 * analyzer.n_instances_ >= analyzer.n_instances_.max()
    reliable = common & analyzer.reliable_.all(axis=(0, 2))
    return reliable if reliable.any() else common
