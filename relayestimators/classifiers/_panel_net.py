"""PanelNet: skorch's classifier with encoded labels, checked panels and seeded training.

This is the part that skorch calls during training; what users call is in `_recurrent`.
"""

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from threading import RLock

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_feature_names, column_or_1d, validate_data
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset
from skorch.utils import data_from_dataset, is_dataset, to_numpy
from torch.utils.data import DataLoader

from .._docs import fill_docs
from ..panels._conversion import one_row_per_instance
from ..panels._panel import check_panel
from ._loader import BatchLoader

# torch has one random generator for all threads, and its data loaders draw from it even in
# prediction. Networks take turns, because otherwise results under joblib's threading backend would
# not be reproducible.
GENERATOR = RLock()

# skorch's set_params does not allow these on a fitted network, although they are created anew
# whenever they are used.
_CREATED_ON_USE = ("iterator_train", "iterator_valid", "dataset")


def _private(name):
    """Return a property that is stored under a private name.

    scikit-learn allows no constructor to set public attributes other than parameters. skorch sets
    three, so they are stored under names that scikit-learn ignores.
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


class PanelNet(NeuralNetClassifier):
    """skorch's NeuralNetClassifier with encoded labels, checked panels, and a `random_state`.

    During training, callbacks and splits of skorch receive what the criterion receives: labels are
    codes 0, 1, ... in the order of ``classes_``, and X is a checked panel. Outside of training,
    labels are those of the user.
    """

    history_ = _private("history_")
    initialized_ = _private("initialized_")
    virtual_params_ = _private("virtual_params_")

    _module_arguments = {}  # arguments of the module that a subclass sets
    _in_training = False  # True while skorch trains
    _y_is_coded = False  # False if y came in a Dataset, so that only codes are known

    # ------------------------------------------------------------ parameters

    def _get_param_names(self):
        # skorch counts its private attribute _params_to_validate as a parameter
        return [name for name in super()._get_param_names() if not name.startswith("_")]

    def get_params_for(self, prefix):
        """Return the arguments for a part of the network; those of the module include data sizes.

        Parameters
        ----------
        prefix : str
            Name of the part, such as "module", "criterion" or "optimizer".

        Returns
        -------
        dict
        """
        arguments = super().get_params_for(prefix)
        if prefix != "module" or not inspect.isclass(self.module):
            return arguments
        signature = inspect.signature(self.module).parameters
        any_name = any(taken.kind is taken.VAR_KEYWORD for taken in signature.values())
        defaults = {
            name: value
            for name, value in self._module_arguments.items()
            if any_name or name in signature
        }
        return defaults | self._arguments_from_data(signature, arguments) | arguments

    def _arguments_from_data(self, signature, given):
        """Return the sizes of the data that the module asks for and that are not given."""
        known, arguments = {}, {}
        if hasattr(self, "n_channels_in_"):
            known = {"input_size": self.n_channels_in_, "n_classes": len(self._labels)}
        for name in ("input_size", "n_classes"):
            if name not in signature or name in given:
                continue
            if name in known:
                arguments[name] = known[name]
            elif signature[name].default is inspect.Parameter.empty:
                raise ValueError(
                    f"{type(self).__name__} infers {name} of its module from arrays X and y in "
                    f"fit; for other data, set module__{name}."
                )
        return arguments

    def set_params(self, **params):
        """Set parameters, which take effect at once on a fitted network, as in skorch.

        Parameters
        ----------
        **params : dict
            Parameters of the network, its parts and its callbacks. Parts that are created again are
            seeded. A new `random_state` takes effect from now on.

        Returns
        -------
        self : PanelNet
        """
        if "random_state" in params:
            self.random_state = params["random_state"]
            self.__dict__.pop("_generator_state", None)
        if self._in_training or not self.initialized_:
            return super().set_params(**params)
        for name in [name for name in params if name.split("__")[0] in _CREATED_ON_USE]:
            setattr(self, name, params.pop(name))
            self._params_to_validate.add(name)
        self._validate_params()
        with self._seeded(restart=False):
            super().set_params(**params)
        # skorch would also call callbacks that were turned off
        self.callbacks_ = [
            (name, callback) for name, callback in self.callbacks_ if callback is not None
        ]
        return self

    def _validate_params(self):
        # skorch's own message does not say that arguments of the module need a prefix
        if inspect.isclass(self.module):
            of_module = set(inspect.signature(self.module).parameters)
            for name in sorted(of_module & set(self._params_to_validate)):
                if not name.startswith(tuple(self.prefixes_)):
                    raise ValueError(
                        f"{type(self).__name__} received {name}=...; expected module__{name}, "
                        f"because {name} is an argument of the module."
                    )
        super()._validate_params()

    def initialize(self):
        """Create the parts of the network, with weights drawn from `random_state`.

        Returns
        -------
        self : PanelNet
        """
        if self._in_training:  # called by fit
            return super().initialize()
        with self._seeded(restart=True):
            return super().initialize()

    def trim_for_prediction(self):
        """Remove what only training needs, as in skorch."""
        # skorch also removes the criterion, from which it infers how to compute probabilities
        self.predict_nonlinearity = self._get_predict_nonlinearity()
        super().trim_for_prediction()

    def __sklearn_is_fitted__(self):
        """Return whether there is a trained network."""
        return self.initialized_

    def __sklearn_tags__(self):
        """Return the tags, which accept panels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __getstate__(self):
        """Return the state for pickling and copying, as outside of training."""
        state = super().__getstate__()
        if state.pop("_in_training", False) and self.random_state is not None:
            state["_generator_state"] = self._generator_states()
        return state

    # ------------------------------------------------------------ labels

    @property
    def _labels(self):
        """Labels in the order of their codes, or None if only codes are known."""
        if self.classes is not None and len(self.classes):
            return np.asarray(self.classes)
        return self.classes_inferred_ if self._y_is_coded else None

    @property
    def classes_(self):
        """Class labels; during training, their codes."""
        labels = self._labels
        if self._in_training and labels is not None:
            return np.arange(len(labels))
        return super().classes_

    def check_data(self, X, y):
        """Let skorch infer labels from a Dataset, unless they are known.

        Parameters
        ----------
        X : object
            Data in the form that skorch receives.
        y : object
            Codes, or None if X is a Dataset.
        """
        if y is None and self._labels is None:
            super().check_data(X, y)

    def _check_y(self, y):
        """Return y as a checked one-dimensional array."""
        y = column_or_1d(to_numpy(y) if torch.is_tensor(y) else y, warn=True)
        check_classification_targets(y)
        return y

    def _labels_of(self, y, continued, classes):
        """Return the labels for encoding y: those known, those given, or those in y."""
        given = self.classes is not None and len(self.classes)
        labels = self._labels if continued or given else None
        if labels is None:
            labels = np.unique(y if classes is None else classes)
        if len(labels) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes, but the data contain only one "
                f"class: {labels.tolist()}."
            )
        return labels

    def _encode(self, y, labels, name="y"):
        """Return the position of every element of y in `labels`."""
        order = np.argsort(labels)
        position = np.searchsorted(labels, y, sorter=order)
        codes = order[np.minimum(position, len(labels) - 1)]
        unknown = np.unique(y[labels[codes] != y])
        if unknown.size:
            raise ValueError(
                f"{name} contains {unknown.tolist()}; expected labels in {labels.tolist()}."
            )
        return codes.astype(np.int64)

    # ------------------------------------------------------------ panels

    def _as_panel(self, X):
        """Return any panel as a checked float32 array, and X as a table or an array."""
        X = one_row_per_instance(X)
        values = check_array(
            X, allow_nd=True, ensure_all_finite=False, input_name="X", estimator=self
        )
        panel = check_panel(values[:, None, :] if values.ndim == 2 else values)
        return panel, X if hasattr(X, "columns") else values

    def _store_shape(self, X, panel):
        """Store the shape of the training data."""
        validate_data(self, X, skip_check_array=True)
        self.ndim_in_ = len(X.shape)  # polars tables have no ndim
        self.n_channels_in_ = panel.shape[1]

    def _remove_fitted(self):
        """Remove the attributes that an earlier fit set from its data."""
        names = ("n_features_in_", "feature_names_in_", "ndim_in_", "n_channels_in_")
        for name in (*names, "classes_inferred_", "_y_is_coded"):
            self.__dict__.pop(name, None)

    def _check_fit_params(self, fit_params):
        """Raise an error for arguments that skorch would pass to a forward without them."""
        forward = getattr(self.module, "forward", None)
        own_infer = getattr(self.infer, "__func__", None) is not NeuralNetClassifier.infer
        if not fit_params or forward is None or own_infer:
            return
        taken = inspect.signature(forward).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
            return
        for name in fit_params:
            if name not in taken:
                raise TypeError(
                    f"fit received {name}=...; skorch passes arguments of fit to forward of the "
                    f"module, but {getattr(self.module, '__name__', type(self.module).__name__)} "
                    f"has no argument {name}. Use criterion__weight to weight classes, and "
                    "train_split=predefined_split(...) to split by groups."
                )

    def _check_names(self, X):
        """Raise an error unless a table has the columns of the training data."""
        if hasattr(X, "columns") and hasattr(self, "feature_names_in_"):
            _check_feature_names(self, X, reset=False)

    def _check_X(self, X):
        """Return X as a panel, checked against the training data."""
        self._check_names(X)
        panel, X = self._as_panel(X)
        self._check_shape(X)
        return panel

    def _check_shape(self, X):
        """Raise an error unless X has the dimensions and features of the training data."""
        if not hasattr(self, "n_features_in_"):
            return
        if self._in_training and self.ndim_in_ == 2 and X.shape[1:] == (1, self.n_features_in_):
            return  # callbacks receive the panel, without column names
        if len(X.shape) != self.ndim_in_:
            raise ValueError(
                f"X has {len(X.shape)} dimensions; expected {self.ndim_in_}, as in fit."
            )
        validate_data(self, X, reset=False, skip_check_array=True)

    def _prepare(self, X, y, *, continued, classes=None):
        """Return X and y for skorch: a checked panel and codes; other data of skorch unchanged.

        Unless training continues, labels and the shape of the data are stored, but only if all of
        them are valid.
        """
        unchecked = is_skorch_data(X)
        if y is None:
            self._check_without_y(X)
            if not continued:
                self._remove_fitted()
            return X, None
        if continued:
            self._check_names(X)
        panel, X = (X, X) if unchecked else self._as_panel(X)
        y = self._check_y(y)
        if not unchecked:
            check_consistent_length(panel, y)
        labels = self._labels_of(y, continued, classes)
        codes = self._encode(y, labels)
        if not unchecked:
            if continued and hasattr(self, "n_features_in_"):
                self._check_shape(X)
            else:
                self._store_shape(X, panel)
        elif not continued:
            self._remove_fitted()
        self.classes_inferred_, self._y_is_coded = labels, True
        return panel, codes

    def _check_without_y(self, X):
        """Raise an error unless y can be found in X."""
        # an iterator of the user may find y in a dict or a tuple
        own_iterator = self.iterator_train not in (BatchLoader, DataLoader)
        if not is_dataset(X) and not (own_iterator and is_skorch_data(X)):
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Only a "
                "Dataset as X may contain y."
            )

    # ------------------------------------------------------------ while skorch works

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train an initialized network for some epochs; called by `fit` and `partial_fit`.

        Parameters
        ----------
        X, y : object
            As in `fit`.
        epochs : int, optional
            Number of epochs; by default ``max_epochs``.
        **fit_params : dict
            Passed to skorch.

        Returns
        -------
        self : PanelNet
        """
        if self._in_training:  # called by partial_fit
            return super().fit_loop(X, y, epochs, **fit_params)
        X, y = self._prepare(X, y, continued=True)
        with self._training(restart=False):
            return super().fit_loop(X, y, epochs, **fit_params)

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the Datasets for training and validation that `train_split` makes.

        Parameters
        ----------
        X, y : object
            Data in the form that skorch receives.
        **fit_params : dict
            Arguments of the split.

        Returns
        -------
        train, valid : Dataset
            Datasets for training and validation. A validation set given to skorch's
            ``predefined_split`` has the panel and labels of the user, and is checked and encoded.
            It is None without `train_split`.
        """
        train, valid = super().get_split_datasets(X, y, **fit_params)
        split = self.train_split
        if not self._in_training or y is None or is_dataset(X) or not isinstance(split, partial):
            return train, valid
        if not any(valid is bound for bound in (*split.args, *split.keywords.values())):
            return train, valid  # a part of the training data, which are checked already
        return train, self._checked_dataset(valid)

    def _checked_dataset(self, dataset):
        """Return a Dataset of the user with a checked panel and codes, if its data can be read."""
        try:
            X, y = data_from_dataset(dataset)
        except AttributeError:
            return dataset
        X = X if is_skorch_data(X) else self._check_X(X)
        if y is not None:
            y = self._encode(self._check_y(y), self._labels, "y of the validation data")
        return Dataset(X, y)

    @fill_docs
    def forward_iter(self, X, training=False, device="cpu"):
        """Yield the outputs of the module batch by batch.

        Parameters
        ----------
        %(X_as_in_fit)s
        training : bool, default=False
            Whether to run the module in training mode.
        device : str, default="cpu"
            Device of the outputs.

        Yields
        ------
        Tensor of shape (n_in_batch, n_classes)
        """
        X = X if is_skorch_data(X) else self._check_X(X)
        yield from super().forward_iter(X, training=training, device=device)

    def _set_training(self, training=True):
        """Set the mode of all modules as skorch does before every batch, if it is not set yet."""
        fitted = (getattr(self, f"{name}_") for name in self._modules + self._criteria)
        modules = (module for module in fitted if isinstance(module, torch.nn.Module))
        if any(part.training != training for module in modules for part in module.modules()):
            super()._set_training(training)

    @contextmanager
    def _training(self, *, restart):
        """Let skorch train with encoded labels and with the seed of this network."""
        with GENERATOR:
            self._in_training = True
            try:
                with self._seeded(restart=restart):
                    yield
            finally:
                del self._in_training

    @contextmanager
    def _seeded(self, *, restart):
        """Seed torch's generators by `random_state`, and restore them afterwards."""
        if self.random_state is None:
            yield
            return
        with GENERATOR, torch.random.fork_rng(devices=self._cuda()):
            if restart or not hasattr(self, "_generator_state"):
                torch.manual_seed(check_random_state(self.random_state).randint(2**31 - 1))
            else:
                self._set_generators(self._generator_state)
            yield
            self._generator_state = self._generator_states()

    def _cuda(self):
        return [self.device] if "cuda" in str(self.device) else []

    def _generator_states(self):
        cuda = [torch.cuda.get_rng_state(device) for device in self._cuda()]
        return [torch.get_rng_state(), *cuda]

    def _set_generators(self, states):
        torch.set_rng_state(states[0])
        for device, state in zip(self._cuda(), states[1:], strict=False):
            torch.cuda.set_rng_state(state, device)


def is_skorch_data(X):
    """Return whether X is data that skorch iterates itself: a Dataset, a dict or a tuple."""
    if issparse(X):  # scipy's dok format is a Mapping
        return False
    return is_dataset(X) or isinstance(X, Mapping | tuple)
