"""RelayAnalyzer, which finds the hidden nodes that relay a concept at each time step."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ._attribution import CREDITS, interchange_map
from ._base import MetaClassifierMixin
from ._docs import fill_docs
from ._exchange import Layer, exchange_bits, sources
from ._validation import (
    check_alpha,
    check_bool,
    check_choice,
    check_concepts,
    check_discretization,
    check_integer,
    check_recurrent,
    check_size,
    check_timepoints,
)
from .discretization import StateDiscretizer
from .panels._conversion import frames_to_tensor
from .panels._panel import aligned_timepoints
from .relay import DEFAULT_METHOD, METHODS, mutual_information, relay_map
from .relay._concepts import concept_log_odds, concept_values
from .relay._coverage import MIN_COVERAGE, unreliable_share, warn_if_uncovered
from .relay._map import check_map_options, fewest_for_number
from .relay._order import mean_score, n_tied, ranking_of, strongest_nodes
from .relay._remarks import NOTHING, carried_remarks, tie_remarks, warn_of
from .relay._transfer import fewest

__all__ = ["RelayAnalyzer"]

# Attributes that only some parameters lead to.
_OPTIONAL = ("pvalues", "pvalues_heard", "significant", "heard", "confidence_interval")
_OPTIONAL += ("carried", "carried_error", "relay_map_error", "credit")
_OPTIONAL += ("total", "total_error", "total_same", "gap", "gap_error")

#: The method that exchanges states instead of counting them.
INTERCHANGE = "interchange"

# With fewer instances, every base has several sources, up to four.
_N_PAIRS = 500


@fill_docs
class RelayAnalyzer(MetaClassifierMixin, TransformerMixin, BaseEstimator):
    r"""Find the hidden nodes that relay class concepts through a recurrent classifier.

    The hidden states are discretized at every time step, and every node is credited with the
    information about a concept that it shares with the prediction.

    Parameters
    ----------
    %(meta_estimator)s
    %(concepts)s
    method : str, default="throughput"
        How information is credited to nodes: "throughput", "contexts", "shapley", "shrink" (the
        published search), "single" or "gaussian"; see :func:`relayestimators.relay.relay_scores`.
        "interchange" exchanges states instead of counting them, and shows which nodes are heard;
        see Notes.
    %(n_states)s
    %(strategy)s
    %(timepoints)s
    %(align)s
    %(layer)s
    %(state)s
    n_relays : int, float, "auto", "heard" or None, default=None
        Number of nodes to choose. A float is a fraction of all nodes; None is half of them. "auto"
        is the number of strongest nodes that are all beyond chance, at least 1; "heard" is the same
        for nodes that are beyond chance and also pass the test of being heard. Both use 99
        permutations if `n_permutations` is 0.
    n_permutations : int, default=0
        Number of permutations for p-values; see :func:`relay_map`.
    n_resamples : int, default=0
        Number of random halves for confidence intervals; see :func:`relay_map`.
    alpha : float, default=0.05
        False discovery rate, level of the tests behind "auto" and "heard", and one minus the
        confidence level of the intervals.
    carried : bool, default=True
        Whether to measure what the layer carries to the output, ``carried_``, and to compare the
        map with it. This takes one to two times as long as a knockout at every time step.
    window : int or None, default=1
        With "interchange": number of time steps for which the nodes follow the source; None is to
        the end.
    n_pairs : int, default=2000
        With "interchange": number of pairs of instances with different values, per concept and time
        step. Permutations use half as many pairs for all concepts together.
    credit : {"auto", "gradients", "permutations"}, default="auto"
        With "interchange": how totals are divided among the nodes. "auto" takes gradients, and
        permutations at time steps where gradients miss more than a quarter of a total, or if the
        module has no gradients.
    %(random_state)s contexts, permutations, pairs, halves and the order of nodes with equal scores
        The network has its own seed.
    %(n_jobs)s
    %(verbose)s

    Attributes
    ----------
    relay_map_ : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Relay information in bits; NaN at time steps that no instance has. With "interchange" these
        are parts of a change of log-odds, in bits of log-odds, which are no bits of information,
        and may be negative.
    coverage_ : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        Number of instances per occupied cell behind each value; NaN with "interchange".
    reliable_ : ndarray of shape (n_concepts, n_timepoints, n_nodes), bool
        Whether the coverage is at least 4. With "interchange": whether there are 16 K**2 instances
        for K values of the concept; the layer carries the concept, beyond twice the standard error
        (not with ``carried=False``); ``total_`` is beyond twice its error; ``gap_`` is at most a
        quarter of it; and ``total_same_`` at most half of it.
    relay_map_error_ : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        With "interchange": standard errors.
    total_, total_error_, total_same_ : ndarray of shape (n_concepts, n_timepoints)
        With "interchange", in bits of log-odds: what an exchange of all states for those of a
        source with another value changes, and its standard error; and what a source with the same
        value changes, for all other values against this one.
    gap_, gap_error_ : ndarray of shape (n_concepts, n_timepoints)
        With "interchange": ``total_`` less the sum over nodes, and its standard error.
    credit_ : ndarray of shape (n_timepoints,), str
        With "interchange": "gradients" or "permutations".
    pvalues_, pvalues_heard_ : ndarray of shape (n_concepts, n_timepoints, n_nodes)
        With permutations: p-values of the two tests of :func:`relay_map`, not corrected for
        multiple tests: whether a node is beyond chance, and whether it is heard, that is, has to do
        with what the network says beyond the true class.
    significant_, heard_ : ndarray of shape (n_concepts, n_timepoints, n_nodes), bool
        With permutations: whether a node is beyond chance, and whether it is beyond chance and
        heard, at a false discovery rate of `alpha` over the map.
    confidence_interval_ : ndarray of shape (2, n_concepts, n_timepoints, n_nodes)
        With `n_resamples`: lower and upper ends.
    ranking_ : ndarray of shape (n_nodes,), int
        Rank of each node; 1 is the strongest relay. Nodes are ordered by the mean of the map over
        concepts and time steps, weighted by the number of instances that have the time step. With
        "interchange" this is the mean of absolute values.
    ties_ : ndarray of shape (n_concepts, n_timepoints), int
        Number of nodes that are tied for the last places among the ``n_relays_`` strongest, with at
        least a tenth of ``information_``; 0 if there is no tie. Which of them are chosen is random.
    remarks_ : list of str
        What the map cannot show, as the warning says it; without ties.
    support_ : ndarray of shape (n_nodes,), bool
        Mask of the chosen nodes, whose rank is at most ``n_relays_``.
    n_relays_ : int
        Number of chosen nodes.
    concepts_ : ndarray of shape (n_classes, n_concepts)
        Value of every concept for every class.
    timepoints_ : ndarray of shape (n_timepoints,), int
        Time steps of the map.
    n_instances_ : ndarray of shape (n_timepoints,), int
        Number of instances that have each time step.
    error_rate_ : float
        Fraction of the instances that the network classifies wrongly.
    information_ : ndarray of shape (n_concepts,)
        I(A;B) in bits, the information about each concept in the predictions. Values of the map
        are upper bounds of what single nodes relay, and may exceed it.
    carried_, carried_error_ : ndarray of shape (n_concepts, n_timepoints)
        Bits of each concept that the states of the layer carry from each time step to the output,
        and the standard error: what predictions say of another instance if all states are exchanged
        for its states; see :func:`~relayestimators.inspection.interchange_information`. NaN where
        instances are too few for the values of the concept.
    in_sample_ : bool
        Whether the network was trained in this fit, on the same data that are analyzed. It is False
        for a frozen network, of which this cannot be known.
    estimator_ : classifier
        The fitted classifier.
    discretizer_ : StateDiscretizer
        Discretizer with the thresholds of the states; None with "interchange".
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    %(n_features_in_)s
    %(feature_names_in_)s

    See Also
    --------
    KnockoutTransformer : Shows what the nodes are needed for.
    relay_map : Estimates the map from arrays.

    Notes
    -----
    The values are estimates from counts. They show which nodes the information could pass through;
    a knockout shows whether the network needs them. Nodes that are heard are distinguished from
    nodes that only know the concept by the errors of the network and by its margin, the log-odds
    of the predicted concept value.

    "interchange" asks the network itself. After a time step the states h of the layer are replaced
    by those of a *source*, an instance with another value of the concept, and the run goes on with
    the input of the *base*. The log-odds L, in bits, of the source's value against the base's then
    change by a total. The part of node j is the mean over pairs of

    .. math:: (h^s_j - h^b_j) \int_0^1 \frac{\partial L}{\partial h_j}
        \big(h^b + \alpha (h^s - h^b)\big) \, d\alpha ,

    estimated at one random point of the path per pair. These expected gradients [3]_ are values of
    Aumann and Shapley: a node that is not heard has 0, and parts add up to the total. Where
    gradients fail, nodes are exchanged one after the other in random orders, which gives values of
    Shapley [4]_. The exchange is known as interchange intervention, activation patching or resample
    ablation, its gradient as attribution patching [5]_.

    References
    ----------
    .. [1] A. Hintze, A. Najam, J. Schossau (2025). arXiv:2510.01271.
    .. [2] A. Hintze, C. Adami (2023). Detecting information relays in deep neural networks.
       Entropy 25(3), 401. arXiv:2301.00911.
    .. [3] G. Erion, J. D. Janizek, P. Sturmfels, S. M. Lundberg, S.-I. Lee (2021). Improving
       performance of deep learning models with axiomatic attribution priors and expected gradients.
       Nature Machine Intelligence 3, 620-631. arXiv:1906.10670.
    .. [4] A. Ghorbani, J. Zou (2020). Neuron Shapley. arXiv:2002.09815.
    .. [5] J. Kramár, T. Lieberum, R. Shah, N. Nanda (2024). AtP*. arXiv:2403.00745.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from relayestimators import RelayAnalyzer, RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1, 8))
    >>> y = np.where(X[:, 0, 2] > 0, "up", "down")  # decided at time step 2
    >>> net = RNNClassifier(max_epochs=10, random_state=0).fit(X[:200], y[:200])
    >>> relays = RelayAnalyzer(FrozenEstimator(net), n_relays=4, random_state=0)
    >>> relays.fit(X[200:], y[200:]).transform(X[200:]).shape
    (200, 4)
    >>> relays.relay_map_.shape
    (2, 8, 32)
    >>> before, after = relays.relay_map_[0, 1].max(), relays.relay_map_[0, 2].max()
    >>> bool(before < 0.1 < after)
    True
    """

    def __init__(
        self,
        estimator,
        *,
        concepts="ovr",
        method=DEFAULT_METHOD,
        n_states=None,
        strategy="auto",
        timepoints=None,
        align="start",
        layer=-1,
        state="h",
        n_relays=None,
        n_permutations=0,
        n_resamples=0,
        alpha=0.05,
        carried=True,
        window=1,
        n_pairs=2000,
        credit="auto",
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.concepts = concepts
        self.method = method
        self.n_states = n_states
        self.strategy = strategy
        self.timepoints = timepoints
        self.align = align
        self.layer = layer
        self.state = state
        self.n_relays = n_relays
        self.n_permutations = n_permutations
        self.n_resamples = n_resamples
        self.alpha = alpha
        self.carried = carried
        self.window = window
        self.n_pairs = n_pairs
        self.credit = credit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fill_docs
    def fit(self, X, y, **fit_params):
        """Train the classifier, unless it is frozen, and estimate its relay map.

        Parameters
        ----------
        %(X)s Series
        %(y)s
        **fit_params : dict
            Passed to `fit` of the classifier; with scikit-learn's metadata routing, as requested.

        Returns
        -------
        self : RelayAnalyzer

        Warns
        -----
        CoverageWarning
            If a part of the map rests on fewer than four instances per occupied cell.
        RelayMapWarning
            If the map does not show how a concept is carried, if nodes that are heard cannot be
            distinguished from others, if no node is beyond chance, or if nodes are tied at half of
            the concepts and time steps or more.
        """
        n_states, n_permutations = self._check_parameters()
        if y is None:
            raise ValueError("RelayAnalyzer requires y to be passed, but the target y is None.")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        estimator = self._trained(X, y, fit_params)
        concepts = check_concepts(self.concepts, len(estimator.classes_))
        run = estimator.unroll(X, layer=self.layer, state=self.state)
        check_consistent_length(run.hidden, y)
        n_timepoints, n_nodes = run.hidden.shape[1:]
        timepoints = check_timepoints(self.timepoints, n_timepoints)
        n_relays = self.n_relays
        if not self._counts_relays():
            n_relays = check_size(n_relays, n_nodes, name="n_relays")
        when = aligned_timepoints(timepoints, run.lengths, n_timepoints, self.align)
        predicted = estimator.classes_[run.proba.argmax(axis=1)]
        values = [concept_values(labels, estimator.classes_, concepts) for labels in (y, predicted)]
        rng = check_random_state(self.random_state)
        layer = Layer(estimator, frames_to_tensor(X), run.hidden, when, self.layer, self.state)
        coded = np.column_stack([np.unique(v, return_inverse=True)[1] for v in concepts.T])
        of_layer = layer, concept_values(y, estimator.classes_, coded), coded
        if self.method == INTERCHANGE:
            discretizer, seed = None, rng.randint(2**31 - 1)
        else:
            discretizer = StateDiscretizer(n_states, strategy=self.strategy)
            states = discretizer.fit_transform(_states_at(run.hidden, when))
            log_odds = concept_log_odds(getattr(run, "logits", None), run.proba, concepts)
            result = self._relay_map(*values, states, log_odds, y, n_permutations, rng)
        priority = rng.permutation(n_nodes)
        carried = self._carried(*of_layer, rng) if self.carried else {}
        if self.method == INTERCHANGE:
            result = self._interchange_map(*of_layer, carried, values, seed)
        result.update(carried)
        self.estimator_, self.discretizer_ = estimator, discretizer
        self.classes_, self.concepts_, self.timepoints_ = estimator.classes_, concepts, timepoints
        self.layer_, self.state_, self.method_ = self.layer, self.state, self.method
        self.error_rate_ = float(np.mean(predicted != y))
        self.in_sample_ = not isinstance(self.estimator, FrozenEstimator)
        self.n_relays_, remarks = self._number_of_relays(result, n_relays)
        self._store_map(result, priority)
        if self.carried and self.method != INTERCHANGE:
            remarks += carried_remarks(result, timepoints)
        self.remarks_ = [*result.remarks, *remarks]
        warn_if_uncovered(self.coverage_)
        if self.method == INTERCHANGE:  # the function that makes other maps has warned
            remarks = self.remarks_
        warn_of(remarks + tie_remarks(self.ties_, self.n_relays_, if_common=True))
        return self

    def _interchange_map(self, layer, truth, coded, carried, values, seed):
        """Return the map by interchange, with the fields of the result of :func:`relay_map`."""
        result = interchange_map(
            layer,
            truth,
            coded,
            carried.get("carried"),
            carried.get("carried_error"),
            window=self.window,
            n_pairs=self.n_pairs,
            credit=self.credit,
            seed=seed,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        result.coverage = np.full(result.relay_map.shape, np.nan)
        result.n_instances = (layer.when >= 0).sum(axis=0)
        columns = zip(*(each.T for each in values), strict=True)
        result.information = np.array([mutual_information(a, b) for a, b in columns])
        return result

    def _carried(self, layer, truth, coded, rng):
        """Return what the layer carries to the output at every time step, and its error."""
        n_instances, _, n_nodes = layer.hidden.shape
        wanted = max(_N_PAIRS, fewest(1 + coded.max())[0])
        (bits,), _, enough = exchange_bits(
            layer,
            [np.arange(n_nodes)],
            sources(int(np.clip(np.ceil(wanted / n_instances), 1, 4)), n_instances),
            truth,
            coded,
            rng.permutation(n_instances),
            kept=False,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        carried, error = np.where(enough, bits[:, 0], np.nan)
        return {"carried": carried, "carried_error": error}

    def _counts_relays(self):
        """Return whether tests decide the number of relays."""
        return isinstance(self.n_relays, str) and self.n_relays in ("auto", "heard")

    def _check_parameters(self):
        """Check what can be checked without data; return n_states and n_permutations."""
        check_recurrent(self.estimator)
        counts = self._counts_relays()
        n_permutations = self.n_permutations or 99 * counts
        if self.method == INTERCHANGE:
            self._check_interchange()
        else:
            check_choice(self.method, name="method", choices=(*METHODS, INTERCHANGE))
            check_map_options(self.method, n_permutations, self.n_resamples, self.alpha)
        if counts and n_permutations < fewest_for_number(self.alpha):
            raise ValueError(
                f"n_permutations={n_permutations} with n_relays={self.n_relays!r}; expected 0 or "
                f"an integer >= {fewest_for_number(self.alpha)}, because no relay can be found "
                f"with fewer at alpha={self.alpha}."
            )
        check_choice(self.align, name="align", choices=("start", "end"))
        check_bool(self.carried, name="carried")
        check_integer(1 if self.window is None else self.window, name="window", low=1)
        check_integer(self.n_pairs, name="n_pairs", low=2)
        check_choice(self.credit, name="credit", choices=CREDITS)
        n_states = check_discretization(self.n_states, self.strategy, method=self.method)
        return n_states, n_permutations

    def _check_interchange(self):
        """Check the parameters that a map by interchange has, and that it does not have others."""
        for name in ("n_permutations", "n_resamples"):
            if getattr(self, name) != 0:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}; expected 0 with method='interchange', which "
                    "has standard errors instead (relay_map_error_)."
                )
        if self._counts_relays():
            raise ValueError(
                f"n_relays={self.n_relays!r}; expected a number with method='interchange', which "
                "has no p-values."
            )
        check_alpha(self.alpha)

    def _relay_map(self, concept_in, concept_out, states, log_odds, y, n_permutations, rng):
        """Return the result of :func:`relay_map` with the parameters of this analyzer."""
        return relay_map(
            concept_in,
            concept_out,
            states,
            log_odds=log_odds,
            labels=y,
            method=self.method,
            n_permutations=n_permutations,
            n_resamples=self.n_resamples,
            alpha=self.alpha,
            random_state=rng,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )

    def __repr__(self, **options):
        """Return the parameters and, after fit, the limits of the map."""
        limits = []
        if hasattr(self, "reliable_"):
            if unreliable := unreliable_share(self.coverage_):
                fewer = f"fewer than {MIN_COVERAGE} instances per cell"
                limits.append(f"{unreliable:.0%} of relay_map_ has {fewer}")
            if self.method_ == INTERCHANGE:
                limits.append("relay_map_ has bits of log-odds, which are no bits of information")
            limits += self.remarks_ + tie_remarks(self.ties_, self.n_relays_)
            if self.in_sample_:
                limits.append("analyzed on the data that the network was trained on")
        return "\n".join([super().__repr__(**options), *(f"# {text}" for text in limits)])

    def _number_of_relays(self, result, n_relays):
        """Return the number of relays, at least 1, and a remark if the tests find none."""
        if not self._counts_relays():
            return n_relays, []
        n_relays, seen = {
            "auto": (result.n_beyond, "beyond chance"),
            "heard": (result.n_heard, "seen to be heard"),
        }[self.n_relays]
        if n_relays:
            return n_relays, []
        return 1, [f"no node is {seen}, and the strongest one is chosen nevertheless"]

    def _store_map(self, result, priority):
        """Store the map, its tests and the ranking, and remove the tests of an earlier fit."""
        for name in ("relay_map", "coverage", "n_instances", "information"):
            setattr(self, f"{name}_", result[name])
        for name in _OPTIONAL:
            vars(self).pop(f"{name}_", None)
            if name in result:
                setattr(self, f"{name}_", result[name])
        self.reliable_ = result.get("reliable", result.coverage >= MIN_COVERAGE)
        floor = NOTHING * result.information[:, None]
        self.ties_ = n_tied(self._strength(), self.n_relays_, floor=floor)
        self._priority = priority  # decides among nodes with equal scores
        overall = mean_score(self._strength(), result.n_instances)
        self.ranking_ = ranking_of(overall, priority=priority)
        self.support_ = self.ranking_ <= self.n_relays_

    def _strength(self):
        """Return the values by which nodes are ranked; parts of log-odds may be negative."""
        return np.abs(self.relay_map_) if self.method_ == INTERCHANGE else self.relay_map_

    @fill_docs
    def transform(self, X):
        """Return the activations of the chosen relays at the end of each series.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n_instances, n_relays)
            State after the last time step of each series, or after the first for backward nodes of
            a bidirectional layer, where they end. Columns are ordered by node number.
        """
        check_is_fitted(self)
        where = {"layer": self.layer_, "state": self.state_}
        return self.estimator_.unroll(X, **where, trajectories=False).final[:, self.support_]

    def relays(self, concept=None, timepoint=None):
        """Return the strongest nodes, overall or for one concept or time step.

        Parameters
        ----------
        concept : int, optional
            Column of ``concepts_``; by default the mean over concepts is used.
        timepoint : int, optional
            One of ``timepoints_``; by default the mean over time steps is used.

        Returns
        -------
        ndarray of shape (n_relays,), int
            Node numbers, strongest first. Nodes with equal scores are in a random order, which is
            the same in all calls.

        Raises
        ------
        ValueError
            If there is no such concept, or if the time step was not analyzed or has no instance.
        """
        check_is_fitted(self)
        values, weights = self._strength(), self.n_instances_
        if concept is not None:
            check_integer(concept, name="concept", low=0, high=len(values) - 1)
            values = values[concept : concept + 1]
        if timepoint is not None:
            if timepoint not in self.timepoints_:
                raise ValueError(
                    f"timepoint={timepoint!r} was not analyzed; expected one of "
                    f"{self.timepoints_.tolist()}."
                )
            chosen = self.timepoints_ == timepoint
            values, weights = values[:, chosen], weights[chosen]
            if not weights.any():
                raise ValueError(
                    f"timepoint={timepoint!r}; expected a time step that at least one instance has."
                )
        scores = mean_score(values, weights)
        return strongest_nodes(scores, self.n_relays_, priority=self._priority)

    def get_support(self, indices=False):
        """Return the chosen nodes, like the feature selectors of scikit-learn.

        Parameters
        ----------
        indices : bool, default=False
            Whether to return node numbers instead of a mask.

        Returns
        -------
        ndarray
            Mask of shape (n_nodes,), or node numbers of shape (n_relays,).
        """
        check_is_fitted(self)
        return np.flatnonzero(self.support_) if indices else self.support_

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the input columns; they must be those seen in `fit`, and are not used.

        Returns
        -------
        ndarray of str
            Names such as "node7".
        """
        nodes = self.get_support(indices=True)
        return self._output_names([f"node{node}" for node in nodes], input_features)

    def __sklearn_tags__(self):
        """Return the tags, with those of the input taken from the classifier."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []  # activations are float32
        return tags


def _states_at(hidden, when):
    """Return the states of every series at its own time steps; NaN where it has none."""
    states = hidden[np.arange(len(hidden))[:, None], when]
    states[when < 0] = np.nan
    return states
