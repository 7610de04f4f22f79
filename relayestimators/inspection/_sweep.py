"""Single-node knockouts at every time step, which show where and when nodes are needed."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._validation import check_integer, check_nodes, check_timepoints
from ._ablation import Ablation, Knockout


@fill_docs
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
    """Knock out every node at every time step, and return the losses as a map.

    Every node is knocked out on its own, from every time step on or in a window that starts there.
    The result has the shape of ``RelayAnalyzer.relay_map_``. Compared with it, it shows which of
    the nodes that know a concept the network needs.

    Parameters
    ----------
    %(estimator)s
    %(X)s Data to measure on
    %(y)s
    nodes : None, int or array-like of int, default=None
        Nodes to knock out. None takes all nodes.
    timepoints : None, int or array-like of int, default=None
        Time steps at which windows start; negative numbers count from the end. None takes all.
    width : int or None, default=None
        Number of time steps in the window; None extends it to the end of the series.
    %(value)s
    %(layer)s
    %(state)s
    %(scoring)s
    %(concepts)s
    %(n_draws)s
    %(random_state)s drawn values
    %(n_jobs_threads)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        loss : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Bits of I(A;B) lost.
        effect : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Mean absolute change of the log-odds of the concept value that the intact network
            predicts, in bits. A single node rarely changes a prediction, so this map is more
            sensitive.
        score_loss : ndarray of shape (n_timepoints, n_nodes)
            Score lost.
        information : ndarray of shape (n_concepts,)
            I(A;B) of the intact network in bits.
        score : float
            Score of the intact network.
        nodes : ndarray of shape (n_nodes,), int
            Nodes that were knocked out.
        timepoints : ndarray of shape (n_timepoints,), int
            Time steps at which windows start.

    See Also
    --------
    relayestimators.RelayAnalyzer : Estimates relay maps.
    relayestimators.displays.RelayMapDisplay : Draws such maps.

    Notes
    -----
    With ``width=None`` all runs share the intact run up to the start of their windows, so a sweep
    over all T time steps costs about as much as T / 2 knockouts of the whole series.

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
    """Return one after the last time step of windows that start at given time steps.

    Parameters
    ----------
    timepoints : ndarray of shape (n_windows,)
    width : int or None
        Number of time steps in the window; None extends it to the end.
    n_timepoints : int

    Returns
    -------
    list of int
    """
    if width is None:
        return [n_timepoints] * len(timepoints)
    check_integer(width, name="width", low=1)
    return np.minimum(timepoints + width, n_timepoints).tolist()
