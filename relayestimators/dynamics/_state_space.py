"""Trajectories in state space: principal components, attractors and end points.

All functions take arrays of hidden trajectories.
"""

import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.utils import Bunch

from .._docs import fill_docs
from .._validation import check_codes, check_integer, check_window
from ..panels._panel import check_panel, series_lengths
from ._localization import mean_of_known


@fill_docs
def trajectory_pca(hidden, y=None, *, n_components=3):
    """Project hidden trajectories onto their principal components.

    Parameters
    ----------
    %(hidden)s
    y : array-like of shape (n_instances,), default=None
        Labels. If given, the mean trajectory of every class is returned too.
    n_components : int, default=3
        Number of components, at most the number of nodes and the number of states.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        scores : ndarray of shape (n_instances, n_timepoints, n_components)
            Projected trajectories; NaN after the end of a series.
        components : ndarray of shape (n_components, n_nodes)
            Directions, of length 1.
        mean : ndarray of shape (n_nodes,)
            Origin of the projection: the mean state over instances and time steps.
        explained_variance_ratio : ndarray of shape (n_components,)
            Fraction of the variance of the states of all instances at all time steps.
        classes : ndarray of shape (n_classes,)
            Labels in sorted order; only if `y` is given.
        class_means : ndarray of shape (n_classes, n_timepoints, n_components)
            Mean over the instances of a class that have the time step, NaN if there are none; only
            if `y` is given.

    Raises
    ------
    TypeError
        If `n_components` is not an integer.
    ValueError
        If `hidden` has a wrong shape or NaN inside a series, `y` has another length, or
        `n_components` is out of range.

    See Also
    --------
    StateSpaceDisplay : Figure of projected trajectories.
    attractor_summary : Statistics of the trajectories in all dimensions.

    Notes
    -----
    All time steps share the same components, because trajectories need a common space. Every state
    counts once, so long series have a greater weight.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.dynamics import trajectory_pca
    >>> hidden = np.random.default_rng(0).normal(size=(20, 7, 5))
    >>> result = trajectory_pca(hidden, np.arange(20) % 2, n_components=2)
    >>> result.scores.shape, result.class_means.shape
    ((20, 7, 2), (2, 7, 2))
    """
    hidden = _check_hidden(hidden)
    present = ~np.isnan(hidden[:, :, 0])
    check_integer(
        n_components, name="n_components", low=1, high=min(present.sum(), hidden.shape[2])
    )
    pca = PCA(n_components, svd_solver="full").fit(hidden[present])
    scores = np.full((*present.shape, n_components), np.nan)
    scores[present] = pca.transform(hidden[present])
    result = Bunch(
        scores=scores,
        components=pca.components_,
        mean=pca.mean_,
        explained_variance_ratio=pca.explained_variance_ratio_,
    )
    if y is not None:
        codes = check_codes(y, name="y", n_instances=len(hidden))
        result.classes = np.unique(y)
        result.class_means = np.stack(
            [mean_of_known(scores[codes == code], axis=0) for code in range(len(result.classes))]
        )
    return result


