"""Trajectories in state space, along their principal components."""

import numpy as np

from .._docs import fill_docs
from .._validation import check_codes, check_integer, check_recurrent, check_window
from ..dynamics import trajectory_pca
from ._axes import COLORS, axes_for


class StateSpaceDisplay:
    """Trajectories of hidden states along two or three principal components.

    The mean trajectory of each class is a line with a dot at every time step, an open circle at the
    start, a square at the end, and arrowheads along the way. Trajectories of single instances are
    faint. A window of time steps, such as a delay, is drawn bold.

    Parameters
    ----------
    scores : array-like of shape (n_instances, n_timepoints, n_components)
        Trajectories of single instances along two or three components; NaN where a series has
        ended.
    y : array-like of shape (n_instances,), optional
        Labels, for the colors of single trajectories.
    class_means : array-like of shape (n_classes, n_timepoints, n_components), optional
        Mean trajectories of the classes.
    classes : array-like of shape (n_classes,), optional
        Labels of the classes.
    explained_variance_ratio : array-like of shape (n_components,), optional
        Fraction of the variance along each component, for the labels of the axes.
    window : tuple of two int, optional
        Half-open window of time steps: the first, and one after the last.

    Attributes
    ----------
    ax_, figure_, legend_ : matplotlib objects
        Set by `plot`.
    lines_, window_lines_, single_lines_, arrows_ : list of matplotlib objects
        Set by `plot`: mean trajectories, their parts in the window, single trajectories, and
        arrowheads.

    See Also
    --------
    relayestimators.dynamics.trajectory_pca : Computes the trajectories that are drawn.
    relayestimators.dynamics.attractor_summary : Describes them in numbers, in all dimensions.

    Examples
    --------
    >>> from relayestimators import GRUClassifier
    >>> from relayestimators.datasets import make_memory_task
    >>> from relayestimators.displays import StateSpaceDisplay
    >>> task = make_memory_task(100, n_bits=1, delay=4, random_state=0)
    >>> net = GRUClassifier(module__hidden_size=4, max_epochs=2, random_state=0)
    >>> net.fit(task.data, task.target).initialized_
    True
    >>> start, stop = task.delay
    >>> display = StateSpaceDisplay.from_estimator(
    ...     net, task.data, task.target, start=start, stop=stop
    ... )
    >>> len(display.lines_)
    2
    """

    def __init__(
        self,
        scores,
        y=None,
        *,
        class_means=None,
        classes=None,
        explained_variance_ratio=None,
        window=None,
    ):
        self.scores = scores
        self.y = y
        self.class_means = class_means
        self.classes = classes
        self.explained_variance_ratio = explained_variance_ratio
        self.window = window

    @classmethod
    @fill_docs
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        layer=-1,
        state="h",
        n_components=2,
        start=None,
        stop=None,
        ax=None,
        **kwargs,
    ):
        """Run a network and draw the trajectories of its states.

        Parameters
        ----------
        estimator : fitted classifier
            A classifier with ``unroll``.
        %(X)s Series that the network is run on
        y : array-like of shape (n_instances,), optional
            Labels, or the values of a concept such as ``task.concepts[task.target, 0]``.
        %(layer)s
        %(state)s
        %(n_components)s
        start, stop : int, optional
            Half-open window of time steps to highlight, such as ``task.delay``; none by default.
        %(ax)s They need projection "3d" for three components.
        **kwargs : dict
            Options of :meth:`plot`.

        Returns
        -------
        StateSpaceDisplay
        """
        check_integer(n_components, name="n_components", low=2, high=3)
        check_recurrent(estimator)
        hidden = estimator.unroll(X, layer=layer, state=state).hidden
        result = trajectory_pca(hidden, y, n_components=n_components)
        return cls.from_result(
            result, y, n_components=n_components, start=start, stop=stop, ax=ax, **kwargs
        )

    @classmethod
    @fill_docs
    def from_result(
        cls, result, y=None, *, n_components=2, start=None, stop=None, ax=None, **kwargs
    ):
        """Draw the result of :func:`trajectory_pca`.

        Parameters
        ----------
        result : Bunch
            From :func:`trajectory_pca`. If it was computed without labels, only single
            trajectories are drawn.
        y : array-like of shape (n_instances,), optional
            Labels, for the colors of single trajectories.
        %(n_components)s
        start, stop : int, optional
            Half-open window of time steps to highlight; none by default.
        %(ax)s They need projection "3d" for three components.
        **kwargs : dict
            Options of :meth:`plot`.

        Returns
        -------
        StateSpaceDisplay
        """
        check_integer(n_components, name="n_components", low=2, high=3)
        _, n_timepoints, n_available = result.scores.shape
        if n_components > n_available:
            raise ValueError(
                f"n_components={n_components}; expected at most {n_available}, as result has."
            )
        window = None
        if start is not None or stop is not None:
            window = check_window(0 if start is None else start, stop, n_timepoints)
        means = result.get("class_means")
        display = cls(
            result.scores[..., :n_components],
            y,
            class_means=None if means is None else means[..., :n_components],
            classes=result.get("classes"),
            explained_variance_ratio=result.explained_variance_ratio[:n_components],
            window=window,
        )
        return display.plot(ax, **kwargs)

    @fill_docs
    def plot(self, ax=None, *, n_single=10, legend=True, **kwargs):
        """Draw the trajectories.

        Parameters
        ----------
        %(ax)s They need projection "3d" for three components.
        n_single : int, default=10
            Number of single trajectories to draw per class; the first ones are drawn.
        legend : bool, default=True
            Whether to add a legend to the right of the axes.
        **kwargs : dict
            Options of ``Axes.plot`` for the mean trajectories.

        Returns
        -------
        StateSpaceDisplay
            Itself.
        """
        check_integer(n_single, name="n_single", low=0)
        n_components = np.shape(self.scores)[-1]
        if n_components not in (2, 3):
            raise ValueError(f"scores has {n_components} components; expected 2 or 3.")
        new = ax is None
        ax = axes_for(self, ax, projection="3d" if n_components == 3 else None)
        self.lines_, self.window_lines_, self.arrows_ = [], [], []
        means = [] if self.class_means is None else np.asarray(self.class_means)
        colors = _colors(len(means))
        self.single_lines_ = self._draw_single(ax, n_single, colors)
        names = range(len(means)) if self.classes is None else self.classes
        for path, name, color in zip(means, names, colors, strict=True):
            options = {"color": color, "label": str(name)} | kwargs
            self._draw_mean(ax, path, _diagonal(means), **options)
        self._label(ax, n_components)
        self.ax_, self.figure_ = ax, ax.figure
        self.legend_ = self._add_legend(new) if legend else None
        return self

    def _draw_single(self, ax, n_single, colors):
        """Draw trajectories of single instances, in gray if there is no color for every class."""
        scores = np.asarray(self.scores)
        codes = np.zeros(len(scores), dtype=int)
        if self.y is not None:
            codes = check_codes(self.y, name="y", n_instances=len(scores))
        if self.y is None or codes.max() >= len(colors):
            colors = ["0.5"] * (codes.max() + 1)
        chosen = [(i, code) for code in np.unique(codes) for i in _first(codes == code, n_single)]
        style = {"linewidth": 0.7, "alpha": 0.25, "zorder": 1}
        return [ax.plot(*scores[i].T, color=colors[code], **style)[0] for i, code in chosen]

    def _draw_mean(self, ax, path, extent, **options):
        """Draw one mean trajectory with its window, arrowheads and ends."""
        path = path[~np.isnan(path[:, 0])] if np.isnan(path).any() else path
        style = {"linewidth": 1.2, "marker": "o", "markersize": 2.5, "zorder": 3}
        (line,) = ax.plot(*path.T, **(style | options))
        self.lines_.append(line)
        look = {"color": line.get_color(), "linestyle": "none"}
        if self.window is not None:
            window = path[slice(*self.window)]
            self.window_lines_ += ax.plot(*window.T, color=line.get_color(), **_BOLD, zorder=4)
        self.arrows_.append(_draw_arrows(ax, path, extent, line.get_color()))
        ax.plot(*path[:1].T, **look, **_START, zorder=5)
        ax.plot(*path[-1:].T, **look, **_END, zorder=5)

    def _label(self, ax, n_components):
        for axis, number in zip("xyz", range(n_components), strict=False):
            label = f"PC {number + 1}"
            if self.explained_variance_ratio is not None:
                label += f" ({self.explained_variance_ratio[number]:.0%} of variance)"
            ax.set(**{f"{axis}label": label})
        ax.set_aspect("equal")  # so that lengths and angles can be compared

    def _add_legend(self, new):
        """Draw a legend beside the axes of a new figure, or beside axes that the user gave."""
        look, empty = {"color": "0.3", "linestyle": "none"}, [[]] * np.shape(self.scores)[-1]
        if self.lines_:
            self.ax_.plot(*empty, **look, **_START, label="start")
            self.ax_.plot(*empty, **look, **_END, label="end")
        if self.window_lines_:
            first, last = self.window[0], self.window[1] - 1
            self.ax_.plot(*empty, color="0.3", **_BOLD, label=f"time steps {first} to {last}")
        handles, labels = self.ax_.get_legend_handles_labels()
        if not handles:
            return None
        if new:
            place = "upper right" if len(empty) == 3 else "outside right upper"
            return self.figure_.legend(handles, labels, loc=place, title="class")
        return self.ax_.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), title="class")


