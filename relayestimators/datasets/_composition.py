"""Composition of trained networks into one whose true relays are known.

Floor 2: torch, and the networks below.
"""

from itertools import product

import torch

from ..networks import RecurrentNetwork


@torch.no_grad()
def compose_networks(networks, concepts=None, *, channels=None):
    """Put recurrent networks side by side into one that answers all their questions at once.

    The networks become blocks of nodes with no connection between them. The output of the whole
    for a class is the sum of the blocks' outputs for that class's concept values, so that its
    class probabilities are the products of theirs. Concept i then passes through the nodes of
    block i and no others: a network with known relays.

    Parameters
    ----------
    networks : sequence of RecurrentNetwork
        Blocks with the same cell and nonlinearity, one layer and one direction. Numbers of nodes
        and of classes may differ. They are not changed.
    concepts : array-like of shape (n_classes, n_networks), int, optional
        Concept table of the whole: row k says which class of each block makes up class k. By
        default one row for every combination, the class of the last block changing fastest.
    channels : sequence of sequences of int, optional
        Which channels of the whole each block sees, in the order of its own. By default all
        blocks see the same channels.

    Returns
    -------
    RecurrentNetwork
        In evaluation mode and without dropout. The nodes of block 0 come first, then those of
        block 1, and so on.

    Raises
    ------
    ValueError
        If there is no network, they do not fit together, or `concepts` or `channels` do not fit
        them.

    Notes
    -----
    With a table that leaves combinations out, the products are normalized over its rows.

    Blocks that see the inputs of each other's concepts may remember them without use. Nothing
    but a knockout tells such nodes from relays; with `channels` of their own there are none.

    Examples
    --------
    >>> import torch
    >>> from relayestimators.datasets import compose_networks
    >>> from relayestimators.networks import RecurrentNetwork
    >>> blocks = [RecurrentNetwork(1, n_classes=2, hidden_size=size) for size in (8, 4)]
    >>> whole = compose_networks(blocks)
    >>> whole.hidden_size, whole.readout.out_features
    (12, 4)
    >>> X = torch.randn(5, 1, 20)
    >>> parts = [torch.softmax(block(X), dim=1) for block in blocks]
    >>> torch.allclose(torch.softmax(whole(X), dim=1)[:, 2], parts[0][:, 1] * parts[1][:, 0])
    True
    """
    networks = _check_blocks(networks)
    first, n_classes = networks[0], [block.readout.out_features for block in networks]
    table = _check_concept_table(concepts, n_classes)
    channels = _check_channels(channels, [block.recurrent.input_size for block in networks])
    n_channels = 1 + max(map(max, channels))
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and overwritten below
        whole = RecurrentNetwork(
            n_channels,
            len(table),
            hidden_size=sum(block.hidden_size for block in networks),
            cell=first.cell,
            nonlinearity=first.nonlinearity,
        ).to(first.readout.weight)
    for name, joined in whole.recurrent.named_parameters():
        parts = [block.recurrent.get_parameter(name) for block in networks]
        if name.startswith("weight_ih"):
            parts = [_spread(p, c, n_channels) for p, c in zip(parts, channels, strict=True)]
        join = torch.block_diag if name.startswith("weight_hh") else _stack
        parts = [p.split(b.hidden_size) for p, b in zip(parts, networks, strict=True)]
        joined.copy_(torch.cat([join(*gates) for gates in zip(*parts, strict=True)]))
    readouts = [block.readout for block in networks]
    rows = list(zip(readouts, table.T, strict=True))
    whole.readout.weight.copy_(torch.cat([r.weight[values] for r, values in rows], dim=1))
    whole.readout.bias.copy_(sum(r.bias[values] for r, values in rows))
    return whole.eval()


def _stack(*parts):
    return torch.cat(parts)


def _spread(weight, channels, n_channels):
    """Return input weights with a column for every channel of the whole, zero where unseen."""
    wide = weight.new_zeros(len(weight), n_channels)
    wide[:, channels] = weight
    return wide


def _check_blocks(networks):
    """Return the networks as a list, or say why they cannot be put side by side."""
    networks = list(networks)
    if not networks:
        raise ValueError("networks is empty; expected at least one RecurrentNetwork.")
    kinds = []
    for i, block in enumerate(networks):
        if not isinstance(block, RecurrentNetwork):
            raise ValueError(f"networks[{i}] is a {type(block).__name__}, not a RecurrentNetwork.")
        if block.num_layers != 1 or block.bidirectional:
            raise ValueError(
                f"networks[{i}] has num_layers={block.num_layers}, bidirectional="
                f"{block.bidirectional}; only networks of one layer and one direction compose."
            )
        weight = block.readout.weight
        kinds.append(
            {
                "cell": block.cell,
                "nonlinearity": block.nonlinearity,
                "dtype": weight.dtype,
                "device": weight.device,
            }
        )
        for name, value in kinds[i].items():
            if value != kinds[0][name]:
                raise ValueError(
                    f"networks[{i}] has {name}={value}, networks[0] has {kinds[0][name]}; they "
                    "must be the same."
                )
    return networks


def _check_concept_table(concepts, n_classes):
    """Return the concept table as an int64 tensor (n_classes of the whole, n_networks)."""
    if concepts is None:
        concepts = list(product(*map(range, n_classes)))
    table = torch.as_tensor(concepts)
    if table.ndim != 2 or table.shape[1] != len(n_classes) or len(table) == 0:
        raise ValueError(
            f"concepts has shape {tuple(table.shape)}; expected (n_classes, {len(n_classes)}), "
            "one column per network."
        )
    if table.is_floating_point() or table.is_complex():
        raise ValueError(f"concepts has dtype {table.dtype}; expected whole numbers.")
    table = table.to(torch.int64)
    for i, (column, allowed) in enumerate(zip(table.T, n_classes, strict=True)):
        if column.min() < 0 or column.max() >= allowed:
            raise ValueError(
                f"concepts[:, {i}] holds {column.min()} to {column.max()}; networks[{i}] has "
                f"classes 0 to {allowed - 1}."
            )
    return table


def _check_channels(channels, sizes):
    """Return the channels each block sees, as lists of int."""
    if channels is None:
        if len(set(sizes)) > 1:
            raise ValueError(
                f"the networks have {sizes} channels; without `channels` they must have the same "
                "number."
            )
        channels = [range(size) for size in sizes]
    channels = [[int(channel) for channel in seen] for seen in channels]
    if [len(seen) for seen in channels] != sizes:
        raise ValueError(
            f"channels lists {[len(seen) for seen in channels]} channels per network; the "
            f"networks have {sizes}."
        )
    for i, seen in enumerate(channels):
        if len(set(seen)) < len(seen) or min(seen) < 0:
            raise ValueError(f"channels[{i}] is {seen}; expected different numbers from 0.")
    return channels
