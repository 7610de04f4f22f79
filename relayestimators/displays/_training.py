"""Relays over training."""

import numpy as np

from .._validation import check_integer
from ..dynamics import chance_similarity, relay_similarity
from ..dynamics._localization import mean_of_known
from ._axes import COLORS, pyplot_for


class RelayHistoryDisplay:
    """When in training the relays of a concept form, and when they are the final ones.

    Below, what every node relays at each checkpoint; above, how similar the relay map is to that of
    the last checkpoint. Checkpoints are drawn equally far apart, whatever the epochs between them.

    Parameters
    ----------
    epochs : array-like of shape (n_checkpoints,)
        Labels of the checkpoints.
    information : array-like of shape (n_checkpoints, n_nodes)
        Bits, mean over time steps.
    similarity : array-like of shape (n_checkpoints,)
        Similarity of the relays to those of the last checkpoint.
    chance : array-like of shape (n_checkpoints,), optional
        What to expect of relays at random nodes, drawn as a dotted line.
    accuracy : array-like of shape (n_checkpoints,), optional
        Of the net, drawn beside the similarity.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
        Similarity, and image. Set by `plot`, as all of these.
    figure_, image_, line_, chance_line_, accuracy_line_ : matplotlib objects
        None for what is not drawn.

    See Also
    --------
    RelayMapDisplay : One map, over time steps.
    relay_similarity : Measures similarity.

    Examples
    --------
    Relays that move until epoch 4, and stay:

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
    def from_history(cls, history, *, concept=0, axes=None, **kwargs):
        """Draw what a :class:`RelayHistory` has found while a net was trained.

        Parameters
        ----------
        history : RelayHistory
            After training with it as a callback.
        concept : int, default=0
            Which concept.
        axes : sequence of two matplotlib Axes, optional
            Where to draw the similarity, and the image; a new figure by default.
        **kwargs : dict
            For ``Axes.imshow``.

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
    def from_maps(cls, epochs, maps, *, concept=0, accuracy=None, axes=None, **kwargs):
        """Draw relay maps of one concept at some checkpoints of training.

        Parameters
        ----------
        epochs : array-like of shape (n_checkpoints,)
            When the maps were made.
        maps : array-like of shape (n_checkpoints, n_concepts, n_timepoints, n_nodes)
            Relay maps in bits. A checkpoint may be NaN.
        concept : int, default=0
            Which concept.
        accuracy : array-like of shape (n_checkpoints,), optional
            Accuracy of the net at each checkpoint.
        axes : sequence of two matplotlib Axes, optional
            Where to draw the similarity, and the image; a new figure by default.
        **kwargs : dict
            For ``Axes.imshow``.

        Returns
        -------
        RelayHistoryDisplay
        """
        maps = np.asarray(maps, dtype=float)
        if maps.ndim != 4 or 0 in maps.shape or len(maps) != len(epochs):
            raise ValueError(
                f"maps has shape {maps.shape}; expected (n_checkpoints, n_concepts, n_timepoints, "
                f"n_nodes), with {len(epochs)} checkpoints as epochs has."
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

    def plot(self, axes=None, *, legend=True, **kwargs):
        """Draw.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, optional
            Where to draw the similarity, and the image; a new figure by default.
        legend : bool, default=True
            Say what the lines are.
        **kwargs : dict
            For ``Axes.imshow``.

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
            raise ValueError(f"axes holds {np.size(axes)} Axes; expected two.")
        self.axes_ = np.ravel(axes)
        above, below = self.axes_
        self._draw_lines(above)
        if legend:
            above.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False)
        image = np.asarray(self.information, dtype=float).T
        options = {"cmap": "viridis", "aspect": "auto", "origin": "lower"}
        options["interpolation"] = "nearest"
        if "norm" not in kwargs:
            options["vmin"] = 0
        self.image_ = below.imshow(image, **(options | kwargs))
        n = len(self.epochs)
        shown = range(0, n, -(-n // 16))
        below.set_xticks(shown, [str(self.epochs[i]) for i in shown])
        below.set(xlabel="epoch", ylabel="node")
        self.figure_ = below.figure
        self.figure_.colorbar(self.image_, ax=below, label="relay information (bits)")
        return self

    def _draw_lines(self, ax):
        places = np.arange(len(self.epochs))
        self.chance_line_ = self.accuracy_line_ = None
        (self.line_,) = ax.plot(
            places, self.similarity, color=COLORS[0], marker="o", label="similarity to the last"
        )
        if self.chance is not None:
            (self.chance_line_,) = ax.plot(
                places, self.chance, color=COLORS[0], linestyle=":", label="by chance"
            )
        if self.accuracy is not None:
            (self.accuracy_line_,) = ax.plot(
                places, self.accuracy, color=COLORS[1], marker="s", label="accuracy"
            )
        names = ["similarity"] if self.accuracy is None else ["similarity", "accuracy"]
        ax.set(ylabel=", ".join(names), ylim=(-0.03, 1.03))
