"""Pairs of layers of a chain that one function computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from nnreg.interfaces.context import Context
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBuilder, PairForward
from nnreg.interfaces.passes import HasForward


class HasJoinedLayers(Protocol):
    """A network."""

    members: int
    plan: LayerBuilder
    kernels: Kernels
    layers: Mapping[str, Layer]
    joined: Mapping[str, PairForward]

    @property
    def activations_per_example(self) -> int:
        """The number of activations of one example in all layers."""


class Pair:
    """Two layers, of which one function computes both; it takes the place of the first."""

    def __init__(self, forward: PairForward, following: Context) -> None:
        self._forward, self._following = forward, following

    def forward(self, x: Any, context: Context) -> tuple[Any, Callable[[Any], Any]]:
        """Return the output of the second, and the backward function of both."""
        y, backward_fn = self._forward(x, context, self._following)
        needed = self._following.needs_input_gradient
        return y, backward_fn if needed else lambda dy: None


def joined_layers(plan: LayerBuilder) -> Mapping[str, PairForward]:
    """Return the functions that compute a layer and the next one, by the name of the layer."""
    found = dict[str, PairForward]()
    included = ""
    for (name, (layer, own)), (after, (following, _)) in itertools.pairwise(plan.children.items()):
        if own.wire is not None:  # a graph
            return {}
        forward = None if name == included else layer.joined(following)
        if forward is not None:
            found[name], included = forward, after
    return found


def steps_of(
    network: HasJoinedLayers, contexts: Mapping[str, Context]
) -> list[tuple[HasForward, Context]]:
    """Return the layers of a chain with their contexts, joined ones as one."""
    if not network.joined:
        return list(zip(network.layers.values(), contexts.values(), strict=True))
    steps, names = list[tuple[HasForward, Context]](), iter(network.layers)
    for name in names:
        forward = network.joined.get(name)
        own = contexts[name]
        if forward is None:
            steps.append((network.layers[name], own))
        else:
            steps.append((Pair(forward, contexts[next(names)]), own))
    return steps


def joined_kernels(network: HasJoinedLayers) -> set[str]:
    """Return the methods of kernels that compute two layers of a network, forward and backward."""
    forward = {network.layers[name].joined_kernel for name in network.joined}
    return forward | {back for name in forward if hasattr(Kernels, back := f"{name}_backward")}


def stored_activations(network: HasJoinedLayers) -> int:
    """Return the activations of one example that a pass without backward functions stores.

    Compiled kernels do not store what is between two layers that they compute together.
    """
    stored, kernels = network.activations_per_example, type(network.kernels)
    for name in network.joined:
        kernel = network.layers[name].joined_kernel
        if getattr(kernels, kernel) is not getattr(Kernels, kernel):
            stored -= network.members * network.plan.children[name][1].activations
    return stored
