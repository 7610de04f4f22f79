"""Values of concepts for given labels, and their log-odds."""

import numpy as np
from scipy.special import log_softmax, logsumexp


def concept_values(labels, classes, concepts):
    """Return the value of every concept for every label.

    Parameters
    ----------
    labels : array-like of shape (n_instances,)
        True or predicted labels.
    classes : ndarray of shape (n_classes,)
        All labels, in the order of the rows of `concepts`.
    concepts : ndarray of shape (n_classes, n_concepts)
        Concept table: the value of every concept for every class.

    Returns
    -------
    ndarray of shape (n_instances, n_concepts), int64

    Raises
    ------
    ValueError
        If a label is not one of the classes.
    """
    labels = np.asarray(labels)
    unknown = np.setdiff1d(labels, classes)
    if unknown.size:
        raise ValueError(f"y contains {unknown.tolist()}; expected labels in {classes.tolist()}.")
    order = np.argsort(classes)
    return concepts[order[np.searchsorted(classes, labels, sorter=order)]]


def concept_log_odds(logits, proba, concepts):
    """Return the log-odds that a network gives to the concept values that it predicts.

    Parameters
    ----------
    logits : ndarray of shape (n_instances, n_classes) or None
        Output of the network. It is used if its softmax is `proba`, because it still differs
        between instances where probabilities round to 1.
    proba : ndarray of shape (n_instances, n_classes)
        Probabilities.
    concepts : ndarray of shape (n_classes, n_concepts)
        Concept table: the value of every concept for every class.

    Returns
    -------
    ndarray of shape (n_instances, n_concepts), float64
        Log-odds in nats: of the classes with the predicted value against all other classes. They
        are infinite for a concept with one value.
    """
    log_proba = log_probabilities(logits, proba)
    predicted = concepts[np.argmax(proba, axis=1)]
    log_odds = np.empty(predicted.shape)
    for k, values in enumerate(concepts.T):
        same = predicted[:, k, None] == values
        inside = logsumexp(np.where(same, log_proba, -np.inf), axis=1)
        log_odds[:, k] = inside - logsumexp(np.where(same, -np.inf, log_proba), axis=1)
    return log_odds


def log_probabilities(logits, proba):
    """Return the logarithms of probabilities, from the logits if these belong to them.

    Parameters
    ----------
    logits : ndarray of shape (..., n_classes) or None
        Output of the network. It is used if its softmax is `proba`, because it still differs
        between instances where probabilities round to 1.
    proba : ndarray of shape (..., n_classes)
        Probabilities.

    Returns
    -------
    ndarray of shape (..., n_classes), float64
    """
    if logits is not None:
        logits = log_softmax(np.asarray(logits, dtype=np.float64), axis=-1)
        if np.allclose(np.exp(logits), proba, atol=1e-4):
            return logits
    smallest = np.finfo(np.float64).tiny
    return np.log(np.maximum(np.asarray(proba, dtype=np.float64), smallest))
