"""Which values of a network are sequences of different lengths, and have a mask.

A mask is named after the input of the network whose lengths hold. The functions take a `Layer` and
its `LayerBuilder`; their module imports this one.
"""

from __future__ import annotations

from typing import Any

from nnreg._types import Shape
from nnreg.errors import ComponentError, Problem, ShapeError, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.declarations import Declarations


def refuse_mask(layer: Any, plan: Declarations) -> None:
    """Raise `SpecError` if a mask reaches a layer that does not support it, or several a join."""
    masks = dict.fromkeys(name for name in plan.masks if name is not None)
    if not masks:
        return
    if layer.keeps_mask is None:
        problem = (
            f"{type(layer).__name__} does not support masks, but its input is sequences of "
            "different lengths; put a layer before it that reduces them to one value, such as an "
            "LSTM, or make all sequences equally long"
        )
        raise SpecError([Problem(plan.path, problem)])
    if len(masks) > 1 and not getattr(layer, "joins_masks", False):
        problem = (
            f"{type(layer).__name__} joins sequences of the inputs {', '.join(masks)}, whose "
            "lengths differ; reduce each to one value first, or join them by cross_attention"
        )
        raise SpecError([Problem(f"{plan.path}.inputs", problem)])


def output_mask(layer: Any, plan: Any) -> str | None:
    """Return the mask of the output of a layer that is built; None if it has none.

    A layer that holds layers has that of the last of these, unless all of them get single steps;
    an activation is not one.
    """
    masks: list[str] = [name for name in plan.masks if name is not None]
    if not masks or not layer.keeps_mask:
        return None
    nested = [own for one, own in plan.children.values() if not isinstance(one, Activation)]
    if any(any(own.masks) for own in nested):
        last: str | None = nested[-1].output_mask
        return last
    kept: str | None = plan.masks[0] if getattr(layer, "joins_masks", False) else masks[0]
    if kept is None:
        return None
    steps = plan.inputs[plan.masks.index(kept)][:1]
    for shape in plan.outputs.values() or (plan.output,):
        if shape[:1] != steps:
            raise ComponentError(
                f"{plan.path}: {type(layer).__name__} declares that it keeps the mask of its "
                f"input, with {steps[0]} steps, but its output has the shape {shape}"
            )
    return kept


def require_features(shape: Shape, plan: Declarations) -> None:
    """Raise `ShapeError` if the last axis, over which a layer computes, is that of masked steps."""
    if len(shape) == 1 and any(plan.masks):
        raise ShapeError(shape, "(batch, time, features) of sequences of different lengths")