@fill_docs
def attractor_summary(hidden, y, *, start=0, stop=None):
    r"""Measure whether the states of each class settle in an attractor of their own.

    Parameters
    ----------
    %(hidden)s
    y : array-like of shape (n_instances,)
        Labels, or values of a concept; at least two different ones.
    start : int, default=0
        First time step of the window to analyze, for example the start of a delay.
    stop : int or None, default=None
        One after the last time step of the window; None is the end of the series.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        timepoints : ndarray of shape (n_steps,)
            Time steps of the window. All arrays below have one value per time step.
        scale : float
            Root mean square distance of the states in the window from their mean. It is the unit
            of the distances below.
        speed : ndarray of shape (n_steps,)
            Mean distance to the state at the previous time step; NaN at time step 0.
        distance_to_end : ndarray of shape (n_steps,)
            Mean distance to the state at the last time step of the window.
        within : ndarray of shape (n_steps,)
            Root mean square distance to the mean of the class.
        contraction : ndarray of shape (n_steps,)
            `within` divided by its value at the first time step of the window. Below 1, the states
            of a class have moved closer together.
        separation : ndarray of shape (n_steps,)
            Fraction of the variance that is between classes, from 0 to 1. For random classes it is
            (n_classes - 1) / (n_instances - 1) on average.
        silhouette : ndarray of shape (n_steps,)
            Mean silhouette coefficient of the classes [1]_, from -1 to 1; NaN unless there are at
            least two classes, one of which has at least two instances.
        dimension : ndarray of shape (n_steps,)
            Effective number of dimensions, from 1 to n_nodes: the participation ratio
            :math:`(\sum_k \lambda_k)^2 / \sum_k \lambda_k^2` of the variances :math:`\lambda_k`
            along the principal components at this time step.
        n_instances : ndarray of shape (n_steps,)
            Number of instances that have the time step.

    Raises
    ------
    TypeError
        If `start` or `stop` is not an integer.
    ValueError
        If `hidden` has a wrong shape or NaN inside a series, `y` does not fit, or the window is out
        of range.

    See Also
    --------
    trajectory_pca : Projection of the trajectories for a figure.
    end_points : Groups of states at the end of a long run.

    Notes
    -----
    During a delay, fixed points that hold the class appear as a falling speed, a contraction below
    1 and a separation near 1. A line or plane of fixed points has a low speed without contraction.
    States that hold the class while they keep moving have a high separation and a lasting speed.
    Quantities are NaN where all states are the same.

    References
    ----------
    .. [1] P. J. Rousseeuw (1987). Silhouettes: a graphical aid to the interpretation and validation
       of cluster analysis. Journal of Computational and Applied Mathematics 20, 53-65.

    Examples
    --------
    The distance of the states to one of two points is halved at every time step:

    >>> import numpy as np
    >>> from relayestimators.dynamics import attractor_summary
    >>> rng, y = np.random.default_rng(0), np.arange(40) % 2
    >>> points, way = np.array([[-1.0, 0.0], [1.0, 0.0]]), rng.normal(size=(40, 1, 2))
    >>> hidden = points[y][:, None] + way * 0.5 ** np.arange(5)[:, None]
    >>> result = attractor_summary(hidden, y)
    >>> result.contraction
    array([1.    , 0.5   , 0.25  , 0.125 , 0.0625])
    >>> bool(result.separation[0] < 0.6), bool(result.separation[-1] > 0.99)
    (True, True)
    """
    hidden = _check_hidden(hidden)
    codes = check_codes(y, name="y", n_instances=len(hidden))
    if codes.max() < 1:
        raise ValueError("y has one class; expected at least two.")
    start, stop = check_window(start, stop, hidden.shape[1])
    window = hidden[:, start:stop]
    scale = _spread(window.reshape(-1, window.shape[2]))
    unit = scale if scale > 0 else np.nan
    before = np.full_like(window, np.nan)
    first = int(start == 0)  # time step 0 has no previous state
    before[:, first:] = hidden[:, start + first - 1 : stop - 1]
    steps = [_step_statistics(states, codes) for states in window.transpose(1, 0, 2)]
    within, separation, silhouette, dimension = np.array(steps).T
    return Bunch(
        timepoints=np.arange(start, stop),
        scale=scale,
        speed=_mean_distance(window, before) / unit,
        distance_to_end=_mean_distance(window, window[:, -1:]) / unit,
        within=within / unit,
        contraction=within / (within[0] if within[0] > 0 else np.nan),
        separation=separation,
        silhouette=silhouette,
        dimension=dimension,
        n_instances=(~np.isnan(window[:, :, 0])).sum(axis=0),
    )


