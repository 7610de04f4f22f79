"""How relays are spread over nodes.

Floor 1: numpy only. Functions on relay maps.
"""

import numpy as np


def localisation(relay_map):
    """How few nodes the relay information of each concept and time step is concentrated in.

    Parameters
    ----------
    relay_map : array-like of shape (..., n_nodes)
        Relay information in bits; negative estimates count as 0.

    Returns
    -------
    ndarray of shape (...)
        One less the entropy of the nodes' shares, over its maximum: 0 if all nodes have the same
        share, 1 if one node has all. NaN where nothing is relayed.

    Examples
    --------
    >>> from relayestimators import localisation
    >>> localisation([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    array([0. , 1. , 0.5])
    """
    values = np.maximum(np.asarray(relay_map, dtype=float), 0.0)
    if values.shape[-1] < 2:
        raise ValueError(
            f"relay_map has shape {values.shape}; expected (..., n_nodes) with two nodes at least."
        )
    total = values.sum(axis=-1, keepdims=True)
    shares = np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0)
    terms = shares * np.log2(np.where(shares > 0, shares, 1.0))
    return 1.0 + terms.sum(axis=-1) / np.log2(values.shape[-1])
