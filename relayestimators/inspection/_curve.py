"""What is left as more and more nodes are knocked out, in a given order."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._validation import check_integer, check_nodes, check_window
from ._ablation import Ablation, Knockout, of_analyzer


def knockout_curve(
    estimator,
    X,
    y,
    *,
    order,
    reverse=False,
    sizes=None,
    value="mean",
    start=0,
    stop=None,
    layer=None,
    state=None,
    scoring=None,
    concepts=None,
    n_random=20,
    n_draws=5,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Knock out more and more nodes in a given order, and as many at random.

    An order that removes first what the net relies on lets the curve fall early; the area under it
    then is small.

    Parameters
    ----------
    estimator : fitted classifier
        With ``unroll`` and ``knock_out``; it is not changed.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Data to measure on.
    y : array-like of shape (n_instances,)
        Labels.
    order : array-like of int, or object with ``ranking_``
        Nodes in the order of removal, all or some, each once. Or anything fitted that ranks nodes,
        1 being the first, as :class:`RelayAnalyzer` does.
    reverse : bool, default=False
        Remove from the end of the order.
    sizes : array-like of int, optional
        Numbers of nodes to remove; by default all from 0 on.
    value : {"mean", "zero", "resample", "noise"}, float or array-like, default="mean"
        What nodes are held at, as in :func:`knockout_importance`.
    start : int, default=0
        First time step of the window.
    stop : int or None, default=None
        One after its last time step; None is the end.
    layer : int or None, default=None
        Layer of the nodes; None is that of an analyzer given as order, or else the last.
    state : {"h", "c"} or None, default=None
        Hidden state, or memory cell of an LSTM; None is that of the analyzer, or else "h".
    scoring : str, callable or None, default=None
        Score as in scikit-learn; None is accuracy.
    concepts : {"ovr", "class"}, array-like of shape (n_classes, n_concepts) or None, default=None
        As in :class:`RelayAnalyzer`; None is the table of the analyzer, or else "ovr".
    n_random : int, default=20
        Random orders of all nodes.
    n_draws : int, default=5
        How often values are drawn if they are random; the curves are means.
    random_state : int, RandomState instance or None, default=None
        Draws orders and values.
    n_jobs : int, optional
        Joblib workers, threads unless another backend is configured.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        order : ndarray of int
            The order of removal.
        sizes : ndarray of shape (n_sizes,), int
            Numbers of nodes removed.
        score : ndarray of shape (n_sizes,)
            Score left.
        information : ndarray of shape (n_sizes, n_concepts)
            Bits of I(A;B) left.
        score_area : float
            Area under the score, over the share of removed nodes: a mean score.
        information_area : ndarray of shape (n_concepts,)
            Area under the information, bits.
        random_score : ndarray of shape (n_random, n_sizes)
            Score left under random orders: the band to compare with.
        random_information : ndarray of shape (n_random, n_sizes, n_concepts)
            Bits left under random orders.
        random_score_area : ndarray of shape (n_random,)
            Areas of the random orders.
        random_information_area : ndarray of shape (n_random, n_concepts)
            Areas of the random orders, bits.

    See Also
    --------
    compare_rankings : Many rankings, by concept and over time.
    KnockoutCurveDisplay : Draws the curves.

    References
    ----------
    .. [1] W. Samek et al. (2017). Evaluating the visualization of what a deep neural network has
       learned. IEEE Transactions on Neural Networks and Learning Systems 28, 2660-2673. The area
       over the perturbation curve, there of pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import GRUClassifier
    >>> from relayestimators.inspection import knockout_curve
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 1, 8))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = GRUClassifier(max_epochs=20, module__hidden_size=4, random_state=0).fit(X, y)
    >>> result = knockout_curve(net, X, y, order=[2, 0, 3, 1], n_random=3, random_state=0)
    >>> result.sizes, result.score.shape, result.random_information.shape
    (array([0, 1, 2, 3, 4]), (5,), (3, 5, 2))
    >>> bool(result.score[0] == net.score(X, y))
    True
    """
    check_integer(n_random, name="n_random", low=0)
    check_integer(n_draws, name="n_draws", low=1)
    rng = check_random_state(random_state)
    analyzer = order if hasattr(order, "relays") else None
    ablation = Ablation(
        estimator,
        X,
        y,
        **of_analyzer(analyzer, concepts, layer, state),
        scoring=scoring,
    )
    order = _order(order, ablation.n_nodes)[:: -1 if reverse else 1]
    sizes = _sizes(sizes, len(order))
    window = check_window(start, stop, ablation.n_timepoints)
    orders = [order, *(rng.permutation(ablation.n_nodes) for _ in range(n_random))]
    lost = ablation.measure(
        [Knockout(nodes[:size], *window) for nodes in orders for size in sizes],
        value=value,
        n_draws=n_draws,
        seed=rng.randint(2**31 - 1),
        n_jobs=n_jobs,
        verbose=verbose,
    ).over_draws()
    score = (ablation.intact.score[0] - lost.score).reshape(len(orders), -1)
    information = ablation.intact.information[0] - lost.information
    information = information.reshape(*score.shape, -1)
    share = sizes / len(order)
    return Bunch(
        order=order,
        sizes=sizes,
        score=score[0],
        information=information[0],
        score_area=float(_area(score[0], share)),
        information_area=_area(information[0].T, share),
        random_score=score[1:],
        random_information=information[1:],
        random_score_area=_area(score[1:], share),
        random_information_area=_area(information[1:].swapaxes(1, 2), share),
    )


def _order(order, n_nodes):
    """Return nodes in the order of removal."""
    if hasattr(order, "ranking_"):
        order = np.argsort(order.ranking_, kind="stable")
    order = check_nodes(order, n_nodes, name="order")
    if not len(order):
        raise ValueError("order names no nodes; expected at least one.")
    return order


def _sizes(sizes, n_ordered):
    """Return numbers of nodes to remove, from few to many."""
    if sizes is None:
        return np.arange(n_ordered + 1)
    sizes = np.unique(sizes)
    if sizes.dtype.kind not in "iu" or not sizes.size or sizes[0] < 0 or sizes[-1] > n_ordered:
        raise ValueError(
            f"sizes={sizes.tolist()}; expected whole numbers from 0 to {n_ordered}, the nodes that "
            "order names."
        )
    return sizes


def _area(values, share):
    """Return the mean height of curves over the share of nodes; of one point, its height."""
    if len(share) == 1:
        return values[..., 0]
    return np.trapezoid(values, share, axis=-1) / (share[-1] - share[0])
