"""Scores of a net by its relays, to search hyper-parameters and to cross-validate with."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from .._validation import check_recurrent
from ..analyzer import RelayAnalyzer
from ..dynamics._localization import mean_localization, mean_strength
from ._specificity import knockout_specificity


def relay_strength_scorer(estimator, X, y, *, random_state=0, **relay_params):
    """Relay information of the strongest node, in bits; mean over concepts and time steps.

    How much of a concept one node hands on. A scorer: ``scoring=relay_strength_scorer`` in
    :class:`~sklearn.model_selection.GridSearchCV` and
    :func:`~sklearn.model_selection.cross_validate`, alone or in a dict; with
    ``functools.partial`` for other parameters.

    Parameters
    ----------
    estimator : fitted classifier, RelayAnalyzer or Pipeline
        With ``unroll``. A pipeline ends in one, or has an analyzer in it.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Data to find relays on.
    y : array-like of shape (n_instances,)
        Labels.
    random_state : int, default=0
        Draws contexts.
    **relay_params : dict
        Of :class:`RelayAnalyzer`: concepts, method, timepoints, ... By default those of the
        estimator, if it is an analyzer.

    Returns
    -------
    float
        Bits; higher is better.

    See Also
    --------
    localization_scorer, specificity_scorer : Other scores.

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from sklearn.model_selection import cross_validate
    >>> from relayestimators import RNNClassifier
    >>> from relayestimators.inspection import localization_scorer, relay_strength_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1, 5))
    >>> y = np.where(X[:, 0, 1] > 0, "up", "down")
    >>> net = RNNClassifier(max_epochs=10, module__hidden_size=8, random_state=0)
    >>> scoring = {
    ...     "accuracy": "accuracy",
    ...     "relays": partial(relay_strength_scorer, timepoints=[3, 4]),
    ...     "localization": localization_scorer,
    ... }
    >>> result = cross_validate(net, X, y, cv=3, scoring=scoring)
    >>> result["test_relays"].shape, bool(result["test_relays"].min() > 0)
    ((3,), True)
    """
    return mean_strength(_analyzed(estimator, X, y, random_state, relay_params).relay_map_)


def localization_scorer(estimator, X, y, *, random_state=0, **relay_params):
    """How few nodes relay the concepts: 0 if all do alike, 1 if one node relays all.

    The mean of :func:`localization` over concepts and time steps, each weighted by the relay
    information there is. A scorer, as :func:`relay_strength_scorer`.

    Parameters
    ----------
    estimator : fitted classifier, RelayAnalyzer or Pipeline
        With ``unroll``. A pipeline ends in one, or has an analyzer in it.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Data to find relays on.
    y : array-like of shape (n_instances,)
        Labels.
    random_state : int, default=0
        Draws contexts and permutations.
    **relay_params : dict
        Of :class:`RelayAnalyzer`. With `n_permutations` concepts and time steps at which no node
        is beyond chance do not count.

    Returns
    -------
    float
        From 0 to 1; 0 also if nothing is relayed.

    See Also
    --------
    relay_strength_scorer, specificity_scorer : Other scores.

    Notes
    -----
    Chance is uneven: a net that has learned nothing may score higher than those that have, unless
    `n_permutations` tells chance. One that has learned little may do so in any case; choose among
    nets of about the same accuracy.

    The score is that of a net under a discretization. To compare nets give all of them the same, as
    ``functools.partial(localization_scorer, n_states=2, strategy="quantile")`` does whatever their
    analyzers have. It is relative to the number of nodes: four nodes that share alike score 1/3
    among 8, 3/5 among 32.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RNNClassifier
    >>> from relayestimators.inspection import localization_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1, 5))
    >>> y = np.where(X[:, 0, 1] > 0, "up", "down")
    >>> net = RNNClassifier(max_epochs=10, module__hidden_size=8, random_state=0).fit(X, y)
    >>> bool(0 < localization_scorer(net, X, y) < 1)
    True
    """
    analyzer = _analyzed(estimator, X, y, random_state, relay_params)
    beyond_chance = getattr(analyzer, "significant_", None)
    counted = None if beyond_chance is None else beyond_chance.any(axis=2)
    return mean_localization(analyzer.relay_map_, counted)


def specificity_scorer(estimator, X, y, *, start=None, random_state=0, **relay_params):
    """How much more the knockout of a concept's relays costs it than the other concepts, in bits.

    Relays are found on one half of the data, stratified, and knocked out on the other, as
    :func:`knockout_specificity` does; the mean over concepts of own minus other. A scorer, as
    :func:`relay_strength_scorer`.

    Parameters
    ----------
    estimator : fitted classifier, RelayAnalyzer or Pipeline
        With ``unroll`` and ``knock_out``. A pipeline ends in one, or has an analyzer in it.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Data.
    y : array-like of shape (n_instances,)
        Labels; two instances of each class at least.
    start : int, optional
        First time step of the knockout; by default the first that is analyzed.
    random_state : int, default=0
        Splits the data, draws contexts.
    **relay_params : dict
        Of :class:`RelayAnalyzer`. There must be more than one concept, not all the same division
        of the classes, as "ovr" of two classes is.

    Returns
    -------
    float
        Bits; higher is better, 0 is chance.

    See Also
    --------
    cross_validate_knockout : With all figures, and relays found on the training part.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RNNClassifier
    >>> from relayestimators.inspection import specificity_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2, 5))
    >>> y = (X[:, 0, 1] > 0) + 2 * (X[:, 1, 1] > 0)
    >>> net = RNNClassifier(max_epochs=10, module__hidden_size=8, random_state=0).fit(X, y)
    >>> bits = [[0, 0], [1, 0], [0, 1], [1, 1]]
    >>> score = specificity_scorer(net, X, y, concepts=bits, n_relays=3, timepoints=[3, 4])
    >>> isinstance(score, float)
    True
    """
    if start is None and _options(estimator, relay_params).get("align") == "end":
        raise ValueError(
            "align='end': time steps count from the end of each series, but a knockout begins at "
            "the same step of all; give start."
        )
    rows = np.arange(len(y))
    find, measure = train_test_split(rows, test_size=0.5, stratify=y, random_state=random_state)
    X_find, X_measure = (_safe_indexing(X, part) for part in (find, measure))
    y_find, y_measure = (_safe_indexing(y, part) for part in (find, measure))
    analyzer = _analyzed(estimator, X_find, y_find, random_state, relay_params)
    result = knockout_specificity(
        analyzer.estimator_,
        _into_net(estimator, X_measure),
        y_measure,
        relays=analyzer,
        start=int(analyzer.timepoints_.min()) if start is None else start,
        layer=analyzer.layer_,
        state=analyzer.state_,
        n_random=0,
        n_resamples=2,
        random_state=random_state,
    )
    if np.isnan(result.own_minus_other).any():
        raise ValueError(
            f"concepts={analyzer.concepts!r}: there is a concept without another one that divides "
            "the classes in another way, as with 'ovr' of two classes; expected a table of more."
        )
    return float(result.own_minus_other.mean())


def _parts(estimator):
    """Return what transforms panels first, if anything does, and the net or analyzer."""
    estimator = _thawed(estimator)
    if not isinstance(estimator, Pipeline):
        return None, estimator
    analyzers = [k for k, (_, step) in enumerate(estimator.steps) if hasattr(step, "relays")]
    at = analyzers[-1] if analyzers else len(estimator) - 1
    return estimator[:at] if at else None, _thawed(estimator[at])


def _thawed(estimator):
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def _options(estimator, relay_params):
    """Return parameters for an analyzer: those given, else those of the estimator if it is one."""
    _, last = _parts(estimator)
    if not hasattr(last, "relays"):
        return relay_params
    own = last.get_params(deep=False)
    del own["estimator"], own["random_state"]
    return own | relay_params


def _analyzed(estimator, X, y, random_state, relay_params):
    """Return an analyzer fitted on given data around a fitted net."""
    _, last = _parts(estimator)
    net = last.estimator_ if hasattr(last, "relays") else last
    check_recurrent(net)
    relay_params = {"random_state": random_state} | _options(estimator, relay_params)
    return RelayAnalyzer(FrozenEstimator(net), **relay_params).fit(_into_net(estimator, X), y)


def _into_net(estimator, X):
    """Return what the net in a pipeline sees."""
    before, _ = _parts(estimator)
    return X if before is None else before.transform(X)
