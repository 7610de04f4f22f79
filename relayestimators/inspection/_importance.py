"""Importance of single nodes, groups and pairs, by knockouts."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._validation import check_integer, check_nodes, check_sets, check_window
from ._ablation import Ablation, Knockout


@fill_docs
def knockout_importance(
    estimator,
    X,
    y,
    *,
    nodes=None,
    groups=None,
    pairs=None,
    value="mean",
    start=0,
    stop=None,
    layer=-1,
    state="h",
    scoring=None,
    concepts="ovr",
    n_repeats=10,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    r"""Measure the score and the information that are lost without nodes, groups or pairs.

    This is the counterpart for hidden nodes of scikit-learn's permutation importance of features.

    Parameters
    ----------
    %(estimator)s
    %(X)s Data to measure on
    %(y)s
    nodes : None, int or array-like of int, default=None
        Nodes that are knocked out one at a time. None takes all nodes, unless groups or pairs are
        given.
    groups : list of array-like of int, optional
        Sets of nodes; each is knocked out as a whole, instead of single nodes.
    pairs : True or array-like of shape (n_pairs, 2), optional
        Pairs of nodes that are knocked out instead, and, for comparison, their members. True takes
        all pairs of `nodes`.
    %(value)s
    %(start)s
    %(stop)s
    %(layer)s
    %(state)s
    %(scoring)s
    %(concepts)s
    n_repeats : int, default=10
        Number of random halves of the instances, at least 2, on which the losses are measured
        again; and number of draws if values are random.
    %(random_state)s the random halves and of drawn values
    %(n_jobs_threads)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        sets : list of ndarray of int
            The sets of nodes that were knocked out, in the order of the axis n_sets below.
        score : float
            Score of the intact network.
        information : ndarray of shape (n_concepts,)
            I(A;B) of the intact network in bits.
        importances_mean : ndarray of shape (n_sets,)
            Score lost on all instances; mean over draws if values are random.
        importances_std : ndarray of shape (n_sets,)
            Standard error over instances and draws; see Notes.
        importances : ndarray of shape (n_sets, n_repeats)
            Score lost in every repeat.
        loss : ndarray of shape (n_sets, n_concepts)
            Bits of I(A;B) lost on all instances.
        loss_std : ndarray of shape (n_sets, n_concepts)
            Standard error.
        losses : ndarray of shape (n_sets, n_repeats, n_concepts)
            Bits lost in every repeat.
        effect : ndarray of shape (n_sets, n_concepts)
            Mean absolute change of the log-odds of the concept value that the intact network
            predicts, in bits. It also shows effects that change no prediction.
        interaction : ndarray of shape (n_pairs, n_concepts)
            With `pairs`: bits lost by the pair beyond the sum of the losses of its members; see
            Notes. If it is positive, the two nodes can replace each other.

    Raises
    ------
    ValueError
        If `groups` is given together with `nodes` or `pairs`, or an argument is not allowed.

    See Also
    --------
    knockout_specificity : Losses of the own concept, of other concepts, and by random sets.
    knockout_sweep : Losses by single nodes over time.
    sklearn.inspection.permutation_importance : The same for features.

    Notes
    -----
    The standard error is

    .. math:: \sqrt{\sigma_\mathrm{half}^2 + \sigma_\mathrm{draw}^2 / n_\mathrm{draws}} .

    The first term is the variance over the random halves, which vary about the whole sample as much
    as the whole sample varies about the truth. The second term, with values that are random only,
    is that of the mean over draws.

    The interaction of nodes i and j is the difference of losses

    .. math:: L_{\{i, j\}} - L_{\{i\}} - L_{\{j\}} .

    References
    ----------
    .. [1] L. Breiman (2001). Random forests. Machine Learning 45, 5-32.
    .. [2] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import GRUClassifier
    >>> from relayestimators.inspection import knockout_importance
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 1, 8))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = GRUClassifier(max_epochs=20, module__hidden_size=4, random_state=0).fit(X, y)
    >>> result = knockout_importance(net, X, y, random_state=0)
    >>> result.importances_mean.shape, result.loss.shape
    ((4,), (4, 2))
    >>> everything = knockout_importance(net, X, y, groups=[range(4)], random_state=0)
    >>> bool(everything.importances_mean[0] > result.importances_mean.max())
    True
    """
    check_integer(n_repeats, name="n_repeats", low=2)
    rng = check_random_state(random_state)
    ablation = Ablation(
        estimator,
        X,
        y,
        concepts=concepts,
        layer=layer,
        state=state,
        scoring=scoring,
        n_halves=n_repeats,
        random_state=rng,
    )
    sets, members = _sets(nodes, groups, pairs, ablation.n_nodes)
    window = check_window(start, stop, ablation.n_timepoints)
    lost = ablation.measure(
        [Knockout(chosen, *window) for chosen in sets],
        value=value,
        n_draws=n_repeats,
        seed=rng.randint(2**31 - 1),
        n_jobs=n_jobs,
        verbose=verbose,
    )
    requested = slice(len(sets) if members is None else len(members))  # without members of pairs
    mean = lost.over_draws()
    result = Bunch(
        sets=sets[requested],
        score=float(ablation.intact.score[0, 0]),
        information=ablation.intact.information[0, 0],
        importances_mean=mean.score[requested],
        importances_std=_standard_error(lost.score, mean.half_scores)[requested],
        importances=mean.half_scores[requested],
        loss=mean.information[requested],
        loss_std=_standard_error(lost.information, mean.half_information)[requested],
        losses=mean.half_information[requested],
        effect=mean.effect[requested],
    )
    if members is not None:
        result.interaction = result.loss - mean.information[members].sum(axis=1)
    return result


def _standard_error(draws, halves):
    """Return the standard error from instances and draws, along the second axis."""
    n_draws = draws.shape[1]
    of_draws = draws.std(axis=1, ddof=1) / np.sqrt(n_draws) if n_draws > 1 else 0.0
    return np.hypot(halves.std(axis=1, ddof=1), of_draws)


def _sets(nodes, groups, pairs, n_nodes):
    """Return the sets to knock out and, for pairs, the positions of their members among them."""
    if groups is not None and (nodes is not None or pairs is not None):
        raise ValueError("groups cannot be combined with nodes or pairs; expected one of them.")
    if groups is not None:
        return check_sets(groups, n_nodes, name="groups"), None
    singles = np.arange(n_nodes) if nodes is None else check_nodes(nodes, n_nodes)
    if pairs is None:
        return [singles[i : i + 1] for i in range(len(singles))], None
    if pairs is not True and nodes is not None:
        raise ValueError("nodes cannot be combined with a list of pairs; expected one of them.")
    if pairs is True:
        pairs = singles[np.column_stack(np.triu_indices(len(singles), k=1))]
    pairs = check_sets(pairs, n_nodes, name="pairs")
    for i, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(f"pairs[{i}]={pair.tolist()}; expected two nodes.")
    single = np.unique(pairs)
    members = len(pairs) + np.searchsorted(single, np.array(pairs).reshape(-1, 2))
    return pairs + [single[i : i + 1] for i in range(len(single))], members
