"""Scorers of the relays of a network, for hyper-parameter search and cross-validation."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from .._docs import fill_docs
from .._validation import check_recurrent
from ..analyzer import RelayAnalyzer
from ..dynamics._localization import mean_localization, mean_strength
from ._specificity import knockout_specificity


@fill_docs
def relay_strength_scorer(estimator, X, y, *, random_state=0, **relay_params):
    """Return the relay information of the strongest node, mean over concepts and time steps.

    This is a scikit-learn scorer: pass ``scoring=relay_strength_scorer`` to
    :class:`~sklearn.model_selection.GridSearchCV` or
    :func:`~sklearn.model_selection.cross_validate`, alone or in a dict. Use ``functools.partial``
    to set other parameters.

    Parameters
    ----------
    %(scored_estimator)s ``unroll``
    %(X)s Data to find relays on
    %(y)s
    random_state : int, default=0
        Controls the randomness of the contexts.
    **relay_params : dict
        Parameters of :class:`RelayAnalyzer`, such as ``concepts`` and ``timepoints``. By default
        they are those of the estimator, if it is an analyzer.

    Returns
    -------
    float
        Bits. Higher is better.

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
    return mean_strength(_analyze(estimator, X, y, random_state, relay_params).relay_map_)


@fill_docs
def localization_scorer(estimator, X, y, *, random_state=0, **relay_params):
    """Return how localized relays are, from 0 (all nodes relay equally) to 1 (one node relays).

    It is the mean of :func:`relayestimators.dynamics.localization` over concepts and time steps,
    weighted by their relay information. It is a scorer like :func:`relay_strength_scorer`.

    Parameters
    ----------
    %(scored_estimator)s ``unroll``
    %(X)s Data to find relays on
    %(y)s
    random_state : int, default=0
        Controls the randomness of the contexts and permutations.
    **relay_params : dict
        Parameters of :class:`RelayAnalyzer`. With `n_permutations`, concepts and time steps at
        which no node is beyond chance are left out.

    Returns
    -------
    float
        A number from 0 to 1. It is 0 if nothing is relayed.

    See Also
    --------
    relay_strength_scorer, specificity_scorer : Other scores.

    Notes
    -----
    Noise is unevenly distributed over nodes, so a network that has learned nothing may have a
    higher score than one that has, unless chance is left out with `n_permutations`. A network that
    has learned little may have a high score in any case; choose among networks of similar accuracy.

    The score depends on the discretization. To compare networks, use the same for all, as in
    ``functools.partial(localization_scorer, n_states=2, strategy="quantile")``, whatever their
    analyzers have. It is relative to the number of nodes: four nodes with equal fractions have the
    score 1/3 among 8 nodes and 3/5 among 32.

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
    analyzer = _analyze(estimator, X, y, random_state, relay_params)
    beyond_chance = getattr(analyzer, "significant_", None)
    counted = None if beyond_chance is None else beyond_chance.any(axis=2)
    return mean_localization(analyzer.relay_map_, counted)


@fill_docs
def specificity_scorer(estimator, X, y, *, start=None, random_state=0, **relay_params):
    """Return how much more a knockout of relays loses of their own concept than of others, in bits.

    Relays are found on one half of the data, stratified by class, and knocked out on the other, as
    in :func:`knockout_specificity`. The score is the mean of own minus other loss over concepts.
    It is a scorer like :func:`relay_strength_scorer`.

    Parameters
    ----------
    %(scored_estimator)s ``unroll`` and ``knock_out``
    %(X)s Data to find relays and to measure knockouts on
    %(y)s There must be at least two instances per class.
    start : int, optional
        First time step of the knockout; by default the first analyzed time step.
    random_state : int, default=0
        Controls the randomness of the split and of the contexts.
    **relay_params : dict
        Parameters of :class:`RelayAnalyzer`. There must be at least two concepts that partition the
        classes differently, unlike "ovr" with two classes.

    Returns
    -------
    float
        Bits. Higher is better, and 0 is expected by chance.

    Raises
    ------
    ValueError
        If no two concepts partition the classes differently, or if `start` is needed: with
        ``align="end"`` there is no first time step that all series have in common.

    See Also
    --------
    cross_validate_knockout : Returns all quantities, with relays found on the training part.

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
    if start is None and _parameters(estimator, relay_params).get("align") == "end":
        raise ValueError(
            "start=None with align='end'; expected an integer, because time steps count from the "
            "end of each series, but a knockout starts at the same time step of all series."
        )
    rows = np.arange(len(y))
    find, measure = train_test_split(rows, test_size=0.5, stratify=y, random_state=random_state)
    X_find, X_measure = (_safe_indexing(X, part) for part in (find, measure))
    y_find, y_measure = (_safe_indexing(y, part) for part in (find, measure))
    analyzer = _analyze(estimator, X_find, y_find, random_state, relay_params)
    result = knockout_specificity(
        analyzer.estimator_,
        _input_of_network(estimator, X_measure),
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
            f"concepts={analyzer.concepts!r}; expected concepts that partition the classes in "
            "different ways, which 'ovr' does for three or more classes."
        )
    return float(result.own_minus_other.mean())


def _split_pipeline(estimator):
    """Return the steps before the classifier or analyzer, or None, and this last estimator."""
    estimator = _unfrozen(estimator)
    if not isinstance(estimator, Pipeline):
        return None, estimator
    analyzers = [k for k, (_, step) in enumerate(estimator.steps) if hasattr(step, "relays")]
    at = analyzers[-1] if analyzers else len(estimator) - 1
    return estimator[:at] if at else None, _unfrozen(estimator[at])


def _unfrozen(estimator):
    """Return the estimator inside of any number of FrozenEstimator."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def _parameters(estimator, relay_params):
    """Return parameters of an analyzer: those given, or else those of the estimator."""
    _, last = _split_pipeline(estimator)
    if not hasattr(last, "relays"):
        return relay_params
    own = last.get_params(deep=False)
    del own["estimator"], own["random_state"]
    return own | relay_params


def _analyze(estimator, X, y, random_state, relay_params):
    """Return an analyzer of the fitted network, fitted on the data."""
    _, last = _split_pipeline(estimator)
    net = last.estimator_ if hasattr(last, "relays") else last
    check_recurrent(net)
    relay_params = {"random_state": random_state} | _parameters(estimator, relay_params)
    analyzer = RelayAnalyzer(FrozenEstimator(net), **(relay_params | {"carried": False}))
    return analyzer.fit(_input_of_network(estimator, X), y)


def _input_of_network(estimator, X):
    """Return the data as the network in a pipeline receives them."""
    before, _ = _split_pipeline(estimator)
    return X if before is None else before.transform(X)
