"""RecurrentClassifier: what every classifier of this package has in common."""

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import (
    Bunch,
    check_array,
    check_consistent_length,
    check_random_state,
    gen_batches,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit
from skorch.utils import is_dataset, to_numpy, to_tensor
from torch import nn

from .._validation import check_panel
from ..panels import MULTIINDEX_ADVICE, frames_to_tensor, is_multiindex
from ._loader import BatchLoader

# torch has one random generator for all threads, and its data loaders draw from it even to
# predict, so nets take turns: otherwise seeds would not hold under joblib's threading backend.
_GENERATOR = RLock()
_BATCH = 1024  # instances per run of the step engine; bounds memory, not the result
_DIVERGED = (
    "The network puts out NaN or infinity: its training diverged. Train again with a smaller lr, "
    "or with gradients clipped."
)


def _private(name):
    """Make an attribute that lives under a private name.

    scikit-learn lets no constructor set public attributes that are no parameters. skorch sets
    three, so they are kept where scikit-learn does not look.
    """
    slot = f"_{name}"

    def fget(self):
        try:
            return self.__dict__[slot]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}") from None

    def fset(self, value):
        self.__dict__[slot] = value

    return property(fget, fset, doc=f"skorch's ``{name}``.")


class RecurrentClassifier(NeuralNetClassifier):
    """Classifier of time series by any torch module, with access to the hidden states.

    Everything skorch's :class:`~skorch.classifier.NeuralNetClassifier` does works the same:
    ``partial_fit``, callbacks, history, ``set_params`` on the live net, ``module__*``,
    ``optimizer__*``, ``save_params``, ``device``. Added is: any labels; sktime panels of equal or
    unequal length, checked; `random_state`; ``input_size`` and ``n_classes`` of the module
    from the data; and the hidden trajectories.

    Parameters
    ----------
    module : torch module (class or instance)
        Takes a panel of shape (n_instances, n_channels, n_timepoints) in which the time steps
        after the end of a shorter series are NaN. To be analysed and knocked out it needs
        ``unroll(X, *, clamp, layer, state)`` as :class:`RecurrentNetwork` has it; with
        ``knock_out(X, clamps)`` many knockouts are as fast as that makes them. If its constructor
        takes ``input_size`` or ``n_classes``, they are filled in.
    *args
        Further positional arguments of skorch's NeuralNet.
    criterion : torch criterion class, default=torch.nn.NLLLoss
        The default of skorch, for modules that return probabilities; use
        ``torch.nn.CrossEntropyLoss`` for modules that return logits.
    train_split : None or callable, default=ValidSplit(5, stratified=True)
        The default of skorch: a fifth of the training data is held out for validation.
    iterator_train, iterator_valid : class, default=BatchLoader
        The DataLoader of torch, made fast for arrays in memory; it makes the same batches.
    classes : array-like of shape (n_classes,), optional
        All labels, if y may lack some.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, shuffling and dropout. torch's global generator is left as it
        was.
    **kwargs
        Parameters of skorch's NeuralNet (``lr``, ``max_epochs``, ``batch_size``, ``callbacks``,
        ``device``, ``module__hidden_size``, ...).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    module_ : torch module
        The trained network.
    history : skorch.history.History
        What happened in training.
    n_features_in_ : int
        Number of channels of a three-dimensional panel, or of time steps of a two-dimensional
        one.

    See Also
    --------
    RNNClassifier, GRUClassifier, LSTMClassifier : With a module and defaults that train.

    Examples
    --------
    >>> import torch
    >>> from relayestimators import RecurrentClassifier, RecurrentNetwork
    >>> X, y = torch.randn(20, 2, 15).numpy(), ["calm", "wild"] * 10
    >>> net = RecurrentClassifier(
    ...     RecurrentNetwork, criterion=torch.nn.CrossEntropyLoss, max_epochs=2, verbose=0,
    ...     module__hidden_size=8, random_state=0,
    ... ).fit(X, y)
    >>> net.predict_proba(X).shape, net.hidden_states(X).shape
    ((20, 2), (20, 15, 8))
    """

    history_ = _private("history_")
    initialized_ = _private("initialized_")
    virtual_params_ = _private("virtual_params_")

    _module_arguments = {}  # what a subclass hands its module besides what the data say
    _coding = False  # inside fit, where skorch compares coded labels

    def __init__(
        self,
        module,
        *args,
        criterion=nn.NLLLoss,
        train_split=ValidSplit(5, stratified=True),  # noqa: B008 (skorch's default)
        iterator_train=BatchLoader,
        iterator_valid=BatchLoader,
        classes=None,
        random_state=None,
        **kwargs,
    ):
        super().__init__(
            module,
            *args,
            criterion=criterion,
            train_split=train_split,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            classes=classes,
            **kwargs,
        )
        self.random_state = random_state

    # ------------------------------------------------------------ parameters

    def _get_param_names(self):
        # skorch counts its private _params_to_validate as a parameter
        return [name for name in super()._get_param_names() if not name.startswith("_")]

    def get_params_for(self, prefix):
        """Return the arguments for a part of the net; for the module, also those from the data.

        Parameters
        ----------
        prefix : str
            "module", "criterion", "optimizer", ...

        Returns
        -------
        dict
        """
        arguments = super().get_params_for(prefix)
        if prefix != "module" or not inspect.isclass(self.module):
            return arguments
        arguments = {**self._module_arguments, **arguments}
        known = {}
        if hasattr(self, "n_channels_in_"):
            known = {"input_size": self.n_channels_in_, "n_classes": len(self._labels)}
        signature = inspect.signature(self.module).parameters
        for name in ("input_size", "n_classes"):
            if name not in signature or name in arguments:
                continue
            if name in known:
                arguments[name] = known[name]
            elif signature[name].default is inspect.Parameter.empty:
                raise ValueError(
                    f"{type(self).__name__} learns {name} of its module from arrays X and y in "
                    f"fit; without them, pass module__{name}."
                )
        return arguments

    def __sklearn_is_fitted__(self):
        """Tell whether there is a network to predict with."""
        return self.initialized_

    def __sklearn_tags__(self):
        """Say that panels are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # ------------------------------------------------------------ labels

    @property
    def _labels(self):
        return super().classes_

    @property
    def classes_(self):
        """Labels, as seen from outside; inside fit skorch sees their codes."""
        labels = self._labels
        return np.arange(len(labels)) if self._coding else labels

    def check_data(self, X, y):
        """Let skorch check what it may; the labels of y are known and coded already.

        Parameters
        ----------
        X : object
            As handed to skorch.
        y : object
            Codes, or None if X is a Dataset.
        """
        if y is None:
            super().check_data(X, y)

    def _check_y(self, y):
        """Return y as a checked one-dimensional array."""
        y = column_or_1d(to_numpy(y) if torch.is_tensor(y) else y, warn=True)
        check_classification_targets(y)
        return y

    def _encode(self, y, labels):
        order = np.argsort(labels)
        position = np.searchsorted(labels, y, sorter=order)
        codes = order[np.minimum(position, len(labels) - 1)]
        unknown = np.unique(y[labels[codes] != y])
        if unknown.size:
            raise ValueError(
                f"y contains {unknown.tolist()}; the labels of this classifier are "
                f"{labels.tolist()}."
            )
        return codes.astype(np.int64)

    # ------------------------------------------------------------ panels

    def _read(self, X):
        """Return any panel as float32 (n_instances, n_channels, n_timepoints), and X as read."""
        if is_multiindex(X):
            raise ValueError(f"X is a pd-multiindex panel. {MULTIINDEX_ADVICE}")
        X = frames_to_tensor(X)
        if torch.is_tensor(X):
            X = to_numpy(X)
        values = check_array(
            X, allow_nd=True, ensure_all_finite=False, input_name="X", estimator=self
        )
        panel = check_panel(values[:, None, :] if values.ndim == 2 else values)
        return panel, X if hasattr(X, "columns") else values

    def _note(self, X, panel):
        """Keep the shape of the training data."""
        validate_data(self, X, skip_check_array=True)
        self.ndim_in_ = X.ndim
        self.n_channels_in_ = panel.shape[1]

    def _check_X(self, X):
        """Return a panel to predict from, checked against the training data."""
        panel, X = self._read(X)
        if hasattr(self, "n_features_in_"):
            if X.ndim != self.ndim_in_:
                raise ValueError(f"X has {X.ndim} dimensions, fit saw {self.ndim_in_}.")
            validate_data(self, X, reset=False, skip_check_array=True)
        return panel

    def _prepare(self, X, y, labels):
        """Return X and y for skorch: a checked panel and codes.

        `labels` is None when they and the shape of the data are to be learnt. Nothing is kept
        unless all of it is right.
        """
        first = labels is None
        if _is_skorch_data(X):
            return X, y if y is None or first else self._encode(self._check_y(y), labels)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        panel, X = self._read(X)
        y = self._check_y(y)
        check_consistent_length(panel, y)
        if first:
            labels = np.unique(y) if self.classes is None else np.asarray(self.classes)
        if len(labels) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes, but the data contain only one "
                f"class: {labels.tolist()}."
            )
        codes = self._encode(y, labels)
        if hasattr(self, "n_features_in_") and not first:
            self._check_X(X)
        else:
            self._note(X, panel)
        self.classes_inferred_ = labels
        return panel, codes

    # ------------------------------------------------------------ training

    @contextmanager
    def _training(self, *, restart):
        """Within skorch's training: coded labels, and a random generator of our own."""
        with _GENERATOR:
            self._coding = True
            try:
                with self._seeded(restart):
                    yield
            finally:
                del self._coding

    @contextmanager
    def _seeded(self, restart):
        """Within: torch's generator as `random_state` wants it; after: as it was before."""
        if self.random_state is None:
            yield
            return
        devices = [self.device] if "cuda" in str(self.device) else []
        with torch.random.fork_rng(devices=devices):
            if restart or not hasattr(self, "_generator_state"):
                torch.manual_seed(check_random_state(self.random_state).randint(2**31 - 1))
            else:
                torch.set_rng_state(self._generator_state)
            yield
            self._generator_state = torch.get_rng_state()

    def fit(self, X, y=None, **fit_params):
        """Train the net from new weights (or go on, with ``warm_start=True``).

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            Any mtype but pd-multiindex; (n_instances, n_timepoints) is one channel. Also
            whatever else skorch takes (a Dataset), unchecked.
        y : array-like of shape (n_instances,)
            Any labels.
        **fit_params : dict
            Passed on to skorch.

        Returns
        -------
        self : RecurrentClassifier

        Raises
        ------
        ValueError
            If X or y is broken; the message says where. A pd-multiindex panel is refused.
        """
        goes_on = self.warm_start and self.initialized_
        X, y = self._prepare(X, y, self._labels if goes_on else None)
        with self._training(restart=not goes_on):
            return super().fit(X, y, **fit_params)

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for more epochs without new weights.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.
        y : array-like of shape (n_instances,)
            Labels.
        classes : array-like of shape (n_classes,), optional
            All labels there will be; needed in the first call if y lacks some.
        **fit_params : dict
            Passed on to skorch.

        Returns
        -------
        self : RecurrentClassifier
        """
        if self._coding:  # called by fit
            return super().partial_fit(X, y, classes=classes, **fit_params)
        if hasattr(self, "n_channels_in_"):
            labels = self._labels
        else:
            labels = None if classes is None else np.unique(classes)
        X, y = self._prepare(X, y, labels)
        with self._training(restart=not self.initialized_):
            return super().partial_fit(X, y, classes=classes, **fit_params)

    # ------------------------------------------------------------ prediction

    def predict_proba(self, X):
        """Return the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_instances, n_classes)
            Columns in the order of ``classes_``.
        """
        if self._coding:  # called by a callback, in the middle of training
            return super().predict_proba(X)
        check_is_fitted(self)
        if not _is_skorch_data(X):
            X = self._check_X(X)
        with _GENERATOR, torch.random.fork_rng(devices=[]):
            return super().predict_proba(X)

    def predict(self, X):
        """Return the most probable label.

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

    # ------------------------------------------------------------ inside

    def hidden_states(self, X, layer=-1, state="h"):
        """Return the hidden trajectories.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.
        layer : int, default=-1
            Layer number; negative counts from the last.
        state : {"h", "c"}, default="h"
            Hidden state, or memory cell of an LSTM.

        Returns
        -------
        ndarray of shape (n_instances, n_timepoints, n_nodes), float32
            State after each time step; NaN where a series has ended. A bidirectional layer has
            2 * hidden_size nodes, forward direction first.
        """
        return self.unroll(X, layer=layer, state=state).hidden

    def unroll(self, X, *, clamp=None, layer=-1, state="h"):
        """Run the net step by step, with nodes held fixed if asked for.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.
        clamp : Clamp, optional
            Nodes to hold; see :class:`Clamp`.
        layer : int, default=-1
            Layer whose states are returned.
        state : {"h", "c"}, default="h"
            Hidden state, or memory cell of an LSTM.

        Returns
        -------
        result : :class:`~sklearn.utils.Bunch`
            logits : ndarray of shape (n_instances, n_classes)
                Output of the module.
            proba : ndarray of shape (n_instances, n_classes)
                Probabilities, as `predict_proba` makes them of the output.
            hidden : ndarray of shape (n_instances, n_timepoints, n_nodes)
                Trajectories; NaN where a series has ended.
            final : ndarray of shape (n_instances, n_nodes)
                States after the last step of each series (the first, for backward nodes).
        """
        output, hidden, final = self._run(self._panel_to_unroll(X), clamp, layer, state)
        if not torch.isfinite(final).all():
            raise ValueError(_DIVERGED)
        return Bunch(**self._answers(output), hidden=to_numpy(hidden), final=to_numpy(final))

    def knock_out(self, X, clamps):
        """Run the net once for every clamp, each on its own.

        Faster than `unroll` for each: the runs share what they have in common.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.
        clamps : sequence of Clamp
            What to hold; see :class:`Clamp`.

        Returns
        -------
        result : :class:`~sklearn.utils.Bunch`
            logits : ndarray of shape (n_clamps, n_instances, n_classes)
                Outputs of the module.
            proba : ndarray of shape (n_clamps, n_instances, n_classes)
                Probabilities.
        """
        panel, clamps = self._panel_to_unroll(X), list(clamps)
        if not clamps:
            nothing = np.empty((0, len(panel), len(self.classes_)), dtype=np.float32)
            return Bunch(logits=nothing, proba=nothing.copy())
        if hasattr(self.module_, "knock_out"):
            with self._at_rest():
                output = self.module_.knock_out(to_tensor(panel, device=self.device), clamps)
        else:
            output = torch.stack([self._run(panel, clamp)[0] for clamp in clamps])
        return Bunch(**self._answers(output))

    def checked_panel(self, X):
        """Return X as the module sees it.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_instances, n_channels, n_timepoints), float32
            NaN after the end of shorter series.
        """
        check_is_fitted(self)
        return np.require(self._check_X(X), requirements="W")  # torch warns of read-only memory

    def _panel_to_unroll(self, X):
        """Return a checked panel, if the module can show and hold its states."""
        check_is_fitted(self)
        if not hasattr(self.module_, "unroll"):
            raise TypeError(
                f"module {type(self.module_).__name__} has no method unroll(X, *, clamp, layer, "
                "state); it is needed to see and to hold hidden states."
            )
        return self.checked_panel(X)

    def _run(self, panel, clamp, layer=-1, state="h"):
        """Return output, trajectories and final states of a checked panel, in batches."""
        with self._at_rest():
            runs = [
                self.module_.unroll(
                    to_tensor(panel[rows], device=self.device),
                    clamp=None if clamp is None else clamp.of_instances(rows),
                    layer=layer,
                    state=state,
                )
                for rows in gen_batches(len(panel), _BATCH)
            ]
        return [torch.cat(parts) for parts in zip(*runs, strict=True)]

    @contextmanager
    def _at_rest(self):
        """Within: no gradients, and the module as in prediction; after: as it was."""
        modes = [(part, part.training) for part in self.module_.modules()]
        self.module_.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for part, training in modes:
                part.training = training

    def _answers(self, output):
        """Return logits and probabilities, unless the net has diverged."""
        if not torch.isfinite(output).all():
            raise ValueError(_DIVERGED)
        proba = self._get_predict_nonlinearity()(output.flatten(0, -2)).view(output.shape)
        return {"logits": to_numpy(output), "proba": to_numpy(proba)}


def _is_skorch_data(X):
    """Tell whether X is something skorch iterates on its own: a Dataset, a dict, a tuple."""
    if issparse(X):  # scipy's dok format is a Mapping
        return False
    return is_dataset(X) or isinstance(X, Mapping | tuple)
