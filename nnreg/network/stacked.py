"""The members of an ensemble in one pass, whose layers compute all of them at once if they can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.passes import HasForward, OfMembers, chain, use_members_below
from nnreg.network.network import Network
from nnreg.network.parameters import nested
from nnreg.tables.named import NamedArrays


def stackable(network: Network) -> bool:
    """Return whether a pass of all members at once is faster than one of each.

    Other layers of rows of features run member by member between those that compute all of them.
    For larger examples it is better to stay with one member, whose values are in the cache.
    """
    layers = list(network.plan.children.values())
    several = network.named_outputs or any(plan.owner or plan.outputs for _, plan in layers)
    if several or network.masked:
        return False
    at_once = [_at_once(layer, plan) for layer, plan in layers]
    rows = [len(shape) <= 1 for _, plan in layers for shape in (*plan.inputs, plan.output)]
    return any(at_once) and (all(at_once) or all(rows))


def _at_once(layer: Layer, plan: LayerBuilder) -> bool:
    """Return whether a layer, and those nested in it, compute all members at once."""
    all_layers = [layer, *(child for child, _ in nested(plan))]
    return all(type(one).forward_members is not Layer.forward_members for one in all_layers)


class Stacked:
    """Passes of all members; arrays in and between layers are `(members, batch, ...)`.

    `context` is that of one network, whose arrays have an axis of members in front, and `members`
    are those of each.
    """

    def __init__(self, network: Network, context: Context, members: Sequence[Context]) -> None:
        self._members = len(members)
        self._steps: list[tuple[HasForward, Context]] = []
        for name, (layer, plan) in network.plan.children.items():
            own, each = context.children[name], [member.children[name] for member in members]
            at_once = _at_once(layer, plan)
            step: HasForward = OfMembers(layer) if at_once else _OneByOne(layer, each)
            use_members_below(own)
            if own.node is not None:
                own.node.layer = step
            self._steps.append((step, own))

    def forward(self, x: Any) -> tuple[Array, LayerBackward]:
        """Return the scores of all members for one `x`; see `Network.forward`."""
        x = x.each(self._repeat) if isinstance(x, NamedArrays) else self._repeat(x)
        y, backward_fn = chain(self._steps, x)

        def backward(dy: Array) -> Any:
            dx = backward_fn(dy)
            return None if dx is None else sum_of_members(dx)

        return y, backward

    def _repeat(self, x: Array) -> Array:
        return np.broadcast_to(x, (self._members, *x.shape))


def sum_of_members(gradients: Any) -> Any:
    """Return the gradient of what all members read, from an array or a list of that of each.

    Those of several inputs are in a dictionary, by name.
    """
    if isinstance(gradients, dict):
        return {name: np.sum(one, axis=0) for name, one in gradients.items()}
    return np.sum(gradients, axis=0)


class _OneByOne:
    """A layer that computes one member after the other, each in a context of its own."""

    def __init__(self, layer: Layer, contexts: Sequence[Context]) -> None:
        self._layer, self._contexts = layer, contexts

    def forward(self, x: Any, context: Context) -> tuple[Any, Callable[[Any], Any]]:
        several = isinstance(x, list)
        pairs = zip(zip(*x, strict=True) if several else x, self._contexts, strict=True)
        passes = [self._layer.forward(own, one) for own, one in pairs]

        def backward(dy: Array) -> Any:
            found = [backward_fn(own) for (_, backward_fn), own in zip(passes, dy, strict=True)]
            if several:
                return [_together(parts, context) for parts in zip(*found, strict=True)]
            return _together(found, context)

        return _together([y for y, _ in passes], context), backward


def _together(arrays: Sequence[Array | None], context: Context) -> Array | None:
    """Return the arrays of members as one; None if they are not needed."""
    found = [one for one in arrays if one is not None]
    if not found:
        return None
    out = context.empty((len(found), *found[0].shape), found[0].dtype)
    return np.stack(found, out=out)
