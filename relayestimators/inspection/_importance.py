"""What single nodes, groups and pairs cost."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._validation import check_integer, check_nodes, check_sets, check_window
from ._ablation import Ablation, Knockout


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
    """Knock out nodes, groups or pairs, and measure what score and information they cost.

    The counterpart, for hidden nodes, of scikit-learn's permutation importance for features.

    Parameters
    ----------
    estimator : fitted classifier
        With ``unroll`` and ``knock_out``; it is not changed.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        Data to measure on.
    y : array-like of shape (n_instances,)
        Labels.
    nodes : None, int or array-like of int, default=None
        Nodes to knock out one at a time; None is all, unless groups or pairs are given.
    groups : list of array-like of int, optional
        Sets of nodes to knock out as wholes instead.
    pairs : True or array-like of shape (n_pairs, 2), optional
        Pairs of nodes to knock out instead, and, for comparison, their members; True is all pairs
        of `nodes`.
    value : {"mean", "zero", "resample", "noise"}, float or array-like, default="mean"
        What nodes are held at: "mean", of the intact net over `X` at every time step; "resample",
        what they do in another instance; "noise", Gaussian with their mean and deviation at every
        time step; "zero", a number; or an array of shape (n_nodes,) or (n_timepoints, n_nodes)
        for the whole layer.
    start : int, default=0
        First time step of the window.
    stop : int or None, default=None
        One after its last time step; None is the end.
    layer : int, default=-1
        Layer of the nodes.
    state : {"h", "c"}, default="h"
        Hidden state, or memory cell of an LSTM.
    scoring : str, callable or None, default=None
        Score as in scikit-learn; None is accuracy.
    concepts : {"ovr", "class"} or array-like of shape (n_classes, n_concepts), default="ovr"
        As in :class:`RelayAnalyzer`.
    n_repeats : int, default=10
        Random halves of the instances the losses are measured on again, two at least; and draws,
        if values are random.
    random_state : int, RandomState instance or None, default=None
        Draws halves and values.
    n_jobs : int, optional
        Joblib workers, threads unless another backend is configured.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        sets : list of ndarray of int
            What was knocked out, in the order of the axis n_sets below.
        score : float
            Of the intact net.
        information : ndarray of shape (n_concepts,)
            Bits: I(A;B) of the intact net.
        importances_mean : ndarray of shape (n_sets,)
            Score lost, on all instances; mean over draws if values are random.
        importances_std : ndarray of shape (n_sets,)
            Standard error: the standard deviation over the repeats, as halves vary about the
            whole as the whole does about the truth; and the error of the mean over draws.
        importances : ndarray of shape (n_sets, n_repeats)
            Score lost in every repeat.
        loss : ndarray of shape (n_sets, n_concepts)
            Bits lost, on all instances.
        loss_std : ndarray of shape (n_sets, n_concepts)
            Standard error.
        losses : ndarray of shape (n_sets, n_repeats, n_concepts)
            Bits lost in every repeat.
        effect : ndarray of shape (n_sets, n_concepts)
            Mean absolute change of the log-odds of the concept value the intact net predicts, in
            bits. It shows what changes no prediction.
        interaction : ndarray of shape (n_pairs, n_concepts)
            With `pairs`: bits lost by the pair beyond the sum of those lost by its members. Above
            0 the two replace each other.

    Raises
    ------
    ValueError
        If more than one of nodes and groups, or of groups and pairs, is given.

    See Also
    --------
    knockout_specificity : Own concept, other concepts, random sets.
    knockout_sweep : The same over time.
    sklearn.inspection.permutation_importance : For features.

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
    named = slice(len(sets) if members is None else len(members))  # not the members of pairs
    mean = lost.over_draws()
    result = Bunch(
        sets=sets[named],
        score=float(ablation.intact.score[0, 0]),
        information=ablation.intact.information[0, 0],
        importances_mean=mean.score[named],
        importances_std=_standard_error(lost.score, mean.half_scores)[named],
        importances=mean.half_scores[named],
        loss=mean.information[named],
        loss_std=_standard_error(lost.information, mean.half_information)[named],
        losses=mean.half_information[named],
        effect=mean.effect[named],
    )
    if members is not None:
        result.interaction = result.loss - mean.information[members].sum(axis=1)
    return result


def _standard_error(draws, halves):
    """Return the error over instances, and of the mean over draws, along the second axis."""
    n_draws = draws.shape[1]
    drawn = draws.std(axis=1, ddof=1) / np.sqrt(n_draws) if n_draws > 1 else 0.0
    return np.hypot(halves.std(axis=1, ddof=1), drawn)


def _sets(nodes, groups, pairs, n_nodes):
    """Return the sets to knock out, and for pairs, which come first, where their members are."""
    if groups is not None and (nodes is not None or pairs is not None):
        raise ValueError("groups cannot be given together with nodes or pairs; expected one.")
    if groups is not None:
        return check_sets(groups, n_nodes, name="groups"), None
    singles = np.arange(n_nodes) if nodes is None else check_nodes(nodes, n_nodes)
    if pairs is None:
        return [singles[i : i + 1] for i in range(len(singles))], None
    if pairs is not True and nodes is not None:
        raise ValueError("nodes cannot be given together with a list of pairs; expected one.")
    if pairs is True:
        pairs = singles[np.column_stack(np.triu_indices(len(singles), k=1))]
    pairs = check_sets(pairs, n_nodes, name="pairs")
    for i, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(f"pairs[{i}]={pair.tolist()}; expected two nodes.")
    alone = np.unique(pairs)
    members = len(pairs) + np.searchsorted(alone, np.array(pairs).reshape(-1, 2))
    return pairs + [alone[i : i + 1] for i in range(len(alone))], members