_START = {"marker": "o", "markersize": 7, "markerfacecolor": "white", "markeredgewidth": 1.5}
_BOLD = {"linewidth": 2.6, "marker": "o", "markersize": 4}
_END = {"marker": "s", "markersize": 7, "markeredgecolor": "white"}


def _colors(n_classes):
    """Return a color per class, from a continuous color map if there are many classes."""
    if n_classes <= len(COLORS):
        return list(COLORS[:n_classes])
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.0, 0.95, n_classes)))


def _first(chosen, number):
    """Return the first numbers of instances that are chosen."""
    return np.flatnonzero(chosen)[:number]


def _diagonal(paths):
    """Return the length of the diagonal of the box around all paths."""
    points = np.concatenate(paths)
    return np.linalg.norm(np.nanmax(points, axis=0) - np.nanmin(points, axis=0))


def _draw_arrows(ax, path, extent, color):
    """Draw arrowheads on the steps that are long enough for one to be visible."""
    steps = np.diff(path, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    visible = lengths > 0.06 * extent
    steps = steps[visible] / lengths[visible, None]
    # Beyond the middle of the step, so that arrowheads of the way back are drawn elsewhere.
    middle = path[:-1][visible] + 0.65 * lengths[visible, None] * steps
    if path.shape[1] == 3:
        size = 0.04 * extent
        tails = middle - size / 2 * steps
        return ax.quiver(
            *tails.T, *(size * steps).T, color=color, arrow_length_ratio=1.0, linewidth=1.2
        )
    return ax.quiver(
        *middle.T,
        *steps.T,
        color=color,
        angles="xy",
        pivot="mid",
        units="dots",
        scale_units="dots",
        scale=0.1,
        width=1.5,
        headwidth=7,
        headlength=7,
        headaxislength=7,
        edgecolor="white",
        linewidth=0.5,
        zorder=5,
    )
