"""Values of concepts for given labels."""

import numpy as np


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
