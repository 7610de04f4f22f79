"""Relays during the training of a network."""

import numpy as np

from .._docs import fill_docs
from .._validation import check_integer
from ..dynamics import chance_similarity, relay_similarity
from ..dynamics._localization import mean_of_known
from ._axes import COLORS, draw_map, pyplot_for


class RelayHistoryDisplay:
    """Relay information of one concept at checkpoints of the training.

    The lower panel shows the relay information of every node at each checkpoint. The upper panel
    shows how similar the relay map is to that of the last checkpoint. Checkpoints are equally
    spaced, whatever the number of epochs between them.

    Parameters
    ----------
    epochs : array-like of shape (n_checkpoints,)
        Epochs of the checkpoints.
    information : array-like of shape (n_checkpoints, n_nodes)
        Relay information in bits, mean over time steps.
    similarity : array-like of shape (n_checkpoints,)
        Similarity of the relays to those of the last checkpoint.
    chance : array-like of shape (n_checkpoints,), optional
        Similarity that is expected if relays are at random nodes, drawn as a dotted line.
    accuracy : array-like of shape (n_checkpoints,), optional
        Accuracy of the network, drawn beside the similarity.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
        Axes of the similarity and of the image. Set by `plot`, like all of these.
    figure_, image_, line_, chance_line_, accuracy_line_ : matplotlib objects
        None if not drawn.

    See Also
    --------
    RelayMapDisplay : One relay map over time steps.
    relayestimators.dynamics.relay_similarity : The similarity that is drawn.

    Examples
    --------
    The relays move until epoch 4, and then stay:

    >>> import numpy as np
    >>> from relayestimators.displays import RelayHistoryDisplay
    >>> maps = np.eye(5)[[0, 1, 2, 2, 2]][:, None, None, :]
    >>> display = RelayHistoryDisplay.from_maps([1, 2, 4, 8, 16], maps)
    >>> display.line_.get_ydata()
    array([0., 0., 1., 1., 1.])
    """

    def __init__(self, epochs, information, similarity, *, chance=None, accuracy=None):
        self.epochs = epochs
        self.information = information
        self.similarity = similarity
        self.chance = chance
        self.accuracy = accuracy

    @classmethod
    @fill_docs
    def from_history(cls, history, *, concept=0, axes=None, **kwargs):
        """Draw the relay maps that a :class:`RelayHistory` recorded during training.

        Parameters
        ----------
        history : RelayHistory
            Callback of a network that has been trained.
        concept : int, default=0
            Number of the concept.
        %(axes)s
        **kwargs : dict
            Options of ``Axes.imshow``.

        Returns
        -------
        RelayHistoryDisplay
        """
        return cls.from_maps(
            history.epochs_,
            history.maps_,
            concept=concept,
            accuracy=history.accuracy_,
            axes=axes,
            **kwargs,
        )

    @classmethod
    @fill_docs
    def from_maps(cls, epochs, maps, *, concept=0, accuracy=None, axes=None, **kwargs):
        """Draw relay maps of one concept at some checkpoints of training.

        Parameters
        ----------
        epochs : array-like of shape (n_checkpoints,)
            Epochs of the checkpoints.
        maps : array-like of shape (n_checkpoints, n_concepts, n_timepoints, n_nodes)
            Relay maps in bits; a checkpoint may be NaN.
        concept : int, default=0
            Number of the concept.
        accuracy : array-like of shape (n_checkpoints,), optional
            Accuracy of the network at each checkpoint.
        %(axes)s
        **kwargs : dict
            Options of ``Axes.imshow``.

        Returns
        -------
        RelayHistoryDisplay
        """
        maps = np.asarray(maps, dtype=float)
        if maps.ndim != 4 or 0 in maps.shape or len(maps) != len(epochs):
            raise ValueError(
                f"maps has shape {maps.shape}; expected (n_checkpoints, n_concepts, n_timepoints, "
                f"n_nodes) with n_checkpoints={len(epochs)}, the length of epochs."
            )
        check_integer(concept, name="concept", low=0, high=maps.shape[1] - 1)
        relays = maps[:, concept]
        last = np.broadcast_to(relays[-1], relays.shape)
        display = cls(
            epochs,
            mean_of_known(relays, axis=1),
            relay_similarity(relays, last, lags=0)[:, 0],
            chance=chance_similarity(relays, last, lags=0)[:, 0],
            accuracy=accuracy,
        )
        return display.plot(axes, **kwargs)

    @fill_docs
    def plot(self, axes=None, *, legend=True, **kwargs):
        """Draw the two panels.

        Parameters
        ----------
        %(axes)s
        legend : bool, default=True
            Whether to add a legend.
        **kwargs : dict
            Options of ``Axes.imshow``.

        Returns
        -------
        RelayHistoryDisplay
            Itself.
        """
        pyplot = pyplot_for(self)
        if axes is None:
            _, axes = pyplot.subplots(
                2, sharex=True, layout="constrained", height_ratios=[1, 2], figsize=(6.4, 5.6)
            )
        if np.size(axes) != 2:
            raise ValueError(f"axes holds {np.size(axes)} Axes; expected 2.")
        self.axes_ = np.ravel(axes)
        above, below = self.axes_
        self._draw_lines(above)
        if legend:
            above.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False)
        self.image_ = draw_map(below, self.information, label="relay information (bits)", **kwargs)
        n_checkpoints = len(self.epochs)
        shown = range(0, n_checkpoints, -(-n_checkpoints // 16))  # at most 16 labels
        below.set_xticks(shown, [str(self.epochs[i]) for i in shown])
        below.set(xlabel="epoch", ylabel="node")
        self.figure_ = below.figure
        return self

    def _draw_lines(self, ax):
        """Draw similarity, chance and accuracy."""
        places = np.arange(len(self.epochs))
        self.chance_line_ = self.accuracy_line_ = None
        (self.line_,) = ax.plot(
            places,
            self.similarity,
            color=COLORS[0],
            marker="o",
            label="similarity to the last checkpoint",
        )
        if self.chance is not None:
            (self.chance_line_,) = ax.plot(
                places, self.chance, color=COLORS[0], linestyle=":", label="chance"
            )
        if self.accuracy is not None:
            (self.accuracy_line_,) = ax.plot(
                places, self.accuracy, color=COLORS[1], marker="s", label="accuracy"
            )
        names = ["similarity"] if self.accuracy is None else ["similarity", "accuracy"]
        ax.set(ylabel=", ".join(names), ylim=(-0.03, 1.03))
