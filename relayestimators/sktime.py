"""The classifiers of this package as sktime classifiers, with access to their relays.

This module is not imported with the package, because it needs sktime at import.
"""

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import column_or_1d
from sktime.classification.base import BaseClassifier

from ._docs import fill_docs
from .analyzer import RelayAnalyzer
from .classifiers import GRUClassifier, LSTMClassifier, RNNClassifier
from .panels import panel_to_tensor

__all__ = ["RelayGRUClassifier", "RelayLSTMClassifier", "RelayRNNClassifier"]


class _RelayClassifier(BaseClassifier):
    """Base class of sktime classifiers that contain a classifier of this package.

    No class can be both, because the `fit` of sktime and that of skorch cannot be one method.
    """

    _tags = {
        "authors": ["relayestimators developers"],
        "maintainers": ["relayestimators developers"],
        "python_dependencies": ["torch", "skorch"],
        # sktime converts all other formats to the first of these.
        "X_inner_mtype": ["df-list", "numpy3D"],
        "y_inner_mtype": "numpy1D",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": False,
        "capability:categorical_in_X": False,
        "capability:predict_proba": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }
    _net_class = None  # class of `net_`
    _module_params = ("hidden_size", "num_layers", "bidirectional", "dropout")

    def __init__(
        self,
        hidden_size=32,
        *,
        num_layers=1,
        bidirectional=False,
        dropout=0.0,
        lr=0.01,
        max_epochs=100,
        batch_size=16,
        callbacks=None,
        device="cpu",
        verbose=0,
        net_params=None,
        random_state=None,
    ):
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.device = device
        self.verbose = verbose
        self.net_params = net_params
        self.random_state = random_state
        super().__init__()

    def _make_net(self):
        """Return the untrained classifier with the parameters of this one."""
        params = self.get_params(deep=False)
        more = params.pop("net_params") or {}
        for name in self._module_params:
            params[f"module__{name}"] = params.pop(name)
        if duplicates := sorted(params.keys() & more.keys()):
            own = [name.removeprefix("module__") for name in duplicates]
            raise ValueError(f"net_params contains {duplicates}; set the parameters {own} instead.")
        # It is cloned, because training changes callbacks, but must not change parameters.
        return clone(self._net_class(**params, **more))

    def _fit(self, X, y):
        self.net_ = self._make_net().fit(panel_to_tensor(X), y)
        return self

    def _predict(self, X):
        return self.net_.predict(panel_to_tensor(X))

    def _predict_proba(self, X):
        return self.net_.predict_proba(panel_to_tensor(X))

    @fill_docs
    def find_relays(self, X, y, **options):
        """Find which nodes of the trained network relay which class, and when.

        Parameters
        ----------
        X : sktime panel
            Any panel that `predict` accepts, or the array that `panel_to_tensor` returns for it.
            The network should not have been trained on it.
        %(y)s
        **options : dict
            Parameters of :class:`RelayAnalyzer`, such as ``timepoints``, ``align`` and
            ``n_permutations``. By default ``random_state`` is that of this classifier.

        Returns
        -------
        RelayAnalyzer
            Analyzer of the unchanged ``net_``, fitted on X and y. Its ``relay_map_`` is the relay
            map.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If sktime trained no network in `fit`, because there was only one class, or because it
            trained one classifier for each of several columns of y; and for all reasons for which
            RelayAnalyzer raises it.

        See Also
        --------
        relayestimators.RelayAnalyzer : Explains the relay map and its limits.
        """
        self.check_is_fitted()
        if not hasattr(self, "net_"):
            raise ValueError(
                f"This {type(self).__name__} has no network to find relays in, because y had only "
                "one class in fit, or several columns. Use one of classifiers_ for several."
            )
        options = {"random_state": self.random_state, **options}
        analyzer = RelayAnalyzer(FrozenEstimator(self.net_), **options)
        return analyzer.fit(panel_to_tensor(X), column_or_1d(np.asarray(y)))

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Return parameters with which sktime's tests create instances.

        Parameters
        ----------
        parameter_set : str, default="default"
            Name of the set of parameters; there is only one.

        Returns
        -------
        list of dict
        """
        return [
            {"hidden_size": 4, "max_epochs": 2, "random_state": 0},
            {
                "hidden_size": 3,
                "num_layers": 2,
                "bidirectional": True,
                "dropout": 0.1,
                "lr": 0.001,
                "max_epochs": 1,
                "batch_size": 4,
                "net_params": {"optimizer__weight_decay": 0.01},
                "random_state": 1,
            },
        ]


_DOC = """{summary}

    This is :class:`relayestimators.{net}` with the interface of sktime, for sktime's pipelines,
    tuning and benchmarks. It accepts every panel format of sktime, with series of equal or unequal
    length. With scikit-learn's tools, use :class:`relayestimators.{net}`.

    Parameters
    ----------
    hidden_size : int, default=32
        Number of nodes per layer and direction.
    num_layers : int, default=1
        Number of stacked recurrent layers.
    bidirectional : bool, default=False
        Whether the layers also run backward in time.
    dropout : float, default=0.0
        Probability of dropping a node's output between layers and before the readout, during
        training.
{nonlinearity}    lr : float, default=0.01
        Learning rate of Adam.
    max_epochs : int, default=100
        Number of training epochs.
    batch_size : int, default=16
        Number of instances per step of the optimizer.
    callbacks : list of skorch callbacks, optional
        Callbacks of the training. Those that use ``valid_loss``, such as EarlyStopping, need
        ``net_params={{"train_split": skorch.dataset.ValidSplit(5, stratified=True)}}``.
    device : str or torch.device, default="cpu"
        Device of the network.
    verbose : int, default=0
        If 1, print skorch's table of epochs.
    net_params : dict, optional
        Further parameters of :class:`relayestimators.{net}`, such as
        ``{{"optimizer__weight_decay": 0.01}}``.
    %(random_state)s initial weights, shuffling and dropout

    Attributes
    ----------
    net_ : {net}
        The trained network. Everything else in this package works with it and
        ``panel_to_tensor(X)``.
    classes_ : ndarray of shape (n_classes,)
        Class labels.

    See Also
    --------
    relayestimators.{net} : The same classifier for scikit-learn.
    relayestimators.RelayAnalyzer : The analysis behind `find_relays`.

    Notes
    -----
    Series of unequal length need no padding. Padding by ``PaddingTransformer`` would count as
    measurements, and padding by NaN is refused, because sktime takes it for missing values.

    In a fitted pipeline, relays are found by
    ``pipeline.classifier_.find_relays(pipeline.transformers_.transform(X), y)``; in a grid search,
    use ``search.best_estimator_``.

    References
    ----------
    .. [1] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.

    Examples
    --------
    >>> from relayestimators.sktime import {name}
    >>> from sktime.datasets import load_italy_power_demand
    >>> X_train, y_train = load_italy_power_demand(split="train")
    >>> X_test, y_test = load_italy_power_demand(split="test")
    >>> classifier = {name}(hidden_size=8, max_epochs=20, random_state=0)
    >>> classifier.fit(X_train, y_train).predict_proba(X_test).shape
    (1029, 2)
    >>> relays = classifier.find_relays(X_test, y_test, timepoints=[11, 23], n_relays=2)
    >>> relays.relay_map_.shape, relays.relays(concept=0, timepoint=23).shape
    ((2, 2, 8), (2,))
    """


@fill_docs
class RelayRNNClassifier(_RelayClassifier):  # noqa: D101 (its docstring is made from _DOC)
    __doc__ = _DOC.format(
        name="RelayRNNClassifier",
        net="RNNClassifier",
        summary="Plain (Elman) recurrent network for sktime, with access to its relay map.",
        nonlinearity='    nonlinearity : {"tanh", "relu"}, default="tanh"\n'
        "        Activation of the nodes.\n",
    )
    _net_class = RNNClassifier
    _module_params = (*_RelayClassifier._module_params, "nonlinearity")

    def __init__(
        self,
        hidden_size=32,
        *,
        num_layers=1,
        bidirectional=False,
        dropout=0.0,
        nonlinearity="tanh",
        lr=0.01,
        max_epochs=100,
        batch_size=16,
        callbacks=None,
        device="cpu",
        verbose=0,
        net_params=None,
        random_state=None,
    ):
        self.nonlinearity = nonlinearity
        super().__init__(
            hidden_size=hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            callbacks=callbacks,
            device=device,
            verbose=verbose,
            net_params=net_params,
            random_state=random_state,
        )


@fill_docs
class RelayGRUClassifier(_RelayClassifier):  # noqa: D101
    __doc__ = _DOC.format(
        name="RelayGRUClassifier",
        net="GRUClassifier",
        summary="Gated recurrent unit network for sktime, with access to its relay map.",
        nonlinearity="",
    )
    _net_class = GRUClassifier


@fill_docs
class RelayLSTMClassifier(_RelayClassifier):  # noqa: D101
    __doc__ = _DOC.format(
        name="RelayLSTMClassifier",
        net="LSTMClassifier",
        summary="Long short-term memory network for sktime, with access to its relay map.",
        nonlinearity="",
    )
    _net_class = LSTMClassifier
