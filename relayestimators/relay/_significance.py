"""Significance of relays: permutations, p-values, the number of relays, scores of random halves.

There are two null hypotheses. *Chance*: the states of a node have nothing to do with the true and
the predicted class. The states of all nodes are permuted over instances, together. *Heard*: given
the true class, the states of a node have nothing to do with what the network says. The states are
permuted over the instances of each true class. This test has no sets of other nodes, because the
permutation would also remove what these explain of the output.
"""

import numpy as np

from ._counting import BEYOND, ENTERS, LEAVES, sort_problem
from ._methods import mean_over_sets

#: Fewest permutations with valid p-values: every null value is compared with two others at least.
FEWEST_PERMUTATIONS = 3


def permuted_within(groups, order):
    """Return a permutation that keeps every instance within its group.

    Parameters
    ----------
    groups : ndarray of shape (n_instances,), int
        Group of every instance.
    order : ndarray of shape (n_instances,), int
        Permutation of the instances.

    Returns
    -------
    ndarray of shape (n_instances,), int
    """
    source = np.empty_like(order)
    source[np.argsort(groups, kind="stable")] = order[np.argsort(groups[order], kind="stable")]
    return source


def permuted_among(present, sources):
    """Restrict permutations to the instances that are present.

    An instance takes the value of the first present instance that is reached when the permutation
    is applied again and again. Two instances that are both present at two time steps therefore
    mostly keep together, and so null values may be added over time steps.

    Parameters
    ----------
    present : ndarray of shape (n_instances,), bool
        Whether an instance is present.
    sources : ndarray of shape (n_permutations, n_instances), int
        Permutations of all instances.

    Returns
    -------
    ndarray of shape (n_permutations, n_present), int
        Permutations of the numbers from 0 to n_present - 1.
    """
    among = sources[:, present]
    while (absent := ~present[among]).any():
        rows = np.nonzero(absent)[0]
        among[absent] = sources[rows, among[absent]]
    return (np.cumsum(present) - 1)[among]


def observed_terms(codes, states, plan):
    """Return the statistics of both tests.

    Parameters
    ----------
    codes, states, plan
        As a method takes them; see `_methods`.

    Returns
    -------
    ndarray of shape (3, n_nodes)
        What enters a node, what leaves it, and what it adds to the true class.
    """
    return np.vstack([_passes(codes, states, plan), _beyond(codes, states, plan)])


def _passes(codes, states, plan):
    """Return what enters a node, and what leaves it."""
    problem = sort_problem(codes.a, codes.b, states, halves=True)
    return mean_over_sets(problem, plan, [ENTERS, LEAVES])


def _beyond(codes, states, plan):
    """Return what a node adds to the true class, without sets of other nodes."""
    problem = sort_problem(codes.classes, codes.said, states, halves=True)
    return mean_over_sets(problem, plan[:1], [BEYOND])


def permuted_terms(codes, states, plan, chance, unheard):
    """Return the statistics of both tests under their null hypotheses.

    Parameters
    ----------
    codes, states, plan
        As in `observed_terms`.
    chance, unheard : ndarray of shape (n_permutations, n_instances)
        Permutations over all instances, and within true classes.

    Returns
    -------
    ndarray of shape (n_permutations, 3, n_nodes)
    """
    return np.array(
        [
            np.vstack(
                [_passes(codes, states[everywhere], plan), _beyond(codes, states[within], plan)]
            )
            for everywhere, within in zip(chance, unheard, strict=True)
        ]
    )


def pooled_pvalues(observed, nulls):
    r"""Return p-values for which the null values of all nodes are pooled.

    Each null value is standardized by the mean and the standard deviation of the other m - 1 null
    values of its node, and the observed value by those of all m. Both are scaled as a further value
    of a normal sample is: :math:`(x - \bar x_k) / (s_k \sqrt{1 + 1/k})` with k values.

    Parameters
    ----------
    observed : ndarray of shape (n_nodes,)
        Observed values.
    nulls : ndarray of shape (n_permutations, n_nodes)
        Null values of at least three permutations.

    Returns
    -------
    ndarray of shape (n_nodes,)
        At least 1 / (1 + n_permutations * n_nodes); 1 for nodes whose null values are all equal.
    """
    m = len(nulls)
    constant = np.ptp(nulls, axis=0) < 1e-12
    scale = np.where(constant, 1.0, nulls.std(axis=0, ddof=1) * np.sqrt(1 + 1 / m))
    standard = (observed - nulls.mean(axis=0)) / scale
    mean = (nulls.sum(axis=0) - nulls) / (m - 1)
    squares = ((nulls - nulls.mean(axis=0)) ** 2).sum(axis=0)
    away = nulls - mean
    # Sum of squares about the mean of the others, without the value itself.
    variance = np.maximum(squares - away**2 * (m - 1) / m, 0.0) / (m - 2)
    flat = variance < 1e-24
    deviation = np.sqrt(np.where(flat, 1.0, variance) * (1 + 1 / (m - 1)))
    far = np.where(np.abs(away) < 1e-12, 0.0, np.copysign(np.inf, away))
    pool = np.sort(np.where(flat, far, away / deviation), axis=None)
    above = pool.size - np.searchsorted(pool, standard, side="left")
    return np.where(constant, 1.0, (1 + above) / (1 + pool.size))


def chance_and_heard(terms, nulls):
    """Return the p-values of both null hypotheses.

    Parameters
    ----------
    terms : ndarray of shape (3, n_nodes)
        What enters a node, what leaves it, and what it adds to the true class.
    nulls : ndarray of shape (n_permutations, 3, n_nodes)
        From `permuted_terms`.

    Returns
    -------
    chance : ndarray of shape (n_nodes,)
        The larger of the p-values of what enters and of what leaves, because a relay needs both.
    heard : ndarray of shape (n_nodes,)
        The p-value of what is added.
    """
    enters, leaves, heard = (pooled_pvalues(terms[k], nulls[:, k]) for k in range(3))
    return np.maximum(enters, leaves), heard


def n_beyond_chance(scores, pvalues, alpha):
    """Return the number of strongest nodes that are all beyond chance.

    Parameters
    ----------
    scores, pvalues : ndarray of shape (n_nodes,)
        Score and p-value of every node.
    alpha : float
        Family-wise level of the test: the probability that any node is counted by mistake.

    Returns
    -------
    int
        Nodes are counted from the strongest, as long as each of them is rejected by Holm's method.
        So no node is taken only because it is stronger than another one that is beyond chance.
    """
    order = np.argsort(pvalues, kind="stable")
    adjusted = np.maximum.accumulate(pvalues[order] * np.arange(len(pvalues), 0, -1))
    rejected = np.empty(len(pvalues), dtype=bool)
    rejected[order] = adjusted <= alpha
    leading = rejected[np.argsort(-scores, kind="stable")]
    return int(np.append(leading, False).argmin())


def half_scores(score, codes, states, plan, orders):
    """Return the scores of random halves of the instances.

    Parameters
    ----------
    score : callable
        A method: (codes, states, plan) -> (scores, coverage).
    codes, states, plan
        As in `permuted_terms`.
    orders : iterable of ndarray of shape (n_instances,)
        Permutations of the instances; the first half of each is scored.

    Returns
    -------
    ndarray of shape (n_halves, n_nodes)
    """
    halves = [order[: max(1, len(states) // 2)] for order in orders]
    return np.array([score(codes.take(half), states[half], plan)[0] for half in halves])
