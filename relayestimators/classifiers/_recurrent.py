"""RecurrentClassifier, the base of all classifiers of this package."""

import inspect
from contextlib import contextmanager
from threading import Lock

import numpy as np
import torch
from sklearn.utils import Bunch, gen_batches
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset
from skorch.utils import check_is_fitted, is_dataset, to_numpy, to_tensor
from torch import nn

from .._docs import fill_docs
from ..panels._panel import series_lengths
from ._default_callbacks import with_faster_callbacks
from ._loader import BatchLoader
from ._panel_net import GENERATOR, PanelNet, is_skorch_data

_BATCH = 1024  # instances per run of the step engine, which bounds memory
_DIVERGED = (
    "The network outputs NaN or infinity; training has diverged. Train again with a smaller lr, or "
    "with clipped gradients."
)

# For every module in evaluation mode, the modes of its parts before and the number of threads that
# use it; and the lock that guards them.
_EVALUATED, _MODES_LOCK = {}, Lock()


@fill_docs
class RecurrentClassifier(PanelNet):
    """Classifier of time series by any torch module, with access to the hidden states.

    Everything works as in skorch's :class:`~skorch.classifier.NeuralNetClassifier`:
    ``partial_fit``, callbacks, history, ``set_params`` on a fitted network, ``module__*``,
    ``optimizer__*``, ``save_params``, ``device``. In addition, it accepts any labels and checked
    sktime panels of equal or unequal length, has a `random_state`, infers ``input_size`` and
    ``n_classes`` of the module from the data, and returns hidden trajectories.

    Parameters
    ----------
    module : torch module (class or instance)
        Network whose input is a panel of shape (n_instances, n_channels, n_timepoints), with NaN
        after the end of shorter series. For analysis and knockouts it needs
        ``unroll(X, *, clamp, layer, state)`` as in
        :class:`~relayestimators.networks.RecurrentNetwork`; a method ``knock_out(X, clamps)`` is
        used for many knockouts if there is one. If its constructor has the arguments
        ``input_size`` or ``n_classes``, they are set from the data.
    *args
        Further positional arguments of skorch's NeuralNet.
    criterion : torch criterion class, default=torch.nn.NLLLoss
        Loss function. The default, that of skorch, is for modules that return probabilities; use
        ``torch.nn.CrossEntropyLoss`` for modules that return logits.
    train_split : None or callable, default=ValidSplit(5, stratified=True)
        Split of the training data. The default, that of skorch, holds out a fifth for validation.
    iterator_train, iterator_valid : class, default=BatchLoader
        DataLoader classes. The default makes the batches of torch's DataLoader, faster for arrays
        in memory.
    classes : array-like of shape (n_classes,), optional
        All class labels, if y may lack some.
    random_state : int, RandomState instance or None, default=None
        Controls the randomness of initial weights, shuffling and dropout. Pass an int for
        reproducible results. The global generator of torch is not changed.
    **kwargs
        Parameters of skorch's NeuralNet (``lr``, ``max_epochs``, ``batch_size``, ``callbacks``,
        ``device``, ``module__hidden_size``, ...).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels. For a Dataset without y, they are those that skorch infers.
    module_ : torch module
        Trained network.
    history : skorch.history.History
        Record of the training.
    %(n_features_in_)s

    See Also
    --------
    RNNClassifier, GRUClassifier, LSTMClassifier : Classifiers with a module and defaults.

    Notes
    -----
    During training, callbacks, `train_split` and scorers of ``EpochScoring`` receive the checked
    panel and labels as codes 0, 1, ... in the order of ``classes_``, and ``predict`` returns codes.
    Labels in a Dataset of your own must be codes, as skorch requires; ``predict`` then returns
    codes unless `classes` is given. The validation data of skorch's ``predefined_split`` may be any
    panel with any labels.

    A pickle or copy made by a callback contains the state of the random generator, so that
    ``partial_fit`` continues exactly as the original network did.

    Examples
    --------
    >>> import torch
    >>> from relayestimators import RecurrentClassifier
    >>> from relayestimators.networks import RecurrentNetwork
    >>> X, y = torch.randn(20, 2, 15).numpy(), ["calm", "wild"] * 10
    >>> net = RecurrentClassifier(
    ...     RecurrentNetwork, criterion=torch.nn.CrossEntropyLoss, max_epochs=2, verbose=0,
    ...     module__hidden_size=8, random_state=0,
    ... ).fit(X, y)
    >>> net.predict_proba(X).shape, net.hidden_states(X).shape
    ((20, 2), (20, 15, 8))
    """

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

    @property
    def _default_callbacks(self):
        return with_faster_callbacks(super()._default_callbacks)

    # ------------------------------------------------------------ training

    def fit(self, X, y=None, **fit_params):
        """Train the network from new weights, or continue with ``warm_start=True``.

        Parameters
        ----------
        X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
            Series in any format except pd-multiindex; an array of shape (n_instances,
            n_timepoints) has one channel. Other data that skorch accepts (a Dataset, a dict or a
            tuple of inputs) are not checked.
        y : array-like of shape (n_instances,)
            Any labels. None is allowed if X is a Dataset that contains coded labels.
        **fit_params : dict
            Passed to skorch, which passes them to `train_split` and to ``forward`` of the module.

        Returns
        -------
        self : RecurrentClassifier

        Raises
        ------
        ValueError
            If X or y is invalid, which the message explains with the place, or if X is a
            pd-multiindex panel.
        TypeError
            If `fit_params` contains an argument that ``forward`` does not have, such as
            sample_weight.
        """
        continued = self.warm_start and self.initialized_
        self._check_fit_params(fit_params)
        X, y = self._prepare(X, y, continued=continued)
        with self._training(restart=not continued):
            return super().fit(X, y, **fit_params)

    @fill_docs
    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for more epochs from the present weights.

        Parameters
        ----------
        %(X_as_in_fit)s
        y : array-like of shape (n_instances,)
            Labels.
        classes : array-like of shape (n_classes,), optional
            All class labels; needed in the first call if y lacks some.
        **fit_params : dict
            Passed to skorch, which passes them to `train_split` and to ``forward`` of the module.

        Returns
        -------
        self : RecurrentClassifier
        """
        if self._in_training:  # called by fit
            return super().partial_fit(X, y, classes=classes, **fit_params)
        continued = self.initialized_
        self._check_fit_params(fit_params)
        X, y = self._prepare(X, y, continued=continued, classes=classes)
        with self._training(restart=not continued):
            return super().partial_fit(X, y, classes=classes, **fit_params)

    # ------------------------------------------------------------ prediction

    @fill_docs
    def predict_proba(self, X):
        """Return the class probabilities.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances, n_classes)
            Columns in the order of ``classes_``.
        """
        if self._in_training:  # called by a callback during training
            return super().predict_proba(X)
        check_is_fitted(self)
        with GENERATOR, torch.random.fork_rng(devices=[]):
            return super().predict_proba(X)

    @fill_docs
    def predict(self, X):
        """Return the most probable class label.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances,)
        """
        codes = self.predict_proba(X).argmax(axis=1)
        if self._in_training or self._labels is None:
            return codes
        return self._labels[codes]

    # ------------------------------------------------------------ inside

    @fill_docs
    def hidden_states(self, X, layer=-1, state="h"):
        """Return the hidden trajectories.

        Parameters
        ----------
        %(X_as_in_fit)s
        %(layer)s
        %(state)s

        Returns
        -------
        ndarray of shape (n_instances, n_timepoints, n_nodes), float32
            State after each time step; NaN where a series has ended. A bidirectional layer has
            2 * hidden_size nodes, those of the forward direction first.
        """
        return self.unroll(X, layer=layer, state=state).hidden

    @fill_docs
    def unroll(self, X, *, clamp=None, layer=-1, state="h", trajectories=True):
        """Run the network step by step, optionally with clamped nodes.

        Parameters
        ----------
        %(X_as_in_fit)s
        clamp : Clamp, optional
            Nodes to clamp; see :class:`~relayestimators.networks.Clamp`.
        %(layer)s
        %(state)s
        trajectories : bool, default=True
            Whether to return the trajectories. Without them the run needs far less memory.

        Returns
        -------
        result : :class:`~sklearn.utils.Bunch`
            logits : ndarray of shape (n_instances, n_classes)
                Output of the module.
            proba : ndarray of shape (n_instances, n_classes)
                Probabilities, as `predict_proba` computes them from the output.
            hidden : ndarray of shape (n_instances, n_timepoints, n_nodes) or None
                Trajectories; NaN where a series has ended.
            final : ndarray of shape (n_instances, n_nodes)
                States after the last time step of each series, or after the first for backward
                nodes, where they end.
            lengths : ndarray of shape (n_instances,), int
                Number of time steps of each series.
        """
        panel = self._panel_to_unroll(X)
        output, hidden, final = self._run(panel, clamp, layer, state, trajectories)
        if not torch.isfinite(final).all():
            raise ValueError(_DIVERGED)
        return Bunch(
            **self._probabilities(output),
            hidden=to_numpy(hidden) if trajectories else None,
            final=to_numpy(final),
            lengths=series_lengths(panel),
        )

    @fill_docs
    def knock_out(self, X, clamps):
        """Run the network once for every clamp, with only this clamp.

        This is faster than `unroll` for each clamp, because the runs share computations.

        Parameters
        ----------
        %(X_as_in_fit)s
        clamps : sequence of Clamp
            Nodes to clamp; see :class:`~relayestimators.networks.Clamp`.

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
            n_outputs = self._run(panel[:1])[0].shape[1]
            nothing = np.empty((0, len(panel), n_outputs), dtype=np.float32)
            return Bunch(logits=nothing, proba=nothing.copy())
        if hasattr(self.module_, "knock_out"):
            with self._evaluation_mode():
                output = self.module_.knock_out(to_tensor(panel, device=self.device), clamps)
        else:
            runs = (self._run(panel, clamp, trajectories=False) for clamp in clamps)
            output = torch.stack([run[0] for run in runs])
        return Bunch(**self._probabilities(output))

    @fill_docs
    def checked_panel(self, X):
        """Return X in the form that the module receives.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances, n_channels, n_timepoints), float32
            NaN after the end of shorter series.
        """
        check_is_fitted(self)
        if is_dataset(X):
            if "forward_iter" in vars(self):
                raise ValueError(
                    "EpochScoring caches predictions in the order of the batches instead of X. To "
                    "use hidden states in a score, set use_caching=False."
                )
            X = SliceDataset(X)
        elif is_skorch_data(X):
            raise TypeError(
                f"X is a {type(X).__name__}; expected a panel or a Dataset of time series."
            )
        return np.require(self._check_X(X), requirements="W")  # torch warns about read-only memory

    def _panel_to_unroll(self, X):
        """Return a checked panel, if the module has the method unroll."""
        check_is_fitted(self)
        if not hasattr(self.module_, "unroll"):
            raise TypeError(
                f"module {type(self.module_).__name__} has no method unroll(X, *, clamp, layer, "
                "state), which is needed to observe and clamp hidden states."
            )
        return self.checked_panel(X)

    def _run(self, panel, clamp=None, layer=-1, state="h", trajectories=True):
        """Return output, trajectories or None, and final states of a checked panel, in batches."""
        options = {"layer": layer, "state": state}
        if "trajectories" in inspect.signature(self.module_.unroll).parameters:
            options["trajectories"] = trajectories
        runs = []
        with self._evaluation_mode():
            for rows in gen_batches(len(panel), _BATCH):
                output, hidden, final = self.module_.unroll(
                    to_tensor(panel[rows], device=self.device),
                    clamp=None if clamp is None else clamp.of_instances(rows),
                    **options,
                )
                runs.append((output, hidden if trajectories else None, final))
        outputs, hidden, finals = zip(*runs, strict=True)
        return torch.cat(outputs), torch.cat(hidden) if trajectories else None, torch.cat(finals)

    @contextmanager
    def _evaluation_mode(self):
        """Switch gradients off and the module to evaluation mode, and restore both afterwards.

        Several threads may be inside at once: the first one switches, the last one restores.
        """
        module = self.module_
        with _MODES_LOCK:
            modes, inside = _EVALUATED.get(module, (None, 0))
            modes = modes or [(part, part.training) for part in module.modules()]
            _EVALUATED[module] = modes, inside + 1
            module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            with _MODES_LOCK:
                modes, inside = _EVALUATED.pop(module)
                if inside > 1:
                    _EVALUATED[module] = modes, inside - 1
                else:
                    for part, training in modes:
                        part.training = training

    def _probabilities(self, output):
        """Return logits and probabilities, or raise an error if training has diverged."""
        if not torch.isfinite(output).all():
            raise ValueError(_DIVERGED)
        proba = self._get_predict_nonlinearity()(output.flatten(0, -2)).view(output.shape)
        return {"logits": to_numpy(output), "proba": to_numpy(proba)}
