"""The layers of passes without backward functions, where one may do what two do in training."""

from __future__ import annotations

from collections.abc import Mapping

from nnreg.interfaces.layer import LayerBuilder
from nnreg.interfaces.passes import HasForward


def joined_layers(plan: LayerBuilder) -> Mapping[str, HasForward]:
    """Return the layers of a plan by name, without those that the layer before them includes."""
    found = dict[str, HasForward]()
    children = list(plan.children.items())
    included = False
    for (name, (layer, own)), after in zip(children, [*children[1:], None], strict=True):
        if included:
            included = False
            continue
        joined = None
        if after is not None and own.wire is None:  # a chain, and not a graph
            joined = layer.joined(after[1][0])
        found[name] = joined or layer
        included = joined is not None
    return found
