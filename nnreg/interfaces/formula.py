"""Layers and losses that define only a formula: the derivative comes from autograd.

In training, the forward pass is recorded; otherwise it calls the formula on plain arrays, and
backward, which is then rarely called, runs it again to record it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean
from nnreg.errors import PluginError
from nnreg.interfaces.context import Context
from nnreg.interfaces.traced import require_autograd, trace


class HasLayerFormula(Protocol):
    """A layer."""

    joins: ClassVar[bool]

    def formula(self, x: Any, params: Mapping[str, Array]) -> Array:
        """Return the output."""


class HasLossFormula(Protocol):
    """A loss."""

    def formula(self, y: Array, t: Array) -> float | Array:
        """Return the loss, or the terms whose mean it is."""


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
    terms, slopes = formula_terms(loss, y, t, training=training)
    if np.ndim(terms) == 0:
        return terms, lambda: slopes(np.ones((), y.dtype))
    return mean(terms), lambda: slopes(np.full(terms.shape, 1 / terms.size, y.dtype))


def formula_terms(
    loss: HasLossFormula, y: Array, t: Array, *, training: bool, inside_mean: bool = False
) -> tuple[Any, Callable[[Array], Array]]:
    """Return what a loss's formula returns, a number or terms, and its backward function.

    With `inside_mean`, these are the terms of a recorded formula that returns `np.mean(terms)`.
    """

    def formula(outputs: Any) -> Any:
        found = loss.formula(outputs, t)
        terms = getattr(found, "mean_of", None) if inside_mean else None
        return found if terms is None or len(terms) != len(y) else terms

    def record() -> tuple[Any, Callable[[Any], list[Array]]]:
        require_autograd(loss)
        return trace(formula, [y])

    terms, vjp = record() if training else (loss.formula(y, t), None)
    if np.ndim(terms) and np.shape(terms)[0] != len(y):
        raise PluginError(
            f"{type(loss).__name__}.formula returned the shape {np.shape(terms)}; expected a "
            f"number, or terms whose first axis has the {len(y)} examples"
        )
    return terms, lambda factors: (vjp or record()[1])(factors)[0]