def silent_panel(X, start, n_steps, *, value=0.0):
    """Return a panel that continues with a constant input from a time step on.

    With this input, the states of a network go where its own dynamics take them.

    Parameters
    ----------
    X : array-like of shape (n_instances, n_channels, n_timepoints)
        Panel. Series that end before `start` continue from their own ends.
    start : int
        First time step of the constant input.
    n_steps : int
        Number of time steps with the constant input.
    value : float or array-like of shape (n_channels,), default=0.0
        The constant input, which is the same for all channels or has one value for each.

    Returns
    -------
    ndarray of shape (n_instances, n_channels, start + n_steps), float32
        NaN at the end of series that ended before `start`.

    Raises
    ------
    TypeError
        If `start` or `n_steps` is not an integer.
    ValueError
        If `X` is not a panel, or another argument is out of range.

    See Also
    --------
    end_points : Groups of states at the end of such a run.

    Examples
    --------
    >>> from relayestimators.dynamics import silent_panel
    >>> silent_panel([[[1.0, 2.0, 3.0, 4.0]]], start=2, n_steps=3)
    array([[[1., 2., 0., 0., 0.]]], dtype=float32)
    """
    X = check_panel(X)
    check_integer(start, name="start", low=0, high=X.shape[2])
    check_integer(n_steps, name="n_steps", low=1)
    values = np.asarray(value, dtype=np.float32)
    if values.shape not in ((), (X.shape[1],)) or not np.isfinite(values).all():
        raise ValueError(
            f"value={value!r}; expected a finite number, or one for each of the {X.shape[1]} "
            "channels."
        )
    values = np.broadcast_to(values, X.shape[1])
    panel = np.full((*X.shape[:2], start + n_steps), np.nan, dtype=np.float32)
    panel[:, :, :start] = X[:, :, :start]
    for series, end in zip(panel, np.minimum(series_lengths(X), start), strict=True):
        series[:, end : end + n_steps] = values[:, None]
    return panel


def end_points(hidden, *, tolerance=0.05):
    """Group the last states of long runs to find the fixed points and cycles of a network.

    Parameters
    ----------
    hidden : array-like of shape (n_instances, n_timepoints, n_nodes)
        Hidden trajectories under a constant input, long enough to settle. Every series has at least
        two time steps; NaN after the end of shorter series.
    tolerance : float, default=0.05
        Last states at a distance of at most `tolerance` times the scale belong to the same group,
        also if they are connected by other last states in between. The scale is the root mean
        square distance of all states from their mean.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        points : ndarray of shape (n_points, n_nodes)
            Mean of the last states of each group, the largest group first.
        point_of : ndarray of shape (n_instances,), int
            Group of every instance.
        n_instances : ndarray of shape (n_points,), int
            Number of instances in each group.
        radius : ndarray of shape (n_points,)
            Largest distance of a last state from the mean of its group, in units of the scale. If
            it exceeds `tolerance`, the group is a chain, such as a line of fixed points.
        speed : ndarray of shape (n_instances,)
            Distance that the state moves in the last time step, in units of the scale; 0 at a fixed
            point.
        period : ndarray of shape (n_instances,), int
            Number of time steps since the trajectory was last within `tolerance` of its last
            state: 1 at a fixed point, more on a cycle, 0 if it was not there in the second half of
            the run.
        scale : float
            Unit of distance.

    Raises
    ------
    ValueError
        If `hidden` has a wrong shape, NaN inside a series or a series of one time step, or
        `tolerance` is not positive.

    See Also
    --------
    silent_panel : Input for such a run.
    attractor_summary : Statistics of the states before the end.

    Notes
    -----
    Running the network forward finds attractors. It does not find unstable fixed points; a search
    for slow points does [1]_. A cycle contributes the states in which it is at the last time step.

    References
    ----------
    .. [1] D. Sussillo, O. Barak (2013). Opening the black box: low-dimensional dynamics in
       high-dimensional recurrent neural networks. Neural Computation 25(3), 626-649.

    Examples
    --------
    >>> from relayestimators import RNNClassifier
    >>> from relayestimators.datasets import make_memory_task
    >>> from relayestimators.dynamics import end_points, silent_panel
    >>> task = make_memory_task(40, n_bits=1, delay=3, random_state=0)
    >>> net = RNNClassifier(module__hidden_size=4, max_epochs=3, random_state=0)
    >>> net.fit(task.data, task.target).initialized_
    True
    >>> silent = silent_panel(task.data, start=task.delay[0], n_steps=200)
    >>> result = end_points(net.hidden_states(silent))
    >>> result.point_of.shape, bool(result.n_instances.sum() == 40)
    ((40,), True)
    """
    hidden = _check_hidden(hidden)
    if not tolerance > 0:
        raise ValueError(f"tolerance={tolerance!r}; expected a number > 0.")
    last = (~np.isnan(hidden[:, :, 0])).sum(axis=1) - 1
    if (last < 1).any():
        raise ValueError(
            f"hidden has one time step in instance {int(np.argmin(last))}; expected at least two."
        )
    rows = np.arange(len(hidden))
    ends = hidden[rows, last]
    scale = _spread(hidden.reshape(-1, hidden.shape[2]))
    unit = scale if scale > 0 else 1.0
    groups = DBSCAN(eps=tolerance * unit, min_samples=1).fit_predict(ends)
    order = np.argsort(-np.bincount(groups), kind="stable")
    point_of = np.argsort(order)[groups]
    points = np.stack([ends[point_of == k].mean(axis=0) for k in range(len(order))])
    distance = np.linalg.norm(ends - points[point_of], axis=1) / unit
    return Bunch(
        points=points,
        point_of=point_of,
        n_instances=np.bincount(point_of),
        radius=np.array([distance[point_of == k].max() for k in range(len(order))]),
        speed=np.linalg.norm(ends - hidden[rows, last - 1], axis=1) / unit,
        period=_period(hidden, last, tolerance * unit),
        scale=scale,
    )


