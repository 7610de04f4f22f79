"""RNNClassifier, GRUClassifier and LSTMClassifier: classifiers with a module and defaults."""

import torch
from skorch.callbacks import GradientNormClipping
from torch import nn

from .._docs import fill_docs
from ..networks import RecurrentNetwork
from ._recurrent import RecurrentClassifier


class _CellClassifier(RecurrentClassifier):
    """Base class with defaults that train a one-layer network on small data sets."""

    def __init__(
        self,
        module=RecurrentNetwork,
        *,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=100,
        batch_size=16,
        iterator_train__shuffle=True,
        iterator_valid__batch_size=1024,
        train_split=None,
        verbose=0,
        classes=None,
        random_state=None,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train__shuffle=iterator_train__shuffle,
            iterator_valid__batch_size=iterator_valid__batch_size,
            train_split=train_split,
            verbose=verbose,
            classes=classes,
            random_state=random_state,
            **kwargs,
        )

    @property
    def _default_callbacks(self):
        # gradients of recurrent networks may explode
        clipping = ("gradient_clipping", GradientNormClipping(gradient_clip_value=1.0))
        return [clipping, *super()._default_callbacks]


_CELL_DOC = """{summary}

    It is a :class:`RecurrentClassifier`, and thus a skorch NeuralNetClassifier, with a module and
    defaults that train on small sets of time series. Arguments of the module have the prefix
    ``module__``: the number of hidden nodes is ``module__hidden_size``, not ``hidden_size``.

    Parameters
    ----------
    module : torch module class, default=RecurrentNetwork
        Network. Its arguments are parameters of the classifier with the prefix ``module__``:

        - ``module__hidden_size=32``: number of hidden nodes per layer and direction,
        - ``module__num_layers=1``: number of recurrent layers,
        - ``module__bidirectional=False``: whether to run over the series backward as well,
        - ``module__dropout=0.0``: dropout between layers and before the readout{nonlinearity}.

        If you pass your own class, it receives ``cell`` only if its constructor accepts it.
    criterion : torch criterion class, default=torch.nn.CrossEntropyLoss
        Loss function of the logits.
    optimizer : torch optimizer class, default=torch.optim.Adam
        Optimizer. Its arguments are parameters such as ``optimizer__weight_decay``.
    lr : float, default=0.01
        Learning rate.
    max_epochs : int, default=100
        Number of training epochs.
    batch_size : int, default=16
        Number of instances per step of the optimizer.
    iterator_train__shuffle : bool, default=True
        Whether to shuffle the instances in every epoch.
    iterator_valid__batch_size : int, default=1024
        Number of instances per batch in validation and prediction, which bounds the memory.
    train_split : None or callable, default=None
        None uses all data for training. Callbacks that use ``valid_loss``, such as EarlyStopping,
        need ``train_split=skorch.dataset.ValidSplit(5, stratified=True)``.
    verbose : int, default=0
        If 1, print skorch's table of epochs.
    classes : array-like of shape (n_classes,), optional
        All class labels, if y may lack some.
    %(random_state)s initial weights, shuffling and dropout
    **kwargs
        Further parameters of skorch's NeuralNet. Gradients are clipped to norm 1 by the default
        callback ``gradient_clipping``; ``callbacks__gradient_clipping=None`` turns it off.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    module_ : RecurrentNetwork
        Trained network.
    history : skorch.history.History
        Record of the training.
    %(n_features_in_)s

    See Also
    --------
    RelayAnalyzer : Finds the nodes that relay each class at each time step.
    KnockoutTransformer : The classifier with nodes knocked out.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import {name}
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 1, 12)).astype("float32")
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = {name}(module__hidden_size=16, max_epochs=50, random_state=0).fit(X, y)
    >>> net.score(X, y) > 0.9
    True
    >>> net.hidden_states(X).shape
    (40, 12, 16)
    """


@fill_docs
class RNNClassifier(_CellClassifier):  # noqa: D101 (the docstring is made from the common text)
    __doc__ = _CELL_DOC.format(
        name="RNNClassifier",
        summary="Classifier of time series by a plain (Elman) recurrent network.",
        nonlinearity=(
            ',\n        - ``module__nonlinearity="tanh"``: activation function, "tanh" or "relu"'
        ),
    )
    _module_arguments = {"cell": "rnn"}


@fill_docs
class GRUClassifier(_CellClassifier):  # noqa: D101
    __doc__ = _CELL_DOC.format(
        name="GRUClassifier",
        summary="Classifier of time series by a gated recurrent unit network.",
        nonlinearity="",
    )
    _module_arguments = {"cell": "gru"}


@fill_docs
class LSTMClassifier(_CellClassifier):  # noqa: D101
    __doc__ = _CELL_DOC.format(
        name="LSTMClassifier",
        summary="Classifier of time series by a long short-term memory network.",
        nonlinearity="",
    )
    _module_arguments = {"cell": "lstm"}
