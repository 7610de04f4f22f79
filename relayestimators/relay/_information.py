"""Plug-in estimates of entropy and information of discrete variables, in bits.

These functions follow the definitions. The compiled functions in `_counting` are faster.
"""

import numpy as np


def joint_codes(*variables):
    """Encode the joint value of discrete variables as one integer per instance.

    Parameters
    ----------
    *variables : array-like of shape (n_instances,) or (n_instances, n_columns)
        Integers. A variable without columns is a constant.

    Returns
    -------
    ndarray of shape (n_instances,), int64
        Codes from 0 without gaps; equal codes mean equal joint values.

    Examples
    --------
    >>> from relayestimators.relay._information import joint_codes
    >>> joint_codes([0, 0, 1, 1], [[0, 5], [0, 5], [0, 5], [7, 5]])
    array([0, 0, 1, 2])
    """
    columns = [np.asarray(variable) for variable in variables]
    table = np.column_stack([c[:, None] if c.ndim == 1 else c for c in columns])
    if table.shape[1] == 0:
        return np.zeros(len(table), dtype=np.int64)
    return np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)


def entropy(*variables):
    r"""Compute the plug-in Shannon entropy of the joint value of discrete variables.

    .. math:: H(X) = -\sum_x p(x) \log_2 p(x)

    Parameters
    ----------
    *variables : array-like of shape (n_instances,) or (n_instances, n_columns)
        Integers.

    Returns
    -------
    float
        Entropy in bits.

    See Also
    --------
    mutual_information : Information that two variables share.

    Examples
    --------
    >>> from relayestimators.relay import entropy
    >>> entropy([0, 1, 2, 3])
    2.0
    """
    counts = np.bincount(joint_codes(*variables))
    return float(np.log2(counts.sum()) - counts @ np.log2(counts) / counts.sum())


def conditional_mutual_information(x, y, given):
    r"""Compute the plug-in conditional mutual information of two variables given a third.

    .. math:: I(X; Y | Z) = H(X, Z) + H(Y, Z) - H(X, Y, Z) - H(Z)

    Parameters
    ----------
    x, y : array-like of shape (n_instances,) or (n_instances, n_columns)
        X and Y: integers.
    given : array-like of shape (n_instances,) or (n_instances, n_columns)
        Z: integers. Without columns, the result is I(X; Y).

    Returns
    -------
    float
        Conditional mutual information in bits.

    See Also
    --------
    mutual_information : The same without a condition.

    Notes
    -----
    A cell (a joint value) of `given` with one instance contributes exactly 0, whatever the true
    information is. The estimate therefore goes to 0 when there are more possible cells than
    instances.

    Examples
    --------
    Two independent bits share no information unless their sum is known:

    >>> from relayestimators.relay import conditional_mutual_information
    >>> x, y = [0, 0, 1, 1], [0, 1, 0, 1]
    >>> conditional_mutual_information(x, y, given=[0, 0, 0, 0])
    0.0
    >>> conditional_mutual_information(x, y, given=[0, 1, 1, 0])
    1.0
    """
    z = joint_codes(given)
    x, y = joint_codes(x), joint_codes(y)
    return entropy(x, z) + entropy(y, z) - entropy(x, y, z) - entropy(z)


def mutual_information(x, y):
    r"""Compute the plug-in mutual information of two discrete variables.

    .. math:: I(X; Y) = H(X) + H(Y) - H(X, Y)

    Parameters
    ----------
    x, y : array-like of shape (n_instances,) or (n_instances, n_columns)
        X and Y: integers.

    Returns
    -------
    float
        Mutual information in bits.

    See Also
    --------
    conditional_mutual_information : The same given a third variable.

    Examples
    --------
    >>> from relayestimators.relay import mutual_information
    >>> mutual_information([0, 0, 1, 1], [5, 5, 3, 3])
    1.0
    """
    x, y = joint_codes(x), joint_codes(y)
    return entropy(x) + entropy(y) - entropy(x, y)


def information_of_counts(counts):
    """Compute the plug-in mutual information of contingency tables.

    Parameters
    ----------
    counts : ndarray of shape (..., n_values_x, n_values_y), int
        Number of times that each pair of values occurs. The sum of every table is at least 1.

    Returns
    -------
    ndarray of shape (...)
        Mutual information in bits.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.relay._information import information_of_counts
    >>> information_of_counts(np.array([[[5, 0], [0, 5]], [[5, 5], [5, 5]]]))
    array([1., 0.])
    """
    joint = counts / counts.sum(axis=(-2, -1), keepdims=True)
    independent = joint.sum(axis=-1, keepdims=True) * joint.sum(axis=-2, keepdims=True)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
    return (joint * np.log2(ratio)).sum(axis=(-2, -1))
