"""Specificity of knockouts: losses of the own concept, of other concepts, by random sets."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._intervals import subsampling_interval
from .._validation import check_alpha, check_integer, check_sets, check_window
from ._ablation import Ablation, Knockout, mean_of_others, of_analyzer, other_partitions


@fill_docs
def knockout_specificity(
    estimator,
    X,
    y,
    *,
    relays,
    concepts=None,
    value="mean",
    start=0,
    stop=None,
    layer=None,
    state=None,
    scoring=None,
    n_random=39,
    n_draws=5,
    n_resamples=100,
    alpha=0.05,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    r"""Measure the information about every concept that is lost without sets of nodes.

    Each set is knocked out (ablated) as a whole and compared with random sets of the same size. The
    loss of a concept is that of I(A;B), the mutual information of its values for the true and for
    the predicted class.

    Parameters
    ----------
    %(estimator)s
    %(X)s Data to measure on
    %(y)s
    relays : list of array-like of int, or RelayAnalyzer
        Sets of nodes, usually one per concept; or a fitted analyzer, whose ``relays(concept)`` are
        used.
    %(concepts_of_analyzer)s
    %(value)s
    %(start)s
    %(stop)s
    %(layer_of_analyzer)s
    %(state_of_analyzer)s
    %(scoring)s
    n_random : int, default=39
        Number of random sets that each set is compared with. They have its size, are nested, and
        are the same for all sets. No p-value is below 1 / (1 + n_random).
    %(n_draws)s
    %(n_resamples)s
    %(alpha)s
    %(random_state)s the random sets, drawn values and halves
    %(n_jobs_threads)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        information : ndarray of shape (n_concepts,)
            I(A;B) of the intact network in bits.
        score : float
            Score of the intact network.
        loss : ndarray of shape (n_sets, n_concepts)
            Bits lost when each set is knocked out; negative if information is gained.
        loss_interval : ndarray of shape (2, n_sets, n_concepts)
            Confidence intervals of the losses, over instances.
        score_loss : ndarray of shape (n_sets,)
            Score lost.
        random_loss : ndarray of shape (n_sets, n_random, n_concepts)
            Bits lost by the random sets of the same size.
        random_score_loss : ndarray of shape (n_sets, n_random)
            Score lost by the random sets.
        effect, random_effect : ndarray
            Mean absolute change of the log-odds in bits, shaped like `loss` and `random_loss`.

        If there are as many sets as concepts, so that set i belongs to concept i, the result also
        has the following, each of shape (n_concepts,) and in bits:

        own : loss of the concept that the set belongs to.
        other : mean loss of those other concepts that partition the classes differently; NaN if
            there are none, as with "ovr" of two classes.
        random : mean loss of the concept by the random sets.
        own_minus_other : specificity of the set for its concept.
        own_minus_random : loss beyond that of the mean random set.
        intervals : Bunch of these five, each of shape (2, n_concepts)
            Confidence intervals over instances and, for values with random sets, over these. The
            interval of `own_minus_random` compares with the mean random set; whether the set stands
            out among the random sets is told by `pvalue`. With fewer than about 100 instances the
            intervals are too narrow.
        pvalue : one-sided p-value of `own` among the random sets; see Notes. It is NaN without
            random sets, and not corrected for multiple concepts.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed.

    See Also
    --------
    relayestimators.KnockoutTransformer : A single knockout.
    cross_validate_knockout : Finds sets in the training part of a fold, measures in the test part.
    compare_rankings : Compares sets of other rankings with relays.

    Notes
    -----
    The loss of a concept when the nodes of a set S are knocked out is

    .. math:: L(S) = I(A; B) - I(A; B_S)

    where A is the value of the concept for the true class, and B and :math:`B_S` are those for the
    class that is predicted by the intact network and without S. With the random sets
    :math:`S_1, \dots, S_n` of the same size, the p-value is

    .. math:: \frac{1 + \#\{k : L(S_k) \geq L(S)\}}{1 + n} .

    References
    ----------
    .. [1] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import GRUClassifier
    >>> from relayestimators.inspection import knockout_specificity
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 1, 8))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = GRUClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> result = knockout_specificity(net, X, y, relays=[range(32), []], n_random=2)
    >>> bool(result.loss[0, 0] > 0), result.loss[1].tolist()
    (True, [0.0, 0.0])
    """
    check_integer(n_random, name="n_random", low=0)
    check_integer(n_draws, name="n_draws", low=1)
    check_integer(n_resamples, name="n_resamples", low=2)
    check_alpha(alpha)
    analyzer = relays if hasattr(relays, "relays") else None
    rng = check_random_state(random_state)
    ablation = Ablation(
        estimator,
        X,
        y,
        **of_analyzer(analyzer, concepts, layer, state),
        scoring=scoring,
        n_halves=n_resamples,
        random_state=rng,
    )
    if analyzer is not None:
        relays = [analyzer.relays(concept) for concept in range(len(analyzer.relay_map_))]
    sets = check_sets(relays, ablation.n_nodes, name="relays")
    window = check_window(start, stop, ablation.n_timepoints)
    options = {"n_draws": n_draws, "n_jobs": n_jobs, "verbose": verbose}
    lost = measure_with_random_sets(
        ablation, [Knockout(nodes, *window) for nodes in sets], n_random, rng, value, **options
    )
    result = Bunch(
        information=ablation.intact.information[0, 0],
        score=float(ablation.intact.score[0, 0]),
        loss=lost.information[:, 0],
        loss_interval=subsampling_interval(
            lost.information[:, 0], np.moveaxis(lost.half_information[:, 0], 1, 0), alpha
        ),
        score_loss=lost.score[:, 0],
        random_loss=lost.information[:, 1:],
        random_score_loss=lost.score[:, 1:],
        effect=lost.effect[:, 0],
        random_effect=lost.effect[:, 1:],
    )
    if len(sets) == ablation.n_concepts:
        different = other_partitions(ablation.table)
        result.update(contrasts(lost.information, lost.half_information, alpha, different))
    return result


def measure_with_random_sets(ablation, knockouts, n_random, rng, value, **options):
    """Measure knockouts and, for each, random sets of as many nodes in the same window.

    Parameters
    ----------
    ablation : Ablation
    knockouts : list of Knockout
    n_random : int
        Number of random sets per knockout. Sets of the same size are the same for all knockouts.
    rng : RandomState
        Controls the randomness of the sets and of drawn values.
    value : str, float or array-like
        Value that nodes are clamped to.
    **options : dict
        Of `Ablation.measure`.

    Returns
    -------
    Reading
        Means over draws; arrays of shape (n_knockouts, 1 + n_random, ...), itself first.
    """
    orders = [rng.permutation(ablation.n_nodes) for _ in range(n_random)]
    together = [
        member
        for knockout in knockouts
        for member in (
            knockout,
            *(knockout._replace(nodes=order[: len(knockout.nodes)]) for order in orders),
        )
    ]
    seed = rng.randint(2**31 - 1)
    lost = ablation.measure(together, value=value, seed=seed, **options).over_draws()
    return type(lost)(
        *(part.reshape(len(knockouts), 1 + n_random, *part.shape[1:]) for part in lost)
    )


@fill_docs
def contrasts(loss, halves, alpha, different):
    """Return own, other and random losses, their differences, and intervals.

    Parameters
    ----------
    loss : ndarray of shape (n_concepts, 1 + n_random, n_concepts)
        Bits lost, by the concept that the set belongs to; the set itself, followed by the random
        sets; and the concept that is measured.
    halves : ndarray of shape (n_concepts, 1 + n_random, n_halves, n_concepts)
        The same on halves of the instances.
    %(alpha)s
    different : ndarray of shape (n_concepts, n_concepts), bool
        From `other_partitions`.

    Returns
    -------
    Bunch
    """
    point = _contrasts(loss, different)
    draws = _contrasts(np.moveaxis(halves, 2, 0), different)
    own_concept, n_random = _losses_of_own_concept(loss), loss.shape[1] - 1
    intervals = Bunch()
    for name in point:
        error = 0.0
        if "random" in name and n_random > 1:  # random sets are a sample, as instances are
            error = own_concept[1:].std(axis=0, ddof=1) / np.sqrt(n_random)
        intervals[name] = subsampling_interval(point[name], draws[name], alpha, other_error=error)
    pvalue = (1 + (own_concept[1:] >= own_concept[0]).sum(axis=0)) / (1 + n_random)
    if not n_random:
        pvalue = pvalue * np.nan
    return Bunch(**point, intervals=intervals, pvalue=pvalue)


def _losses_of_own_concept(loss):
    """Return the losses of the concepts that sets belong to, (..., 1 + n_random, n_concepts)."""
    return np.diagonal(loss, axis1=-3, axis2=-1)


def _contrasts(loss, different):
    """Return the five quantities, from losses (..., n_concepts, 1 + n_random, n_concepts)."""
    own_concept = _losses_of_own_concept(loss)
    own, other = own_concept[..., 0, :], mean_of_others(loss[..., :, 0, :], different)
    random = own_concept[..., 1:, :].mean(axis=-2) if own_concept.shape[-2] > 1 else own * np.nan
    return {
        "own": own,
        "other": other,
        "random": random,
        "own_minus_other": own - other,
        "own_minus_random": own - random,
    }
