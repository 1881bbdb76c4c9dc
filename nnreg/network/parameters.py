"""Named, shaped views of the parameters in a flat vector."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy.typing as npt

from nnreg._types import Array
from nnreg._utils.aligned import aligned_zeros
from nnreg._utils.statistics import norm
from nnreg._utils.suggestions import suggest
from nnreg.interfaces.context import Read
from nnreg.interfaces.declarations import Param
from nnreg.interfaces.graph import labels
from nnreg.interfaces.layer import Layer, LayerBuilder

MEMBERS = "members/"
"""The begin of the names of all arrays of an ensemble."""


def declared(plan: LayerBuilder) -> tuple[dict[str, Param], dict[str, Param]]:
    """Return the parameters and the buffers that a plan and its nested plans declare, by name."""
    return dict(_walk(plan, _params)), dict(_walk(plan, lambda p: p.state))


def of_members(params: Mapping[str, Param], members: int) -> dict[str, Param]:
    """Return the arrays of all members of an ensemble, `members/0/layers/0/weight`, …"""
    if members == 1:
        return dict(params)
    return {
        f"{MEMBERS}{index}/{name}": param
        for index in range(members)
        for name, param in params.items()
    }


def within_member(name: str) -> str:
    """Return the name that an array has in its member of an ensemble: `layers/0/weight`."""
    return name.split("/", 2)[2] if name.startswith(MEMBERS) else name


class Views(dict[str, Array]):
    """Arrays by name that are views of one vector; setting an item writes into the vector."""

    def __setitem__(self, name: str, values: Any) -> None:
        self[name][...] = values

    def __missing__(self, name: str) -> Array:
        raise KeyError(f"no array {name!r}{suggest(name, self)}")


def views(vector: Array, params: Mapping[str, Param]) -> Views:
    """Split a vector into named, shaped views of it."""
    result, start = {}, 0
    for name, param in params.items():
        size = math.prod(param.shape)
        result[name] = vector[start : start + size].reshape(param.shape)
        start += size
    return Views(result)


def slices(params: Mapping[str, Param]) -> dict[str, slice]:
    """Return the slice of each array in the vector of all."""
    result, start = {}, 0
    for name, param in params.items():
        stop = start + math.prod(param.shape)
        result[name] = slice(start, stop)
        start = stop
    return result


def merged_slices(params: Mapping[str, Param], without: Collection[str]) -> list[slice]:
    """Return the slices of all arrays but some, in order, with adjacent ones merged."""
    spans: list[slice] = []
    for name, span in slices(params).items():
        if name not in without:
            adjacent = spans and spans[-1].stop == span.start
            spans.append(slice(spans.pop().start, span.stop) if adjacent else span)
    return spans


def by_layer(vector: Array, params: Mapping[str, Param]) -> dict[str, Array]:
    """Split a vector into the values of each layer, including nested ones: `layers/0`, …"""
    bounds: dict[str, tuple[int, int]] = {}
    end = 0
    for name, param in params.items():
        layer, start = name.rpartition("/")[0], end
        end += math.prod(param.shape)
        bounds[layer] = (bounds.get(layer, (start, end))[0], end)
    return {layer: vector[start:end] for layer, (start, end) in bounds.items()}


def norms_by_layer(gradients: Mapping[str, Array]) -> dict[str, float]:
    """Return the norm of each layer, of that in all members of an ensemble."""
    found = defaultdict[str, list[float]](list)
    for layer, gradient in gradients.items():
        found[within_member(layer)].append(norm(gradient))
    return {layer: math.hypot(*norms) for layer, norms in found.items()}


def total_size(params: Mapping[str, Param]) -> int:
    """Return the total number of values of these arrays."""
    return sum(math.prod(param.shape) for param in params.values())


def zeros_for(params: Mapping[str, Param], dtype: npt.DTypeLike) -> Array:
    """Return a vector of zeros for all values of these arrays."""
    return aligned_zeros((total_size(params),), dtype)


def _walk(
    plan: LayerBuilder, arrays: Callable[[LayerBuilder], Mapping[str, Param]], prefix: str = ""
) -> Iterator[tuple[str, Param]]:
    """Yield every array that a plan and its nested plans declare, with its full name."""
    for name, param in arrays(plan).items():
        yield prefix + name, param
    for name, (_, child) in plan.children.items():
        if child.owner is None:
            yield from _walk(child, arrays, f"{prefix}{name}/")


def _params(plan: LayerBuilder) -> Mapping[str, Param]:
    return plan.params


def weight_products(plan: LayerBuilder) -> Iterator[tuple[int, bool]]:
    """Yield the multiplications for one example in each product with weights of a network.

    The second value says whether the layer computes it with `Workspace.dot`.
    """
    for layer, child in nested(plan):
        for multiplications in child.weight_products:
            yield multiplications, layer.divides_products


def nested(plan: LayerBuilder) -> Iterator[tuple[Layer, LayerBuilder]]:
    """Yield every layer below a plan."""
    for layer, child in plan.children.values():
        yield layer, child
        yield from nested(child)


def trained(
    plan: LayerBuilder, frozen: Collection[str], prefix: str = ""
) -> Iterator[LayerBuilder]:
    """Yield the plan of every layer below a plan that is in training mode during training."""
    for name, (_, child) in plan.children.items():
        own = f"{prefix}{child.owner or name}"
        if own not in frozen:
            yield child
            yield from trained(child, frozen, f"{own}/")


def belongs_to(name: str, layers: Collection[str]) -> bool:
    """Return True if an array belongs to one of these layers or to a layer nested in them."""
    parts = name.split("/")
    return any("/".join(parts[:end]) in layers for end in range(1, len(parts)))


def layer_names(plan: LayerBuilder, prefix: str = "") -> Iterator[str]:
    """Yield the name of every layer below a plan, as in `layers/0` and `layers/0/layers/1`."""
    for name, (_, child) in plan.children.items():
        if child.owner is None:
            yield prefix + name
            yield from layer_names(child, f"{prefix}{name}/")


def sources(plan: LayerBuilder, name: str) -> str:
    """Return what a child reads and uses, as text; empty if it reads the child before."""
    wire = plan.children[name][1].wire
    if wire is None:
        return ""
    children = list(plan.children)
    used = f"uses {children[wire.use].removeprefix('layers/')}" if wire.use is not None else ""
    read = ", ".join(labels(wire, children))
    plain = wire.inputs == (Read(children.index(name)),)
    return ", ".join(filter(None, (used, "" if plain else f"reads {read}")))
