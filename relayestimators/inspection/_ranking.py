"""Rankings of hidden nodes by relay information and by other interpretability methods."""

from copy import deepcopy

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_consistent_length, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import nn
from tqdm.auto import tqdm

from .._docs import fill_docs
from .._validation import (
    check_bool,
    check_choice,
    check_concepts,
    check_integer,
    check_recurrent,
    check_timepoints,
)
from ..analyzer import INTERCHANGE, RelayAnalyzer
from ..panels._panel import aligned_timepoints
from ..relay import METHODS
from ..relay._concepts import concept_values
from ._ablation import other_partitions
from ._combination import specific_scores

# About how many numbers a batch may hold at once. It limits the memory, not the result.
_MAX_NUMBERS = 2**24


@fill_docs
def rank_nodes(
    estimator,
    X,
    y,
    *,
    method="throughput",
    concepts="ovr",
    timepoints=None,
    align="start",
    layer=-1,
    state="h",
    specific=False,
    window=1,
    n_pairs=2000,
    n_steps=None,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    r"""Score every hidden node for every concept at every time step, by relay or other methods.

    The scores of all methods have the same shape, so that they can be compared by knockouts.

    Parameters
    ----------
    %(estimator)s
    %(X)s Series
    y : array-like of shape (n_instances,)
        True labels. Only relay methods use them; the other methods explain the predictions.
    method : str, default="throughput"
        One of ``relayestimators.inspection.RANKINGS``.

        "throughput", "contexts", "shapley", "shrink", "single", "gaussian"
            Relay information in bits; see :func:`relayestimators.relay.relay_scores`.
        "interchange"
            Part of what an exchange of all states changes, with its sign; see
            :class:`~relayestimators.RelayAnalyzer`.
        "random"
            Random numbers, independent for each concept, time step and node.
        "readout"
            Largest difference between the mean readout weights of classes with different concept
            values. Available for the last layer only, and the same at every time step.
        "variance"
            Variance of the activation over instances; the same for every concept.
        "gradient"
            Absolute value of activation times gradient [1]_, mean over instances. The gradient
            passes through all later time steps of the recurrence.
        "conductance"
            The same with conductance [2]_, along a path of inputs from the mean series of `X` to
            the instance. Needs captum [4]_.
        "integrated_gradients"
            The same with integrated gradients [3]_, along a path of activations of the time step
            from those of the mean series to those of the instance; all else in the run is that of
            the instance. Needs captum.
    %(concepts)s
    %(timepoints)s
    %(align)s
    %(layer)s
    state : {"h", "c"}, default="h"
        Hidden state, or memory cell of an LSTM. "readout" and the methods with gradients are
        available for hidden states only.
    specific : bool, default=False
        Whether to return the fraction that a node has of the absolute scores of a concept, with the
        sign of its score, less its mean fraction of those of the other concepts. Such scores name
        nodes that serve one concept and no other.
    window : int or None, default=1
        Number of time steps for which nodes are exchanged for "interchange"; None is to the end.
    n_pairs : int, default=2000
        Number of pairs of instances per concept and time step for "interchange".
    n_steps : int, optional
        Number of points of the integral. The default is 100 for "conductance", which needs one run
        for all time steps, and 20 for "integrated_gradients", which needs one for each.
    %(random_state)s the contexts of relay methods and of random scores
    %(n_jobs)s
    %(verbose)s

    Returns
    -------
    ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Scores; higher is more important. They are NaN at time steps that no instance has. Their
        unit is bits of information for relay methods, bits of log-odds for "interchange" and the
        last three, and fractions if `specific`.

    Raises
    ------
    ValueError, TypeError, ImportError
        If an argument is not allowed, or the network or the installation lacks what the method
        needs.

    See Also
    --------
    relayestimators.RelayAnalyzer : Relay information with coverage, significance and intervals.
    compare_rankings : Compares rankings by knockouts.

    Notes
    -----
    Gradients are those of the log-odds L, in bits, of the concept value that the network predicts:
    of the classes with this value against all others. With the activation h of a node at a time
    step, and :math:`h_0` at the mean series, the last three methods have in one instance the values

    .. math:: h \frac{\partial L}{\partial h}, \quad
        \int_0^1 \frac{\partial L}{\partial h} \frac{d h}{d a} \, da, \quad
        (h - h_0) \int_0^1 \frac{\partial L}{\partial h} \, da .

    Along the path, a from 0 to 1, the input of "conductance" goes from the mean series to the
    series, and the activations of the time step for "integrated_gradients" go from :math:`h_0` to
    h. The mean series is taken over the instances that have the time step. In networks that switch
    between attractors, gradients are large on narrow parts of a path only, and integrals converge
    slowly. Increase `n_steps` until the order of the nodes does not change.

    References
    ----------
    .. [1] A. Shrikumar et al. (2016). Not just a black box. arXiv:1605.01713.
    .. [2] K. Dhamdhere et al. (2018). How important is a neuron? arXiv:1805.12233.
    .. [3] M. Sundararajan et al. (2017). Axiomatic attribution for deep networks. arXiv:1703.01365.
    .. [4] N. Kokhlikyan et al. (2020). Captum. arXiv:2009.07896.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import GRUClassifier
    >>> from relayestimators.inspection import knockout_specificity, rank_nodes
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1, 8))
    >>> y = np.where(X[:, 0, 2] > 0, "up", "down")  # decided at time step 2
    >>> net = GRUClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> scores = rank_nodes(net, X, y, method="gradient", timepoints=range(3, 8))
    >>> scores.shape
    (2, 5, 32)
    >>> order = scores.mean(axis=(0, 1)).argsort()  # weakest first
    >>> weak, strong = knockout_specificity(net, X, y, relays=[order[:8], order[-8:]]).loss
    >>> bool(weak.mean() < strong.mean())
    True
    """
    check_choice(method, name="method", choices=RANKINGS)
    check_choice(align, name="align", choices=("start", "end"))
    check_bool(specific, name="specific")
    check_integer(1 if n_steps is None else n_steps, name="n_steps", low=1)
    check_recurrent(estimator)
    check_is_fitted(estimator)
    if state != "h" and (method == "readout" or method in _BY_GRADIENTS):
        raise ValueError(f"state={state!r} with method={method!r}; expected state='h'.")
    where = {"concepts": concepts, "timepoints": timepoints, "align": align}
    where |= {"layer": layer, "state": state}
    options = {"window": window, "n_pairs": n_pairs, "random_state": random_state}
    options |= {"n_jobs": n_jobs, "verbose": verbose}
    scores = _scores(estimator, X, y, method, where, options, n_steps)
    if specific:
        table = check_concepts(concepts, len(estimator.classes_))
        return specific_scores(scores, other_partitions(table))
    return scores


def _scores(estimator, X, y, method, where, options, n_steps):
    """Return the scores of a method, of shape (n_concepts, n_timepoints, n_nodes)."""
    if method in (*METHODS, INTERCHANGE):
        options = {"method": method, "carried": False} | where | options
        return RelayAnalyzer(FrozenEstimator(estimator), **options).fit(X, y).relay_map_
    case = _make_case(estimator, X, y, **where)
    if method in _BY_GRADIENTS:
        scores = _mean_attribution(case, method, n_steps, options["verbose"])
    else:
        scores = _WITHOUT_GRADIENTS[method](case, check_random_state(options["random_state"]))
    shape = case.table.shape[1], len(case.timepoints), case.run.hidden.shape[2]
    scores = np.broadcast_to(scores, shape).astype(np.float64)
    scores[:, (case.when < 0).all(axis=0)] = np.nan
    return scores


def _make_case(estimator, X, y, concepts, timepoints, align, layer, state):
    """Return the data that methods work on.

    `when` has the time steps of every series, of shape (n_instances, n_timepoints), or -1 where a
    series has no such time step.
    """
    classes, y = estimator.classes_, column_or_1d(y, warn=True)
    table = check_concepts(concepts, len(classes))
    concept_values(y, classes, table)  # is called for its check of the labels
    run = estimator.unroll(X, layer=layer, state=state)
    check_consistent_length(run.hidden, y)
    n_timepoints = run.hidden.shape[1]
    timepoints = check_timepoints(timepoints, n_timepoints)
    when = aligned_timepoints(timepoints, run.lengths, n_timepoints, align)
    case = {"estimator": estimator, "X": X, "layer": layer, "table": table, "run": run}
    return Bunch(**case, timepoints=timepoints, when=when)


def _random(case, rng):
    """Return random scores, which do not depend on which time steps are requested."""
    shape = case.table.shape[1], *case.run.hidden.shape[1:]
    return rng.random_sample(shape)[:, case.timepoints]


def _readout(case, rng):
    """Return the largest difference between mean readout weights, by concept."""
    module, n_nodes = getattr(case.estimator, "module_", None), case.run.hidden.shape[2]
    readout = getattr(module, "readout", None)
    if not isinstance(readout, nn.Linear):
        raise TypeError(
            "method='readout' needs a module_ with a linear layer `readout` of its last states; "
            f"{type(module).__name__} has none. Use another method."
        )
    last = case.layer in (-1, getattr(module, "num_layers", 0) - 1)
    if not last or tuple(readout.weight.shape) != (len(case.table), n_nodes):
        raise ValueError(
            f"layer={case.layer} with method='readout'; expected layer=-1, because only nodes of "
            "the last layer have readout weights."
        )
    weight = readout.weight.detach().cpu().numpy().astype(np.float64)
    scores = []
    for column in case.table.T:
        means = [weight[column == value].mean(axis=0) for value in np.unique(column)]
        scores.append(np.ptp(means, axis=0))
    return np.stack(scores)[:, None]


def _variance(case, rng):
    """Return the variance over instances, by time step."""
    scores = np.zeros((len(case.timepoints), case.run.hidden.shape[2]))
    for k, when in enumerate(case.when.T):
        rows = np.flatnonzero(when >= 0)
        if rows.size:
            scores[k] = case.run.hidden[rows, when[rows]].var(axis=0, dtype=np.float64)
    return scores


_WITHOUT_GRADIENTS = {"random": _random, "readout": _readout, "variance": _variance}


def _mean_attribution(case, method, n_steps, verbose):
    """Return the absolute value of attributions, mean over instances."""
    module, panel = _differentiable(case, method)
    attribute, default = _BY_GRADIENTS[method]
    n_steps = default if method == "gradient" else n_steps or default
    n_nodes, n_concepts = case.run.hidden.shape[2], case.table.shape[1]
    net = _LogOdds(module, case.layer, n_nodes)
    mean = panel.nan_to_num().sum(dim=0) / (~panel.isnan()).sum(dim=0).clamp(min=1)
    baseline = torch.where(panel.isnan(), panel, mean)
    when = torch.as_tensor(case.when, device=panel.device)
    predicted = case.table[case.run.logits.argmax(axis=1)]
    own = torch.as_tensor(predicted[:, None] == case.table, device=panel.device)
    per_instance = 16 * n_nodes * getattr(module, "num_layers", 1) * panel.shape[2] * (n_steps + 1)
    batches = gen_batches(len(panel), max(1, _MAX_NUMBERS // per_instance))
    tasks = [(rows, concept) for rows in batches for concept in range(n_concepts)]
    total = np.zeros((n_concepts, when.shape[1], n_nodes))
    for rows, concept in tqdm(tasks, disable=not verbose, desc=method, unit="batch"):
        part = panel[rows], baseline[rows], own[rows, :, concept], when[rows]
        with torch.enable_grad():
            values = attribute(net, *part, n_steps)
        total[concept] += values.detach().abs().cpu().double().sum(dim=0).numpy()
    return total / np.maximum((case.when >= 0).sum(axis=0), 1)[:, None]


def _differentiable(case, method):
    """Return a copy of the module whose weights need no gradients, and the panel as a tensor."""
    module = getattr(case.estimator, "module_", None)
    if not hasattr(module, "forward_with"):
        raise TypeError(
            f"method={method!r} needs a module_ with forward_with(X, edit, *, layer); "
            f"{type(module).__name__} has none. Relay methods, 'random' and 'variance' need none."
        )
    if np.array_equal(case.run.logits, case.run.proba):
        raise ValueError(
            f"method={method!r} needs logits, but {type(module).__name__} returns probabilities. "
            "Train it on logits, with criterion=torch.nn.CrossEntropyLoss."
        )
    module = deepcopy(module).eval().requires_grad_(False)
    panel = torch.tensor(case.estimator.checked_panel(case.X))
    return module, panel.to(next(module.parameters()))


class _LogOdds(nn.Module):
    """Log-odds of concept values, with hidden states that pass through the layer `tap` once.

    captum does not support a layer that is called at every time step. Therefore the states are
    computed in a first run, pass through `tap`, and are inserted into a second run.
    """

    def __init__(self, module, layer, n_nodes):
        super().__init__()
        self.module, self.layer, self.n_nodes, self.tap = module, layer, n_nodes, nn.Identity()

    def edited(self, X, own, edit):
        """Return log-odds of the classes `own` in bits, summed over the independent instances."""
        logits = self.module.forward_with(X, edit, layer=self.layer)
        inside, outside = (logits.masked_fill(mask, -torch.inf) for mask in (~own, own))
        return (inside.logsumexp(dim=1) - outside.logsumexp(dim=1)).sum()[None] / np.log(2)

    def forward(self, X, own, when=None):
        """Return log-odds; states of all time steps, or of one per instance, pass through `tap`."""
        hidden = self.module.unroll(X, layer=self.layer).hidden
        if when is None:
            each = self.tap(hidden.nan_to_num()).unbind(dim=1)
        else:
            chosen = self.tap(hidden[torch.arange(len(X), device=X.device), when])

        def follow(h, timepoint, *, nodes):  # keeps the value, with the gradient of `tapped`
            tapped = each[timepoint][:, nodes]
            return h + (tapped - tapped.detach())

        def replace(h, timepoint, *, nodes):
            now = when == timepoint
            return torch.where(now[:, None], chosen[:, nodes], h) if now.any() else h

        return self.edited(X, own, follow if when is None else replace)


def _gradient(net, X, baseline, own, when, n_steps):
    """Return activation times gradient, of shape (n_instances, n_timepoints, n_nodes)."""
    # If h is multiplied by a gate of 1, the derivative with respect to the gate is h * dL/dh, so
    # that one backward pass is enough for all time steps.
    gates = X.new_ones(X.shape[2], len(X), net.n_nodes, requires_grad=True)
    each = gates.unbind()
    odds = net.edited(X, own, lambda h, timepoint, *, nodes: h * each[timepoint][:, nodes])
    return _at_own_time_steps(torch.autograd.grad(odds, gates)[0].transpose(0, 1), when)


def _conductance(net, X, baseline, own, when, n_steps):
    """Return conductances, of shape (n_instances, n_timepoints, n_nodes)."""
    # This is the only rule of captum with both ends of the path; others lose a part of it.
    options = {"n_steps": n_steps, "method": "riemann_trapezoid", "additional_forward_args": own}
    explainer = _captum("LayerConductance")(net, net.tap)
    return _at_own_time_steps(explainer.attribute(X, baseline, **options), when)


def _integrated_gradients(net, X, baseline, own, when, n_steps):
    """Return integrated gradients, of shape (n_instances, n_timepoints, n_nodes)."""
    explainer = _captum("LayerIntegratedGradients")(net, net.tap)
    values = X.new_zeros(*when.shape, net.n_nodes)
    for k, step in enumerate(when.T):
        rows = step >= 0
        if rows.any():
            options = {"additional_forward_args": (own[rows], step[rows]), "n_steps": n_steps}
            values[rows, k] = explainer.attribute(X[rows], baseline[rows], **options)
    return values


def _captum(name):
    """Return a class of captum, or raise an error that says how to install it."""
    try:
        from captum import attr
    except ImportError as error:
        raise ImportError(f"{name} needs captum: pip install 'relayestimators[captum]'.") from error
    return getattr(attr, name)


def _at_own_time_steps(values, when):
    """Return the values of each instance at its own time steps, and 0 where it has none."""
    where = when.clamp(min=0)[:, :, None].expand(-1, -1, values.shape[2])
    return values.gather(1, where) * (when >= 0)[:, :, None]


# Attribution to nodes in every instance, and the default number of points of its integral.
_BY_GRADIENTS = {
    "gradient": (_gradient, 1),
    "conductance": (_conductance, 100),
    "integrated_gradients": (_integrated_gradients, 20),
}

#: Names of the methods of :func:`rank_nodes`.
RANKINGS = (*METHODS, INTERCHANGE, *_WITHOUT_GRADIENTS, *_BY_GRADIENTS)
