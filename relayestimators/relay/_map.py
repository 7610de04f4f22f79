"""Relay scores of all nodes, for one concept at one time step and over concepts and time."""

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy.stats import false_discovery_control
from sklearn.utils import Bunch, check_random_state
from tqdm.auto import tqdm

from .._docs import fill_docs
from .._intervals import subsampling_interval
from .._validation import NO_STATE, check_alpha, check_choice, check_integer, check_states
from ._codes import make_codes
from ._methods import (
    DEFAULT_METHOD,
    METHODS,
    TESTABLE,
    make_plan,
)
from ._remarks import map_remarks, warn_of
from ._significance import (
    FEWEST_PERMUTATIONS,
    chance_and_heard,
    half_scores,
    n_beyond_chance,
    observed_terms,
    permuted_among,
    permuted_terms,
    permuted_within,
)


@fill_docs
def relay_scores(
    concept_in,
    concept_out,
    states,
    *,
    log_odds=None,
    labels=None,
    method=DEFAULT_METHOD,
    n_contexts=None,
    context_size=None,
    random_state=None,
):
    r"""Compute the relay information of every node, for one concept at one time step.

    Parameters
    ----------
    %(concept_in_out)s
    %(states)s
    log_odds : array-like of shape (n_instances,), optional
        Log-odds, in any unit, that the network gives to the value in `concept_out`. With them
        "throughput" can tell relays from other nodes even where the network makes no errors.
    labels : array-like of shape (n_instances,), optional
        True classes, if they are more than the values of `concept_in`.
    method : str, default="throughput"
        How relay information is credited to a node Y. S are random small sets of other nodes.

        "throughput"
            min(I(A;Y|S), I(B;Y|S)), weighted by the evidence that the output depends on the node;
            see the notes.
        "contexts"
            I(A;B|S) - I(A;B|S,Y), averaged over S: the definition, in populated cells. Nodes that
            know A well have high scores whether or not they influence the output.
        "shapley"
            The same, where S are all nodes before Y in a random order. Its coverage is low.
        "shrink"
            The relay information, in bits, that is lost once the published search
            :func:`shrinking_subset_aggregation` has removed the node and all nodes before it.
        "single"
            I(A;B) - I(A;B|Y): each node without regard to the others.
        "gaussian"
            As "shrink", with the linear-Gaussian information of states and concept indicators
            in the place of counts. It needs no cells, but does not see codes that are not linear.
            Use it as a ranking; its bits are those of Gaussian variables.
    n_contexts : int, optional
        Number of sets S, or of orders. By default 64; with "throughput" as many as there are nodes,
        but at least 16 and at most 64. If there are no more different sets, each is used once and
        the average is exact.
    context_size : int, optional
        Number of nodes per set. By default the largest number that leaves four instances per cell,
        at most half of the nodes, and at most 2 ("throughput") or 4 ("contexts").
    %(random_state)s the sets S and the orders

    Returns
    -------
    ndarray of shape (n_nodes,)
        Scores in bits. Scores of nodes that relay nothing scatter around 0.

    Raises
    ------
    TypeError
        If `n_contexts` or `context_size` is not an integer.
    ValueError
        If an option is not allowed, or the arrays differ in length.

    Warns
    -----
    RelayMapWarning
        If the network has much information about the concept and no node has any of it, or if
        nodes that are heard cannot be distinguished from nodes that only know the concept.

    See Also
    --------
    relay_map : Scores over concepts and time steps, with coverage and significance.
    relay_pairs, relay_group : Searches for what no single node carries.

    Notes
    -----
    Relay information is defined in [1]_. The score of "throughput" is

    .. math::

        \min(I(A; Y | S), I(B; Y | S)) \; e^{\min(0, E - E_0)}, \quad
        E = n \ln 2 \; I(D; Y | C, S)

    with the true class C and what the network says, D. Each information is half its value without a
    set, and half its root mean square over sets S of `context_size` nodes, so that a few sets that
    show much count more than many that show little. Squares have the signs of the values, which may
    be negative because entropies have the Miller-Madow correction. The minimum of I(A;Y) and I(B;Y)
    is an upper bound of the information that A and B share through Y [2]_, and may exceed I(A;B).
    E, or 0 if the estimate is negative, is the evidence in nats that the output depends on the node
    beyond the true class. The evidence that is asked for is

    .. math:: E_0 = \min(6 \sigma, \max(0, \max E - 4 \sigma))

    where :math:`\sigma` is the standard deviation of E for a node that is not heard, and
    :math:`\max E` that of the best node. If no node is seen to be heard, :math:`E_0` is 0, and no
    score is reduced.

    B is the predicted value, and D is B together with whether `log_odds` are above their median
    among the instances of the same class with the same prediction. The sets S see two states of
    each node, the lower and the upper ones, cut where both have most nearly as many instances.

    A node that alone carries the whole concept has H(A) bits. Of several copies that are heard,
    each has about half of what it would have alone, or more. Scores are comparable between nodes,
    time steps and networks with the same number of nodes, and of instances if these are few. They
    do not add up over nodes.

    References
    ----------
    .. [1] A. Hintze, C. Adami (2023). Detecting information relays in deep neural networks.
       Entropy 25(3), 401. arXiv:2301.00911.
    .. [2] A. B. Barrett (2015). Exploration of synergistic and redundant information sharing in
       static and dynamical Gaussian systems. Physical Review E 91, 052802. arXiv:1411.2832.

    Examples
    --------
    Node 0 drives the output, node 1 knows the input but does not influence the output, and node 2
    is random:

    >>> import numpy as np
    >>> from relayestimators.relay import relay_scores
    >>> rng = np.random.default_rng(0)
    >>> a = rng.integers(0, 2, 1000)
    >>> heard = a ^ (rng.random(1000) < 0.1)
    >>> decoy = a ^ (rng.random(1000) < 0.05)
    >>> coin = rng.integers(0, 2, 1000)
    >>> states = np.c_[heard, decoy, coin]
    >>> relay_scores(a, heard, states, random_state=0).round(1) + 0.0
    array([0.4, 0. , 0. ])
    >>> relay_scores(a, heard, states, method="single").round(1) + 0.0
    array([0.5, 0.4, 0. ])
    """
    states = check_states(states, ndim=2)
    codes = make_codes(concept_in, concept_out, log_odds, labels, n_instances=len(states))
    seed = check_random_state(random_state).randint(2**31 - 1)
    plan = make_plan(
        method,
        *states.shape,
        n_states=_n_states(states),
        n_values=_n_values(codes),
        n_contexts=n_contexts,
        context_size=context_size,
        random_state=seed,
    )
    scores, _ = METHODS[method](codes, states, plan)
    warn_of(map_remarks(Bunch(relay_map=scores[None, None], **_what_there_is([codes], method))))
    return scores


