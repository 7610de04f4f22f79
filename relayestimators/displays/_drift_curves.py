"""Similarity, stability and drift of relays over the lag between time steps."""

import numpy as np

from .._docs import fill_docs
from .._validation import check_choice, check_integer
from ..dynamics import drift_summary
from ._axes import COLORS, axes_for

_LABELS = {
    "similarity": "similarity of relays",
    "stability": "stability of relays\n(0: chance, 1: relays stay)",
    "drift": "drift of relays (1 - similarity)",
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")


class DriftDisplay:
    """Curves of how similar relays are at two time steps, over the lag between them.

    Several groups of networks can be drawn into the same axes to compare them.

    Parameters
    ----------
    lags : array-like of shape (n_lags,)
        Lags in time steps.
    values : array-like of shape (n_lags,)
        Similarity, stability or drift.
    confidence_interval : array-like of shape (2, n_lags), optional
        Lower and upper ends of the intervals, drawn as a band.
    chance : array-like of shape (n_lags,), optional
        Value that is expected if relays are at random nodes, drawn as a dotted line.
    what : {"similarity", "stability", "drift"}, default="similarity"
        Quantity that `values` holds.
    label : str, optional
        Name of the group of networks in the legend.

    Attributes
    ----------
    ax_, figure_, line_, band_, chance_line_ : matplotlib objects
        Set by `plot`; None if not drawn.

    See Also
    --------
    relayestimators.dynamics.drift_summary : Computes these values for many networks.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.displays import DriftDisplay
    >>> rng = np.random.default_rng(0)
    >>> stay = [np.tile(rng.random((1, 1, 8)), (1, 10, 1)) for _ in range(5)]
    >>> move = [rng.random((1, 10, 8)) ** 4 for _ in range(5)]
    >>> display = DriftDisplay.from_maps(stay, label="relays that stay")
    >>> display = DriftDisplay.from_maps(move, label="relays that move", ax=display.ax_)
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['relays that stay', 'relays that move', 'chance']
    """

    def __init__(
        self, lags, values, *, confidence_interval=None, chance=None, what="similarity", label=None
    ):
        self.lags = lags
        self.values = values
        self.confidence_interval = confidence_interval
        self.chance = chance
        self.what = what
        self.label = label

    @classmethod
    @fill_docs
    def from_summary(
        cls, summary, *, what="similarity", concept=None, chance=True, label=None, ax=None, **kwargs
    ):
        """Draw the result of :func:`drift_summary`.

        Parameters
        ----------
        summary : Bunch
            From :func:`drift_summary`.
        %(what)s
        concept : int, optional
            Number of the concept, if the summary keeps concepts apart.
        %(chance)s
        %(label)s
        %(ax)s
        **kwargs : dict
            Options of ``Axes.plot`` for the line.

        Returns
        -------
        DriftDisplay
        """
        check_choice(what, name="what", choices=_LABELS)
        index = _index_of_concept(summary.similarity.mean, concept)
        expected = {
            "similarity": summary.chance.mean,
            "stability": np.zeros_like(summary.stability.mean),
            "drift": 1.0 - summary.chance.mean,
        }
        display = cls(
            summary.lags,
            summary[what].mean[index],
            confidence_interval=summary[what].confidence_interval[(slice(None), *index)],
            chance=expected[what][index] if chance else None,
            what=what,
            label=label,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    @fill_docs
    def from_maps(
        cls,
        maps,
        others=None,
        *,
        what="similarity",
        concept=None,
        chance=True,
        lags=None,
        metric="cosine",
        alpha=0.05,
        label=None,
        ax=None,
        **kwargs,
    ):
        """Summarize relay maps of several networks and draw the summary.

        Parameters
        ----------
        maps : sequence of array-like of shape (n_concepts, n_timepoints, n_nodes)
            One relay map per network, in bits. A single network has no interval.
        others : sequence of array-like of the same shapes, optional
            A second map of each network, estimated from other instances, to correct for errors of
            estimation.
        %(what)s
        concept : int, optional
            Number of the concept; by default the mean over concepts of each network is used.
        %(chance)s
        %(lags)s
        %(metric)s
        %(alpha)s They are over networks.
        %(label)s
        %(ax)s
        **kwargs : dict
            Options of ``Axes.plot`` for the line.

        Returns
        -------
        DriftDisplay
        """
        summary = drift_summary(
            maps, others, lags=lags, metric=metric, per_concept=concept is not None, alpha=alpha
        )
        return cls.from_summary(
            summary, what=what, concept=concept, chance=chance, label=label, ax=ax, **kwargs
        )

    def plot(self, ax=None, *, legend=True, **kwargs):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, which several displays may share; by default a new figure.
        legend : bool, default=True
            Whether to add a legend if there is a label.
        **kwargs : dict
            Options of ``Axes.plot`` for the line.

        Returns
        -------
        DriftDisplay
            Itself.
        """
        check_choice(self.what, name="what", choices=_LABELS)
        new = ax is None
        ax = axes_for(self, ax)
        if new:
            ax.set_prop_cycle(color=COLORS, marker=_MARKERS)
        options = {"label": self.label, "markersize": 5} | kwargs
        (self.line_,) = ax.plot(self.lags, self.values, **options)
        self.band_ = self._draw_band(ax)
        self.chance_line_ = self._draw_chance(ax)
        ax.set(xlabel="lag (time steps)", ylabel=_LABELS[self.what])
        ax.xaxis.get_major_locator().set_params(integer=True)
        if legend and options["label"] is not None:
            handles, labels = ax.get_legend_handles_labels()
            order = sorted(range(len(labels)), key=lambda i: labels[i] == "chance")  # chance last
            ax.legend([handles[i] for i in order], [labels[i] for i in order])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_band(self, ax):
        """Draw the confidence interval, if there is one."""
        if self.confidence_interval is None:
            return None
        low, high = self.confidence_interval
        return ax.fill_between(
            self.lags, low, high, color=self.line_.get_color(), alpha=0.15, linewidth=0
        )

    def _draw_chance(self, ax):
        """Draw chance in the color of the line, with one gray entry in the legend."""
        if self.chance is None:
            return None
        style = {"linestyle": ":", "marker": ""}
        if "chance" not in ax.get_legend_handles_labels()[1]:
            ax.plot([], [], color="0.4", label="chance", **style)
        color = "0.4" if self.what == "stability" else self.line_.get_color()
        return ax.plot(self.lags, self.chance, color=color, **style)[0]


def _index_of_concept(values, concept):
    """Return the index of a concept, which is empty if the summary is a mean over concepts."""
    if values.ndim == 1:
        if concept is not None:
            raise ValueError(
                f"concept={concept!r}, but summary is a mean over concepts; expected concept=None, "
                "or a summary that was computed with per_concept=True."
            )
        return ()
    if concept is None:
        raise ValueError(
            f"concept=None, but summary keeps {len(values)} concepts apart; expected an integer "
            f"from 0 to {len(values) - 1}."
        )
    check_integer(concept, name="concept", low=0, high=len(values) - 1)
    return (concept,)
