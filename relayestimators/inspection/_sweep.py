"""Where and when nodes are needed: single-node knockouts at every time step."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._validation import check_integer, check_nodes, check_timepoints
from ._ablation import Ablation, Knockout


def knockout_sweep(
    estimator,
    X,
    y,
    *,
    nodes=None,
    timepoints=None,
    width=None,
    value="mean",
    layer=-1,
    state="h",
    scoring=None,
    concepts="ovr",
    n_draws=5,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Map the causal use of nodes over time, in the shape of a relay map.

    Every node is knocked out on its own, from every time step on or during a window that begins
    there. Put beside ``RelayAnalyzer.relay_map_`` the result shows which of the nodes that could
    relay a concept the net relies on.

    Parameters
    ----------
    estimator : fitted classifier
        With ``unroll`` and ``knock_out``; it is not changed.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Data to measure on.
    y : array-like of shape (n_instances,)
        Labels.
    nodes : None, int or array-like of int, default=None
        Nodes; None is all.
    timepoints : None, int or array-like of int, default=None
        Time steps at which windows begin; negative ones count from the end. None is all.
    width : int or None, default=None
        Time steps in the window; None is up to the end.
    value : {"mean", "zero", "resample", "noise"}, float or array-like, default="mean"
        What nodes are held at, as in :func:`knockout_importance`.
    layer : int, default=-1
        Layer of the nodes.
    state : {"h", "c"}, default="h"
        Hidden state, or memory cell of an LSTM.
    scoring : str, callable or None, default=None
        Score as in scikit-learn; None is accuracy.
    concepts : {"ovr", "class"} or array-like of shape (n_classes, n_concepts), default="ovr"
        As in :class:`RelayAnalyzer`.
    n_draws : int, default=5
        How often values are drawn if they are random; losses are means.
    random_state : int, RandomState instance or None, default=None
        Draws values.
    n_jobs : int, optional
        Joblib workers, threads unless another backend is configured.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        loss : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Bits of I(A;B) lost.
        effect : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Mean absolute change of the log-odds of the concept value the intact net predicts, in
            bits. A single node rarely changes a prediction, so this is the sharper map.
        score_loss : ndarray of shape (n_timepoints, n_nodes)
            Score lost.
        information : ndarray of shape (n_concepts,)
            Bits of I(A;B) of the intact net.
        score : float
            Of the intact net.
        nodes : ndarray of shape (n_nodes,), int
            The nodes.
        timepoints : ndarray of shape (n_timepoints,), int
            The time steps.

    See Also
    --------
    RelayAnalyzer : The relay map.
    RelayMapDisplay : Draws such maps.

    Notes
    -----
    With ``width=None`` runs share the intact run up to where they begin, so that a sweep over all
    T time steps costs about as much as T / 2 knockouts of the whole series.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RNNClassifier
    >>> from relayestimators.inspection import knockout_sweep
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1, 6))
    >>> y = np.where(X[:, 0, 2] > 0, "up", "down")  # decided at time step 2
    >>> net = RNNClassifier(max_epochs=10, module__hidden_size=8, random_state=0).fit(X, y)
    >>> sweep = knockout_sweep(net, X, y, width=1)
    >>> sweep.loss.shape
    (2, 6, 8)
    >>> before, after = sweep.effect[0, 1].max(), sweep.effect[0, 2].max()
    >>> bool(before < after)
    True
    """
    check_integer(n_draws, name="n_draws", low=1)
    rng = check_random_state(random_state)
    ablation = Ablation(
        estimator, X, y, concepts=concepts, layer=layer, state=state, scoring=scoring
    )
    nodes = check_nodes(range(ablation.n_nodes) if nodes is None else nodes, ablation.n_nodes)
    timepoints = check_timepoints(timepoints, ablation.n_timepoints)
    stops = window_ends(timepoints, width, ablation.n_timepoints)
    lost = ablation.measure(
        [
            Knockout(nodes[i : i + 1], int(start), stop)
            for start, stop in zip(timepoints, stops, strict=True)
            for i in range(len(nodes))
        ],
        value=value,
        n_draws=n_draws,
        seed=rng.randint(2**31 - 1),
        n_jobs=n_jobs,
        verbose=verbose,
    ).over_draws()
    shape = len(timepoints), len(nodes)
    return Bunch(
        loss=np.moveaxis(lost.information.reshape(*shape, -1), -1, 0),
        effect=np.moveaxis(lost.effect.reshape(*shape, -1), -1, 0),
        score_loss=lost.score.reshape(shape),
        information=ablation.intact.information[0, 0],
        score=float(ablation.intact.score[0, 0]),
        nodes=nodes,
        timepoints=timepoints,
    )


def window_ends(timepoints, width, n_timepoints):
    """Return one after the last step of windows that begin at some time steps.

    Parameters
    ----------
    timepoints : ndarray of shape (n_windows,)
    width : int or None
        Steps in the window; None is up to the end.
    n_timepoints : int

    Returns
    -------
    list of int
    """
    if width is None:
        return [n_timepoints] * len(timepoints)
    check_integer(width, name="width", low=1)
    return np.minimum(timepoints + width, n_timepoints).tolist()