def _period(hidden, last, radius):
    """Return how many time steps ago each trajectory was at its last state; 0 if it never was."""
    period, rows = np.zeros(len(hidden), dtype=int), np.arange(len(hidden))
    for n_back in range(1, int(last.max() + 1) // 2 + 1):
        earlier = hidden[rows, np.maximum(last - n_back, 0)]
        distance = np.linalg.norm(hidden[rows, last] - earlier, axis=1)
        found = (distance <= radius) & (n_back <= (last + 1) // 2) & (period == 0)
        period[found] = n_back
    return period


def _check_hidden(hidden):
    """Return checked trajectories as float64."""
    hidden = np.asarray(hidden, dtype=float)
    if hidden.ndim != 3 or 0 in hidden.shape:
        raise ValueError(
            f"hidden has shape {hidden.shape}; expected (n_instances, n_timepoints, n_nodes), "
            "without empty axes."
        )
    present = np.isfinite(hidden).all(axis=2)
    if np.isinf(hidden).any() or (present != ~np.isnan(hidden).all(axis=2)).any():
        raise ValueError(
            "hidden contains infinity, or NaN in some nodes only; expected finite numbers, or NaN "
            "in all nodes after the end of a series."
        )
    if not present[:, 0].all() or (~present[:, :-1] & present[:, 1:]).any():
        raise ValueError("hidden contains NaN inside a series; expected NaN only after its end.")
    return hidden


def _spread(states):
    """Return the root mean square distance of states from their mean."""
    states = states[~np.isnan(states[:, 0])]
    squares = ((states - states.mean(axis=0)) ** 2).sum()
    return float(np.sqrt(squares / len(states))) if squares > _rounding(states) else 0.0


def _rounding(states):
    """Return the sum of squared deviations that equal states may have because of rounding."""
    return 1e-28 * (states**2).sum()


def _mean_distance(first, second):
    return mean_of_known(np.linalg.norm(first - second, axis=2), axis=0)


def _step_statistics(states, codes):
    """Return the distance within classes, separation, silhouette and dimension at a time step."""
    present = ~np.isnan(states[:, 0])
    states, codes = states[present], codes[present]
    if not len(states):
        return np.full(4, np.nan)
    centered = states - states.mean(axis=0)
    codes = np.unique(codes, return_inverse=True)[1]
    counts = np.bincount(codes)
    means = np.stack([centered[codes == k].mean(axis=0) for k in range(len(counts))])
    total = (centered**2).sum()
    inside = ((centered - means[codes]) ** 2).sum()
    if total <= _rounding(states):
        return 0.0, np.nan, np.nan, np.nan
    silhouette = np.nan
    if 2 <= len(counts) < len(states):
        silhouette = silhouette_score(states, codes)
    products = centered @ centered.T if len(centered) < centered.shape[1] else centered.T @ centered
    dimension = total**2 / (products**2).sum()
    return np.sqrt(inside / len(states)), 1 - inside / total, silhouette, dimension
