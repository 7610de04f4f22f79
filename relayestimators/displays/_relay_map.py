"""Relay maps as images of nodes over time."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._docs import fill_docs
from .._validation import check_integer
from ..analyzer import INTERCHANGE
from ..relay._remarks import NOTHING
from ._axes import axes_for, draw_map

# By whether the map attributes an exchange.
_LABELS = {False: "relay information (bits)", True: "part of the log-odds (bits)"}


class RelayMapDisplay:
    """Image of the relay information of every node at every time step.

    Parameters
    ----------
    relay_map : ndarray of shape (n_timepoints, n_nodes)
        Relay information of one concept in bits.
    reliable : ndarray of shape (n_timepoints, n_nodes), bool, optional
        Whether each value rests on enough instances; the image is hatched elsewhere.
    timepoints : ndarray of shape (n_timepoints,), optional
        Time steps, for the labels of the time axis.
    label : str, default="relay information (bits)"
        Label of the color bar. Any map of this shape can be drawn, such as a result of
        :func:`~relayestimators.inspection.knockout_sweep`.
    information : float, optional
        I(A;B) in bits, the information about the concept in the predictions. It is written above
        the image, with a remark if no node has a tenth of it, unless the map is `signed`.
    signed : bool, default=False
        Whether values may be negative, as parts of log-odds are. Colors are then symmetric about 0.
    carried, carried_error : ndarray of shape (n_timepoints,), optional
        Bits that the layer carries to the output from each time step, and their standard error.
        They are drawn above the image, with `information` as a dashed line.

    Attributes
    ----------
    ax_, figure_, image_ : matplotlib objects
        Set by `plot`.
    title_ax_ : matplotlib Axes
        The uppermost axes, for a title: those of `carried` if it is drawn, otherwise ``ax_``.

    See Also
    --------
    relayestimators.RelayAnalyzer : Estimates relay maps.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.displays import RelayMapDisplay
    >>> display = RelayMapDisplay(np.eye(3)).plot()
    >>> display.ax_.get_xlabel()
    'time step'
    """

    def __init__(
        self,
        relay_map,
        *,
        reliable=None,
        timepoints=None,
        label=_LABELS[False],
        information=None,
        signed=False,
        carried=None,
        carried_error=None,
    ):
        self.relay_map = relay_map
        self.reliable = reliable
        self.timepoints = timepoints
        self.label = label
        self.information = information
        self.signed = signed
        self.carried = carried
        self.carried_error = carried_error

    @classmethod
    @fill_docs
    def from_estimator(cls, analyzer, *, concept=0, ax=None, **kwargs):
        """Draw the relay map of one concept of a fitted RelayAnalyzer.

        Parameters
        ----------
        analyzer : RelayAnalyzer
            A fitted analyzer.
        concept : int, default=0
            Column of ``concepts_``.
        %(ax)s
        **kwargs : dict
            Options of `plot`.

        Returns
        -------
        RelayMapDisplay
        """
        check_is_fitted(analyzer)
        check_integer(concept, name="concept", low=0, high=len(analyzer.relay_map_) - 1)
        display = cls(
            analyzer.relay_map_[concept],
            reliable=analyzer.reliable_[concept],
            timepoints=analyzer.timepoints_,
            information=analyzer.information_[concept],
            signed=analyzer.method_ == INTERCHANGE,
            label=_LABELS[analyzer.method_ == INTERCHANGE],
            **{
                name: getattr(analyzer, f"{name}_")[concept]
                for name in ("carried", "carried_error")
                if hasattr(analyzer, f"{name}_")
            },
        )
        return display.plot(ax=ax, **kwargs)

    @fill_docs
    def plot(self, ax=None, *, carried_ax=None, **kwargs):
        """Draw the image.

        Parameters
        ----------
        %(ax)s
        carried_ax : matplotlib Axes, optional
            Axes for what is carried; by default new ones above the image.
        **kwargs : dict
            Options of ``Axes.imshow``.

        Returns
        -------
        RelayMapDisplay
            Itself.
        """
        ax = axes_for(self, ax)
        self.title_ax_ = ax if self.carried is None else self._draw_carried(ax, carried_ax)
        if self.signed and "norm" not in kwargs:
            limit = kwargs.pop("vmax", np.nanmax(np.abs(self.relay_map), initial=1e-3))
            kwargs = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} | kwargs
        self.image_ = draw_map(ax, self.relay_map, label=self.label, **kwargs)
        if self.reliable is not None and not np.all(self.reliable):
            self._hatch(ax)
        self._label(ax, *np.shape(self.relay_map))
        if self.information is not None:
            self._compare(self.title_ax_)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_carried(self, ax, above):
        """Draw what the layer carries, in axes above the image if none are given; return these."""
        above = _axes_above(ax) if above is None else above
        steps, carried = np.arange(len(self.relay_map)), np.asarray(self.carried, dtype=float)
        upper = carried
        above.plot(steps, carried, color="C1", marker=".", markersize=3)
        if self.carried_error is not None:
            error = 2 * np.asarray(self.carried_error, dtype=float)
            upper = carried + error
            above.fill_between(steps, carried - error, upper, color="C1", alpha=0.3, lw=0)
        if self.information is not None:
            above.axhline(self.information, color="gray", linestyle="--", linewidth=0.8)
        highest = np.nanmax([self.information or 0.0, *upper, 1e-3])
        above.set(ylim=(-0.08 * highest, 1.15 * highest), ylabel="carried\n(bits)")
        above.tick_params(labelbottom=False)
        return above

    def _hatch(self, ax):
        """Hatch the image where values are not reliable."""
        unreliable = np.where(np.asarray(self.reliable).T, 0.0, 1.0)
        padded = np.pad(unreliable, 1, mode="edge")  # contours need at least two rows and columns
        x, y = (np.arange(-1, size + 1) for size in unreliable.shape[::-1])
        xlim, ylim = ax.get_xlim(), ax.get_ylim()
        ax.contourf(x, y, padded, levels=[0.5, 1.5], colors="none", hatches=["///"])
        ax.set(xlim=xlim, ylim=ylim)

    def _label(self, ax, n_timepoints, n_nodes):
        """Label the axes, with at most eight time steps."""
        labels = np.arange(n_timepoints) if self.timepoints is None else self.timepoints
        shown = np.unique(np.linspace(0, n_timepoints - 1, min(n_timepoints, 8)).astype(int))
        ax.set_xticks(shown, [str(labels[i]) for i in shown])
        ax.set(xlabel="time step", ylabel="node")

    def _compare(self, ax):
        """Write above the image how much there is, and whether the map shows next to none of it."""
        text = f"I(A;B) = {self.information:.2f} bits"
        shown = np.nanmax(self.relay_map, initial=0.0) >= NOTHING * self.information
        if not shown and not self.signed:
            text += ", not shown here"
        ax.set_title(text, loc="right", fontsize="small")


def _axes_above(ax):
    """Return new axes above others, which give room to them."""
    place = ax.get_subplotspec()
    if place is None:  # axes that somebody put somewhere by hand
        return ax.inset_axes([0, 1.04, 1, 0.28], sharex=ax)
    upper, lower = place.subgridspec(2, 1, height_ratios=(1, 3.5), hspace=0.05)
    ax.set_subplotspec(lower)
    return ax.figure.add_subplot(upper, sharex=ax)
