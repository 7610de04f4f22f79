"""Relay scores of all nodes, for one concept at one time step and over concepts and time."""

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy.stats import false_discovery_control
from sklearn.utils import Bunch, check_random_state
from tqdm.auto import tqdm

from .._docs import fill_docs
from .._intervals import subsampling_interval
from .._validation import (
    NO_STATE,
    check_alpha,
    check_choice,
    check_codes,
    check_integer,
    check_states,
)
from ._definition import check_problem
from ._methods import DEFAULT_METHOD, METHODS, TESTABLE, make_plan
from ._significance import (
    half_scores,
    n_beyond_chance,
    permutation_pvalues,
    permuted_scores,
    recoded,
)


@fill_docs
def relay_scores(
    concept_in,
    concept_out,
    states,
    *,
    method=DEFAULT_METHOD,
    n_contexts=64,
    context_size=None,
    random_state=None,
):
    """Compute the relay information of every node, for one concept at one time step.

    Parameters
    ----------
    %(concept_in_out)s
    %(states)s
    method : str, default="throughput"
        How relay information is credited to a node Y. S are random small sets of other nodes.

        "throughput"
            min(I(A;Y|S), I(B;Y|S)) + min(I(A;Y|S), I(B;Y|A,S)), with averages over S. The first
            term is the information that enters and leaves the node. The second term is the part
            of it that is seen to reach B beyond A. It is 0 for nodes that know A but do not
            influence the output, and for all nodes if the network makes no errors; a score is
            therefore between once and twice the relayed information.
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
    n_contexts : int, default=64
        Number of sets S, or of orders. If there are no more than `n_contexts` different sets, each
        is used once and the average is exact.
    context_size : int, optional
        Number of nodes per set. By default the largest number that leaves four instances per
        cell, at most half of the nodes, and at most 2 ("throughput") or 4 ("contexts").
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

    See Also
    --------
    relay_map : Scores over concepts and time steps, with coverage and significance.
    relay_pairs, relay_group : Searches for what no single node carries.

    Notes
    -----
    Relay information is defined in [1]_. The entropies in "throughput" have the Miller-Madow
    correction; min(I(A;Y), I(B;Y)) is the minimum mutual information of [2]_, an upper bound of
    the information that A and B share through Y.

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
    >>> relay_scores(a, heard, states, random_state=0).round(1)
    array([0.7, 0.2, 0. ])
    >>> relay_scores(a, heard, states, method="single").round(1) + 0.0
    array([0.5, 0.4, 0. ])
    """
    a, b, states = check_problem(concept_in, concept_out, states)
    seed = check_random_state(random_state).randint(2**31 - 1)
    plan = make_plan(
        method,
        *states.shape,
        n_states=_n_states(states),
        n_values=1 + max(a.max(), b.max()),
        n_contexts=n_contexts,
        context_size=context_size,
        random_state=seed,
    )
    return METHODS[method](a, b, states, plan)[0]


