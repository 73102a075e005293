"""The blocks of a network as a table, read off the network itself."""

from __future__ import annotations

from typing import Any

import pandas as pd

from elit_helpers.core.checks import check_count, require
from elit_helpers.ensemble import networks
from elit_helpers.ensemble.networks import POOL
from elit_helpers.ensemble.settings import TrainSettings


def network_layers(net: Any, *, side: int = 64) -> pd.DataFrame:
    """List the blocks of a network in the order in which a picture passes through them.

    An empty picture is sent through, and what comes out of each block is looked at; nothing is trained.

    Parameters
    ----------
    net : TrainSettings or torch.nn.Module
        Settings, for the network for one class that they describe; or a network, such as
        ``Segmentor(...).net`` of AtomAI.
    side
        Of the square picture [px], a multiple of 8.

    Returns
    -------
    DataFrame
        A row a block: ``block`` (its name in the network), ``convolutions`` (how many), ``kernel`` (side of
        the largest [px]), ``channels_in`` and ``channels`` (pictures that go in and come out), ``side`` (of
        what comes out [px]), ``weights`` (numbers that are learned). The weights of all add up to those of
        the network.

    Raises
    ------
    TypeError
        If `net` is neither.
    ValueError
        If `side` is no multiple of 8.
    """
    if check_count("side", side) % POOL:
        raise ValueError(f"`side` is {side}; it must be a multiple of {POOL}: it is halved three times.")
    if isinstance(net, TrainSettings):
        with networks.contained():
            return network_layers(networks.fresh_net(n_classes=1, settings=net), side=side)
    torch = require("torch", "Looking into a network")
    if not isinstance(net, torch.nn.Module):
        raise TypeError(
            f"`net` is a {type(net).__name__}; pass TrainSettings or a torch.nn.Module, "
            "such as Segmentor().net."
        )
    blocks = {name: block for name, block in net.named_children() if any(True for _ in block.parameters())}
    rows: list[dict] = []
    hooks = [block.register_forward_hook(_row_of(name, rows)) for name, block in blocks.items()]
    was_training, place = net.training, next(net.parameters()).device
    try:
        net.eval()  # in training mode even an empty picture would change its statistics
        with torch.inference_mode():
            net(torch.zeros(1, 1, side, side, device=place))
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    return pd.DataFrame(rows)


def _row_of(name: str, rows: list[dict]) -> Any:
    def look(block: Any, inputs: tuple, output: Any) -> None:
        torch = require("torch", "Looking into a network")
        convolutions = [m for m in block.modules() if isinstance(m, torch.nn.Conv2d)]
        rows.append(
            {
                "block": name,
                "convolutions": len(convolutions),
                "kernel": max((m.kernel_size[0] for m in convolutions), default=0),
                "channels_in": inputs[0].shape[1],
                "channels": output.shape[1],
                "side": output.shape[-1],
                "weights": sum(p.numel() for p in block.parameters()),
            }
        )

    return look
