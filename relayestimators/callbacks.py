"""RelayHistory, a skorch callback that records relay maps during training."""

import copy
import warnings
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_random_state
from skorch.callbacks import Callback
from skorch.helper import SliceDataset
from skorch.utils import data_from_dataset, to_numpy
from torch import nn

from ._docs import fill_docs
from ._validation import check_integer, check_recurrent
from .analyzer import RelayAnalyzer
from .dynamics._localization import mean_localization, mean_strength
from .relay import DEFAULT_METHOD, CoverageWarning, RelayMapWarning
from .relay._coverage import unreliable_share, warn_if_uncovered

__all__ = ["RelayHistory"]


def _over_checkpoints(name):
    """Return a property that stacks one value of every checkpoint."""

    def fget(self):
        if not self._checkpoints_:
            raise AttributeError(
                f"{type(self).__name__!r} has no {name!r}, because there was no training yet."
            )
        return np.stack([checkpoint[name] for checkpoint in self._checkpoints_])

    return property(fget)


@fill_docs
class RelayHistory(Callback):
    """Record the relay map of a network at checkpoints of its training.

    This is a callback for :class:`RNNClassifier`, :class:`GRUClassifier`, :class:`LSTMClassifier`
    and :class:`RecurrentClassifier`. It stores the results of :class:`RelayAnalyzer` before the
    first epoch, after every `every` epochs, and after the last epoch. Training is the same with and
    without it, bit for bit.

    Parameters
    ----------
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel, optional
        Data to find relays on, preferably held out, in any format that the classifier accepts. By
        default it is the validation part of `train_split`, or else the training data.
    y : array-like of shape (n_instances,), optional
        Labels of `X`. Required if and only if `X` is given.
    every : int, default=1
        Number of epochs between relay maps, counted as in the history of the network: maps are made
        after epochs `every`, 2 `every`, ...
    name : str, default="relay"
        Prefix of the columns in the history of the network. Several of these callbacks in one
        network need different names.
    %(concepts)s
    %(method)s
    %(n_states)s
    %(strategy)s
    %(timepoints)s
    %(align)s
    %(layer)s
    %(state)s
    random_state : int, RandomState instance or None, default=0
        Controls the randomness of the contexts, which are the same at every checkpoint, so that
        only the network differs. None uses numpy's global generator, which is not changed.
    %(n_jobs)s

    Attributes
    ----------
    maps_ : ndarray of shape (n_checkpoints, n_concepts, n_timepoints, n_nodes)
        Relay information in bits.
    coverage_ : ndarray of shape (n_checkpoints, n_concepts, n_timepoints, n_nodes)
        Number of instances per occupied cell behind each value; values below 4 are unreliable.
    epochs_ : ndarray of shape (n_checkpoints,), int
        Number of training epochs before each checkpoint; 0 is before the first epoch.
    accuracy_ : ndarray of shape (n_checkpoints,)
        Fraction of the instances that the network classifies correctly.
    information_ : ndarray of shape (n_checkpoints, n_concepts)
        I(A;B) of the true and the predicted value of every concept in bits, which is the most that
        can be relayed; plug-in estimate.
    concepts_ : ndarray of shape (n_classes, n_concepts)
        Value of every concept for every class.
    timepoints_ : ndarray of shape (n_timepoints,), int
        Time steps of the maps.
    n_instances_ : ndarray of shape (n_timepoints,), int
        Number of instances that have each time step.
    in_sample_ : bool
        Whether relays are found on the training data. It is False if `X` is given, since this
        cannot be known.

    Warns
    -----
    CoverageWarning
        Once, at the first checkpoint where a part of the map rests on fewer than four instances per
        occupied cell.
    UserWarning
        Once, if no map can be made at a later checkpoint, for instance because training diverged.
        The checkpoint is NaN, and training continues. At the first checkpoint this is an error.

    See Also
    --------
    RelayAnalyzer : Analyzes a trained network.
    relayestimators.displays.RelayHistoryDisplay : Draws the recorded maps.
    relayestimators.dynamics.localization : Localization of ``maps_``.
    relayestimators.dynamics.relay_similarity : Similarity of maps between checkpoints.

    Notes
    -----
    The history of the network has two more columns that other callbacks may print or monitor:
    "relay_strength" and "relay_localization". They hold what :func:`relay_strength_scorer` and
    :func:`localization_scorer` return for the network at that epoch, and None at epochs between
    checkpoints.

    ``partial_fit`` and ``warm_start`` add to the recorded maps; training from new weights starts a
    new record. When training continues, checkpoints beyond the history of the network are removed,
    as after ``load_params`` of an earlier epoch. All are removed if the number of nodes or of time
    steps has changed.

    Callbacks are called in the order in which they are listed. List this one before those that
    stop the training or restore earlier weights, such as ``EarlyStopping``. Otherwise the last
    checkpoint is that of the restored weights.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RelayHistory, RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1, 8))
    >>> y = np.where(X[:, 0, 2] > 0, "up", "down")  # decided at time step 2
    >>> relays = RelayHistory(X[200:], y[200:], every=5)
    >>> callbacks = [("relays", relays)]
    >>> net = RNNClassifier(max_epochs=10, random_state=0, callbacks=callbacks)
    >>> net = net.fit(X[:200], y[:200])
    >>> relays.epochs_, relays.maps_.shape
    (array([ 0,  5, 10]), (3, 2, 8, 32))
    >>> before, *_, after = relays.maps_[:, 0, 2].max(axis=1)
    >>> bool(before < 0.1 < after)
    True
    >>> net.history[-6:, "relay_localization"][1:5]
    [None, None, None, None]
    """

    # Class attributes, because the constructor only stores its arguments.
    _checkpoints_ = ()
    _warned_ = frozenset()

    def __init__(
        self,
        X=None,
        y=None,
        *,
        every=1,
        name="relay",
        concepts="ovr",
        method=DEFAULT_METHOD,
        n_states=None,
        strategy="auto",
        timepoints=None,
        align="start",
        layer=-1,
        state="h",
        random_state=0,
        n_jobs=None,
    ):
        self.X = X
        self.y = y
        self.every = every
        self.name = name
        self.concepts = concepts
        self.method = method
        self.n_states = n_states
        self.strategy = strategy
        self.timepoints = timepoints
        self.align = align
        self.layer = layer
        self.state = state
        self.random_state = random_state
        self.n_jobs = n_jobs

    epochs_ = _over_checkpoints("epochs_")
    maps_ = _over_checkpoints("maps_")
    coverage_ = _over_checkpoints("coverage_")
    accuracy_ = _over_checkpoints("accuracy_")
    information_ = _over_checkpoints("information_")

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Record the relay map before the first epoch.

        Parameters
        ----------
        net : RecurrentClassifier
            The network in training.
        dataset_train, dataset_valid : Dataset
            Training and validation data.
        **kwargs : dict
            Ignored.
        """
        self._check()
        done = len(net.history) - 1  # skorch has begun the row of this epoch
        # skorch initializes callbacks also whenever a parameter of one of them is set, so only the
        # history tells whether this training continues an earlier one.
        kept = [checkpoint for checkpoint in self._checkpoints_ if checkpoint.epochs_ <= done]
        self._checkpoints_ = kept = kept if done else []
        self._epoch_ = done + 1
        self._datasets_ = dataset_train, dataset_valid
        if not kept:
            self._warned_ = frozenset()
            self._add_checkpoint(net, done)

    def on_epoch_end(self, net, **kwargs):
        """Record the relay map after every `every` epochs.

        Parameters
        ----------
        net : RecurrentClassifier
            The network in training.
        **kwargs : dict
            Ignored.
        """
        due = self._epoch_ % self.every == 0
        self._record(net, self._add_checkpoint(net, self._epoch_) if due else None)

    def on_train_end(self, net, **kwargs):
        """Record the relay map of the trained network, unless it was just recorded.

        Parameters
        ----------
        net : RecurrentClassifier
            The network in training.
        **kwargs : dict
            Ignored.
        """
        trained = "_datasets_" in vars(self)
        if trained and self._checkpoints_[-1].epochs_ < self._epoch_:
            checkpoint = self._add_checkpoint(net, self._epoch_)
            if len(net.history) == self._epoch_:  # False if earlier weights were restored
                self._record(net, checkpoint)
        vars(self).pop("_datasets_", None)

    def __getstate__(self):
        """Return the state for pickling and copying, without the data of skorch."""
        state = vars(self).copy()
        state.pop("_datasets_", None)
        return state

    # ------------------------------------------------------------ inside

    def _check(self):
        """Raise an error unless `every`, X and y are valid."""
        check_integer(self.every, name="every", low=1)
        if (self.X is None) != (self.y is None):
            given, missing = ("y", "X") if self.X is None else ("X", "y")
            raise ValueError(
                f"RelayHistory received {given} without {missing}; expected both, or neither to "
                "use the data of the training."
            )

    def _add_checkpoint(self, net, epoch):
        """Add a checkpoint and return it."""
        check_recurrent(net)
        with _restored(net):
            try:
                checkpoint = self._analyze(net)
            except ValueError as error:
                if not self._checkpoints_:
                    raise
                message = f"RelayHistory has no relay map after epoch {epoch}: {error}"
                self._warn_once("no map", warnings.warn, message, UserWarning)
                last = self._checkpoints_[-1]
                checkpoint = Bunch(**{name: last[name] * np.nan for name in last})
        if self._checkpoints_ and self._checkpoints_[-1].maps_.shape != checkpoint.maps_.shape:
            self._checkpoints_ = []
        checkpoint.epochs_ = epoch
        self._checkpoints_ = [*self._checkpoints_, checkpoint]
        return checkpoint

    def _analyze(self, net):
        """Return the values of a checkpoint: the results of an analyzer."""
        X, y = self._data(net)
        analyzer = RelayAnalyzer(
            FrozenEstimator(net),
            carried=False,
            concepts=self.concepts,
            method=self.method,
            n_states=self.n_states,
            strategy=self.strategy,
            timepoints=self.timepoints,
            align=self.align,
            layer=self.layer,
            state=self.state,
            random_state=copy.deepcopy(self.random_state),  # the same draws at every checkpoint
            n_jobs=self.n_jobs,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            warnings.simplefilter("ignore", RelayMapWarning)  # at first the network is not trained
            analyzer.fit(X, y)
        self.in_sample_ = self.X is None and self._datasets_[1] is None
        for name in ("concepts_", "timepoints_", "n_instances_"):
            setattr(self, name, getattr(analyzer, name))
        if unreliable_share(analyzer.coverage_):
            self._warn_once("coverage", warn_if_uncovered, analyzer.coverage_)
        return Bunch(
            maps_=analyzer.relay_map_,
            coverage_=analyzer.coverage_,
            accuracy_=np.float64(1 - analyzer.error_rate_),
            information_=analyzer.information_,
        )

    def _warn_once(self, kind, warn, *args):
        """Give a warning, unless one of this kind was given before in this training."""
        if kind not in self._warned_:
            self._warned_ |= {kind}
            warn(*args)

    def _data(self, net):
        """Return a panel and the codes of its labels."""
        if self.X is not None:
            y = net._check_y(self.y)
            if net._labels is not None:
                y = net._encode(y, net._labels, name="y of RelayHistory")
            return net.checked_panel(self.X), y
        train, valid = self._datasets_
        dataset = train if valid is None else valid
        try:
            X, y = data_from_dataset(dataset)
        except AttributeError:
            X, y = dataset, np.asarray(SliceDataset(dataset, idx=1))
        return net.checked_panel(X), to_numpy(y)

    def _record(self, net, checkpoint):
        """Write a checkpoint, or None, into the history of the network."""
        for column, score in (("strength", mean_strength), ("localization", mean_localization)):
            net.history.record(f"{self.name}_{column}", checkpoint and score(checkpoint.maps_))


@contextmanager
def _restored(net):
    """Restore the modes of the parts of a network, and the random generators, afterwards."""
    parts = [
        part
        for value in vars(net).values()
        if isinstance(value, nn.Module)
        for part in value.modules()
    ]
    modes = [part.training for part in parts]
    generator = check_random_state(None)  # numpy's global generator
    state = generator.get_state()
    cuda = [net.device] if "cuda" in str(net.device) else []
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        generator.set_state(state)
        for part, training in zip(parts, modes, strict=True):
            part.training = training
