"""KnockoutTransformer, a recurrent classifier with nodes clamped inside the recurrence."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._base import MetaClassifierMixin
from ._docs import fill_docs
from ._validation import check_choice, check_nodes, check_recurrent, check_window
from .networks import Clamp
from .networks._clamp_values import clamp_values, draw_values

__all__ = ["KnockoutTransformer"]

_OUTPUTS = ("hidden", "logits", "proba")


@fill_docs
class KnockoutTransformer(MetaClassifierMixin, TransformerMixin, BaseEstimator):
    """Recurrent classifier with hidden nodes knocked out (ablated); transformer and classifier.

    The nodes are clamped to a value inside the recurrence after every time step of a window, so
    that all later computations use the value. The trained network itself is not changed.

    Parameters
    ----------
    %(meta_estimator)s
    nodes : None, int or array-like of int, default=None
        Nodes that are knocked out together. None is the empty set, the intact network.
    value : {"mean", "zero", "resample", "noise"}, float or array-like, default="mean"
        Value that the nodes are clamped to. "mean" (mean ablation): their mean over the instances
        of `fit` at every time step, in the intact network; it removes what a node encodes of an
        instance, and keeps the other nodes in their usual range. "resample" (resample ablation):
        for every instance, their trajectory in an instance drawn from those of `fit`; it also keeps
        the variance of the nodes. "noise": Gaussian noise with their mean and standard deviation at
        every time step. "zero" (zero ablation): 0. A float is used for all nodes. An array has one
        value per node, shape (n_chosen,), or per time step and node, shape (n_timepoints,
        n_chosen), in the order of `nodes`.
    %(start)s
    %(stop)s
    %(layer)s
    %(state)s
    output : {"hidden", "logits", "proba"}, default="hidden"
        Output of `transform`.
    random_state : int, RandomState instance or None, default=None
        Controls the randomness of "resample" and "noise". Calls with the same number of instances
        draw the same values. Pass an int for reproducible results.

    Attributes
    ----------
    estimator_ : classifier
        The fitted, intact classifier.
    nodes_ : ndarray of shape (n_chosen,), int
        Knocked-out nodes.
    values_ : ndarray
        Values that the nodes are clamped to, of shape (n_chosen,) or (n_timepoints, n_chosen). For
        "resample", the trajectories that are drawn from, of shape (n_instances, n_timepoints,
        n_chosen). For "noise", mean and standard deviation, of shape (2, n_timepoints, n_chosen).
    value_ : str, float or array-like
        The parameter `value` in `fit`.
    window_ : tuple
        First time step of the window, and one after the last or None.
    n_nodes_ : int
        Number of nodes of the layer.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    %(n_features_in_)s
    %(feature_names_in_)s

    See Also
    --------
    RelayAnalyzer : Finds nodes to knock out.
    relayestimators.inspection.knockout_specificity : Measures losses per concept.

    Notes
    -----
    The initial state is never clamped. Editing the output sequence of a recurrent layer is not a
    knockout, because the nodes would still be active inside the recurrence.

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

    @fill_docs
    def fit(self, X, y=None, **fit_params):
        """Train the classifier, unless it is frozen, and learn the values of the nodes.

        Parameters
        ----------
        %(X)s Series
        y : array-like of shape (n_instances,), optional
            True labels. A frozen network does not need them.
        **fit_params : dict
            Passed to `fit` of the classifier; with scikit-learn's metadata routing, as requested.

        Returns
        -------
        self : KnockoutTransformer
        """
        check_recurrent(self.estimator)
        check_choice(self.output, name="output", choices=_OUTPUTS)
        estimator = self._trained(X, y, fit_params)
        hidden = estimator.unroll(X, layer=self.layer, state=self.state).hidden
        check_consistent_length(hidden, y)
        nodes = check_nodes(self.nodes, hidden.shape[2])
        check_window(self.start, self.stop, hidden.shape[1])
        values = clamp_values(self.value, nodes, hidden)
        self._seed = check_random_state(self.random_state).randint(2**31 - 1)
        self.window_, self.layer_, self.state_ = (self.start, self.stop), self.layer, self.state
        self.values_, self.value_ = values, self.value
        self.estimator_, self.nodes_, self.n_nodes_ = estimator, nodes, hidden.shape[2]
        self.classes_ = estimator.classes_
        return self

    @fill_docs
    def transform(self, X):
        """Run the network with the nodes knocked out.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances, n_nodes) or (n_instances, n_classes)
            "hidden": states of the layer after the last time step of each series, or after the
            first for backward nodes of a bidirectional layer, where they end. "logits" or "proba":
            output of the network with the nodes knocked out.
        """
        return self._run(X, trajectories=False)["final" if self.output == "hidden" else self.output]

    @fill_docs
    def hidden_states(self, X):
        """Return the trajectories of the layer with the nodes knocked out.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances, n_timepoints, n_nodes), float32
            NaN where a series has ended.
        """
        return self._run(X).hidden

    @fill_docs
    def predict_proba(self, X):
        """Return the class probabilities with the nodes knocked out.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances, n_classes)
        """
        return self._run(X, trajectories=False).proba

    @fill_docs
    def predict(self, X):
        """Return the labels that are predicted with the nodes knocked out.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances,)
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    @fill_docs
    def score(self, X, y, sample_weight=None):
        """Return the accuracy with the nodes knocked out.

        Parameters
        ----------
        %(X_as_in_fit)s
        %(y)s
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
            Names of the input columns; they must be those seen in `fit`, and are not used.

        Returns
        -------
        ndarray of str
            Names such as "node7" or "logits_setosa".
        """
        check_is_fitted(self)
        if self.output == "hidden":
            return self._output_names(
                [f"node{node}" for node in range(self.n_nodes_)], input_features
            )
        return self._output_names(
            [f"{self.output}_{label}" for label in self.classes_], input_features
        )

    def _run(self, X, *, trajectories=True):
        check_is_fitted(self)
        rng, n_instances = np.random.RandomState(self._seed), _num_samples(X)
        values = draw_values(self.value_, self.values_, rng, n_instances)
        clamp = Clamp(self.nodes_, values, *self.window_, self.layer_, self.state_)
        where = {"layer": self.layer_, "state": self.state_}
        return self.estimator_.unroll(X, clamp=clamp, **where, trajectories=trajectories)

    def __sklearn_tags__(self):
        """Return the tags, with those of input and classification taken from the classifier."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        tags.transformer_tags.preserves_dtype = []  # activations are float32
        return tags
