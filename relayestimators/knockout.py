"""KnockoutTransformer: a recurrent classifier with nodes held fixed inside the recurrence.

Floor 3: scikit-learn and the floors below. The classifier is
known only by its protocol: ``fit``, ``classes_`` and ``unroll``.
"""

import warnings
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from ._validation import check_choice, check_nodes, check_recurrent, check_window
from .networks import Clamp

OUTPUTS = ("hidden", "logits", "proba")


def knockout_values(value, nodes, hidden):
    """Return what nodes are held at.

    Parameters
    ----------
    value : {"zero", "mean"}, float or array-like
        "zero"; "mean", over instances at every time step of the intact net; one number for all;
        an array of shape (n_chosen,) or (n_timepoints, n_chosen).
    nodes : ndarray of shape (n_chosen,)
        The nodes, checked.
    hidden : ndarray of shape (n_instances, n_timepoints, n_nodes)
        Trajectories of the intact net; NaN where a series has ended.

    Returns
    -------
    ndarray of shape (n_chosen,) or (n_timepoints, n_chosen), float32

    Raises
    ------
    ValueError
        If `value` is none of these; the message says what is allowed.
    """
    n_timepoints = hidden.shape[1]
    allowed = (
        f"'zero', 'mean', a number, or finite numbers of shape ({len(nodes)},) or "
        f"({n_timepoints}, {len(nodes)}), that is (n_chosen,) or (n_timepoints, n_chosen)"
    )
    if isinstance(value, str):
        if value not in ("zero", "mean"):
            raise ValueError(f"value={value!r}; allowed are {allowed}.")
        if value == "zero":
            return np.zeros(len(nodes), dtype=np.float32)
        with warnings.catch_warnings():  # columns no instance has
            warnings.simplefilter("ignore", RuntimeWarning)
            means = np.nanmean(hidden[:, :, nodes], axis=0, dtype=np.float64)
        last = np.flatnonzero(~np.isnan(hidden).all(axis=(0, 2)))[-1]
        means[last + 1 :] = means[last]
        return means.astype(np.float32)
    if isinstance(value, Real):
        value = np.full(len(nodes), value)
    values = np.asarray(value)
    shapes = ((len(nodes),), (n_timepoints, len(nodes)))
    if values.dtype.kind not in "biuf" or values.shape not in shapes:
        raise ValueError(
            f"value has shape {values.shape}, dtype {values.dtype}; allowed: {allowed}."
        )
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"value contains NaN or infinity; allowed are {allowed}.")
    return values


class KnockoutTransformer(TransformerMixin, BaseEstimator):
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
    value : {"mean", "zero"}, float or array-like, default="mean"
        What they are held at. "mean": their mean over the instances of `fit`, at every time
        step, in the intact net; it takes away what a node says about an instance and leaves
        the rest of the net where it was used to be. "zero", or a number. An array: one value per
        node, shape (n_chosen,), or per time step and node, shape (n_timepoints, n_chosen), in
        the order of `nodes`.
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

    Attributes
    ----------
    estimator_ : classifier
        The fitted, intact classifier.
    nodes_ : ndarray of shape (n_chosen,), int
        The nodes.
    values_ : ndarray of shape (n_chosen,) or (n_timepoints, n_chosen)
        What they are held at.
    window_ : tuple
        When: first time step, and one after the last or None.
    n_nodes_ : int
        Number of nodes of the layer.
    classes_ : ndarray of shape (n_classes,)
        Labels.

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
    ):
        self.estimator = estimator
        self.nodes = nodes
        self.value = value
        self.start = start
        self.stop = stop
        self.layer = layer
        self.state = state
        self.output = output

    def fit(self, X, y):
        """Train the classifier, unless it is frozen, and fix what the nodes are held at.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As the classifier takes it.
        y : array-like of shape (n_instances,)
            Labels.

        Returns
        -------
        self : KnockoutTransformer
        """
        check_recurrent(self.estimator)
        check_choice(self.output, name="output", choices=OUTPUTS)
        estimator = clone(self.estimator).fit(X, y)
        hidden = estimator.unroll(X, layer=self.layer, state=self.state).hidden
        nodes = check_nodes(self.nodes, hidden.shape[2])
        check_window(self.start, self.stop, hidden.shape[1])
        self.window_, self.layer_, self.state_ = (self.start, self.stop), self.layer, self.state
        self.values_ = knockout_values(self.value, nodes, hidden)
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
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
            "node7", or "logits_setosa", and so on.
        """
        check_is_fitted(self)
        if self.output == "hidden":
            return np.array([f"node{node}" for node in range(self.n_nodes_)], dtype=object)
        return np.array([f"{self.output}_{label}" for label in self.classes_], dtype=object)

    def _run(self, X):
        check_is_fitted(self)
        clamp = Clamp(self.nodes_, self.values_, *self.window_, self.layer_, self.state_)
        return self.estimator_.unroll(X, clamp=clamp, layer=self.layer_, state=self.state_)

    @property
    def n_features_in_(self):
        """Number of channels (or of time steps of two-dimensional X) seen in fit."""
        return self.estimator_.n_features_in_

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
