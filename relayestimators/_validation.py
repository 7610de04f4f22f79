"""Checks of arguments that several modules share.

Every error names the argument, the value it was given, and the values that are allowed.
"""

from numbers import Integral, Real

import numpy as np

#: Marks the time steps after the end of a series in discretized states.
NO_STATE = np.uint8(255)

#: How activations can be cut into states.
STRATEGIES = ("auto", "quantile", "kmeans", "sign")


def check_states(states, *, ndim, name="states"):
    """Return discretized states as uint8.

    Parameters
    ----------
    states : array-like with `ndim` dimensions
        Integers from 0 to 254. With three dimensions, 255 in all nodes marks the time steps after
        the end of a series.
    ndim : {2, 3}
        2: (n_instances, n_nodes), 3: (n_instances, n_timepoints, n_nodes).
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of uint8, same shape
    """
    shape = {2: "(n_instances, n_nodes)", 3: "(n_instances, n_timepoints, n_nodes)"}[ndim]
    states = np.asarray(states)
    if states.ndim != ndim or 0 in states.shape:
        raise ValueError(f"{name} has shape {states.shape}; expected {shape}, without empty axes.")
    if states.dtype != np.uint8:
        with np.errstate(invalid="ignore"):
            as_bytes = states.astype(np.uint8) if states.dtype.kind in "biuf" else None
        if as_bytes is None or not np.array_equal(as_bytes, states):
            raise ValueError(
                f"{name} has dtype {states.dtype}{_range(states)}; expected integers from 0 to "
                "254. StateDiscretizer turns hidden activations into such states."
            )
        states = as_bytes
    if states.max() < NO_STATE:
        return states
    ended = states == NO_STATE
    if ndim == 2 and ended.any():
        raise ValueError(
            f"{name} contains 255, which marks the end of a series, first at instance "
            f"{int(np.argmax(ended.any(axis=1)))}; expected only instances that have this time "
            "step."
        )
    if ndim == 3 and (ended.any(axis=2) != ended.all(axis=2)).any():
        instance, timepoint = np.argwhere(ended.any(axis=2) != ended.all(axis=2))[0]
        raise ValueError(
            f"{name} contains 255, which marks the end of a series, in some nodes only, first at "
            f"instance {instance}, time step {timepoint}; expected it in all nodes or in none."
        )
    return states


def _range(array):
    if array.dtype.kind not in "biuf":
        return ""
    return f" and values from {array.min()} to {array.max()}"


