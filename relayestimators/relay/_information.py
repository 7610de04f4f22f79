"""Plug-in information of discrete variables, in bits, as it is defined.

Floor 0: numpy only. What is fast lives in `counting` and is tested against this.
"""

import numpy as np


def joint_codes(*variables):
    """Give every distinct joint value of discrete variables a number.

    Parameters
    ----------
    *variables : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers. A variable with no columns is a constant.

    Returns
    -------
    ndarray of shape (n_instances,), int64
        Numbers from 0 without gaps.

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
    """Plug-in Shannon entropy of the joint value of discrete variables.

    Parameters
    ----------
    *variables : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers.

    Returns
    -------
    float
        Bits.

    Examples
    --------
    >>> from relayestimators.relay import entropy
    >>> entropy([0, 1, 2, 3])
    2.0
    """
    counts = np.bincount(joint_codes(*variables))
    return float(np.log2(counts.sum()) - counts @ np.log2(counts) / counts.sum())


def conditional_mutual_information(x, y, given):
    """Plug-in conditional mutual information I(X;Y|Z).

    Parameters
    ----------
    x, y, given : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers. `given` with no columns leaves I(X;Y).

    Returns
    -------
    float
        Bits. H(X,Z) + H(Y,Z) - H(X,Y,Z) - H(Z).

    Notes
    -----
    A cell of `given` that holds one instance contributes exactly 0 whatever the truth, so the
    estimate collapses when cells outnumber instances.

    Examples
    --------
    Two independent bits share nothing, until their sum is known:

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
    """Plug-in mutual information I(X;Y).

    Parameters
    ----------
    x, y : array-like of shape (n_instances,) or (n_instances, n_columns)
        Whole numbers.

    Returns
    -------
    float
        Bits.

    Examples
    --------
    >>> from relayestimators.relay import mutual_information
    >>> mutual_information([0, 0, 1, 1], [5, 5, 3, 3])
    1.0
    """
    x, y = joint_codes(x), joint_codes(y)
    return entropy(x) + entropy(y) - entropy(x, y)


def information_of_counts(counts):
    """Plug-in mutual information of tables of counts.

    Parameters
    ----------
    counts : ndarray of shape (..., n_values_x, n_values_y), int
        How often each pair of values occurs; at least once any.

    Returns
    -------
    ndarray of shape (...)
        Bits.

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
