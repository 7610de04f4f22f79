"""KnockoutTransformer: a recurrent classifier with nodes held fixed inside the recurrence.

Floor 3: scikit-learn and the floors below. The classifier is
known only by its protocol: ``fit``, ``classes_`` and ``unroll``.
"""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._inner import AroundClassifier
from ._validation import check_choice, check_nodes, check_recurrent, check_window
from .networks import Clamp

OUTPUTS = ("hidden", "logits", "proba")


def knockout_values(value, nodes, hidden):
    """Return what nodes are held at, or what that is drawn from, as the intact net has it.

    Parameters
    ----------
    value : {"zero", "mean", "resample", "noise"}, float or array-like
        "zero"; "mean", over instances at every time step of the intact net; "resample", the
        trajectory of another instance; "noise", Gaussian with the mean and the standard
        deviation over instances at every time step; one number for all; an array of shape
        (n_chosen,) or (n_timepoints, n_chosen).
    nodes : ndarray of shape (n_chosen,)
        The nodes, checked.
    hidden : ndarray of shape (n_instances, n_timepoints, n_nodes)
        Trajectories of the intact net; NaN where a series has ended.

    Returns
    -------
    ndarray of float32
        The values, shape (n_chosen,) or (n_timepoints, n_chosen). For "resample" the trajectories
        to draw from, (n_instances, n_timepoints, n_chosen); where a series has ended its last
        state goes on. For "noise" mean and standard deviation, (2, n_timepoints, n_chosen).

    Raises
    ------
    ValueError
        If `value` is none of these; the message says what is allowed.
    """
    n_timepoints = hidden.shape[1]
    allowed = (
        f"{', '.join(map(repr, VALUES))}, a number, or finite numbers of shape ({len(nodes)},) or "
        f"({n_timepoints}, {len(nodes)}), that is (n_chosen,) or (n_timepoints, n_chosen)"
    )
    if isinstance(value, str):
        if value not in VALUES:
            raise ValueError(f"value={value!r}; allowed are {allowed}.")
        return VALUES[value](hidden[:, :, nodes])
    values = np.asarray(value)
    if values.ndim == 0 and not isinstance(value, bool):
        values = np.full(len(nodes), values)
    shapes = ((len(nodes),), (n_timepoints, len(nodes)))
    if values.dtype.kind not in "biuf" or values.shape not in shapes:
        raise ValueError(
            f"value has shape {values.shape}, dtype {values.dtype}; allowed: {allowed}."
        )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"value contains NaN or infinity; allowed are {allowed}.")
    return values


def _zero(hidden):
    return np.zeros(hidden.shape[2], dtype=np.float32)


def _mean(hidden):
    return _over_instances(np.nanmean, hidden)


def _mean_and_deviation(hidden):
    return np.stack([_over_instances(np.nanmean, hidden), _over_instances(np.nanstd, hidden)])


def _over_instances(statistic, hidden):
    """Return a statistic per time step; after the last that any instance has, it goes on."""
    with warnings.catch_warnings():  # columns no instance has
        warnings.simplefilter("ignore", RuntimeWarning)
        values = statistic(hidden, axis=0, dtype=np.float64)
    present = np.flatnonzero(~np.isnan(hidden).all(axis=(0, 2)))
    if present.size:  # there are nodes
        values[present[-1] + 1 :] = values[present[-1]]
    return values.astype(np.float32)


def _going_on(hidden):
    """Return trajectories in which the last state of a series that has ended goes on."""
    present = ~np.isnan(hidden).all(axis=2)
    last = hidden.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    steps = np.minimum(np.arange(hidden.shape[1]), last[:, None])
    return np.take_along_axis(hidden, steps[:, :, None], axis=1)


#: What nodes can be held at, by name: how it is learnt from trajectories of the intact net.
VALUES = {"zero": _zero, "mean": _mean, "resample": _going_on, "noise": _mean_and_deviation}
RANDOM = ("resample", "noise")  # those that differ from instance to instance


