"""Composition of trained networks into one network with known relays."""

from itertools import product

import torch

from ..networks import RecurrentNetwork


@torch.no_grad()
def compose_networks(networks, concepts=None, *, channels=None):
    r"""Compose recurrent networks into one network whose relays are known.

    The networks become blocks of nodes without connections between them. The output for a class is
    the sum of the outputs of the blocks for its concept values :math:`c_i`, so that the class
    probabilities are products:

    .. math:: p(c_1, \dots, c_n | x) = \prod_i p_i(c_i | x)

    Concept i is therefore relayed by the nodes of block i and by no others.

    Parameters
    ----------
    networks : sequence of RecurrentNetwork
        Networks with the same cell and nonlinearity, one layer and one direction. Their numbers of
        nodes and of classes may differ. They are not changed.
    concepts : array-like of shape (n_classes, n_networks), int, default=None
        Concept table of the composed network: row k has the class of every block that makes up
        class k. None is one row for every combination, where the class of the last block changes
        fastest.
    channels : sequence of sequences of int, default=None
        Channels of the composed network that each block receives, in the order of the channels of
        the block. None gives the same channels to all blocks.

    Returns
    -------
    RecurrentNetwork
        The composed network, in evaluation mode and without dropout. The nodes of block 0 come
        first, then those of block 1, and so on.

    Raises
    ------
    ValueError
        If there is no network, the networks do not fit together, or `concepts` or `channels` do
        not fit the networks.

    See Also
    --------
    make_memory_task : Task whose concepts single networks can learn.

    Notes
    -----
    If the table leaves out combinations, the products are normalized over its rows.

    Blocks that receive the inputs of each other's concepts may remember them without using them.
    Only a knockout can distinguish such nodes from relays. If every block has its own `channels`,
    there are no such nodes.

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
    # The initial weights are drawn at random, but are all overwritten below.
    with torch.random.fork_rng(devices=[]):
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
            parts = [_widen_input(p, c, n_channels) for p, c in zip(parts, channels, strict=True)]
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


def _widen_input(weight, channels, n_channels):
    """Return input weights with a column for every channel, 0 for those the block lacks."""
    wide = weight.new_zeros(len(weight), n_channels)
    wide[:, channels] = weight
    return wide


def _check_blocks(networks):
    """Return the networks as a list, after checking that they can be composed."""
    networks = list(networks)
    if not networks:
        raise ValueError("networks is empty; expected at least one RecurrentNetwork.")
    kinds = []
    for i, block in enumerate(networks):
        if not isinstance(block, RecurrentNetwork):
            raise ValueError(
                f"networks[{i}] is a {type(block).__name__}; expected a RecurrentNetwork."
            )
        if block.num_layers != 1 or block.bidirectional:
            raise ValueError(
                f"networks[{i}] has num_layers={block.num_layers}, bidirectional="
                f"{block.bidirectional}; expected one layer and one direction."
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
                    f"networks[{i}] has {name}={value}; expected {kinds[0][name]}, as in "
                    "networks[0]."
                )
    return networks


def _check_concept_table(concepts, n_classes):
    """Return the concept table as an int64 tensor of shape (n_classes, n_networks)."""
    if concepts is None:
        concepts = list(product(*map(range, n_classes)))
    table = torch.as_tensor(concepts)
    if table.ndim != 2 or table.shape[1] != len(n_classes) or len(table) == 0:
        raise ValueError(
            f"concepts has shape {tuple(table.shape)}; expected (n_classes, {len(n_classes)}), "
            "one column per network."
        )
    if table.is_floating_point() or table.is_complex():
        raise ValueError(f"concepts has dtype {table.dtype}; expected integers.")
    table = table.to(torch.int64)
    for i, (column, allowed) in enumerate(zip(table.T, n_classes, strict=True)):
        if column.min() < 0 or column.max() >= allowed:
            raise ValueError(
                f"concepts[:, {i}] has values from {column.min()} to {column.max()}; expected "
                f"integers from 0 to {allowed - 1}, the classes of networks[{i}]."
            )
    return table


def _check_channels(channels, sizes):
    """Return the channels that each block receives, as lists of int."""
    if channels is None:
        if len(set(sizes)) > 1:
            raise ValueError(
                f"channels=None, but the networks have {sizes} channels; expected the same number "
                "for all networks, or `channels`."
            )
        channels = [range(size) for size in sizes]
    channels = [[int(channel) for channel in of_block] for of_block in channels]
    if [len(of_block) for of_block in channels] != sizes:
        raise ValueError(
            f"channels has {[len(of_block) for of_block in channels]} channels per network; "
            f"expected {sizes}, as in the networks."
        )
    for i, of_block in enumerate(channels):
        if len(set(of_block)) < len(of_block) or min(of_block) < 0:
            raise ValueError(f"channels[{i}]={of_block!r}; expected different integers >= 0.")
    return channels
