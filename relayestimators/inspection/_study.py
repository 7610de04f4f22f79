"""A whole study, from training to knockouts over time, of several classifiers."""

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, check_random_state
from tqdm.auto import tqdm

from .._docs import fill_docs
from .._validation import check_integer
from ..analyzer import RelayAnalyzer
from ..panels import panel_to_tensor
from ..relay import DEFAULT_METHOD
from ._ablation import Ablation, Knockout
from ._specificity import measure_with_random_sets


@fill_docs
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
    """Train classifiers, find the relays of every class at every time step, and knock them out.

    The networks are trained on the training data. The test data are split into two halves,
    stratified by class: relays are found on the first half, and knockouts are measured on the
    second. At each time step t, the relays of each class are clamped to their mean from t on.

    Parameters
    ----------
    estimators : dict of str to classifier
        Classifiers by name. They are cloned.
    X_train : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Training data.
    y_train : array-like of shape (n_instances,)
        Labels of the training data.
    X_test : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Test data.
    y_test : array-like of shape (n_instances,)
        Labels of the test data.
    %(n_relays)s
    %(method)s
    n_random : int, default=20
        Number of random sets, which are the same for all classes and time steps.
    %(random_state)s the split, contexts and random sets. Classifiers have their own seeds
    %(n_jobs)s
    %(verbose)s

    Returns
    -------
    results : dict of str to :class:`~sklearn.utils.Bunch`
        By the name of the classifier:

        analyzer : RelayAnalyzer
            Analyzer of the trained network, fitted on the first half of the test data.
        accuracy : float
            Accuracy on all test data.
        recall : ndarray of shape (n_classes,)
            Recall on all test data.
        information : ndarray of shape (n_concepts,)
            I(A;B) on the second half in bits.
        timepoints : ndarray of shape (n_timepoints,), int
            Time steps at which relays are knocked out: those that at least half of the series have
            and, among these, those where the whole map is reliable, if there are any.
        relays : ndarray of shape (n_concepts, n_timepoints, n_relays), int
            Sets of nodes, strongest first.
        loss : ndarray of shape (n_concepts, n_timepoints, n_concepts)
            Bits lost, by the concept of the relays, the time step, and the concept that is
            measured.
        accuracy_loss : ndarray of shape (n_concepts, n_timepoints)
            Accuracy lost.
        random_loss : ndarray of shape (n_concepts, n_timepoints, n_random, n_concepts)
            Bits lost by random sets of the same size.
        random_accuracy_loss : ndarray of shape (n_concepts, n_timepoints, n_random)
            Accuracy lost by random sets.

    Raises
    ------
    TypeError
        If `estimators` is not a dict.
    ValueError
        If another argument is not allowed.

    See Also
    --------
    relayestimators.RelayAnalyzer : Finds the relays.
    knockout_specificity : Measures knockouts of one network.

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
        raise TypeError(f"estimators={estimators!r}; expected a dict of names and classifiers.")
    check_integer(n_random, name="n_random", low=0)
    rng = check_random_state(random_state)
    X_train, X_test = panel_to_tensor(X_train), panel_to_tensor(X_test)
    X_find, X_measure, y_find, y_measure = train_test_split(
        X_test, y_test, test_size=0.5, stratify=y_test, random_state=rng
    )
    seed = int(rng.randint(2**31 - 1))
    options = {"method": method, "n_relays": n_relays, "random_state": seed, "n_jobs": n_jobs}
    results = {}
    bar = tqdm(estimators.items(), disable=not verbose, desc="study", unit="net")
    for name, estimator in bar:
        with config_context(assume_finite=True):  # the panels were checked above
            bar.set_postfix_str(f"{name}: training")
            net = clone(estimator).fit(X_train, y_train)
            bar.set_postfix_str(f"{name}: finding relays")
            analyzer = RelayAnalyzer(FrozenEstimator(net), **options).fit(X_find, y_find)
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
    """Knock out the relays of every concept at every time step from that step on."""
    ablation = Ablation(analyzer.estimator_, X, y, concepts=analyzer.concepts_)
    concepts = range(ablation.n_concepts)
    timepoints = analyzer.timepoints_[_steps_to_knock_out(analyzer)]
    relays = np.array([[analyzer.relays(c, t) for t in timepoints] for c in concepts])
    lost = measure_with_random_sets(
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


def _steps_to_knock_out(analyzer):
    """Return at which of the analyzed time steps relays are knocked out, as documented above."""
    common = 2 * analyzer.n_instances_ >= analyzer.n_instances_.max()
    reliable = common & analyzer.reliable_.all(axis=(0, 2))
    return reliable if reliable.any() else common
