"""Studies: what knockouts cost, per concept, against other nodes and against chance.

Floor 4: joblib, scikit-learn and the floors below. Functions in the manner of scikit-learn's
inspection module: a worker, an aggregator, a public function; results are Bunches of arrays.
"""

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d
from tqdm.auto import tqdm

from ._validation import (
    check_concepts,
    check_integer,
    check_nodes,
    check_recurrent,
    check_window,
)
from .analyzer import RelayAnalyzer
from .information import mutual_information
from .knockout import knockout_values
from .networks import Clamp
from .relay import DEFAULT_METHOD, concept_values


def knockout_specificity(
    estimator,
    X,
    y,
    *,
    relays,
    concepts="ovr",
    value="mean",
    start=0,
    stop=None,
    layer=-1,
    state="h",
    n_random=20,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Measure what knocking out sets of nodes costs every concept, against random sets.

    Each set is knocked out as a whole; the cost for a concept is the loss of the mutual
    information between its value for the true and for the predicted class.

    Parameters
    ----------
    estimator : fitted classifier
        With ``unroll``; it is not changed.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Data to measure on; for an honest figure not those the sets were found on.
    y : array-like of shape (n_instances,)
        Labels.
    relays : list of array-like of int
        Sets of nodes, for example the relays of each concept.
    concepts : {"ovr", "class"} or array-like of shape (n_classes, n_concepts), default="ovr"
        As in :class:`RelayAnalyzer`.
    value : {"mean", "zero"}, float or array-like, default="mean"
        What nodes are held at, as in :class:`KnockoutTransformer`; "mean" is taken over `X`.
    start : int, default=0
        First time step of the window.
    stop : int or None, default=None
        One after its last time step; None is the end.
    layer : int, default=-1
        Layer of the nodes.
    state : {"h", "c"}, default="h"
        Hidden state, or memory cell of an LSTM.
    n_random : int, default=20
        Random sets of nodes drawn for comparison with each set, of its size.
    random_state : int, RandomState instance or None, default=None
        Draws them.
    n_jobs : int, optional
        Joblib workers, threads unless another backend is configured.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        information : ndarray of shape (n_concepts,)
            Bits: I(A;B) of the intact net.
        accuracy : float
            Of the intact net.
        loss : ndarray of shape (n_sets, n_concepts)
            Bits lost by knocking out each set; negative if it helped.
        accuracy_loss : ndarray of shape (n_sets,)
            Accuracy lost.
        random_loss : ndarray of shape (n_sets, n_random, n_concepts)
            Bits lost by the random sets of the same size.
        random_accuracy_loss : ndarray of shape (n_sets, n_random)
            Accuracy lost by them.

    See Also
    --------
    KnockoutTransformer : One knockout.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import GRUClassifier, knockout_specificity
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 1, 8))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = GRUClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> result = knockout_specificity(net, X, y, relays=[range(32), []], n_random=2)
    >>> bool(result.loss[0, 0] > 0), result.loss[1].tolist()
    (True, [0.0, 0.0])
    """
    check_recurrent(estimator)
    check_is_fitted(estimator)
    check_integer(n_random, name="n_random", low=0)
    classes = estimator.classes_
    table = check_concepts(concepts, len(classes))
    y = column_or_1d(y, warn=True)
    truth = concept_values(y, classes, table)
    intact = estimator.unroll(X, layer=layer, state=state)
    check_consistent_length(intact.hidden, y)
    n_timepoints, n_nodes = intact.hidden.shape[1:]
    window = check_window(start, stop, n_timepoints)
    sets = [check_nodes(nodes, n_nodes, name=f"relays[{i}]") for i, nodes in enumerate(relays)]
    rng = check_random_state(random_state)
    drawn = [[rng.permutation(n_nodes)[: len(nodes)] for _ in range(n_random)] for nodes in sets]
    everything = [
        nodes for own, others in zip(sets, drawn, strict=True) for nodes in (own, *others)
    ]
    results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(_knocked_out)(
            estimator,
            X,
            Clamp(nodes, knockout_values(value, nodes, intact.hidden), *window, layer, state),
        )
        for nodes in everything
    )
    bar = tqdm(results, total=len(everything), disable=not verbose, desc="knockouts")
    codes = np.array([intact.proba.argmax(axis=1), *bar])
    information = np.array([_information(truth, table[row]) for row in codes])
    accuracy = (classes[codes] == y).mean(axis=1)
    loss = (information[0] - information[1:]).reshape(len(sets), n_random + 1, table.shape[1])
    accuracy_loss = (accuracy[0] - accuracy[1:]).reshape(len(sets), n_random + 1)
    return Bunch(
        information=information[0],
        accuracy=float(accuracy[0]),
        loss=loss[:, 0],
        accuracy_loss=accuracy_loss[:, 0],
        random_loss=loss[:, 1:],
        random_accuracy_loss=accuracy_loss[:, 1:],
    )


def _knocked_out(estimator, X, clamp):
    """Return the codes of the classes predicted under a clamp."""
    return estimator.unroll(X, clamp=clamp, layer=clamp.layer, state=clamp.state).proba.argmax(1)


def _information(truth, predicted):
    """Return I(A;B) in bits of every column of two tables of concept values."""
    return [mutual_information(a, b) for a, b in zip(truth.T, predicted.T, strict=True)]


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
        Random sets per relay set.
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
            analyzer, X_measure, y_measure, n_random, seed, n_jobs, verbose
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


def _knock_out_over_time(analyzer, X, y, n_random, seed, n_jobs, verbose):
    """Hold the relays of every concept at every time step from that step on."""
    n_concepts = analyzer.concepts_.shape[1]
    timepoints = analyzer.timepoints_[_worth_a_knockout(analyzer)]
    relays = np.array([[analyzer.relays(c, t) for t in timepoints] for c in range(n_concepts)])
    tables = [
        knockout_specificity(
            analyzer.estimator_,
            X,
            y,
            relays=relays[:, i],
            concepts=analyzer.concepts_,
            start=int(t),
            n_random=n_random,
            random_state=seed,
            n_jobs=n_jobs,
        )
        for i, t in enumerate(
            tqdm(timepoints, disable=not verbose, desc="knockouts", unit="step", leave=False)
        )
    ]
    losses = {
        name: np.stack([table[name] for table in tables], axis=1)
        for name in ("loss", "accuracy_loss", "random_loss", "random_accuracy_loss")
    }
    return Bunch(information=tables[0].information, timepoints=timepoints, relays=relays, **losses)


def _worth_a_knockout(analyzer):
    """Tell which time steps most series have, and of these, if any, which have a map to rely on."""
    common = 2 * analyzer.n_instances_ >= analyzer.n_instances_.max()
    reliable = common & analyzer.reliable_.all(axis=(0, 2))
    return reliable if reliable.any() else common
