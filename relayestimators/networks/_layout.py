"""Layout of panels and states in memory."""

import torch


def join_directions(states):
    """Return the states of all directions of a layer as one tensor, forward nodes first.

    Parameters
    ----------
    states : list of Tensor of shape (..., hidden_size)
        One per direction. A single one is returned without a copy.

    Returns
    -------
    Tensor of shape (..., n_nodes)
    """
    return torch.cat(states, dim=-1) if len(states) > 1 else states[0]


def time_major(X):
    """Return a panel in the layout that recurrent layers step through.

    This is the only place where channels and time steps are transposed.

    Parameters
    ----------
    X : Tensor of shape (n_instances, n_channels, n_timepoints)
        Panel, with NaN after the end of shorter series.

    Returns
    -------
    steps : Tensor of shape (n_timepoints, n_instances, n_channels)
        The panel, with 0 as padding.
    lengths : Tensor of shape (n_instances,), int64, or None
        Number of time steps of each series; None if every series fills the panel.
    """
    steps = X.permute(2, 0, 1)
    # a single sum settles most panels; infinities, whose sum may be NaN, are sorted out below
    if not steps[-1].sum().isnan():
        return steps, None
    ended = steps.isnan().all(dim=2)
    if not ended[-1].any():
        return steps, None
    return torch.nan_to_num(steps), len(steps) - ended.sum(dim=0)
