"""Score and information left as more and more nodes are knocked out in a given order."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._validation import check_integer, check_nodes, check_window
from ._ablation import Ablation, Knockout, of_analyzer


@fill_docs
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
    r"""Knock out more and more nodes in a given order, and in random orders.

    If the order begins with the nodes that the network needs most, the curve falls early and the
    area under it is small.

    Parameters
    ----------
    %(estimator)s
    %(X)s Data to measure on
    %(y)s
    order : array-like of int, or object with ``ranking_``
        Nodes in the order of removal, each at most once; or a fitted object that ranks nodes, such
        as :class:`RelayAnalyzer`, whose node of rank 1 is removed first.
    reverse : bool, default=False
        Whether to remove nodes from the end of the order.
    sizes : array-like of int, optional
        Numbers of nodes to remove; by default 0, 1, ..., all.
    %(value)s
    %(start)s
    %(stop)s
    %(layer_of_analyzer)s
    %(state_of_analyzer)s
    %(scoring)s
    %(concepts_of_analyzer)s
    n_random : int, default=20
        Number of random orders of all nodes.
    %(n_draws)s
    %(random_state)s the random orders and of drawn values
    %(n_jobs_threads)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        order : ndarray of int
            Nodes in the order of removal.
        sizes : ndarray of shape (n_sizes,), int
            Numbers of nodes removed.
        score : ndarray of shape (n_sizes,)
            Score left.
        information : ndarray of shape (n_sizes, n_concepts)
            Bits of I(A;B) left.
        score_area : float
            Area under the score over the fraction of removed nodes; see Notes.
        information_area : ndarray of shape (n_concepts,)
            Area under the information in bits.
        random_score : ndarray of shape (n_random, n_sizes)
            Score left under random orders, to compare with.
        random_information : ndarray of shape (n_random, n_sizes, n_concepts)
            Bits left under random orders.
        random_score_area : ndarray of shape (n_random,)
            Areas of the random orders.
        random_information_area : ndarray of shape (n_random, n_concepts)
            Areas of the random orders in bits.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed.

    See Also
    --------
    compare_rankings : Compares many rankings, by concept and over time.
    relayestimators.displays.KnockoutCurveDisplay : Draws the curves.

    Notes
    -----
    The area under a curve v over the fraction f of removed nodes, from the smallest to the largest
    of `sizes`, is its mean height,

    .. math:: \frac{1}{f_\max - f_\min} \int_{f_\min}^{f_\max} v(f) \, df ,

    by the trapezoidal rule. It has the unit of v.

    References
    ----------
    .. [1] W. Samek et al. (2017). Evaluating the visualization of what a deep neural network has
       learned. IEEE Transactions on Neural Networks and Learning Systems 28, 2660-2673. It defines
       the area over the perturbation curve, for pixels.

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
    fraction = sizes / len(order)
    return Bunch(
        order=order,
        sizes=sizes,
        score=score[0],
        information=information[0],
        score_area=float(_area(score[0], fraction)),
        information_area=_area(information[0].T, fraction),
        random_score=score[1:],
        random_information=information[1:],
        random_score_area=_area(score[1:], fraction),
        random_information_area=_area(information[1:].swapaxes(1, 2), fraction),
    )


def _order(order, n_nodes):
    """Return nodes in the order of removal."""
    if hasattr(order, "ranking_"):
        order = np.argsort(order.ranking_, kind="stable")
    order = check_nodes(order, n_nodes, name="order")
    if not len(order):
        raise ValueError("order is empty; expected at least one node.")
    return order


def _sizes(sizes, n_ordered):
    """Return the numbers of nodes to remove in increasing order."""
    if sizes is None:
        return np.arange(n_ordered + 1)
    sizes = np.unique(sizes)
    if sizes.dtype.kind not in "iu" or not sizes.size or sizes[0] < 0 or sizes[-1] > n_ordered:
        raise ValueError(
            f"sizes={sizes.tolist()}; expected integers from 0 to {n_ordered}, the number of nodes "
            "in order."
        )
    return sizes


def _area(values, fraction):
    """Return the mean height of curves over the fraction of removed nodes."""
    if len(fraction) == 1:
        return values[..., 0]
    return np.trapezoid(values, fraction, axis=-1) / (fraction[-1] - fraction[0])
