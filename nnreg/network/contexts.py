"""The contexts of a network's layers: their views of its arrays, for one kind of pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context, Node, Workspace
from nnreg.interfaces.graph import Wire
from nnreg.interfaces.layer import LayerBuilder

Arrays: TypeAlias = tuple[Mapping[str, Array], Mapping[str, Array], Mapping[str, Array]]
"""Parameters, gradients and buffers, by their full names."""


def contexts(
    plan: LayerBuilder,
    prefix: str,
    arrays: Arrays,
    workspace: Workspace,
    frozen: Collection[str] | None,
) -> Context:
    """Return the context of a plan; `frozen` are layers in inference mode, None means all."""
    parameters, gradients, state = arrays
    context = Context(
        params={name: parameters[prefix + name] for name in plan.params},
        gradients={name: gradients[prefix + name] for name in plan.params if gradients},
        state={name: state[prefix + name] for name in plan.state},
        children={},
        workspace=workspace,
        training=frozen is not None,
        mask_names=plan.masks if any(plan.masks) else (),
        features=plan.features,
        only_forward=frozen is None and not gradients,
    )
    children: dict[str, Context] = {}
    for name, (layer, child) in plan.children.items():
        own = prefix + (child.owner or name)
        inner = None if frozen is None or own in frozen else frozen
        wire = child.wire
        if wire is None:
            children[name] = contexts(child, f"{own}/", arrays, workspace, inner)
            continue
        its_arrays, shared = _arrays_of_use(wire, own, arrays) if child.owner else (arrays, [])
        children[name] = contexts(child, f"{own}/", its_arrays, workspace, inner)
        children[name].node = Node(layer, wire.inputs, layer.reads_several(len(wire.inputs)))
        if shared:
            original = children[child.owner or name].node
            assert original is not None
            original.shared.extend(shared)
    context.children = children
    return context


def _arrays_of_use(
    wire: Wire, layer: str, arrays: Arrays
) -> tuple[Arrays, list[tuple[Array, Array]]]:
    """Return the arrays of a further use of a layer, and its gradients in pairs with the layer's.

    Its gradients are arrays of their own, as every backward function writes them in full.
    """
    parameters, gradients, state = arrays
    names = [name for name in gradients if name.startswith(f"{layer}/")]
    if wire.transposed:
        weight = f"{layer}/weight"
        parameters = {weight: parameters[weight].T}
        spare = {
            name: np.zeros_like(gradients[name].T, order="C") for name in names if name == weight
        }
        return (parameters, spare, {}), [(gradients[name], spare[name].T) for name in spare]
    spare = {name: np.zeros_like(gradients[name]) for name in names}
    return (parameters, spare, state), [(gradients[name], spare[name]) for name in spare]
