"""Comparison of rankings: losses when the strongest nodes of each are knocked out."""

import numpy as np
from sklearn import config_context
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, _safe_indexing, check_random_state
from sklearn.utils.validation import column_or_1d
from tqdm.auto import tqdm

from .._docs import fill_docs
from .._intervals import subsampling_interval
from .._validation import check_alpha, check_bool, check_integer, check_size, check_timepoints
from ..analyzer import INTERCHANGE
from ..panels import panel_to_tensor
from ..panels._conversion import frames_to_tensor
from ..relay._order import n_tied, strongest_nodes
from ._ablation import Ablation, Knockout, mean_of_others, other_partitions
from ._combination import combine_rankings, specific_scores
from ._ranking import RANKINGS, rank_nodes
from ._sweep import knockout_sweep, window_ends

KNOCKOUT = "knockout"  # the ranking by knockouts, which `rank_nodes` does not have
DEFAULT_RANKINGS = (
    ("throughput", KNOCKOUT),
    "throughput",
    KNOCKOUT,
    "gradient",
    "readout",
    "variance",
    "random",
)


@fill_docs
def compare_rankings(
    estimator,
    X,
    y,
    *,
    rankings=DEFAULT_RANKINGS,
    find=None,
    concepts="ovr",
    timepoints=None,
    width=None,
    specific=False,
    n_relays=0.25,
    test_size=0.5,
    value="mean",
    layer=-1,
    state="h",
    n_random=20,
    n_draws=5,
    n_resamples=100,
    alpha=0.05,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Compare rankings of nodes by the losses when their strongest nodes are knocked out.

    On one part of the data, every ranking names its strongest nodes for each concept at each time
    step. On the other part, these nodes are knocked out from that time step on, or for a number of
    steps. If a ranking is good, their knockout loses much information about their concept, more
    than about other concepts, and more than a knockout of random nodes.

    Parameters
    ----------
    %(estimator)s
    %(X)s Data that the network was not trained on
    %(y)s
    rankings : sequence, or dict by name
        Rankings to compare. Each is a method of :func:`rank_nodes`; or "knockout", the mean effect
        when the node alone is knocked out from the time step on; or a tuple of these, combined by
        :func:`combine_rankings`. The values of a dict may also be scores of your own, of shape
        (n_concepts, n_timepoints, n_nodes), with 1 where they do not differ, or (n_nodes,).
    find : tuple (X, y), optional
        Data to rank nodes on. By default this is the part of `X` that `test_size` leaves.
    %(concepts)s
    %(timepoints)s
    width : int or None, default=None
        Number of time steps of each knockout; None extends it to the end. Nodes that are knocked
        out to the end are also missing when the output is read. A knockout of one step in the
        middle of the series measures only what the nodes pass on.
    specific : bool, default=False
        Whether to make the scores of all methods specific before nodes are chosen, as
        :func:`rank_nodes` does: a node's fraction for its concept less its mean fraction for the
        others. Scores of your own are taken as they are.
    %(n_relays)s
    test_size : int, float or None, default=0.5
        Part of `X`, stratified by class, on which knockouts are measured; nodes are ranked on the
        rest. None uses all instances for both. It is ignored if `find` is given.
    %(value)s
    %(layer)s
    %(state)s
    n_random : int, default=20
        Number of random sets of nodes, which are the same for all rankings.
    %(n_draws)s
    %(n_resamples)s
    %(alpha)s
    %(random_state)s the split, contexts, random sets, drawn values and halves
    %(n_jobs_threads)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        rankings : list of str
            Names of the rankings.
        timepoints : ndarray of shape (n_timepoints,), int
            Time steps at which nodes were ranked.
        sets : ndarray of shape (n_rankings, n_concepts, n_timepoints, n_relays), int
            Nodes that were knocked out, strongest first.
        ties : ndarray of shape (n_rankings, n_concepts, n_timepoints), int
            Number of nodes whose scores are tied for the last places in a set; 0 if there is no
            tie. Which of them are knocked out is random.
        information : ndarray of shape (n_concepts,)
            I(A;B) of the intact network in bits.
        loss : ndarray of shape (n_rankings, n_concepts, n_timepoints, n_concepts)
            Bits lost, by the concept that the nodes belong to, the time step, and the concept that
            is measured.
        random_loss : ndarray of shape (n_random, n_timepoints, n_concepts)
            Bits lost by the random sets.
        own, other : ndarray of shape (n_rankings, n_concepts)
            Bits lost of the nodes' own concept, and of those other concepts that partition the
            classes differently (NaN if there are none, as with "ovr" of two classes); means over
            time steps.
        random : ndarray of shape (n_concepts,)
            Bits lost by random sets, mean over sets and time steps.
        specificity : ndarray of shape (n_rankings,)
            Own minus other, mean over concepts.
        advantage : ndarray of shape (n_rankings,)
            Own minus random, mean over concepts.
        difference : ndarray of shape (n_rankings, n_rankings)
            Specificity of the ranking in the row minus that in the column.
        intervals : Bunch
            Confidence intervals of own, other, random, specificity, advantage and difference, each
            of shape (2, ...); over instances and, for random and advantage, over random sets.
        overlap : ndarray of shape (n_rankings, n_rankings)
            Mean fraction of the chosen nodes that two rankings have in common.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed.

    See Also
    --------
    rank_nodes : Computes the rankings.
    knockout_specificity : Measures one set per concept.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import RNNClassifier
    >>> from relayestimators.inspection import compare_rankings
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1, 6))
    >>> y = np.where(X[:, 0, 2] > 0, "up", "down")
    >>> net = RNNClassifier(max_epochs=10, module__hidden_size=8, random_state=0)
    >>> net = net.fit(X[:100], y[:100])
    >>> result = compare_rankings(
    ...     net, X[100:], y[100:], rankings=["throughput", "random"], timepoints=[3], random_state=0
    ... )
    >>> result.own.shape, result.sets.shape
    ((2, 2), (2, 2, 1, 2))
    >>> bool(result.own[0].mean() > result.own[1].mean())
    True
    """
    check_integer(n_random, name="n_random", low=1)
    check_integer(n_draws, name="n_draws", low=1)
    check_integer(n_resamples, name="n_resamples", low=2)
    check_alpha(alpha)
    check_bool(specific, name="specific")
    rankings = _check_rankings(rankings)
    rng, X, y = check_random_state(random_state), frames_to_tensor(X), column_or_1d(y, warn=True)
    find, measure = _split(X, y, find, test_size, rng)
    panel_to_tensor(find[0])  # is called for its checks, once for all methods
    seeds = rng.randint(2**31 - 1, size=3)
    ablation = Ablation(
        estimator,
        *measure,
        concepts=concepts,
        layer=layer,
        state=state,
        n_halves=n_resamples,
        random_state=rng,
    )
    timepoints = check_timepoints(timepoints, ablation.n_timepoints)
    stops = window_ends(timepoints, width, ablation.n_timepoints)
    n_relays = check_size(n_relays, ablation.n_nodes, name="n_relays")
    shape = ablation.n_concepts, len(timepoints), ablation.n_nodes
    options = {"concepts": ablation.table, "timepoints": timepoints, "layer": layer}
    options |= {"state": state, "random_state": seeds[0], "n_jobs": n_jobs}
    methods = sorted({method for ranking in rankings.values() for method in _methods_of(ranking)})
    with config_context(assume_finite=True):
        by_method = {
            method: _scores_of_method(method, estimator, *find, width, options)
            for method in tqdm(methods, disable=not verbose, desc="rankings")
        }
    different = other_partitions(ablation.table)
    if specific:
        by_method = {name: specific_scores(each, different) for name, each in by_method.items()}
    scores = [
        _scores_of_ranking(name, ranking, by_method, shape) for name, ranking in rankings.items()
    ]
    draws = np.random.RandomState(seeds[1])
    random_sets = [draws.permutation(ablation.n_nodes)[:n_relays] for _ in range(n_random)]
    priority = draws.permutation(ablation.n_nodes)  # decides among nodes with equal scores
    sets = np.array(
        [
            [[strongest_nodes(at, n_relays, priority=priority) for at in of] for of in score]
            for score in scores
        ]
    )
    random_sets = np.repeat(np.array(random_sets)[:, None], len(timepoints), axis=1)
    options = {"value": value, "n_draws": n_draws, "seed": seeds[2]}
    options |= {"n_jobs": n_jobs, "verbose": verbose}
    (loss, halves), (random_loss, random_halves) = _losses(
        ablation, (sets, random_sets), timepoints, stops, **options
    )
    point = _quantities(loss, random_loss, different)
    resampled = [_quantities(*half, different) for half in zip(halves, random_halves, strict=True)]
    errors = _errors_of_random_sets(random_loss)
    intervals = {
        name: subsampling_interval(
            point[name],
            np.array([half[name] for half in resampled]),
            alpha,
            other_error=errors.get(name, 0.0),
        )
        for name in point
    }
    return Bunch(
        rankings=list(rankings),
        timepoints=timepoints,
        sets=sets,
        ties=np.array([n_tied(score, n_relays) for score in scores]),
        information=ablation.intact.information[0, 0],
        loss=loss,
        random_loss=random_loss,
        **point,
        intervals=Bunch(**intervals),
        overlap=_overlap(sets, ablation.n_nodes),
    )


def _check_rankings(rankings):
    """Return the rankings as a dict, or raise an error if one is not allowed."""
    if isinstance(rankings, str):
        rankings = [rankings]
    if not hasattr(rankings, "items"):
        if not all(map(_methods_of, rankings)):
            raise TypeError(
                f"rankings={rankings!r}; expected names, tuples of names, or a dict whose values "
                "may also be arrays of scores."
            )
        if len(set(rankings)) < len(rankings):
            raise ValueError(f"rankings={list(rankings)!r}; expected every ranking once.")
        rankings = {" * ".join(_methods_of(ranking)): ranking for ranking in rankings}
    known = (*RANKINGS, KNOCKOUT)
    for name, ranking in rankings.items():
        for part in _methods_of(ranking):
            if part not in known:
                raise ValueError(
                    f"rankings contains {part!r} (in {name!r}); expected one of "
                    f"{', '.join(map(repr, known))}, tuples of these, or an array of scores in a "
                    "dict."
                )
    if not rankings:
        raise ValueError("rankings is empty; expected at least one ranking.")
    return dict(rankings)


def _methods_of(ranking):
    """Return the methods of a ranking, which is empty for an array of scores."""
    if isinstance(ranking, str):
        return (ranking,)
    combined = isinstance(ranking, tuple) and all(isinstance(part, str) for part in ranking)
    return ranking if combined else ()


def _split(X, y, find, test_size, rng):
    """Return (X, y) to rank nodes on, and (X, y) to measure knockouts on."""
    if find is not None:
        return (frames_to_tensor(find[0]), column_or_1d(find[1], warn=True)), (X, y)
    if test_size is None:
        return (X, y), (X, y)
    rows = np.arange(len(y))
    find, measure = train_test_split(rows, test_size=test_size, stratify=y, random_state=rng)
    return tuple((_safe_indexing(X, rows), y[rows]) for rows in (find, measure))


def _scores_of_method(method, estimator, X, y, width, options):
    """Return the scores of a method, of shape (n_concepts, n_timepoints, n_nodes)."""
    if method == KNOCKOUT:
        return knockout_sweep(estimator, X, y, width=width, **options).effect
    if method == INTERCHANGE:
        options = options | {"window": width}
    return rank_nodes(estimator, X, y, method=method, **options)


def _scores_of_ranking(name, ranking, by_method, shape):
    """Return the scores of a ranking: of one method, of a combination, or as given."""
    methods = _methods_of(ranking)
    if len(methods) == 1:
        return by_method[methods[0]]
    if methods:
        return combine_rankings(*(by_method[method] for method in methods))
    scores = np.asarray(ranking, dtype=float)
    allowed = [{shape[0], 1}, {shape[1], 1}, {shape[2]}] if scores.ndim == 3 else [{shape[2]}]
    fits = len(allowed) == scores.ndim
    if not fits or any(
        size not in sizes for size, sizes in zip(scores.shape, allowed, strict=True)
    ):
        raise ValueError(
            f"rankings: the scores of {name!r} have shape {scores.shape}; expected "
            f"(n_concepts, n_timepoints, n_nodes)={shape}, with 1 where they do not differ, or "
            f"({shape[-1]},)."
        )
    if np.isnan(scores).any():
        raise ValueError(f"rankings: the scores of {name!r} contain NaN; expected numbers.")
    return np.broadcast_to(scores, shape)


def _losses(ablation, groups, timepoints, stops, **options):
    """Return the bits lost by sets of shape (..., n_timepoints, n_relays).

    The sets of all `groups` are measured together. For each group there are the losses of all
    instances, of shape (..., n_timepoints, n_concepts), and of random halves of the instances, of
    shape (n_halves, ..., n_timepoints, n_concepts).
    """
    knockouts = [
        Knockout(sets[place], int(timepoints[place[-1]]), stops[place[-1]])
        for sets in groups
        for place in np.ndindex(sets.shape[:-1])
    ]
    lost = ablation.measure(knockouts, **options).over_draws()
    ends = np.cumsum([np.prod(sets.shape[:-1]) for sets in groups])[:-1]
    parts = [np.split(part, ends) for part in (lost.information, lost.half_information)]
    return [
        (
            whole.reshape(*sets.shape[:-1], -1),
            np.moveaxis(halves.reshape(*sets.shape[:-1], *halves.shape[1:]), -2, 0),
        )
        for sets, whole, halves in zip(groups, *parts, strict=True)
    ]


def _errors_of_random_sets(random_loss):
    """Return the standard errors that come from the choice of the random sets."""
    n_random = len(random_loss)
    if n_random < 2:
        return {"random": np.nan, "advantage": np.nan}
    by_set = random_loss.mean(axis=1)
    return {
        "random": by_set.std(axis=0, ddof=1) / np.sqrt(n_random),
        "advantage": by_set.mean(axis=1).std(ddof=1) / np.sqrt(n_random),
    }


def _quantities(loss, random_loss, different):
    """Return the quantities that are compared, from the losses of rankings and of random sets."""
    by_set = loss.mean(axis=2)
    own = np.diagonal(by_set, axis1=1, axis2=2)
    random = random_loss.mean(axis=(0, 1))
    other = mean_of_others(by_set, different)
    specificity = (own - other).mean(axis=1)
    return {
        "own": own,
        "other": other,
        "random": random,
        "specificity": specificity,
        "advantage": (own - random).mean(axis=1),
        "difference": specificity[:, None] - specificity,
    }


def _overlap(sets, n_nodes):
    """Return the mean fraction of nodes that the sets of two rankings have in common."""
    chosen = (sets[..., None] == np.arange(n_nodes)).any(axis=-2)
    chosen = chosen.reshape(len(sets), -1).astype(float)
    return chosen @ chosen.T / chosen.sum(axis=1)
