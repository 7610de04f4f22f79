"""Discretization of hidden activations.

A discretizer is fitted to an intact network only: states of a network with a knockout are cut at
the thresholds of the intact network.
"""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._base import ArrayOutputMixin
from ._clusters import kmeans_cuts
from ._validation import NO_STATE, check_discretization

__all__ = ["StateDiscretizer"]


class StateDiscretizer(
    ArrayOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Transformer that discretizes the activation of every hidden node into a few states.

    Parameters
    ----------
    n_states : int or None, default=None
        Number of states per node, from 2 to 254. None is 4, or 2 with ``strategy="sign"``.
    strategy : {"auto", "quantile", "kmeans", "sign"}, default="auto"
        Where activations are cut. "auto": between clusters if a node has any, at quantiles
        otherwise; see Notes. "quantile": into equally filled states; with two states this is the
        split at the median. "kmeans": halfway between the centers of one-dimensional k-means.
        "sign": at zero, which allows two states only.
    per_timepoint : bool, default=True
        If True, every time step has its own thresholds. If False, a node has the same thresholds
        at all time steps, so that a state means the same activation at any time.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_timepoints or 1, n_nodes, n_states - 1)
        The state of a node is the number of thresholds that its activation exceeds. NaN at time
        steps that no series in `fit` has.
    n_timepoints_ : int
        Number of time steps in `fit`.
    n_features_in_ : int
        Number of nodes.

    See Also
    --------
    RelayAnalyzer : Discretizes hidden states with this class.

    Notes
    -----
    Quantiles keep what a node says by degrees, and outliers do not matter. But they cut clusters
    apart: of a saturated node that is near 1 in a tenth of the instances and near -1 in all others,
    the first quarter keeps half of the information. With "auto" a node has k clusters if k-means
    leaves less variance within them than the k equal parts of a uniform distribution have, which is
    a fraction 1 / k**2 of all variance. Clusters may be divided into clusters again. A smallest or
    largest value that is as frequent as an average state, such as the 0 of a rectified node, is a
    cluster of its own. States that are left divide large clusters at quantiles.

    If a saturated node takes the value of a quantile many times, all these instances get the
    state for which the fraction of instances below the cut comes closer to the quantile. So a
    node that is 1.0 for most instances and -1.0 for the others has two states.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import StateDiscretizer
    >>> hidden = np.array([[[-0.9]], [[-0.2]], [[0.1]], [[0.8]]])  # 4 instances, 1 step, 1 node
    >>> StateDiscretizer().fit_transform(hidden).ravel()
    array([0, 1, 2, 3], dtype=uint8)
    >>> StateDiscretizer(n_states=2).fit_transform(hidden).ravel()
    array([0, 0, 1, 1], dtype=uint8)
    """

    def __init__(self, n_states=None, *, strategy="auto", per_timepoint=True):
        self.n_states = n_states
        self.strategy = strategy
        self.per_timepoint = per_timepoint

    def fit(self, hidden, y=None):
        """Compute thresholds from the hidden states of an intact network.

        Parameters
        ----------
        hidden : array-like of shape (n_instances, n_timepoints, n_nodes)
            Hidden trajectories; NaN after the end of a series.
        y : None
            Ignored.

        Returns
        -------
        self : StateDiscretizer
            The fitted discretizer.

        Raises
        ------
        TypeError
            If `n_states` is not an integer.
        ValueError
            If `hidden` has a wrong shape or contains infinity, or a parameter is not allowed.
        """
        n_states = check_discretization(self.n_states, self.strategy)
        hidden = _check_hidden(hidden)
        n_timepoints, n_nodes = hidden.shape[1:]
        if not self.per_timepoint:
            hidden = hidden.reshape(-1, 1, n_nodes)
        self.thresholds_ = _thresholds(hidden, n_states, self.strategy)
        self.n_timepoints_ = n_timepoints
        self.n_features_in_ = n_nodes
        return self

    def transform(self, hidden):
        """Discretize activations with the fitted thresholds.

        Parameters
        ----------
        hidden : array-like of shape (n_instances, n_timepoints, n_nodes)
            Hidden trajectories with the nodes of `fit` and, if `per_timepoint` is True, with at
            most as many time steps.

        Returns
        -------
        states : ndarray of shape (n_instances, n_timepoints, n_nodes), uint8
            Integers from 0 to n_states - 1; 255 after the end of a series, and at time steps that
            no series in `fit` has.
        """
        check_is_fitted(self)
        hidden = _check_hidden(hidden)
        n_timepoints, n_nodes = hidden.shape[1:]
        if n_nodes != self.n_features_in_:
            raise ValueError(
                f"hidden has {n_nodes} nodes; expected {self.n_features_in_}, as in fit."
            )
        if self.per_timepoint and n_timepoints > self.n_timepoints_:
            raise ValueError(
                f"hidden has {n_timepoints} time steps; expected at most {self.n_timepoints_}, as "
                "in fit. Fit to the longer panel, or use per_timepoint=False."
            )
        thresholds = self.thresholds_[:n_timepoints]
        states = np.zeros(hidden.shape, dtype=np.uint8)
        for cut in np.moveaxis(thresholds, -1, 0):
            states += hidden > cut
        states[np.isnan(hidden)] = NO_STATE
        unknown = np.isnan(thresholds).any(axis=(1, 2))  # time steps that no series in fit has
        states[:, np.broadcast_to(unknown, n_timepoints)] = NO_STATE
        return states

    def get_feature_names_out(self, input_features=None):
        """Return the names of the nodes.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
            "node0" and so on.
        """
        check_is_fitted(self)
        return np.array([f"node{node}" for node in range(self.n_features_in_)], dtype=object)

    def __sklearn_tags__(self):
        """Return tags for three-dimensional input that may contain NaN."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []  # states are uint8
        return tags


