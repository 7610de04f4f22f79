"""Information over pairs of instances: what of a source arrives in the prediction for a base."""

import numpy as np
from scipy.sparse import coo_array

# Number of groups of instances of which each is left out once, and the fewest that are enough.
_N_GROUPS, _FEWEST_GROUPS = 40, 5


def transferred(a_source, a_base, b, pairs):
    r"""Estimate the information that predictions have about the source, given the base.

    .. math:: I(A_s; B | A_i) = \sum_{a_i, a_s, b} p(a_i, a_s, b)
        \log_2 \frac{p(a_s, b | a_i)}{p(a_s | a_i) \, p(b | a_i)}

    over pairs of a base i and a source s.

    Parameters
    ----------
    a_source, a_base : ndarray of shape (n_pairs,), int
        Concept value of the source and of the base, from 0.
    b : ndarray of shape (n_pairs,), int
        Concept value that is predicted for the base after the exchange, from 0.
    pairs : ndarray of shape (n_pairs, 2), int
        Base and source of every pair, as positions in a random order of the instances. Every
        instance is in many pairs.

    Returns
    -------
    information : float
        In bits, corrected for the bias of counting. NaN if there are fewer than five instances, or
        if all sources have the same value, so that nothing could be transferred.
    error : float
        Standard error in bits.

    Notes
    -----
    Pairs share instances, and what depends on an instance is not averaged out by more pairs.
    Therefore the bias and the variance are found by leaving out groups of instances one by one,
    with all of their pairs: the jackknife [1]_. It counts what single pairs contribute to the bias,
    which is the correction of Miller and Madow, and to the variance twice, once for each of their
    two instances. Both are subtracted once.

    References
    ----------
    .. [1] B. Efron, C. Stein (1981). The jackknife estimate of variance. Annals of Statistics 9,
       586-596.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.relay._transfer import transferred
    >>> base = np.arange(400)
    >>> pairs = np.column_stack([base, (base + 1) % 400])
    >>> a = np.random.default_rng(0).integers(0, 2, 400)
    >>> information, error = transferred(a[pairs[:, 1]], a[pairs[:, 0]], a[pairs[:, 1]], pairs)
    >>> round(information, 1), bool(error < 0.1)
    (1.0, True)
    """
    present, positions = np.unique(pairs, return_inverse=True)
    n_groups, n_pairs = min(_N_GROUPS, len(present)), len(b)
    if n_groups < _FEWEST_GROUPS or np.ptp(a_source) == 0:
        return np.nan, np.nan
    groups = positions.reshape(n_pairs, 2) % n_groups
    n_source, n_b = 1 + a_source.max(), 1 + b.max()
    codes, cells = np.unique((a_base * n_source + a_source) * n_b + b, return_inverse=True)
    counts = _counts_without_groups(cells, groups, n_groups)
    base, source, said = codes // n_b // n_source, codes // n_b % n_source, codes % n_b
    sums = of_cell = bias_of_pairs = 0.0
    for sign, merged in (
        (1, codes),
        (1, base),
        (-1, base * n_source + source),
        (-1, base * n_b + said),
    ):
        merged = np.unique(merged, return_inverse=True)[1]
        of_merged = np.zeros((len(counts), 1 + merged.max()))
        np.add.at(of_merged.T, merged, counts.T)
        logs = np.log2(np.maximum(of_merged, 1))
        sums = sums + sign * (of_merged * logs).sum(axis=1)
        of_cell = of_cell + sign * logs[0, merged]
        bias_of_pairs += sign * of_merged.shape[1] / (2 * np.log(2) * n_pairs)
    of_pair = of_cell[cells]
    whole, *without = sums / counts.sum(axis=1)
    bias = (n_groups - 1) * (np.mean(without) - whole) - bias_of_pairs
    variance = (n_groups - 1) * np.var(without) - np.var(of_pair) / n_pairs
    return float(whole - bias), float(np.sqrt(max(variance, 0.0)))


def mean_over_pairs(values, pairs, groups=None):
    r"""Return the mean of values over pairs, and its standard error.

    Pairs that share an instance are not independent. The variance therefore counts the products of
    the deviations of all pairs that share one (dyadic-robust errors [1]_):

    .. math:: \frac{1}{P^2} \Big( \sum_i \big(\sum_{p \ni i} e_p\big)^2 - \sum_p e_p^2 \Big)

    Parameters
    ----------
    values : ndarray of shape (n_pairs, n_columns)
    pairs : ndarray of shape (n_pairs, 2), int
        The two instances of every pair.
    groups : ndarray of shape (n_pairs,), int, optional
        Groups of pairs that are not independent for another reason. If their variance is larger
        than that of shared instances, it is taken.

    Returns
    -------
    mean, error : ndarray of shape (n_columns,)

    References
    ----------
    .. [1] P. M. Aronow, C. Samii, V. A. Assenova (2015). Cluster-robust variance estimation for
       dyadic data. Political Analysis 23, 564-577.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.relay._transfer import mean_over_pairs
    >>> mean, error = mean_over_pairs(np.array([[0.0], [2.0]]), np.array([[0, 1], [2, 3]]))
    >>> mean, error.round(2)
    (array([1.]), array([0.71]))
    """
    mean, n_pairs = values.mean(axis=0), len(values)
    away = values - mean
    number = np.repeat(np.arange(n_pairs), 2)
    member = coo_array((np.ones(2 * n_pairs), (pairs.ravel(), number))).tocsr()
    alone = (away**2).sum(axis=0)
    shared = ((member @ away) ** 2).sum(axis=0)
    # Never smaller than without shared instances, which an estimate from few of them may be.
    squares = np.maximum(shared - alone, alone)
    if groups is not None:
        _, groups = np.unique(groups, return_inverse=True)
        member = coo_array((np.ones(n_pairs), (groups, np.arange(n_pairs)))).tocsr()
        squares = np.maximum(squares, ((member @ away) ** 2).sum(axis=0))
    return mean, np.sqrt(squares) / n_pairs


def fewest(n_values):
    """Return how many pairs and instances a concept of K values needs: 16 K^3 and 16 K^2.

    Parameters
    ----------
    n_values : int or ndarray of int

    Returns
    -------
    n_pairs, n_instances : int or ndarray of int
    """
    return 16 * n_values**3, 16 * n_values**2


def _counts_without_groups(cells, groups, n_groups):
    """Return how many pairs are in each cell: of all pairs, and without those of each group.

    Parameters
    ----------
    cells : ndarray of shape (n_pairs,), int
        Cell of every pair, from 0 without gaps.
    groups : ndarray of shape (n_pairs, 2), int
        Groups of its two instances.
    n_groups : int

    Returns
    -------
    ndarray of shape (1 + n_groups, n_cells), int
    """
    n_cells = 1 + cells.max()
    apart = groups[:, 0] != groups[:, 1]
    keys = np.concatenate([groups[:, 0] * n_cells + cells, (groups[:, 1] * n_cells + cells)[apart]])
    left_out = np.bincount(keys, minlength=n_groups * n_cells).reshape(n_groups, n_cells)
    counts = np.bincount(cells)
    return np.vstack([counts, counts - left_out])
