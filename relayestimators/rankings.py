"""rank_nodes: rankings of hidden nodes by relay information and by other interpretability methods.

Floor 4: torch, captum inside functions, and the floors below. The classifier is known by its
protocol, ``unroll`` and ``classes_``; gradients also need a ``module_`` with ``forward_with``.
"""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_consistent_length, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import nn
from tqdm.auto import tqdm

from ._validation import (
    check_choice,
    check_concepts,
    check_integer,
    check_recurrent,
    check_timepoints,
)
from .analyzer import RelayAnalyzer
from .relay import METHODS, concept_values

_FLOATS = 2**24  # numbers that a batch may hold at once, about; bounds memory, not the result


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
    n_steps=8,
    random_state=None,
    n_jobs=None,
    verbose=0,
):
    """Score every hidden node, for every concept at every time step, by a method of choice.

    Whatever the method, the scores have one shape, so that relay information can be compared with
    other measures of importance in the same knockouts.

    Parameters
    ----------
    estimator : fitted classifier
        With ``unroll``; it is not changed. For "gradient", "conductance" and
        "integrated_gradients" its ``module_`` must return logits and have ``forward_with``, for
        "readout" a linear ``readout``, as :class:`RecurrentNetwork` has.
    X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel
        As the classifier takes it.
    y : array-like of shape (n_instances,)
        Labels. Only the relay methods use them; the others explain what the net predicts.
    method : str, default="throughput"
        What makes a node important; all names are in ``rankings.RANKINGS``.

        "throughput", "contexts", "shapley", "shrink", "single", "gaussian"
            Relay information in bits, by :class:`RelayAnalyzer`; see :func:`relay_scores`.
        "random"
            Uniform random numbers, independent for each concept, time step and node: chance.
        "readout"
            Largest difference of readout weights, averaged over classes of the same concept
            value, between two values; the same at every time step. Last layer only.
        "variance"
            Variance of the activation over instances; the same for every concept.
        "gradient"
            abs(h * dL/dh), mean over instances, where h is the activation at the time
            step and the derivative is total: through all that follows in the recurrence [1]_.
        "conductance"
            Conductance [2]_ of h while the input moves from the mean series of `X` to the instance,
            by captum [4]_; absolute value, mean over instances.
        "integrated_gradients"
            The same with integrated gradients [3]_ of h, which moves from its value under the mean
            series to its own while the rest of the run is that of the instance.
    concepts : {"ovr", "class"} or array-like of shape (n_classes, n_concepts), default="ovr"
        As in :class:`RelayAnalyzer`.
    timepoints : None, int or array-like of int, default=None
        Time steps to score; negative ones count from the end. None is all.
    align : {"start", "end"}, default="start"
        Where series of unequal length are lined up, as in :class:`RelayAnalyzer`.
    layer : int, default=-1
        Layer of the nodes.
    n_steps : int, default=8
        Points of the integrals of "conductance" and "integrated_gradients".
    random_state : int, RandomState instance or None, default=None
        Draws random scores, and the contexts of relay methods.
    n_jobs : int, optional
        Joblib workers of relay methods. The result does not depend on it.
    verbose : int, default=0
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Scores, higher is more important; NaN at time steps no instance has. Units are those of the
        method: only the order can be compared between methods.

    Raises
    ------
    ValueError
        If an argument is not allowed, or the method does not apply to this layer or net.
    TypeError
        If the estimator or its module lacks what the method needs.
    ImportError
        If the method needs captum and it is not installed.

    Warns
    -----
    CoverageWarning
        With relay methods, as :class:`RelayAnalyzer`.

    See Also
    --------
    RelayAnalyzer : Relay information with coverage, significance and confidence intervals.
    knockout_specificity : What the strongest nodes are needed for.

    Notes
    -----
    L is the log-odds of the predicted concept value: logsumexp of the logits of the classes with
    this value minus that of the others. For concepts of two values, L for the true value differs
    in sign only, so the scores are the same.

    The mean series averages the instances that have the step, and is cut to the length of each
    instance.

    References
    ----------
    .. [1] A. Shrikumar, P. Greenside, A. Shcherbina, A. Kundaje (2016). Not just a black box:
       learning important features through propagating activation differences. arXiv:1605.01713.
    .. [2] K. Dhamdhere, M. Sundararajan, Q. Yan (2018). How important is a neuron?
       arXiv:1805.12233.
    .. [3] M. Sundararajan, A. Taly, Q. Yan (2017). Axiomatic attribution for deep networks. ICML.
       arXiv:1703.01365.
    .. [4] N. Kokhlikyan et al. (2020). Captum: a unified and generic model interpretability
       library for PyTorch. arXiv:2009.07896.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators import GRUClassifier, knockout_specificity, rank_nodes
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1, 8))
    >>> y = np.where(X[:, 0, 2] > 0, "up", "down")  # decided at time step 2
    >>> net = GRUClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> scores = rank_nodes(net, X, y, method="gradient", timepoints=range(3, 8))
    >>> scores.shape
    (2, 5, 32)
    >>> nodes = scores.mean(axis=(0, 1)).argsort()  # weakest first
    >>> result = knockout_specificity(net, X, y, relays=[nodes[-8:], nodes[:8]], n_random=0)
    >>> strong, weak = result.accuracy_loss
    >>> bool(strong > weak)
    True
    """
    check_choice(method, name="method", choices=RANKINGS)
    check_choice(align, name="align", choices=("start", "end"))
    check_integer(n_steps, name="n_steps", low=1)
    check_recurrent(estimator)
    check_is_fitted(estimator)
    options = {"concepts": concepts, "timepoints": timepoints, "align": align, "layer": layer}
    if method in METHODS:
        options |= {"random_state": random_state, "n_jobs": n_jobs, "verbose": verbose}
        analyzer = RelayAnalyzer(FrozenEstimator(estimator), method=method, **options)
        return analyzer.fit(X, y).relay_map_
    case = _make_case(estimator, X, y, **options)
    if method == "random":
        return _random(case, random_state)
    if method in _OF_ACTIVATIONS:
        return _everywhere(_OF_ACTIVATIONS[method](case), case)
    return _everywhere(_explained(case, method, n_steps, verbose), case)


