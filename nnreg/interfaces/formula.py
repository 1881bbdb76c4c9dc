"""Layers and losses that define only a formula: the derivative comes from autograd.

In training, the forward pass is recorded; otherwise it calls the formula on plain arrays, and
backward, which is then rarely called, runs it again to record it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context
from nnreg.interfaces.traced import require_autograd, trace


class HasLayerFormula(Protocol):
    """A layer."""

    joins: ClassVar[bool]

    def formula(self, x: Any, params: Mapping[str, Array]) -> Array:
        """Return the output."""


class HasLossFormula(Protocol):
    """A loss."""

    def formula(self, y: Array, t: Array) -> float:
        """Return the loss."""


def layer_forward(
    layer: HasLayerFormula, x: Any, context: Context
) -> tuple[Any, Callable[[Array], Any]]:
    """Return the output of a layer's formula, and its backward function."""
    formula, params = layer.formula, context.params
    joins = layer.joins and isinstance(x, list | tuple)  # it may take a single input too
    inputs = list(x) if joins else [x]
    recorded = [
        place
        for place, array in enumerate(inputs)
        if context.needs_input_gradient and array.dtype.kind == "f"
    ]

    def function(*arrays: Any) -> Any:
        values = list(inputs)
        for place, array in zip(recorded, arrays, strict=False):
            values[place] = array
        named = dict(zip(params, arrays[len(recorded) :], strict=True))
        return formula(values if joins else values[0], named)

    def record() -> tuple[Any, Callable[[Any], list[Array]]]:
        require_autograd(layer)
        return trace(function, [*(inputs[place] for place in recorded), *params.values()])

    y, vjp = record() if context.training else (formula(x, params), None)

    def backward(dy: Array) -> Any:
        found = (vjp or record()[1])(dy)
        for name, gradient in zip(params, found[len(recorded) :], strict=True):
            np.copyto(context.gradients[name], gradient)
        dx: list[Any] = [None] * len(inputs)
        for place, gradient in zip(recorded, found, strict=False):
            dx[place] = gradient
        return dx if joins else dx[0]

    return y, backward


def loss_forward(
    loss: HasLossFormula, y: Array, t: Array, *, training: bool
) -> tuple[float, Callable[[], Array]]:
    """Return the value of a loss's formula, and the function that returns its gradient."""

    def record() -> tuple[Any, Callable[[Any], list[Array]]]:
        require_autograd(loss)
        return trace(lambda outputs: loss.formula(outputs, t), [y])

    value, vjp = record() if training else (loss.formula(y, t), None)

    def backward() -> Array:
        return (vjp or record()[1])(np.ones((), y.dtype))[0]

    return value, backward