@fill_docs
def relay_map(
    concept_in,
    concept_out,
    states,
    *,
    log_odds=None,
    labels=None,
    method=DEFAULT_METHOD,
    n_contexts=None,
    context_size=None,
    n_permutations=0,
    n_resamples=0,
    alpha=0.05,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Compute the relay information of every node, for every concept at every time step.

    Parameters
    ----------
    concept_in, concept_out : array-like of shape (n_instances, n_concepts)
        A and B: the concept values of the true class and of the predicted class, one column per
        concept.
    states : array-like of shape (n_instances, n_timepoints, n_nodes)
        Discretized states, integers from 0; 255 after the end of a series. An instance counts only
        at the time steps that it has.
    log_odds : array-like of shape (n_instances, n_concepts), optional
        Log-odds, in any unit, that the network gives to the values in `concept_out`.
    labels : array-like of shape (n_instances,), optional
        True classes, if they are more than the values of a concept.
    %(method)s
    n_contexts : int, optional
        Number of sets of nodes to condition on; see :func:`relay_scores`. The same sets are used
        for every concept and time step.
    context_size : int, optional
        Number of nodes per set; see :func:`relay_scores`. By default it is decided for the median
        number of instances of the time steps, and is the same at all of them.
    n_permutations : int, default=0
        Number of permutations for each of two tests, 0 or at least 3. Available with
        ``method="throughput"`` only.
    n_resamples : int, default=0
        Number of random halves of the instances for confidence intervals; 0 or at least 2.
    alpha : float, default=0.05
        False discovery rate of `significant`, family-wise level of `n_beyond`, and one minus the
        confidence level of the intervals.
    %(random_state)s the sets of nodes, the permutations and the halves
    %(n_jobs_threads)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        relay_map : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Relay information in bits; NaN at time steps that no instance has.
        coverage : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            Instances per occupied cell of each value. Cells are formed by the nodes conditioned
            on and the node itself, and with "throughput" by the concept ("gaussian": instances per
            node). A value with a coverage below 4 is not reliable.
        n_instances : ndarray of shape (n_timepoints,)
            Number of instances that have each time step.
        information : ndarray of shape (n_concepts,)
            I(A;B) in bits, the information about each concept in the predictions. If it is near 0,
            nothing is relayed, whatever the nodes know.
        unexplained : ndarray of shape (n_concepts,)
            With ``method="throughput"``: H(D|C) in bits, the part of what the network says that the
            true class leaves open; see the notes of :func:`relay_scores`. If it is 0, nodes that
            are heard cannot be distinguished from others.
        remarks : list of str
            What the map cannot show. It is also the text of the warning.
        pvalues : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            With `n_permutations`: p-values of the test of chance, not corrected for multiple
            testing.
        pvalues_heard : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            With `n_permutations`: p-values of the test of whether nodes have to do with what the
            network says, beyond the true class; NaN for concepts for which this cannot be tested.
        significant, heard : ndarray of shape (n_concepts, n_timepoints, n_nodes), bool
            With `n_permutations`: whether the node is beyond chance, and whether it is beyond
            chance and heard, each at a false discovery rate of `alpha` over all values of the map
            (Benjamini-Hochberg).
        n_beyond, n_heard : int or None
            With `n_permutations`: number of strongest nodes that are all beyond chance, or all
            beyond chance and heard, by Holm's method at a family-wise level of `alpha`. Nodes are
            ordered by their mean over concepts and time steps, weighted by numbers of instances.
            None with fewer than 1 / `alpha` permutations, because no node could be found with them.
        confidence_interval : ndarray of shape (2, n_concepts, n_timepoints, n_nodes)
            With `n_resamples`: lower and upper end of the intervals, by subsampling halves.

    Raises
    ------
    TypeError
        If a number of sets, nodes, permutations or halves is not an integer.
    ValueError
        If an option is not allowed, or the arrays do not fit together.

    Warns
    -----
    RelayMapWarning
        If there are `remarks`.

    See Also
    --------
    relay_scores : One concept at one time step; describes the methods.
    RelayAnalyzer : Estimator that computes relay maps of classifiers.

    Notes
    -----
    *Chance* asks whether a node has to do with A and with B. Under its null hypothesis the states
    of all nodes are permuted over instances together, A and B being kept as pairs, and the p-value
    is the larger of those of I(A;Y|S) and I(B;Y|S). *Heard* asks whether a node has to do with the
    output beyond the true class. The states are permuted within true classes, and the p-value is
    that of I(D;Y|C), without sets of nodes. Nodes that only know the concept are beyond chance and
    not heard.

    Null values of all nodes are pooled. Each is standardized by the other null values of its node,
    and the observed value by all of them.

    Examples
    --------
    A network with 5 % errors reads node 0 at the first time step and node 1 at the second:

    >>> import numpy as np
    >>> from relayestimators import relay_map
    >>> a = np.array([0, 0, 1, 1] * 20)
    >>> coin = np.array([0, 1, 0, 1] * 20)
    >>> b = np.where(np.arange(80) < 4, 1 - a, a)
    >>> states = np.stack([np.c_[b, coin], np.c_[coin, b]], axis=1)
    >>> relay_map(a[:, None], b[:, None], states).relay_map.round(1) + 0.0
    array([[[0.7, 0. ],
            [0. , 0.7]]])
    """
    states = check_states(states, ndim=3)
    check_map_options(method, n_permutations, n_resamples, alpha)
    concepts = _check_concepts(concept_in, concept_out, log_odds, labels, len(states))
    rng = check_random_state(random_state)
    n_instances = (states[:, :, 0] != NO_STATE).sum(axis=0)
    plan = make_plan(
        method,
        int(np.quantile(n_instances, 0.5, method="lower")),
        states.shape[2],
        _n_states(states),
        max(map(_n_values, concepts)),
        n_contexts,
        context_size,
        rng.randint(2**31 - 1),
    )
    shuffles = _permutations(rng, n_permutations, len(states))
    samples = _permutations(rng, n_resamples, len(states))
    problems = [(codes, t) for codes in concepts for t in range(states.shape[1])]
    # Every task gets the same whole arrays, because joblib can share these between workers.
    options = {"prefer": "threads", "return_as": "generator", **_dispatch(n_jobs, len(problems))}
    results = Parallel(n_jobs, **options)(
        delayed(_step)(method, codes, states, t, plan, shuffles, samples, alpha)
        for codes, t in problems
    )
    bar = tqdm(results, total=len(problems), disable=not verbose, desc="relay map", unit="step")
    result = Bunch(n_instances=n_instances, **_what_there_is(concepts, method))
    _gather(bar, result, (len(concepts), *states.shape[1:]), n_permutations, n_resamples)
    if n_permutations:
        _decide(result, n_permutations, alpha)
    result.remarks = map_remarks(result)
    warn_of(result.remarks)
    return result


def check_map_options(method, n_permutations, n_resamples, alpha):
    """Raise an error if options of :func:`relay_map` are not allowed.

    Parameters
    ----------
    method : str
    n_permutations, n_resamples : int
    alpha : float
    """
    check_choice(method, name="method", choices=METHODS)
    check_integer(n_permutations, name="n_permutations", low=0)
    check_integer(n_resamples, name="n_resamples", low=0)
    if n_resamples == 1:
        raise ValueError("n_resamples=1; expected 0 or an integer >= 2.")
    if 0 < n_permutations < FEWEST_PERMUTATIONS:
        raise ValueError(
            f"n_permutations={n_permutations}; expected 0 or an integer >= {FEWEST_PERMUTATIONS}, "
            "because p-values are not valid with fewer."
        )
    if n_permutations and method not in TESTABLE:
        raise ValueError(
            f"n_permutations={n_permutations!r}; expected 0 with method={method!r}. P-values are "
            f"available with {', '.join(map(repr, TESTABLE))} only."
        )
    check_alpha(alpha)


def fewest_for_number(alpha):
    """Return the smallest number of permutations with which a number of relays can be found."""
    return max(FEWEST_PERMUTATIONS, int(np.ceil(1.0 / alpha)))


def _dispatch(n_jobs, n_tasks):
    """Return joblib options that dispatch many short tasks in batches and all in advance.

    With dask, dispatching tasks one by one takes longer than computing them.
    """
    batches = 16 * effective_n_jobs(n_jobs)  # enough for workers to finish at about the same time
    return {"batch_size": int(np.clip(n_tasks // batches, 1, 32)), "pre_dispatch": "all"}


def _permutations(rng, number, n_instances):
    drawn = [rng.permutation(n_instances) for _ in range(number)]
    return np.array(drawn, dtype=np.int64).reshape(number, n_instances)


def _step(method, codes, states, timepoint, plan, shuffles, samples, alpha):
    """Return what is computed of one concept at one time step, by name."""
    score, states = METHODS[method], states[:, timepoint]
    present = states[:, 0] != NO_STATE
    if not present.any():
        return None
    # Numba would compile the kernels again for read-only arrays, which worker processes receive.
    plan = tuple(np.require(part, requirements="W") for part in plan)
    within = [permuted_within(codes.classes, order) for order in shuffles]
    codes, states = codes.take(present), states[present]
    scores, coverage = score(codes, states, plan)
    step = {"relay_map": scores, "coverage": coverage}
    if len(shuffles):
        chance, unheard = (permuted_among(present, np.array(s)) for s in (shuffles, within))
        step["terms"] = observed_terms(codes, states, plan)
        step["nulls"] = permuted_terms(codes, states, plan, chance, unheard)
    if len(samples):
        position = np.cumsum(present) - 1
        orders = [position[sample[present[sample]]] for sample in samples]
        draws = half_scores(score, codes, states, plan, orders)
        step["confidence_interval"] = subsampling_interval(scores, draws, alpha)
    return step


def _gather(steps, result, shape, n_permutations, n_resamples):
    """Collect the results of all steps into maps, with sums over steps of what tests need."""
    names = ["relay_map", "coverage"]
    result.update({name: np.full(shape, np.nan) for name in names})
    if n_permutations:
        result.pvalues, result.pvalues_heard = np.full((2, *shape), np.nan)
        result.terms = np.zeros((3, shape[2]))
        result.nulls = np.zeros((n_permutations, 3, shape[2]))
    if n_resamples:
        result.confidence_interval = np.full((2, *shape), np.nan)
    for index, step in enumerate(steps):
        if step is None:
            continue
        where = np.unravel_index(index, shape[:2])
        for name in names:
            result[name][where] = step[name]
        if n_permutations:
            result.pvalues[where], result.pvalues_heard[where] = chance_and_heard(
                step["terms"], step["nulls"]
            )
            for name in ("terms", "nulls"):
                result[name] += step[name] * result.n_instances[where[1]]
        if n_resamples:
            result.confidence_interval[:, *where] = step["confidence_interval"]


def _decide(result, n_permutations, alpha):
    """Add which values are significant, and how many nodes are; remove the sums behind it."""
    result.pvalues_heard[result.unexplained == 0] = np.nan
    result.significant = _significant(result.pvalues, alpha)
    result.heard = _significant(np.maximum(result.pvalues, result.pvalues_heard), alpha)
    chance, heard = chance_and_heard(result.pop("terms"), result.pop("nulls"))
    total = np.nansum(result.relay_map * result.n_instances[:, None], axis=(0, 1))
    result.n_beyond = result.n_heard = None
    if n_permutations >= fewest_for_number(alpha):
        result.n_beyond = n_beyond_chance(total, chance, alpha)
        result.n_heard = n_beyond_chance(total, np.maximum(chance, heard), alpha)


def _what_there_is(concepts, method):
    """Return the information that there is about every concept, by name."""
    there_is = {"information": np.array([codes.information() for codes in concepts])}
    if method == "throughput":
        there_is["unexplained"] = np.array([codes.unexplained() for codes in concepts])
    return there_is


def _significant(pvalues, alpha):
    known = ~np.isnan(pvalues)
    significant = np.zeros(pvalues.shape, dtype=bool)
    significant[known] = false_discovery_control(pvalues[known]) <= alpha
    return significant


# ---------------------------------------------------------------- checks


def _n_states(states):
    """Return the number of states; the mark for the end of a series is not a state."""
    top = int(states.max(initial=0))
    if top == NO_STATE:
        top = int(states.max(initial=0, where=states != NO_STATE))
    return max(top + 1, 2)


def _n_values(codes):
    """Return the number of true values, or of values that the network says, if these are more."""
    return 1 + max(int(codes.a.max()), int(codes.said.max()))


def _check_concepts(concept_in, concept_out, log_odds, labels, n_instances):
    """Return the codes of every concept."""
    tables = {"concept_in": np.asarray(concept_in), "concept_out": np.asarray(concept_out)}
    if log_odds is not None:
        tables["log_odds"] = np.asarray(log_odds)
    for name, table in tables.items():
        if table.ndim != 2 or table.shape[1] == 0:
            raise ValueError(f"{name} has shape {table.shape}; expected (n_instances, n_concepts).")
        if table.shape != tables["concept_in"].shape:
            raise ValueError(
                f"{name} has shape {table.shape}; expected {tables['concept_in'].shape}, as in "
                "concept_in."
            )
    columns = zip(*(table.T for table in tables.values()), strict=True)
    return [
        make_codes(*column[:2], *(column[2:] or [None]), labels, n_instances=n_instances).small()
        for column in columns
    ]
