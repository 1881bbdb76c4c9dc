"""The layers of passes without backward functions, where one may do what two do in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.passes import HasForward


class HasJoinedLayers(Protocol):
    """A network."""

    members: int
    plan: LayerBuilder
    kernels: Kernels
    layers: Mapping[str, Layer]
    joined_layers: Mapping[str, HasForward]

    @property
    def activations_per_example(self) -> int:
        """The number of activations of one example in all layers."""


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


def stored_activations(network: HasJoinedLayers) -> int:
    """Return the activations of one example that a pass without backward functions stores.

    Compiled kernels do not store the outputs that are pooled.
    """
    stored, joined = network.activations_per_example, network.joined_layers
    compiled = type(network.kernels).convolve_max_pool is not Kernels.convolve_max_pool
    if compiled and len(joined) < len(network.layers):
        children = network.plan.children
        pooled = [name for name, layer in joined.items() if layer is not network.layers[name]]
        stored -= network.members * sum(children[name][1].activations for name in pooled)
    return stored
