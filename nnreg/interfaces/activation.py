"""The base class of activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from nnreg._types import Array
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Context
from nnreg.interfaces.numeric_derivative import derivative

Backward: TypeAlias = Callable[[Array], Array]
BiasBackward: TypeAlias = Callable[[Array, Array | None], Array]


class Activation(Component):
    """A function of one array, elementwise or over its last axis.

    Give `formula` alone, where it is elementwise, and the derivative is found from it: exactly by
    complex steps where the formula takes complex numbers, otherwise by central differences. Give
    `forward` instead to say the derivative yourself, which is faster.
    """

    kind = "activation"
    range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Bounds of every output. A loss of probabilities asks for outputs within (0, 1)."""

    def formula(self, x: Array) -> Array:
        """Return `y`, each value of which depends on the same value of `x` only."""
        raise NotImplementedError

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """Return `y` and the function that turns ∂loss/∂y into ∂loss/∂x; leave `x` as it is."""

        def backward(dy: Array) -> Array:
            slope: Array = derivative(self)(x).astype(dy.dtype)
            return dy * slope

        return self.formula(x), backward

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Do the same where `x` is scratch: it may be overwritten and even be the `y` returned.

        Override it to save arrays; the results must be the same.
        """
        return self.forward(x)

    def forward_bias_inplace(
        self, x: Array, bias: Array | None, context: Context
    ) -> tuple[Array, BiasBackward]:
        """Do the same for x + bias, where `x` is scratch `(rows, features)`.

        The function returned takes ∂loss/∂y and an array for ∂loss/∂bias, and returns ∂loss/∂x.
        Dense layers call this one. Override it where a kernel does the steps at once.
        """
        if bias is not None:
            context.kernels.add_bias(x, bias, context.workspace)
        y, backward_fn = self.forward_inplace(x, context)

        def backward(dy: Array, dbias: Array | None) -> Array:
            dx = backward_fn(dy)
            if dbias is not None:
                context.kernels.sum_rows(dx, dbias, context.workspace)
            return dx

        return y, backward
