"""The members of an ensemble in one pass: each layer computes all of them with the same calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward
from nnreg.interfaces.passes import chain
from nnreg.network.network import Network
from nnreg.network.parameters import nested
from nnreg.tables.named import NamedArrays


def stackable(network: Network) -> bool:
    """Return whether all layers of a network take the members of an ensemble at once."""
    if network.named_outputs or network.masked:
        return False
    overridden = [type(layer).forward_members is not Layer.forward_members
                  for layer, _ in nested(network.plan)]  # fmt: skip
    return all(overridden)


class _OfMembers:
    """A layer whose `forward` is that of all members."""

    def __init__(self, layer: Layer) -> None:
        self.forward = layer.forward_members


class Stacked:
    """Passes of all members; arrays in and between layers are `(members, batch, ...)`.

    `context` is that of one network, whose arrays have an axis of members in front.
    """

    def __init__(self, network: Network, context: Context, members: int) -> None:
        self._members = members
        pairs = zip(network.layers.values(), context.children.values(), strict=True)
        self._steps = [(_OfMembers(layer), own) for layer, own in pairs]
        for step, own in self._steps:
            if own.node is not None:
                own.node.layer = step

    def forward(self, x: Any) -> tuple[Array, LayerBackward]:
        """Return the scores of all members for one `x`; see `Network.forward`."""
        x = x.each(self._repeat) if isinstance(x, NamedArrays) else self._repeat(x)
        y, backward_fn = chain(self._steps, x)

        def backward(dy: Array) -> Array | None:
            dx = backward_fn(dy)
            return None if dx is None else dx.sum(axis=0)

        return y, backward

    def _repeat(self, x: Array) -> Array:
        return np.broadcast_to(x, (self._members, *x.shape))
