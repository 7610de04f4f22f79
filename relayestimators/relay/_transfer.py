"""Information over pairs of instances: what of a source arrives in the prediction for a base."""

import numpy as np

#: Number of groups of instances of which each is left out once, for the standard error.
_N_GROUPS = 40

# Fewest groups for a standard error.
_FEWEST_GROUPS = 5

#: Fewest pairs per joint value of source, base and prediction, and fewest instances per joint value
#: of two of them, for a reliable estimate.
_PER_CELL = 16


def transferred(a_source, a_base, b, pairs, n_values):
    r"""Estimate the information that predictions have about the source, given the base.

    .. math:: I(A_s; B | A_i) = \sum_{a_i, a_s, b} p(a_i, a_s, b)
        \log_2 \frac{p(a_s, b | a_i)}{p(a_s | a_i) \, p(b | a_i)}

    over pairs of a base i and a source s.

    Parameters
    ----------
    a_source, a_base : ndarray of shape (n_pairs,), int
        Concept value of the source and of the base, below `n_values`.
    b : ndarray of shape (n_pairs,), int
        Concept value that is predicted for the base after the exchange, below `n_values`.
    pairs : ndarray of shape (n_pairs, 2), int
        Base and source of every pair, as positions in a random order of the instances. Every
        instance is in many pairs.
    n_values : int
        Number of concept values.

    Returns
    -------
    information : float
        In bits, with the Miller-Madow correction of each entropy. It scatters around 0 if nothing
        is transferred. NaN if there is no pair.
    error : float
        Standard error in bits, by leaving out groups of instances with all their pairs. This
        counts the variance of single pairs twice, once for each of the two instances, so that
        it is subtracted once. NaN if there are fewer than five instances.

    Examples
    --------
    >>> import numpy as np
    >>> from relayestimators.relay._transfer import transferred
    >>> base = np.arange(400)
    >>> pairs = np.column_stack([base, (base + 1) % 400])
    >>> a = np.random.default_rng(0).integers(0, 2, 400)
    >>> information, error = transferred(a[pairs[:, 1]], a[pairs[:, 0]], a[pairs[:, 1]], pairs, 2)
    >>> round(information, 1), bool(error < 0.1)
    (1.0, True)
    """
    n_pairs, shape = len(b), (n_values,) * 3
    if not n_pairs:
        return np.nan, np.nan
    codes = (a_base * n_values + a_source) * n_values + b
    counts = np.bincount(codes, minlength=n_values**3)
    present, pairs = np.unique(pairs, return_inverse=True)
    information = float(_information(counts.reshape(shape)))
    n_groups = min(_N_GROUPS, len(present))
    if n_groups < _FEWEST_GROUPS:
        return information, np.nan
    base, source = (pairs.reshape(n_pairs, 2) % n_groups).T
    apart = base != source
    left_out = np.concatenate([base * n_values**3 + codes, (source * n_values**3 + codes)[apart]])
    left_out = np.bincount(left_out, minlength=n_groups * n_values**3)
    without = _information((counts - left_out.reshape(n_groups, -1)).reshape(n_groups, *shape))
    variance = (n_groups - 1) * np.nanvar(without)
    variance -= np.var(_log_ratio(counts.reshape(shape)).ravel()[codes]) / n_pairs
    return information, float(np.sqrt(max(variance, 0.0)))


def enough(n_pairs, n_instances, n_values):
    """Return whether there are enough pairs and instances: 16 K^3 and 16 K^2 for K values.

    More sources per base make more pairs, but no more instances, of which the bias depends as well.

    Parameters
    ----------
    n_pairs, n_instances, n_values : int or ndarray of int

    Returns
    -------
    bool or ndarray of bool
    """
    n_values = np.asarray(n_values)
    return (n_pairs >= _PER_CELL * n_values**3) & (n_instances >= _PER_CELL * n_values**2)


def _log_ratio(counts):
    """Return log2 p(x,y|z) / (p(x|z) p(y|z)) of tables of shape (..., z, x, y); 0 if empty."""
    of_z = counts.sum(axis=(-2, -1), keepdims=True)
    independent = counts.sum(axis=-1, keepdims=True) * counts.sum(axis=-2, keepdims=True)
    ratio = np.divide(counts * of_z, independent, out=np.ones(counts.shape), where=counts > 0)
    return np.log2(ratio)


def _information(counts):
    """Return I(X;Y|Z) of tables of shape (..., z, x, y), corrected; NaN if a table is empty."""
    cells = [counts.sum(axis=-1), counts.sum(axis=-2), counts, counts.sum(axis=(-2, -1))]
    axes = (-2, -1), (-2, -1), (-3, -2, -1), -1
    occupied = [np.count_nonzero(c, axis=axis) for c, axis in zip(cells, axes, strict=True)]
    bias = (occupied[0] + occupied[1] - occupied[2] - occupied[3]) / (2 * np.log(2))
    total = (counts * _log_ratio(counts)).sum(axis=(-3, -2, -1)) + bias
    n = counts.sum(axis=(-3, -2, -1))
    return np.divide(total, n, out=np.full(np.shape(n), np.nan), where=n > 0)