def draw_values(value, values, rng, n_instances, *, same=False):
    """Return the values of a clamp; those that are random are drawn.

    Parameters
    ----------
    value : {"zero", "mean", "resample", "noise"}, float or array-like
        As in `knockout_values`.
    values : ndarray
        What `knockout_values` returned.
    rng : RandomState
        Draws.
    n_instances : int
        How many instances they are for.
    same : bool, default=False
        Whether these are the instances `values` were learnt from. With "resample" each is then
        given another's trajectory, every one once.

    Returns
    -------
    ndarray
        Values of a :class:`Clamp`.
    """
    if not isinstance(value, str) or value not in RANDOM:
        return values
    if value == "resample":
        if not same:
            return values[rng.randint(len(values), size=n_instances)]
        order = rng.permutation(len(values))
        donors = np.empty_like(order)
        donors[order] = np.roll(order, 1)
        return values[donors]
    mean, deviation = values
    return mean + deviation * rng.standard_normal((n_instances, *mean.shape)).astype(np.float32)


class KnockoutTransformer(AroundClassifier, TransformerMixin, BaseEstimator):
    """A recurrent classifier with hidden nodes knocked out, as a transformer and a classifier.

    The nodes are held at a value inside the recurrence, after every time step of a window, so
    that everything that follows sees the value. The trained net itself is not changed.

    Parameters
    ----------
    estimator : classifier
        :class:`RNNClassifier`, :class:`GRUClassifier`, :class:`LSTMClassifier`, or any other with
        ``unroll``. It is cloned and trained; ``FrozenEstimator(fitted)`` is used as it is.
    nodes : None, int or array-like of int, default=None
        Nodes to knock out together; None is none of them, the intact net.
    value : {"mean", "zero", "resample", "noise"}, float or array-like, default="mean"
        What they are held at. "mean": their mean over the instances of `fit`, at every time
        step, in the intact net; it takes away what a node says about an instance and leaves
        the rest of the net where it was used to be. "resample": for every instance, what they do
        in an instance drawn from those of `fit`; it also leaves the node as variable as it was.
        "noise": Gaussian with the mean and the standard deviation they have at every time step.
        "zero", or a number. An array: one value per node, shape (n_chosen,), or per time step and
        node, shape (n_timepoints, n_chosen), in the order of `nodes`.
    start : int, default=0
        First time step of the window.
    stop : int or None, default=None
        One after its last time step; None is the end.
    layer : int, default=-1
        Layer of the nodes.
    state : {"h", "c"}, default="h"
        Hidden state, or memory cell of an LSTM; the latter is held before the output gate reads
        it.
    output : {"hidden", "logits", "proba"}, default="hidden"
        What `transform` returns.
    random_state : int, RandomState instance or None, default=None
        Draws for "resample" and "noise". Calls for as many instances draw the same.

    Attributes
    ----------
    estimator_ : classifier
        The fitted, intact classifier.
    nodes_ : ndarray of shape (n_chosen,), int
        The nodes.
    values_ : ndarray
        What they are held at: shape (n_chosen,) or (n_timepoints, n_chosen). For "resample" the
        trajectories drawn from, (n_instances, n_timepoints, n_chosen); for "noise" mean and
        standard deviation, (2, n_timepoints, n_chosen).
    value_ : str, float or array-like
        `value` as it was in `fit`.
    window_ : tuple
        When: first time step, and one after the last or None.
    n_nodes_ : int
        Number of nodes of the layer.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_features_in_ : int
        Number of channels of a three-dimensional panel, or of time steps of a two-dimensional
        one.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X was a DataFrame with one row per instance.

    See Also
    --------
    RelayAnalyzer : Which nodes are worth knocking out.
    knockout_specificity : A table of such losses per concept.

    Notes
    -----
    The initial state is never held. Editing the output sequence of a recurrent layer instead
    would leave the nodes alive in the recurrence.

    References
    ----------
    .. [1] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from relayestimators import GRUClassifier, KnockoutTransformer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 1, 8))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = GRUClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> knockout = KnockoutTransformer(FrozenEstimator(net), nodes=range(32)).fit(X, y)
    >>> bool(knockout.score(X, y) < net.score(X, y))
    True
    >>> knockout.transform(X).shape
    (60, 32)
    """

    def __init__(
        self,
        estimator,
        nodes=None,
        *,
        value="mean",
        start=0,
        stop=None,
        layer=-1,
        state="h",
        output="hidden",
        random_state=None,
    ):
        self.estimator = estimator
        self.nodes = nodes
        self.value = value
        self.start = start
        self.stop = stop
        self.layer = layer
        self.state = state
        self.output = output
        self.random_state = random_state

    def fit(self, X, y=None, **fit_params):
        """Train the classifier, unless it is frozen, and fix what the nodes are held at.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As the classifier takes it.
        y : array-like of shape (n_instances,), optional
            Labels. A frozen net needs none.
        **fit_params : dict
            For `fit` of the classifier; with scikit-learn's metadata routing, what it requests.

        Returns
        -------
        self : KnockoutTransformer
        """
        check_recurrent(self.estimator)
        check_choice(self.output, name="output", choices=OUTPUTS)
        estimator = self._trained(X, y, fit_params)
        hidden = estimator.unroll(X, layer=self.layer, state=self.state).hidden
        check_consistent_length(hidden, y)
        nodes = check_nodes(self.nodes, hidden.shape[2])
        check_window(self.start, self.stop, hidden.shape[1])
        values = knockout_values(self.value, nodes, hidden)
        self._seed = check_random_state(self.random_state).randint(2**31 - 1)
        self.window_, self.layer_, self.state_ = (self.start, self.stop), self.layer, self.state
        self.values_, self.value_ = values, self.value
        self.estimator_, self.nodes_, self.n_nodes_ = estimator, nodes, hidden.shape[2]
        self.classes_ = estimator.classes_
        return self

    def transform(self, X):
        """Run the net with the nodes knocked out.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_instances, n_nodes) or (n_instances, n_classes)
            "hidden": the states of the layer after the last time step of each series (for
            backward nodes of a bidirectional layer after the first, where they end). "logits"
            or "proba": what the ablated net says of the classes.
        """
        return self._run(X)["final" if self.output == "hidden" else self.output]

    def hidden_states(self, X):
        """Return the trajectories of the layer with the nodes knocked out.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_instances, n_timepoints, n_nodes), float32
            NaN where a series has ended.
        """
        return self._run(X).hidden

    def predict_proba(self, X):
        """Return the probability of every class according to the ablated net.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_instances, n_classes)
        """
        return self._run(X).proba

    def predict(self, X):
        """Return the labels the ablated net predicts.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_instances,)
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the ablated net.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.
        y : array-like of shape (n_instances,)
            Labels.
        sample_weight : array-like of shape (n_instances,), optional
            Weights.

        Returns
        -------
        float
        """
        return accuracy_score(y, self.predict(X), sample_weight=sample_weight)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str, optional
            Must fit what was seen in `fit`, and changes nothing.

        Returns
        -------
        ndarray of str
            "node7", or "logits_setosa", and so on.
        """
        check_is_fitted(self)
        if self.output == "hidden":
            return self._names([f"node{node}" for node in range(self.n_nodes_)], input_features)
        return self._names([f"{self.output}_{label}" for label in self.classes_], input_features)

    def _run(self, X):
        check_is_fitted(self)
        rng, n_instances = np.random.RandomState(self._seed), _num_samples(X)
        values = draw_values(self.value_, self.values_, rng, n_instances)
        clamp = Clamp(self.nodes_, values, *self.window_, self.layer_, self.state_)
        return self.estimator_.unroll(X, clamp=clamp, layer=self.layer_, state=self.state_)

    def __sklearn_tags__(self):
        """Take the tags of input and of classification from the classifier."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        tags.transformer_tags.preserves_dtype = []  # activations are float32
        return tags
