"""Descriptions of parameters that many functions share, written once.

In a docstring a line such as ``%(n_jobs)s`` stands for the whole entry of that parameter. Text
after it is what is particular in this place, and is inserted where the description has ``{}`` or
else appended: ``%(random_state)s the random sets of nodes`` becomes "Controls the randomness of the
random sets of nodes. ...".
"""

import re
from textwrap import fill, indent

#: Entries of numpydoc's Parameters section: (name and type, description).
PARAMETERS = {
    "estimator": (
        "estimator : fitted classifier",
        "A classifier with ``unroll`` and ``knock_out``, such as :class:`RNNClassifier`, "
        ":class:`GRUClassifier` or :class:`LSTMClassifier`. It is not changed.",
    ),
    "meta_estimator": (
        "estimator : classifier",
        ":class:`RNNClassifier`, :class:`GRUClassifier`, :class:`LSTMClassifier`, or any other "
        "classifier with ``unroll``. It is cloned and trained; wrap a trained one in "
        "``sklearn.frozen.FrozenEstimator`` to use it as it is, so that held-out data can be "
        "analyzed.",
    ),
    "scored_estimator": (
        "estimator : fitted classifier, RelayAnalyzer or Pipeline",
        "A classifier with {}; or a pipeline whose last step is one, or that contains an analyzer.",
    ),
    "X": (
        "X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel",
        "{}, in any format that the classifier accepts.",
    ),
    "X_as_in_fit": (
        "X : array-like of shape (n_instances, n_channels, n_timepoints), or sktime panel",
        "Series in the same format as in `fit`.",
    ),
    "y": ("y : array-like of shape (n_instances,)", "True labels."),
    "concepts": (
        'concepts : {{"ovr", "class"}} or array-like of shape (n_classes, n_concepts), '
        'default="ovr"',
        'Concepts whose information is followed. "ovr": one concept per class, this class against '
        'the rest. "class": one concept, the class itself. An array gives the integer value of '
        "every concept for every class, with rows in the order of ``classes_``.",
    ),
    "concepts_of_analyzer": (
        'concepts : {{"ovr", "class"}}, array-like of shape (n_classes, n_concepts) or None, '
        "default=None",
        "Concepts as in :class:`RelayAnalyzer`. None takes those of the analyzer that ranked the "
        'nodes, or else "ovr".',
    ),
    "value": (
        'value : {{"mean", "zero", "resample", "noise"}}, float or array-like, default="mean"',
        'Value that knocked-out nodes are clamped to. "mean": their mean over the instances of '
        '`X` at every time step, in the intact network. "zero": 0. "resample": their trajectory '
        'in another instance, drawn at random. "noise": Gaussian noise with their mean and '
        "standard deviation at every time step. A float is used for all nodes; an array of shape "
        "(n_nodes,) or (n_timepoints, n_nodes) has a value for every node of the layer.",
    ),
    "start": ("start : int, default=0", "First time step of the knockout window."),
    "stop": (
        "stop : int or None, default=None",
        "One after the last time step of the window; None is the end of the series.",
    ),
    "layer": (
        "layer : int, default=-1",
        "Number of the recurrent layer; negative numbers count from the last layer.",
    ),
    "layer_of_analyzer": (
        "layer : int or None, default=None",
        "Number of the recurrent layer. None takes that of the analyzer that ranked the nodes, or "
        "else the last layer.",
    ),
    "state": (
        'state : {{"h", "c"}}, default="h"',
        "Hidden state, or memory cell of an LSTM.",
    ),
    "state_of_analyzer": (
        'state : {{"h", "c"}} or None, default=None',
        "Hidden state, or memory cell of an LSTM. None takes that of the analyzer that ranked the "
        'nodes, or else "h".',
    ),
    "timepoints": (
        "timepoints : None, int or array-like of int, default=None",
        "Time steps to analyze; negative numbers count from the end. None takes all of them.",
    ),
    "align": (
        'align : {{"start", "end"}}, default="start"',
        'Where series of unequal length are aligned. With "end", time step -1 is the last step of '
        "every series.",
    ),
    "method": (
        'method : str, default="throughput"',
        "How relay information is credited to nodes; see :func:`relayestimators.relay.relay_scores`"
        " for the methods.",
    ),
    "n_states": (
        "n_states : int or None, default=None",
        "Number of states per node; see :class:`StateDiscretizer`. None is 4 for "
        '``method="throughput"``, and 2 for other methods or ``strategy="sign"``.',
    ),
    "strategy": (
        'strategy : {{"auto", "quantile", "kmeans", "sign"}}, default="auto"',
        "How activations are cut into states; see :class:`StateDiscretizer`.",
    ),
    "scoring": (
        "scoring : str, callable or None, default=None",
        "Metric as in scikit-learn; None is accuracy.",
    ),
    "n_relays": (
        "n_relays : int or float, default=0.25",
        "Number of nodes per set; a float is a fraction of all nodes.",
    ),
    "n_resamples": (
        "n_resamples : int, default=100",
        "Number of random halves of the instances for the confidence intervals.",
    ),
    "n_draws": (
        "n_draws : int, default=5",
        'Number of draws if `value` is random ("resample" or "noise"); results are means over '
        "draws.",
    ),
    "alpha": (
        "alpha : float, default=0.05",
        "One minus the confidence level of the intervals.",
    ),
    "random_state": (
        "random_state : int, RandomState instance or None, default=None",
        "Controls the randomness of {}. Pass an int for reproducible results.",
    ),
    "n_jobs": (
        "n_jobs : int or None, default=None",
        "Number of joblib workers. None means 1 unless in a ``joblib.parallel_config`` context; "
        "-1 means all processors. The result does not depend on it.",
    ),
    "n_jobs_threads": (
        "n_jobs : int or None, default=None",
        "Number of joblib workers, which are threads unless another backend is configured. None "
        "means 1 unless in a ``joblib.parallel_config`` context; -1 means all processors. The "
        "result does not depend on it.",
    ),
    "verbose": ("verbose : int, default=0", "If nonzero, show a progress bar."),
    "concept_in_out": (
        "concept_in, concept_out : array-like of shape (n_instances,)",
        "A and B: the concept values of the true class and of the predicted class.",
    ),
    "states": (
        "states : array-like of shape (n_instances, n_nodes)",
        "Discretized states at one time step, integers from 0.",
    ),
    "axes": (
        "axes : sequence of two matplotlib Axes, default=None",
        "Axes of the similarity and of the image; by default a new figure.",
    ),
    "n_components": (
        "n_components : {{2, 3}}, default=2",
        "Number of principal components to draw.",
    ),
    "what": (
        'what : {{"similarity", "stability", "drift"}}, default="similarity"',
        "Quantity to draw. Stability is the similarity above chance, as a fraction of its value at "
        "lag 0.",
    ),
    "chance": (
        "chance : bool, default=True",
        "Whether to draw the value that is expected if relays are at random nodes.",
    ),
    "label": ("label : str, default=None", "Name of the group of networks in the legend."),
    "ax": ("ax : matplotlib Axes, default=None", "Axes to draw on; by default a new figure."),
    "hidden": (
        "hidden : array-like of shape (n_instances, n_timepoints, n_nodes)",
        "Hidden trajectories; NaN after the end of shorter series.",
    ),
    "map_over_time": (
        "relay_map : array-like of shape (..., n_timepoints, n_nodes)",
        "Relay information in bits; negative estimates count as 0. Pass only the time steps of "
        "interest, such as those of a delay.",
    ),
    "other_map": (
        "other : array-like of the same shape, default=None",
        "Another estimate of the same map, from other instances. If given, only different "
        "estimates are compared, also at lag 0, where the similarity is that expected of relays "
        "that do not move.",
    ),
    "n_features_in_": (
        "n_features_in_ : int",
        "Number of channels of a three-dimensional panel, or number of time steps of a "
        "two-dimensional one.",
    ),
    "feature_names_in_": (
        "feature_names_in_ : ndarray of shape (n_features_in_,)",
        "Names of the columns, if X was a DataFrame with one row per instance.",
    ),
    "lags": (
        "lags : int or array-like of int, default=None",
        "Numbers of time steps between the two maps that are compared, from 0. None takes all.",
    ),
    "metric": (
        'metric : {{"cosine", "transport"}}, default="cosine"',
        "Similarity of two maps. Both depend only on the fraction of the relay information that "
        'each node has. "cosine": cosine of the angle between the maps. "transport": one minus '
        "the least cost of moving relay information between nodes to turn one map into the other "
        "(earth mover's distance).",
    ),
    "cost": (
        "cost : array-like of shape (n_nodes, n_nodes), default=None",
        "Cost, from 0 to 1, of moving everything from one node to another; with "
        '``metric="transport"`` only. None is a cost of 1 between any two nodes, which have no '
        "positions; the similarity is then the overlap, the sum over nodes of the smaller "
        "fraction. One minus the absolute correlation of the nodes' states makes nodes with "
        "similar states cheap to exchange.",
    ),
}

_REFERENCE = re.compile(r"^( *)%\((\w+)\)s ?(.*)$", re.MULTILINE)


def fill_docs(documented):
    """Replace references to shared parameters in a docstring by their descriptions.

    Parameters
    ----------
    documented : function or class
        Its docstring is changed in place.

    Returns
    -------
    function or class
        The argument, so that this can be used as a decorator.

    Raises
    ------
    KeyError
        If the docstring refers to a parameter that is not described here.
    """
    if documented.__doc__:  # there is none under python -OO
        documented.__doc__ = _REFERENCE.sub(_entry, documented.__doc__)
    return documented


def _entry(reference):
    margin, name, particular = reference.groups()
    head, description = PARAMETERS[name]
    if particular and "{}" not in description:
        description += " {}"
    text = fill(description.format(particular), width=96 - len(margin))
    return indent(f"{head.format()}\n{indent(text, '    ')}", margin)
