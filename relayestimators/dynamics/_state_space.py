"""Trajectories in state space: principal components, and whether states settle in attractors.

Floor 1: numpy, scikit-learn and the floors below. Pure functions on hidden trajectories.
"""

import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.utils import Bunch

from .._validation import check_codes, check_integer, check_window
from ..panels._panel import check_panel, series_lengths


def trajectory_pca(hidden, y=None, *, n_components=3):
    """Project hidden trajectories on their principal components.

    Parameters
    ----------
    hidden : array-like of shape (n_instances, n_timepoints, n_nodes)
        Hidden trajectories; NaN after the end of shorter series.
    y : array-like of shape (n_instances,), optional
        Labels, to get the mean trajectory of every class.
    n_components : int, default=3
        How many components, at most the number of nodes and of states.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        scores : ndarray of shape (n_instances, n_timepoints, n_components)
            The trajectories; NaN where a series has ended.
        components : ndarray of shape (n_components, n_nodes)
            Directions, of length 1.
        mean : ndarray of shape (n_nodes,)
            The origin: the mean over instances and time steps.
        explained_variance_ratio : ndarray of shape (n_components,)
            Share of the variance of the states, of all instances at all time steps.
        classes : ndarray of shape (n_classes,)
            With `y`: the labels.
        class_means : ndarray of shape (n_classes, n_timepoints, n_components)
            With `y`: mean over the instances that have the time step; NaN if none has.

    See Also
    --------
    StateSpaceDisplay : Draws them.
    attractor_summary : In numbers, and in all dimensions.

    Notes
    -----
    One set of components for all time steps, as trajectories need a common space. Every state
    counts once, so long series count more.

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
            [_mean(scores[codes == code]) for code in range(len(result.classes))]
        )
    return result


def attractor_summary(hidden, y, *, start=0, stop=None):
    """Say in numbers whether states of a class settle in a place of their own.

    Parameters
    ----------
    hidden : array-like of shape (n_instances, n_timepoints, n_nodes)
        Hidden trajectories; NaN after the end of shorter series.
    y : array-like of shape (n_instances,)
        Labels, or the values of a concept; two of them at least.
    start, stop : int
        Half-open window of time steps, such as a delay; to the end by default.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        timepoints : ndarray of shape (n_steps,)
            The time steps of the window, all other arrays are along them.
        scale : float
            Root mean square distance of the states in the window from their mean: the unit of
            distance below.
        speed : ndarray
            Mean distance from the state one time step before; NaN at time step 0.
        distance_to_end : ndarray
            Mean distance to the state at the last time step of the window.
        within : ndarray
            Root mean square distance from the mean of the class at this time step.
        contraction : ndarray
            `within`, over what it is at the first time step of the window: below 1, states of a
            class have come together.
        separation : ndarray
            Share of the variance at this time step that is between the classes, 0 to 1. Of
            classes at random it is (n_classes - 1) / (n_instances - 1) on average.
        silhouette : ndarray
            Mean silhouette coefficient of the classes, -1 to 1 [1]_. NaN unless there are two
            classes at least, and one of them has two instances.
        dimension : ndarray
            Participation ratio of the variances along the principal components at this time
            step: effective number of dimensions, 1 to n_nodes.
        n_instances : ndarray
            Instances that have the time step.

    See Also
    --------
    trajectory_pca : Something to look at.
    end_points : Where states go in the end.

    Notes
    -----
    In a delay, fixed points that hold the class show as a falling speed, contraction below 1, and
    separation near 1. A line or plane of fixed points has low speed without contraction. States
    that hold the class on a way that goes on have high separation with lasting speed. Where all
    states are the same there is no unit, and NaN.

    References
    ----------
    .. [1] P. J. Rousseeuw (1987). Silhouettes: a graphical aid to the interpretation and validation
       of cluster analysis. Journal of Computational and Applied Mathematics 20, 53-65.

    Examples
    --------
    States that come closer to one of two points, by half at every time step:

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
        raise ValueError("y has one class; expected two at least.")
    start, stop = check_window(start, stop, hidden.shape[1])
    window = hidden[:, start:stop]
    scale = _spread(window.reshape(-1, window.shape[2]))
    unit = scale if scale > 0 else np.nan
    before = np.full_like(window, np.nan)
    first = int(start == 0)  # before which there is none
    before[:, first:] = hidden[:, start + first - 1 : stop - 1]
    steps = [_at_one_step(states, codes) for states in window.transpose(1, 0, 2)]
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
    """Return a panel that goes on with a constant input, to see where states go.

    Parameters
    ----------
    X : array-like of shape (n_instances, n_channels, n_timepoints)
        Panel; series that end before `start` go on from their own ends.
    start : int
        First time step of the constant input.
    n_steps : int
        How many time steps it lasts.
    value : float or array-like of shape (n_channels,), default=0.0
        The input.

    Returns
    -------
    ndarray of shape (n_instances, n_channels, start + n_steps), float32
        NaN after the end of series that ended before `start`.

    See Also
    --------
    end_points : Where states are in the end.

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
            f"value={value!r}; expected a finite number, or one for each of {X.shape[1]} channels."
        )
    values = np.broadcast_to(values, X.shape[1])
    panel = np.full((*X.shape[:2], start + n_steps), np.nan, dtype=np.float32)
    panel[:, :, :start] = X[:, :, :start]
    for series, end in zip(panel, np.minimum(series_lengths(X), start), strict=True):
        series[:, end : end + n_steps] = values[:, None]
    return panel


def end_points(hidden, *, tolerance=0.05):
    """Group the last states of a long silent run: fixed points and cycles the network ends in.

    Parameters
    ----------
    hidden : array-like of shape (n_instances, n_timepoints, n_nodes)
        Hidden trajectories under a constant input, long enough to settle; at least two time steps
        each, NaN after the end of shorter series.
    tolerance : float, default=0.05
        Last states closer than this share of the scale are one point, also by way of others in
        between. The scale is the root mean square distance of all states from their mean.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        points : ndarray of shape (n_points, n_nodes)
            Mean of the last states of each group, the largest group first.
        point_of : ndarray of shape (n_instances,), int
            The group of every instance.
        n_instances : ndarray of shape (n_points,), int
            Size of the groups.
        radius : ndarray of shape (n_points,)
            Largest distance from the mean, in units of the scale: a group longer than `tolerance`
            is a chain, such as a line of fixed points.
        speed : ndarray of shape (n_instances,)
            Distance of the last time step, in units of the scale. A fixed point has 0.
        period : ndarray of shape (n_instances,), int
            Time steps since the trajectory was last where it ends, within `tolerance`: 1 at a fixed
            point, more on a cycle, 0 if it was not there in the second half of the run.
        scale : float
            The unit.

    See Also
    --------
    silent_panel : The input for such a run.
    attractor_summary : What happens before.

    Notes
    -----
    Running the network forward finds what attracts. It does not find unstable fixed points, which a
    search for slow points does [1]_. On a cycle the points are where it is at the last time step.

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
        raise ValueError(f"tolerance={tolerance!r}; expected a number above 0.")
    last = (~np.isnan(hidden[:, :, 0])).sum(axis=1) - 1
    if (last < 1).any():
        raise ValueError(
            f"hidden: instance {int(np.argmin(last))} has one time step; expected two at least."
        )
    rows = np.arange(len(hidden))
    ends = hidden[rows, last]
    scale = _spread(hidden.reshape(-1, hidden.shape[2]))
    unit = scale if scale > 0 else 1.0
    groups = DBSCAN(eps=tolerance * unit, min_samples=1).fit_predict(ends)
    order = np.argsort(-np.bincount(groups), kind="stable")
    point_of = np.argsort(order)[groups]
    points = np.stack([ends[point_of == k].mean(axis=0) for k in range(len(order))])
    away = np.linalg.norm(ends - points[point_of], axis=1) / unit
    return Bunch(
        points=points,
        point_of=point_of,
        n_instances=np.bincount(point_of),
        radius=np.array([away[point_of == k].max() for k in range(len(order))]),
        speed=np.linalg.norm(ends - hidden[rows, last - 1], axis=1) / unit,
        period=_period(hidden, last, tolerance * unit),
        scale=scale,
    )


