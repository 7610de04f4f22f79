"""What knockouts cost, beside random nodes."""

import numpy as np

from .._validation import check_integer
from ._axes import axes_for


class KnockoutDisplay:
    """What knocking out relays costs, beside random nodes, over the start of the knockout.

    Parameters
    ----------
    loss : ndarray of shape (n_timepoints,)
        Cost of knocking out the relays from each time step on.
    random_loss : ndarray of shape (n_timepoints, n_random)
        Cost of knocking out as many random nodes; without draws no band is drawn.
    timepoints : ndarray of shape (n_timepoints,), optional
        Labels of the time axis.
    intact : float, optional
        What can be lost, drawn as a dotted line.
    unit : str, default="bits"
        Of the losses.

    Attributes
    ----------
    ax_, figure_, line_, band_ : matplotlib objects
        Set by `plot`.

    See Also
    --------
    knockout_specificity : Measures such costs.

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

    def plot(self, ax=None, *, legend=True, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        legend : bool, default=True
            Say what the lines are.
        **kwargs : dict
            For the line of the relays, ``Axes.plot``.

        Returns
        -------
        KnockoutDisplay
            Itself.
        """
        ax = axes_for(self, ax)
        steps = np.arange(len(self.loss)) if self.timepoints is None else self.timepoints
        self.band_ = None
        if np.size(self.random_loss):
            low, middle, high = np.quantile(self.random_loss, [0.1, 0.5, 0.9], axis=1)
            self.band_ = ax.fill_between(
                steps, low, high, color="0.8", label="random nodes (10-90 %)", linewidth=0
            )
            ax.plot(steps, middle, color="0.5", label="random nodes (median)")
        (self.line_,) = ax.plot(steps, self.loss, **({"color": "C3", "label": "relays"} | kwargs))
        if self.intact is not None:
            ax.axhline(self.intact, color="k", linestyle=":", label="all there is to lose")
        ax.set(xlabel="knocked out from time step", ylabel=f"loss ({self.unit})")
        if legend:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class KnockoutCurveDisplay:
    """What is left as more and more nodes are knocked out, beside random orders.

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,)
        Numbers of nodes removed.
    left : ndarray of shape (n_sizes,), or dict of str to such
        Score or bits left; several curves by name.
    random_left : ndarray of shape (n_random, n_sizes), optional
        The same for random orders; drawn as a band.
    unit : str, default="accuracy"
        Of what is left.

    Attributes
    ----------
    ax_, figure_, lines_, band_ : matplotlib objects
        Set by `plot`.

    See Also
    --------
    knockout_curve : Measures such curves.

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
    def from_result(cls, result, *, concept=None, ax=None, **kwargs):
        """Draw the result of :func:`knockout_curve`.

        Parameters
        ----------
        result : Bunch
            From :func:`knockout_curve`.
        concept : int, optional
            Draw the bits left of this concept instead of the score.
        ax : matplotlib Axes, optional
            Where to draw.
        **kwargs : dict
            For ``Axes.plot``.

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

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **kwargs : dict
            For the lines, ``Axes.plot``.

        Returns
        -------
        KnockoutCurveDisplay
            Itself.
        """
        ax = axes_for(self, ax)
        self.band_ = None
        if self.random_left is not None and np.size(self.random_left):
            low, middle, high = np.quantile(self.random_left, [0.1, 0.5, 0.9], axis=0)
            self.band_ = ax.fill_between(
                self.sizes, low, high, color="0.8", label="random orders (10-90 %)", linewidth=0
            )
            ax.plot(self.sizes, middle, color="0.5", label="random orders (median)")
        curves = self.left if isinstance(self.left, dict) else {"given order": self.left}
        self.lines_ = [
            ax.plot(self.sizes, left, **({"label": name} | kwargs))[0]
            for name, left in curves.items()
        ]
        ax.set(xlabel="nodes knocked out", ylabel=f"left ({self.unit})")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