@fill_docs
def relay_map(
    concept_in,
    concept_out,
    states,
    *,
    method=DEFAULT_METHOD,
    n_contexts=64,
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
    %(method)s
    n_contexts : int, default=64
        Number of sets of nodes to condition on. The same sets are used for every concept, and for
        all time steps with the same number of instances.
    context_size : int, optional
        Number of nodes per set. By default it depends on the number of instances at each time
        step; see :func:`relay_scores`.
    n_permutations : int, default=0
        Number of permutations of A, and of B, to tell relays from chance. Available with
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
            on and the node itself ("gaussian": instances per node). A value with a coverage below
            4 is not reliable.
        n_instances : ndarray of shape (n_timepoints,)
            Number of instances that have each time step.
        pvalues : ndarray of shape (n_concepts, n_timepoints, n_nodes)
            With `n_permutations`: the larger of the p-values under permuted A and permuted B,
            not corrected for multiple testing.
        significant : ndarray of shape (n_concepts, n_timepoints, n_nodes), bool
            With `n_permutations`: whether the value is above chance, at a false discovery rate of
            `alpha` over all values of the map (Benjamini-Hochberg).
        n_beyond : int
            With `n_permutations`: size of the smallest set of strongest nodes after which none of
            the other nodes is above chance, at a family-wise level of `alpha`. Nodes are ordered
            by their mean over concepts and time steps, weighted by numbers of instances.
        confidence_interval : ndarray of shape (2, n_concepts, n_timepoints, n_nodes)
            With `n_resamples`: lower and upper end of the intervals, by subsampling halves.

    Raises
    ------
    TypeError
        If a number of sets, nodes, permutations or halves is not an integer.
    ValueError
        If an option is not allowed, or the arrays do not fit together.

    See Also
    --------
    relay_scores : One concept at one time step; describes the methods.
    RelayAnalyzer : Estimator that computes relay maps of classifiers.

    Notes
    -----
    A node that encodes A but does not influence the output may differ from chance when A, or the
    states, are permuted. A node that drives B without knowing A may differ from chance when B is
    permuted. A relay must differ from chance under both permutations. The p-values pool the
    permuted scores of all nodes at the same concept and time step, each less the mean and in
    units of the standard deviation of its node.

    Examples
    --------
    The concept is in node 0 at the first time step and in node 1 at the second:

    >>> import numpy as np
    >>> from relayestimators import relay_map
    >>> a = np.array([0, 0, 1, 1] * 20)
    >>> coin = np.array([0, 1, 0, 1] * 20)
    >>> states = np.stack([np.c_[a, coin], np.c_[coin, a]], axis=1)
    >>> relay_map(a[:, None], a[:, None], states).relay_map.round(1)
    array([[[1., 0.],
            [0., 1.]]])
    """
    states = check_states(states, ndim=3)
    columns_a, columns_b = _check_concept_columns(concept_in, concept_out, len(states))
    check_map_options(method, n_permutations, n_resamples, alpha)
    rng = check_random_state(random_state)
    seed = rng.randint(2**31 - 1)
    shuffles = _permutations(rng, n_permutations, len(states))
    samples = _permutations(rng, n_resamples, len(states))
    n_instances = (states[:, :, 0] != NO_STATE).sum(axis=0)
    n_timepoints, n_nodes = states.shape[1:]
    n_states = _n_states(states)
    n_values = 1 + max(int(codes.max()) for codes in (*columns_a, *columns_b))
    plans = {  # the size of the sets depends on the number of instances at a time step
        n: make_plan(method, n, n_nodes, n_states, n_values, n_contexts, context_size, seed)
        for n in set(n_instances.tolist())
    }
    problems = [
        (a, b, t) for a, b in zip(columns_a, columns_b, strict=True) for t in range(n_timepoints)
    ]
    # Every task gets the same whole arrays, because joblib can share these between workers.
    options = {"prefer": "threads", "return_as": "generator", **_dispatch(n_jobs, len(problems))}
    results = Parallel(n_jobs, **options)(
        delayed(_step)(
            method, a, b, states, t, plans[int(n_instances[t])], shuffles, samples, alpha
        )
        for a, b, t in problems
    )
    bar = tqdm(results, total=len(problems), disable=not verbose, desc="relay map", unit="step")
    return _gather(
        bar, (len(columns_a), n_timepoints, n_nodes), n_instances, shuffles, samples, alpha
    )


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
    if n_permutations and method not in TESTABLE:
        raise ValueError(
            f"n_permutations={n_permutations!r}; expected 0 with method={method!r}. P-values are "
            f"valid with {', '.join(map(repr, TESTABLE))} only: a permutation of A or B removes "
            "I(A;B), which is part of the other scores, so that noise would look like relays."
        )
    check_alpha(alpha)


def _dispatch(n_jobs, n_tasks):
    """Return joblib options that dispatch many short tasks in batches and all in advance.

    With dask, dispatching tasks one by one takes longer than computing them.
    """
    batches = 16 * effective_n_jobs(n_jobs)  # enough for workers to finish at about the same time
    return {"batch_size": int(np.clip(n_tasks // batches, 1, 32)), "pre_dispatch": "all"}


def _permutations(rng, number, n_instances):
    drawn = [rng.permutation(n_instances) for _ in range(number)]
    return np.array(drawn, dtype=np.int64).reshape(number, n_instances)


def _step(method, a, b, states, timepoint, plan, shuffles, samples, alpha):
    """Return scores, coverage, permuted scores and intervals of one concept at one time step."""
    score, states = METHODS[method], states[:, timepoint]
    rows = np.flatnonzero(states[:, 0] != NO_STATE)
    if not rows.size:
        return None
    # Numba would compile the kernels again for read-only arrays, which worker processes receive.
    plan = np.require(plan, requirements="W")
    scores, coverage = score(*recoded(a[rows], b[rows]), states[rows], plan)
    nulls = ends = None
    if len(shuffles):
        nulls = permuted_scores(score, a, b, states, rows, plan, shuffles)
    if len(samples):
        draws = half_scores(score, a, b, states, rows, plan, samples)
        ends = subsampling_interval(scores, draws, alpha)
    return scores, coverage, nulls, ends


def _gather(steps, shape, n_instances, shuffles, samples, alpha):
    """Collect the results of all steps into maps, with the sum of the permuted scores only."""
    names = ["relay_map", "coverage"] + ["pvalues"] * bool(len(shuffles))
    maps = {name: np.full(shape, np.nan) for name in names}
    interval = np.full((2, *shape), np.nan)
    null_sum = np.zeros((2, len(shuffles), shape[2]))
    for index, step in enumerate(steps):
        if step is None:
            continue
        scores, coverage, nulls, ends = step
        where = np.unravel_index(index, shape[:2])
        maps["relay_map"][where], maps["coverage"][where] = scores, coverage
        if len(shuffles):
            maps["pvalues"][where] = permutation_pvalues(scores, nulls)
            null_sum += nulls * n_instances[where[1]]
        if len(samples):
            interval[:, *where] = ends
    result = Bunch(**maps, n_instances=n_instances)
    if len(shuffles):
        result.significant = _significant(result.pvalues, alpha)
        total = np.nansum(result.relay_map * n_instances[:, None], axis=(0, 1))
        result.n_beyond = n_beyond_chance(total, null_sum, alpha)
    if len(samples):
        result.confidence_interval = interval
    return result


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


def _smallest_integers(codes):
    """Return codes in the smallest integer type, because every task is sent a copy."""
    return codes.astype(np.min_scalar_type(int(codes.max())))


def _check_concept_columns(concept_in, concept_out, n_instances):
    """Return the columns of both concept arrays as lists of codes."""
    tables = {"concept_in": np.asarray(concept_in), "concept_out": np.asarray(concept_out)}
    for name, table in tables.items():
        if table.ndim != 2 or table.shape[1] == 0:
            raise ValueError(f"{name} has shape {table.shape}; expected (n_instances, n_concepts).")
    shapes = [table.shape for table in tables.values()]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"concept_out has shape {shapes[1]}; expected {shapes[0]}, as in concept_in."
        )
    return (
        [
            _smallest_integers(check_codes(column, name=name, n_instances=n_instances))
            for column in table.T
        ]
        for name, table in tables.items()
    )