def _period(hidden, last, radius):
    """Return how many time steps ago each trajectory was where it is in the end; 0 for never."""
    period, rows = np.zeros(len(hidden), dtype=int), np.arange(len(hidden))
    for back in range(1, int(last.max() + 1) // 2 + 1):
        away = np.linalg.norm(hidden[rows, last] - hidden[rows, np.maximum(last - back, 0)], axis=1)
        found = (away <= radius) & (back <= (last + 1) // 2) & (period == 0)
        period[found] = back
    return period


def _check_hidden(hidden):
    """Return trajectories as float64, or say where they are broken."""
    hidden = np.asarray(hidden, dtype=float)
    if hidden.ndim != 3 or 0 in hidden.shape:
        raise ValueError(
            f"hidden has shape {hidden.shape}; expected (n_instances, n_timepoints, n_nodes), none "
            "of them 0."
        )
    present = np.isfinite(hidden).all(axis=2)
    if np.isinf(hidden).any() or (present != ~np.isnan(hidden).all(axis=2)).any():
        raise ValueError("hidden contains infinity, or NaN in some nodes only.")
    if not present[:, 0].all() or (~present[:, :-1] & present[:, 1:]).any():
        raise ValueError("hidden contains NaN inside a series; expected NaN after its end only.")
    return hidden


def _spread(states):
    """Return the root mean square distance of states from their mean."""
    states = states[~np.isnan(states[:, 0])]
    squares = ((states - states.mean(axis=0)) ** 2).sum()
    return float(np.sqrt(squares / len(states))) if squares > _rounding(states) else 0.0


def _rounding(states):
    """Return the sum of squares that equal states may have from their mean by rounding."""
    return 1e-28 * (states**2).sum()


def _mean(values):
    """Return the mean over instances, NaN without a warning where there is none."""
    known = ~np.isnan(values)
    n_known = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.divide(total, n_known, out=np.full_like(total, np.nan), where=n_known > 0)


def _mean_distance(first, second):
    return _mean(np.linalg.norm(first - second, axis=2))


def _at_one_step(states, codes):
    """Return the distance within classes, separation, silhouette and dimension."""
    present = ~np.isnan(states[:, 0])
    states, codes = states[present], codes[present]
    if not len(states):
        return np.full(4, np.nan)
    centred = states - states.mean(axis=0)
    codes = np.unique(codes, return_inverse=True)[1]
    counts = np.bincount(codes)
    means = np.stack([centred[codes == k].mean(axis=0) for k in range(len(counts))])
    total = (centred**2).sum()
    inside = ((centred - means[codes]) ** 2).sum()
    if total <= _rounding(states):
        return 0.0, np.nan, np.nan, np.nan
    silhouette = np.nan
    if 2 <= len(counts) < len(states):
        silhouette = silhouette_score(states, codes)
    products = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    dimension = total**2 / (products**2).sum()
    return np.sqrt(inside / len(states)), 1 - inside / total, silhouette, dimension
