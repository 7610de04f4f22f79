"""Interchange information: what the states of nodes carry to the prediction, in bits."""

import warnings

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._docs import fill_docs
from .._exchange import Layer, exchange_bits, sources
from .._validation import check_integer, check_nodes, check_sets, check_timepoints
from ..relay._coverage import CoverageWarning
from ..relay._transfer import fewest
from ._ablation import Ablation


@fill_docs
def interchange_information(
    estimator,
    X,
    y,
    *,
    nodes=None,
    groups=None,
    timepoints=None,
    concepts="ovr",
    n_sources=4,
    layer=-1,
    state="h",
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    r"""Measure what the states of nodes carry to the prediction, by exchanging them.

    Every instance, the *base*, runs up to a time step. There the states of a set of nodes are
    replaced by those that another instance, the *source*, has at this time step, and the run goes
    on with the input of the base. If the nodes carry the concept to the output, the prediction then
    says the value of the source; if they do not, it still says that of the base.

    Parameters
    ----------
    %(estimator)s
    %(X)s Data to measure on
    %(y)s
    nodes : None, int or array-like of int, default=None
        Nodes that are exchanged one at a time; None for no single nodes.
    groups : list of array-like of int, optional
        Sets of nodes that are exchanged together, instead of `nodes`.
    %(timepoints)s
    %(concepts)s
    n_sources : int, default=4
        Number of sources per base. They are other instances that have the time step, drawn at
        random, and the same ones for all sets of nodes.
    %(layer)s
    %(state)s
    %(random_state)s the sources
    %(n_jobs_threads)s
    %(verbose)s

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        carried, carried_error : ndarray of shape (n_concepts, n_timepoints)
            Bits about the source in the prediction, if all nodes of the layer are exchanged, and
            the standard error. This is what the states of the layer at one time step carry to the
            output. Both are NaN where fewer than five instances have the time step, or where all of
            them have the same value of the concept.
        transferred, transferred_error : ndarray of shape (n_sets, n_concepts, n_timepoints)
            The same for each set of nodes.
        kept, kept_error : ndarray of shape (n_sets, n_concepts, n_timepoints)
            Bits about the base that are still in the prediction after the exchange.
        sets : list of ndarray of int
            The sets of nodes.
        timepoints : ndarray of shape (n_timepoints,), int
            Time steps after which states are exchanged.
        n_pairs : ndarray of shape (n_timepoints,), int
            Number of pairs of a base and a source.
        reliable : ndarray of shape (n_concepts, n_timepoints), bool
            Whether there are enough pairs and instances for the number of concept values.
        information : ndarray of shape (n_concepts,)
            I(A;B) of the intact network in bits, which is about as much as can be carried.

    Raises
    ------
    TypeError
        If a number or a node is not an integer.
    ValueError
        If `groups` is given together with `nodes`, or an argument is not allowed.

    Warns
    -----
    CoverageWarning
        If a concept of K values has fewer than 16 K^3 pairs, or fewer than 16 K^2 instances.

    See Also
    --------
    knockout_sweep : What is lost without single nodes.
    relayestimators.RelayAnalyzer : What single nodes know, without changing the network.

    Notes
    -----
    With base i, source s, the true concept values A, and the concept value B that is predicted
    after the exchange, the bits transferred and kept are

    .. math:: I(A_s; B | A_i), \quad I(A_i; B | A_s)

    over all pairs. Entropies have the Miller-Madow correction. Groups of instances are left out
    with all of their pairs; this jackknife corrects the remaining bias, and gives the standard
    error. Where `reliable`, estimates scatter around 0 if nothing is transferred. The exchange is
    known as interchange intervention [1]_ and as activation patching; information under
    intervention was proposed in [2]_.

    Bits of several sets do not add up: what two nodes know both can be transferred by neither
    alone, because the other one keeps the value of the base, or by each of them. A concept that is
    not carried at a time step may still be said again by later input. What says something about the
    concept only together with later input is neither transferred nor kept.

    References
    ----------
    .. [1] A. Geiger, H. Lu, T. Icard, C. Potts (2021). Causal abstractions of neural networks.
       Advances in Neural Information Processing Systems 34. arXiv:2106.02997.
    .. [2] N. Ay, D. Polani (2008). Information flows in causal networks. Advances in Complex
       Systems 11, 17-41.

    Examples
    --------
    The class is decided at time step 2, and has to be carried from there to the end:

    >>> import numpy as np
    >>> from relayestimators import GRUClassifier
    >>> from relayestimators.inspection import interchange_information
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1, 6))
    >>> y = np.where(X[:, 0, 2] > 0, "up", "down")
    >>> net = GRUClassifier(max_epochs=40, module__hidden_size=8, random_state=0).fit(X, y)
    >>> result = interchange_information(net, X, y, random_state=0)
    >>> bool(result.carried[0, :2].max() < 0.1), bool(result.carried[0, 2:].min() > 0.5)
    (True, True)
    """
    check_integer(n_sources, name="n_sources", low=1)
    rng = check_random_state(random_state)
    ablation = Ablation(estimator, X, y, concepts=concepts, layer=layer, state=state)
    timepoints = check_timepoints(timepoints, ablation.n_timepoints)
    sets = _sets(nodes, groups, ablation.n_nodes)
    order = rng.permutation(len(ablation.y))
    present = ~np.isnan(ablation.hidden[:, timepoints, 0])
    when = np.where(present, timepoints, -1)
    run = Layer(estimator, ablation.X, ablation.hidden, when, layer, state)
    found, n_pairs, reliable = exchange_bits(
        run,
        [np.arange(ablation.n_nodes), *sets],
        sources(n_sources, len(order)),
        ablation.truth,
        ablation.coded,
        order,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    _warn_of_few_pairs(reliable, n_pairs, present.sum(axis=0), ablation.n_values)
    (transferred, transferred_error), (kept, kept_error) = found
    return Bunch(
        carried=transferred[0],
        carried_error=transferred_error[0],
        transferred=transferred[1:],
        transferred_error=transferred_error[1:],
        kept=kept[1:],
        kept_error=kept_error[1:],
        sets=sets,
        timepoints=timepoints,
        n_pairs=n_pairs,
        reliable=reliable,
        information=ablation.intact.information[0, 0],
    )


def _sets(nodes, groups, n_nodes):
    """Return the sets of nodes that are exchanged, besides all nodes together."""
    if groups is not None:
        if nodes is not None:
            raise ValueError("groups cannot be combined with nodes; expected one of them.")
        return check_sets(groups, n_nodes, name="groups")
    return [] if nodes is None else list(check_nodes(nodes, n_nodes)[:, None])


def _warn_of_few_pairs(reliable, n_pairs, n_present, n_values):
    """Issue one warning if there are too few pairs or instances anywhere."""
    if reliable.all():
        return
    concept, step = np.argwhere(~reliable)[0]
    needed_pairs, needed_instances = fewest(n_values[concept])
    warnings.warn(
        f"There are {n_pairs[step]} pairs of {n_present[step]} instances at a time step, and a "
        f"concept has {n_values[concept]} values: bits are not reliable with fewer than "
        f"{needed_pairs} pairs or {needed_instances} instances (see reliable). Use more instances, "
        "or a concept with fewer values.",
        CoverageWarning,
        stacklevel=3,
    )