class _Case(NamedTuple):
    """A fitted classifier with its data, seen from one layer.

    Parameters
    ----------
    estimator, X
        As in `rank_nodes`.
    run : Bunch
        What ``unroll`` returned.
    steps : ndarray of shape (n_instances, n_timepoints), int
        Where each instance has the time steps to score; -1 where it does not.
    timepoints : ndarray of shape (n_timepoints,), int
        The time steps to score.
    table : ndarray of shape (n_classes, n_concepts)
        Concept values.
    layer : int
        The layer.
    """

    estimator: Any
    X: Any
    run: Any
    steps: np.ndarray
    timepoints: np.ndarray
    table: np.ndarray
    layer: int


def _make_case(estimator, X, y, concepts, timepoints, align, layer):
    classes = estimator.classes_
    table = check_concepts(concepts, len(classes))
    y = column_or_1d(y, warn=True)
    concept_values(y, classes, table)  # refuses labels there are not
    run = estimator.unroll(X, layer=layer)
    check_consistent_length(run.hidden, y)
    n_timepoints = run.hidden.shape[1]
    timepoints = check_timepoints(timepoints, n_timepoints)
    lengths = (~np.isnan(run.hidden[:, :, 0])).sum(axis=1)[:, None]
    steps = timepoints + (lengths - n_timepoints if align == "end" else 0 * lengths)
    steps = np.where((steps >= 0) & (steps < lengths), steps, -1)
    return _Case(estimator, X, run, steps, timepoints, table, layer)


def _everywhere(scores, case):
    """Return scores of the full shape, NaN where no instance has the time step."""
    shape = case.table.shape[1], len(case.timepoints), case.run.hidden.shape[2]
    scores = np.broadcast_to(scores, shape).astype(np.float64)
    scores[:, (case.steps < 0).all(axis=0)] = np.nan
    return scores


# ---------------------------------------------------------------- without gradients


def _random(case, random_state):
    """Return random scores that do not depend on which other time steps are asked for."""
    shape = case.table.shape[1], *case.run.hidden.shape[1:]
    return _everywhere(
        check_random_state(random_state).random_sample(shape)[:, case.timepoints], case
    )