def check_codes(values, *, name, n_instances=None):
    """Encode discrete values as integers 0, 1, ... in the sorted order of the values.

    Parameters
    ----------
    values : array-like of shape (n_instances,)
        Values that can be sorted: numbers, strings or booleans.
    name : str
        Name of the argument in error messages.
    n_instances : int, optional
        Required length.

    Returns
    -------
    ndarray of shape (n_instances,), int64
    """
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; expected (n_instances,), not empty.")
    if n_instances is not None and len(values) != n_instances:
        raise ValueError(
            f"{name} has {len(values)} instances; expected {n_instances}, as in the states."
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinity; expected discrete values.")
    return np.unique(values, return_inverse=True)[1].astype(np.int64, copy=False)


def check_nodes(nodes, n_nodes, *, name="nodes"):
    """Return the numbers of nodes as an array, in the given order.

    Parameters
    ----------
    nodes : int, array-like of int, or None
        None is the empty set. Boolean masks are not allowed.
    n_nodes : int
        Number of nodes of the layer.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of shape (n_chosen,), int64
    """
    allowed = f"integers from 0 to {n_nodes - 1}"
    nodes = np.atleast_1d(np.asarray([] if nodes is None else nodes))
    if nodes.dtype.kind == "b":
        raise TypeError(
            f"{name} is a boolean mask; expected {allowed}, such as np.flatnonzero(mask)."
        )
    if nodes.ndim != 1 or (nodes.size and nodes.dtype.kind not in "iu"):
        raise TypeError(f"{name}={nodes.tolist()!r}; expected an integer or a list of {allowed}.")
    outside = nodes[(nodes < 0) | (nodes >= n_nodes)] if nodes.size else nodes
    if outside.size:
        raise ValueError(f"{name} contains {outside.tolist()}; expected {allowed}.")
    if len(np.unique(nodes)) != len(nodes):
        raise ValueError(f"{name}={nodes.tolist()!r}; expected every node at most once.")
    return nodes.astype(np.int64)


def check_window(start, stop, n_timepoints):
    """Return the half-open window [start, stop) of time steps as two ints.

    Parameters
    ----------
    start : int
        First time step, from 0 to n_timepoints - 1.
    stop : int or None
        One after the last time step; None is the end of the panel.
    n_timepoints : int
        Number of time steps of the panel.

    Returns
    -------
    tuple of two ints
    """
    check_integer(start, name="start", low=0, high=n_timepoints - 1)
    if stop is None:
        return int(start), n_timepoints
    check_integer(stop, name="stop", low=start + 1, high=n_timepoints)
    return int(start), int(stop)


def check_timepoints(timepoints, n_timepoints):
    """Return time steps as an array of nonnegative ints, in the given order.

    Parameters
    ----------
    timepoints : None, int or array-like of int
        None takes all of them; negative numbers count from the end of the panel.
    n_timepoints : int
        Number of time steps of the panel.

    Returns
    -------
    ndarray of shape (n_chosen,), int64
    """
    if timepoints is None:
        return np.arange(n_timepoints)
    steps = np.atleast_1d(np.asarray(timepoints))
    if steps.ndim != 1 or steps.dtype.kind not in "iu" or steps.size == 0:
        raise TypeError(f"timepoints={timepoints!r}; expected None, an integer or a list of them.")
    outside = steps[(steps < -n_timepoints) | (steps >= n_timepoints)]
    if outside.size:
        raise ValueError(
            f"timepoints contains {outside.tolist()}; expected integers from {-n_timepoints} to "
            f"{n_timepoints - 1}, because there are {n_timepoints} time steps."
        )
    steps = np.where(steps < 0, steps + n_timepoints, steps).astype(np.int64)
    if len(np.unique(steps)) != len(steps):
        raise ValueError(f"timepoints={timepoints!r}; expected every time step at most once.")
    return steps


def check_concepts(concepts, n_classes):
    """Return the concept table of a classification problem.

    Parameters
    ----------
    concepts : {"ovr", "class"} or array-like of shape (n_classes, n_concepts)
        "ovr": one concept per class, with value 1 for the class and 0 for the rest. "class": one
        concept whose value is the class. An array gives the value of every concept for every
        class, with rows in the order of ``classes_``.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of shape (n_classes, n_concepts), int64
    """
    if isinstance(concepts, str):
        check_choice(concepts, name="concepts", choices=("ovr", "class"), other="or an array")
        if concepts == "ovr":
            return np.eye(n_classes, dtype=np.int64)
        return np.arange(n_classes, dtype=np.int64)[:, None]
    table = np.asarray(concepts)
    if table.ndim != 2 or table.shape[0] != n_classes or table.shape[1] == 0:
        raise ValueError(
            f"concepts has shape {table.shape}; expected (n_classes, n_concepts) with "
            f"n_classes={n_classes}."
        )
    if table.dtype.kind not in "biu":
        raise ValueError(f"concepts has dtype {table.dtype}; expected integers.")
    constant = np.flatnonzero((table == table[0]).all(axis=0))
    if constant.size:
        raise ValueError(
            f"concepts has the same value for every class in columns {constant.tolist()}; expected "
            "every concept to differ between classes."
        )
    return table.astype(np.int64)


def check_choice(value, *, name, choices, other=""):
    """Raise an error unless a value is one of the choices.

    Parameters
    ----------
    value : object
    name : str
        Name of the argument in error messages.
    choices : iterable of str
        Allowed values.
    other : str, default=""
        What else is allowed, or under which condition; ends the error message.
    """
    if value not in tuple(choices):
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(
            f"{name}={value!r}; expected one of {allowed}{' ' + other if other else ''}."
        )


def check_bool(value, *, name):
    """Raise an error unless a parameter is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r}; expected True or False.")


def check_integer(value, *, name, low, high=None):
    """Raise an error unless a value is an integer from `low` to `high`."""
    allowed = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}; expected {allowed}.")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}={value!r}; expected {allowed}.")


def check_integers(values, *, name, low):
    """Return a sequence of integers >= `low` as a tuple of int."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise TypeError(f"{name}={values!r}; expected a sequence of integers >= {low}.")
    for i, value in enumerate(values):
        check_integer(value, name=f"{name}[{i}]", low=low)
    return tuple(map(int, values))


def check_nonnegative(value, *, name):
    """Raise an error unless a value is a finite number >= 0."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}; expected a number >= 0.")
    if not 0 <= value < np.inf:
        raise ValueError(f"{name}={value!r}; expected a finite number >= 0.")


def check_size(value, total, *, name):
    """Return a number of things out of `total`, given as an int, a fraction or None (half)."""
    if value is None:
        return max(1, total // 2)
    if isinstance(value, Integral) and not isinstance(value, bool):
        check_integer(value, name=name, low=1, high=total)
        return int(value)
    if isinstance(value, Real) and not isinstance(value, bool) and 0 < value <= 1:
        return max(1, round(value * total))
    raise ValueError(
        f"{name}={value!r}; expected an integer from 1 to {total}, a fraction in (0, 1], or None "
        "for half of them. RelayAnalyzer also accepts 'auto'."
    )


def check_sets(sets, n_nodes, *, name):
    """Return sets of nodes as a list of arrays.

    Parameters
    ----------
    sets : sequence of array-like of int
        A dict, or single numbers in the place of sets, are not allowed.
    n_nodes : int
        Number of nodes of the layer.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    list of ndarray of int64
    """
    expected = f"{name}={sets!r}; expected a list of sets of nodes, such as [[0, 3], [1]]."
    if isinstance(sets, str | bytes) or hasattr(sets, "keys") or not hasattr(sets, "__len__"):
        raise TypeError(expected)
    if any(np.ndim(nodes) != 1 for nodes in sets):
        raise TypeError(expected)
    return [check_nodes(nodes, n_nodes, name=f"{name}[{i}]") for i, nodes in enumerate(sets)]


def check_discretization(n_states, strategy, *, method="throughput"):
    """Check the parameters of a StateDiscretizer and return the number of states.

    Parameters
    ----------
    n_states : int or None
        None is the number that suits the strategy and the method: two with "sign", four with
        "throughput", which keep what saturated, sparse and U-shaped nodes know, and two with other
        methods, because these would run out of instances with more.
    strategy : str
        How activations are cut.
    method : str, default="throughput"
        Method of crediting relay information for which the states are used.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If `n_states` is not an integer.
    ValueError
        If a parameter is not allowed.
    """
    check_choice(strategy, name="strategy", choices=STRATEGIES)
    if n_states is None:
        return 4 if method == "throughput" and strategy != "sign" else 2
    check_integer(n_states, name="n_states", low=2, high=254)
    if strategy == "sign" and n_states != 2:
        raise ValueError(f"n_states={n_states!r}; expected 2, because strategy='sign'.")
    return n_states


def check_alpha(alpha):
    """Raise an error unless a level is between 0 and 1."""
    if not isinstance(alpha, Real) or isinstance(alpha, bool) or not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r}; expected a number between 0 and 1, both excluded.")


def check_recurrent(estimator):
    """Raise an error unless the hidden states of an estimator can be read and clamped."""
    if hasattr(estimator, "unroll"):
        return
    advice = "expected a classifier with unroll(X, *, clamp, layer, state), such as RNNClassifier, "
    advice += "GRUClassifier or LSTMClassifier, or a FrozenEstimator around a fitted one."
    chain = [estimator]  # from the outermost inwards
    while getattr(chain[-1], "estimator", None) is not None:
        chain.append(chain[-1].estimator)
    if hasattr(estimator, "steps"):
        advice = "use its last step, pipeline[-1], with pipeline[:-1].transform(X)."
    elif hasattr(chain[-1], "unroll"):
        advice = f"use the {type(chain[-1]).__name__} inside, which is estimator_ after fitting, "
        advice += "or best_estimator_ in a search."
    name = "(".join(type(part).__name__ for part in chain) + ")" * (len(chain) - 1)
    raise TypeError(f"estimator {name} has no hidden states to analyze; {advice}")