def _check_hidden(hidden):
    hidden = np.asarray(hidden)
    if hidden.ndim != 3 or 0 in hidden.shape or hidden.dtype.kind not in "fiu":
        raise ValueError(
            f"hidden has shape {hidden.shape} and dtype {hidden.dtype}; expected numbers of shape "
            "(n_instances, n_timepoints, n_nodes), as hidden_states(X) returns them."
        )
    if np.isinf(hidden).any():
        instance, timepoint, node = np.argwhere(np.isinf(hidden))[0]
        raise ValueError(
            f"hidden is infinite at instance {instance}, time step {timepoint}, node {node}; "
            "expected finite numbers, or NaN after the end of a series."
        )
    return hidden


def _thresholds(hidden, n_states, strategy):
    """Return thresholds of shape (n_timepoints, n_nodes, n_states - 1)."""
    n_timepoints, n_nodes = hidden.shape[1:]
    thresholds = np.full((n_timepoints, n_nodes, n_states - 1), np.nan, dtype=np.float64)
    present = ~np.isnan(hidden).all(axis=(0, 2))
    if strategy == "sign":
        thresholds[present] = 0.0
    if strategy in ("auto", "quantile"):
        for k in range(n_states - 1):
            thresholds[present, :, k] = _quantile_cuts(hidden[:, present], (k + 1) / n_states)
    if strategy in ("auto", "kmeans"):
        demanding = strategy == "auto"
        for timepoint in np.flatnonzero(present):
            values = np.sort(hidden[:, timepoint], axis=0).astype(np.float64)
            cuts = kmeans_cuts(values, n_states, demanding)
            clustered = ~np.isnan(cuts).any(axis=1)
            thresholds[timepoint, clustered] = cuts[clustered]
    return thresholds


def _quantile_cuts(hidden, level):
    """Return, for every time step and node, the cut with a fraction closest to `level` below it.

    Saturated nodes take one value very often. If that value is the quantile, all instances with
    this value go to the side that brings the fraction closer to `level`: a node that is 1.0 for
    most instances and -1.0 for the others has two states, not one.
    """
    hidden = hidden.astype(np.float64)
    cut = np.nanquantile(hidden, level, axis=0)
    n_present = (~np.isnan(hidden)).sum(axis=0)
    below, not_above = ((hidden < cut).sum(axis=0), (hidden <= cut).sum(axis=0)) / n_present
    cut_below_value = np.abs(below - level) < np.abs(not_above - level)
    return np.where(cut_below_value, np.nextafter(cut, -np.inf), cut)