def _variance(case):
    hidden = case.run.hidden.astype(np.float64)
    scores = np.full((len(case.timepoints), hidden.shape[2]), np.nan)
    for k, step in enumerate(case.steps.T):
        here = np.flatnonzero(step >= 0)
        if here.size:
            scores[k] = hidden[here, step[here]].var(axis=0)
    return scores


def _readout(case):
    module = getattr(case.estimator, "module_", None)
    readout, shape = getattr(module, "readout", None), (len(case.table), case.run.hidden.shape[2])
    if not isinstance(readout, nn.Linear):
        raise TypeError(
            f"method='readout' needs a classifier whose module_ has a linear layer `readout` of "
            f"the last states, as RecurrentNetwork; {type(module).__name__} has none."
        )
    top = getattr(module, "num_layers", 0) - 1
    if case.layer not in (-1, top) or tuple(readout.weight.shape) != shape:
        raise ValueError(
            f"method='readout' with layer={case.layer}: only the nodes of the last layer have "
            "readout weights; use layer=-1 or another method."
        )
    weight = readout.weight.detach().cpu().numpy().astype(np.float64)
    scores = []
    for column in case.table.T:
        means = [weight[column == value].mean(axis=0) for value in np.unique(column)]
        scores.append(np.ptp(means, axis=0))
    return np.stack(scores)[:, None]


_OF_ACTIVATIONS = {"readout": _readout, "variance": _variance}


# ---------------------------------------------------------------- with gradients


