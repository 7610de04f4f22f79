"""What a relay map, or its p-values, cannot show: sentences for warnings, tables and figures."""

import warnings

import numpy as np

#: Fraction of I(A;B) below which a node has next to nothing of it.
NOTHING = 0.1

# Smallest I(A;B), in bits, for which a map without any relay is remarkable. Below it, a map with
# nodes of more than twice as much is.
_MUCH = 0.05

# Fraction of I(A;B) that a node has, or a layer carries, where it clearly has some of it.
_HEALTHY = 0.2


class RelayMapWarning(UserWarning):
    """Warning about a relay map, or p-values, that do not mean what they seem to."""


def map_remarks(result):
    """Return sentences on what a relay map cannot show.

    Parameters
    ----------
    result : Bunch
        Has `relay_map`, `information` and, for methods that use it, `unexplained`; see
        :func:`relay_map`.

    Returns
    -------
    list of str
    """
    remarks = []
    known = ~np.isnan(result.relay_map)
    highest = result.relay_map.max(axis=(1, 2), initial=0.0, where=known)
    missed = (result.information >= _MUCH) & (highest < NOTHING * result.information)
    if missed.any():
        k = int(np.argmax(np.where(missed, result.information, -1.0)))
        remarks.append(
            f"the predictions have {result.information[k]:.2f} bits of information about concept "
            f"{k}, but no node has more than {highest[k]:.2f} at any of the time steps: the map "
            "does not show how the concept is carried"
        )
    unused = (result.information < _MUCH) & (highest > 2 * _MUCH)
    if unused.any():
        k = int(np.argmax(np.where(unused, highest, -1.0)))
        remarks.append(
            f"the predictions have only {result.information[k]:.2f} bits of information about "
            f"concept {k}, so that no more can be relayed, although nodes have up to "
            f"{highest[k]:.2f} that they share with the true and with the predicted class"
        )
    if "unexplained" in result and not result.unexplained.all():
        n_same = np.count_nonzero(result.unexplained == 0)
        remarks.append(
            f"for {n_same} of {len(result.unexplained)} concepts the network says the same of all "
            "instances of a true class, and has no margin, so that nodes that are heard cannot be "
            "distinguished from nodes that only know the concept"
        )
    return remarks


def carried_remarks(result, timepoints):
    """Return sentences on where a map and what the layer carries to the output disagree.

    Parameters
    ----------
    result : Bunch
        Has `relay_map`, `information`, `carried` and `carried_error`.
    timepoints : ndarray of shape (n_timepoints,), int
        Time steps of the map.

    Returns
    -------
    list of str
    """
    known = ~np.isnan(result.relay_map)
    highest = result.relay_map.max(axis=2, initial=0.0, where=known)  # concepts, time steps
    much = np.maximum(result.information, _MUCH)[:, None]
    most, least = (result.carried + sign * 2 * result.carried_error for sign in (1, -1))
    unused = (highest >= np.maximum(_HEALTHY * much, 2 * _MUCH)) & (most < NOTHING * much)
    missed = (least >= _HEALTHY * much) & (highest < NOTHING * much)
    remarks = []
    for where, size, sentence in (
        (
            unused,
            highest,
            "nodes know what the layer does not carry to the output: at time step {t}, a node has "
            "{highest:.2f} bits about concept {k}, of which all nodes together carry {carried:.2f}",
        ),
        (
            missed,
            least,
            "the layer carries what no node shows alone: at time step {t}, all nodes together "
            "carry {carried:.2f} bits about concept {k}, of which no node has more than "
            "{highest:.2f}",
        ),
    ):
        if where.any():
            k, step = np.unravel_index(np.argmax(np.where(where, size, -1.0)), where.shape)
            worst = {"highest": highest[k, step], "carried": max(0.0, result.carried[k, step])}
            text = sentence.format(t=timepoints[step], k=k, **worst)
            count = f"{np.count_nonzero(where)} of {where.size}"
            remarks.append(f"at {count} concepts and time steps {text}")
    return remarks


def tie_remarks(ties, n_relays, *, if_common=False):
    """Return a sentence on ties among the strongest nodes, if there are any.

    Parameters
    ----------
    ties : ndarray of shape (n_concepts, n_timepoints), int
        Number of nodes that are tied for the last places among the strongest nodes.
    n_relays : int
        Number of strongest nodes.
    if_common : bool, default=False
        Whether to leave out ties at less than half of the concepts and time steps.

    Returns
    -------
    list of str
    """
    if not ties.any() or (if_common and (ties > 0).mean() < 0.5):
        return []
    return [
        f"up to {ties.max()} nodes are tied for the last places among the {n_relays} strongest (at "
        f"{(ties > 0).mean():.0%} of concepts and time steps), and random_state decides which of "
        "them are chosen"
    ]


def warn_of(remarks):
    """Issue one warning with all remarks, if there are any.

    Parameters
    ----------
    remarks : list of str

    Warns
    -----
    RelayMapWarning
    """
    if remarks:
        text = "; ".join(remarks)
        warnings.warn(f"{text[0].upper()}{text[1:]}.", RelayMapWarning, stacklevel=3)
