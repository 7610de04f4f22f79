"""Costs of knockouts, compared with knockouts of random nodes."""

import numpy as np

from .._docs import fill_docs
from .._validation import check_integer
from ._axes import axes_for


class KnockoutDisplay:
    """Loss caused by knocking out relays, over the time step at which the knockout starts.

    Parameters
    ----------
    loss : ndarray of shape (n_timepoints,)
        Loss when the relays are knocked out from each time step on.
    random_loss : ndarray of shape (n_timepoints, n_random)
        Loss when as many random nodes are knocked out, drawn as a band. With ``n_random=0``
        there is no band.
    timepoints : ndarray of shape (n_timepoints,), optional
        Labels of the time axis.
    intact : float, optional
        Value of the intact network, which is all that can be lost, drawn as a dotted line.
    unit : str, default="bits"
        Unit of the losses.

    Attributes
    ----------
    ax_, figure_, line_, band_ : matplotlib objects
        Set by `plot`.

    See Also
    --------
    relayestimators.inspection.knockout_specificity : Measures such losses.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.displays import KnockoutDisplay
    >>> display = KnockoutDisplay(np.array([0.5, 0.4]), np.array([[0.1, 0.2], [0.0, 0.1]])).plot()
    >>> display.ax_.get_ylabel()
    'loss (bits)'
    """

    def __init__(self, loss, random_loss, *, timepoints=None, intact=None, unit="bits"):
        self.loss = loss
        self.random_loss = random_loss
        self.timepoints = timepoints
        self.intact = intact
        self.unit = unit

    @fill_docs
    def plot(self, ax=None, *, legend=True, **kwargs):
        """Draw the losses.

        Parameters
        ----------
        %(ax)s
        legend : bool, default=True
            Whether to add a legend.
        **kwargs : dict
            Options of ``Axes.plot`` for the line of the relays.

        Returns
        -------
        KnockoutDisplay
            Itself.
        """
        ax = axes_for(self, ax)
        steps = np.arange(len(self.loss)) if self.timepoints is None else self.timepoints
        self.band_ = _draw_random(ax, steps, np.transpose(self.random_loss), "random nodes")
        (self.line_,) = ax.plot(steps, self.loss, **({"color": "C3", "label": "relays"} | kwargs))
        if self.intact is not None:
            ax.axhline(self.intact, color="k", linestyle=":", label="intact network")
        ax.set(xlabel="knocked out from time step", ylabel=f"loss ({self.unit})")
        if legend:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class KnockoutCurveDisplay:
    """Score or information left as more and more nodes are knocked out.

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,)
        Numbers of knocked-out nodes.
    left : ndarray of shape (n_sizes,), or dict of str to ndarray
        Score or bits left; a dict has several curves by name.
    random_left : ndarray of shape (n_random, n_sizes), optional
        The same for random orders of nodes, drawn as a band.
    unit : str, default="accuracy"
        Unit of the values left.

    Attributes
    ----------
    ax_, figure_, lines_, band_ : matplotlib objects
        Set by `plot`.

    See Also
    --------
    relayestimators.inspection.knockout_curve : Measures such curves.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.displays import KnockoutCurveDisplay
    >>> random_left = np.array([[1.0, 0.9, 0.2], [1.0, 0.8, 0.4]])
    >>> display = KnockoutCurveDisplay([0, 1, 2], [1.0, 0.5, 0.2], random_left).plot()
    >>> display.ax_.get_xlabel()
    'nodes knocked out'
    """

    def __init__(self, sizes, left, random_left=None, *, unit="accuracy"):
        self.sizes = sizes
        self.left = left
        self.random_left = random_left
        self.unit = unit

    @classmethod
    @fill_docs
    def from_result(cls, result, *, concept=None, ax=None, **kwargs):
        """Draw the result of :func:`knockout_curve`.

        Parameters
        ----------
        result : Bunch
            From :func:`knockout_curve`.
        concept : int, optional
            Number of the concept whose bits are drawn; by default the score is drawn.
        %(ax)s
        **kwargs : dict
            Options of ``Axes.plot``.

        Returns
        -------
        KnockoutCurveDisplay
        """
        if concept is None:
            return cls(result.sizes, result.score, result.random_score, unit="score").plot(
                ax, **kwargs
            )
        check_integer(concept, name="concept", low=0, high=result.information.shape[1] - 1)
        left, random_left = (
            part[..., concept] for part in (result.information, result.random_information)
        )
        return cls(result.sizes, left, random_left, unit="I(A;B), bits").plot(ax, **kwargs)

    @fill_docs
    def plot(self, ax=None, **kwargs):
        """Draw the curves.

        Parameters
        ----------
        %(ax)s
        **kwargs : dict
            Options of ``Axes.plot`` for the lines.

        Returns
        -------
        KnockoutCurveDisplay
            Itself.
        """
        ax = axes_for(self, ax)
        random_left = [] if self.random_left is None else self.random_left
        self.band_ = _draw_random(ax, self.sizes, random_left, "random orders")
        curves = self.left if isinstance(self.left, dict) else {"given order": self.left}
        self.lines_ = [
            ax.plot(self.sizes, left, **({"label": name} | kwargs))[0]
            for name, left in curves.items()
        ]
        ax.set(xlabel="nodes knocked out", ylabel=f"left ({self.unit})")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _draw_random(ax, x, values, name):
    """Draw the median and the band of values of shape (n_random, n_x), if there are any."""
    if not np.size(values):
        return None
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
    band = ax.fill_between(x, low, high, color="0.8", label=f"{name} (10-90 %)", linewidth=0)
    ax.plot(x, middle, color="0.5", label=f"{name} (median)")
    return band