def _explained(case, method, n_steps, verbose):
    """Return the mean magnitude of an attribution over instances.

    Parameters
    ----------
    case : _Case
    method : str
        One of ``_OF_GRADIENTS``.
    n_steps, verbose : int
        As in `rank_nodes`.

    Returns
    -------
    ndarray of shape (n_concepts, n_timepoints, n_nodes)
    """
    module, panel = _differentiable(case, method)
    n_nodes = case.run.hidden.shape[2]
    mean_series = panel.nan_to_num().sum(dim=0) / (~panel.isnan()).sum(dim=0).clamp(min=1)
    attribute = _OF_GRADIENTS[method](module, case.layer, mean_series, n_steps)
    steps = torch.as_tensor(case.steps, device=panel.device)
    predicted = case.run.logits.argmax(axis=1)
    share = case.table[predicted][:, None, :] == case.table  # instances, classes, concepts
    share = torch.as_tensor(share, device=panel.device)
    points = 1 if method == "gradient" else n_steps + 1
    floats = 16 * n_nodes * getattr(module, "num_layers", 1) * panel.shape[2] * points
    batches = list(gen_batches(len(panel), max(1, _FLOATS // floats)))
    tasks = [(rows, concept) for rows in batches for concept in range(case.table.shape[1])]
    total = torch.zeros(case.table.shape[1], steps.shape[1], n_nodes, dtype=torch.float64)
    for rows, concept in tqdm(tasks, disable=not verbose, desc=method, unit="batch"):
        with torch.enable_grad():
            values = attribute(panel[rows], share[rows, :, concept], steps[rows])
        total[concept] += values.detach().abs().double().sum(dim=0).cpu()
    return total.numpy() / np.maximum((case.steps >= 0).sum(axis=0), 1)[:, None]


def _differentiable(case, method):
    """Return a copy of the module that keeps no gradients of its weights, and the panel."""
    module = getattr(case.estimator, "module_", None)
    if not hasattr(module, "forward_with"):
        raise TypeError(
            f"method={method!r} needs a classifier whose module_ has forward_with(X, edit, *, "
            f"layer), as RecurrentNetwork; {type(module).__name__} has none. Relay methods, "
            "'random' and 'variance' work without."
        )
    if np.array_equal(case.run.logits, case.run.proba):
        raise ValueError(
            f"method={method!r} needs logits, but module {type(module).__name__} returns "
            "probabilities; train it on logits with criterion=torch.nn.CrossEntropyLoss."
        )
    module = deepcopy(module).eval().requires_grad_(False)
    panel = torch.tensor(case.estimator._panel_to_run(case.X))
    return module, panel.to(next(module.parameters()))


def _log_odds(logits, own):
    """Return log-odds of the classes in the mask `own` against the others, (n_instances,)."""
    inside, outside = (logits.masked_fill(mask, -torch.inf) for mask in (~own, own))
    return inside.logsumexp(dim=1) - outside.logsumexp(dim=1)


def _at(values, steps):
    """Return what each instance has at its steps, 0 where it does not have the step."""
    where = steps.clamp(min=0)[:, :, None].expand(-1, -1, values.shape[2])
    return values.gather(1, where) * (steps >= 0)[:, :, None]


def _gradient(module, layer, mean_series, n_steps):
    def attribute(X, own, steps):
        # d/dg of a gate g = 1 that multiplies h is h * d/dh: one backward pass for all steps
        n_nodes = module.unroll(X[:1], layer=layer).hidden.shape[2]
        gates = X.new_ones(X.shape[2], len(X), n_nodes, requires_grad=True)
        each = gates.unbind()

        def gate(h, timepoint, *, nodes):
            return h * each[timepoint][:, nodes]

        odds = _log_odds(module.forward_with(X, gate, layer=layer), own)
        return _at(torch.autograd.grad(odds.sum(), gates)[0].transpose(0, 1), steps)

    return attribute


class _Tapped(nn.Module):
    """Log-odds of concept values, with hidden states passing once through the layer `tap`.

    captum's layer methods break on a layer that is called at every time step. So the states come
    from a run of their own, pass through `tap`, and are put into a second run.
    """

    def __init__(self, module, layer):
        super().__init__()
        self.module, self.layer, self.tap = module, layer, nn.Identity()

    def forward(self, X, own, steps=None):
        """Return the log-odds; states of all steps are tapped, or of one step per instance."""
        hidden = self.module.unroll(X, layer=self.layer).hidden
        if steps is None:
            each = self.tap(hidden.nan_to_num()).unbind(dim=1)
        else:
            each = self.tap(hidden[torch.arange(len(X), device=X.device), steps])

        def follow(h, timepoint, *, nodes):
            """Leave the value as it is, and let the derivative see the tapped state."""
            tapped = each[timepoint][:, nodes]
            return h + (tapped - tapped.detach())

        def replace(h, timepoint, *, nodes):
            here = steps == timepoint
            return torch.where(here[:, None], each[:, nodes], h) if here.any() else h

        edit = follow if steps is None else replace
        return _log_odds(self.module.forward_with(X, edit, layer=self.layer), own)


def _captum(method):
    try:
        from captum import attr
    except ImportError as error:
        raise ImportError(
            f"method={method!r} needs captum; pip install 'relayestimators[captum]'."
        ) from error
    return attr


def _conductance(module, layer, mean_series, n_steps):
    tapped = _Tapped(module, layer)
    explainer = _captum("conductance").LayerConductance(tapped, tapped.tap)

    def attribute(X, own, steps):
        baseline = torch.where(X.isnan(), X, mean_series)
        # of captum's rules only this one has both ends of the path, without which a part is lost
        values = explainer.attribute(
            X,
            baseline,
            additional_forward_args=own,
            n_steps=n_steps,
            method="riemann_trapezoid",
        )
        return _at(values, steps)

    return attribute


def _integrated_gradients(module, layer, mean_series, n_steps):
    tapped = _Tapped(module, layer)
    explainer = _captum("integrated_gradients").LayerIntegratedGradients(tapped, tapped.tap)

    def attribute(X, own, steps):
        baseline = torch.where(X.isnan(), X, mean_series)
        values = []
        for step in steps.T:
            parts = explainer.attribute(
                X,
                baseline,
                additional_forward_args=(own, step.clamp(min=0)),
                n_steps=n_steps,
            )
            values.append(parts * (step >= 0)[:, None])
        return torch.stack(values, dim=1)

    return attribute


_OF_GRADIENTS = {
    "gradient": _gradient,
    "conductance": _conductance,
    "integrated_gradients": _integrated_gradients,
}

#: Names of the methods of :func:`rank_nodes`.
RANKINGS = (*METHODS, "random", *_OF_ACTIVATIONS, *_OF_GRADIENTS)
