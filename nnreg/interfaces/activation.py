"""The base class of activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from nnreg._types import Array
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Context
from nnreg.interfaces.numeric_derivative import derivative
from nnreg.interfaces.traced import trace

Backward: TypeAlias = Callable[[Array], Array]
BiasBackward: TypeAlias = Callable[[Array, Array | None], Array]


class Activation(Component):
    """A function of one array, elementwise or over its last axis.

    It may define `formula` alone; its derivative is then computed from it: by complex steps, which
    are exact, if it is elementwise and accepts complex numbers, and else, or for long arrays, by
    autograd, if that is installed and can follow it. Otherwise the formula must be elementwise, and
    central differences are used. Defining `forward` with the derivative instead is faster.
    """

    kind = "activation"
    range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Bounds of every output. A loss of probabilities requires outputs within (0, 1)."""
    sums_to_one: ClassVar[bool | None] = None
    """Whether outputs are probabilities that sum to 1 over the last axis; None if unknown."""

    @property
    def clips(self) -> bool:
        """Whether it is max(x, 0), which kernels compute with the product before it."""
        return False

    def backward_from(self, y: Array, context: Context) -> BiasBackward:
        """Return the backward function of outputs that a kernel has computed, if it `clips`."""
        raise NotImplementedError

    def formula(self, x: Array) -> Array:
        """Return `y`, computed with NumPy's functions."""
        raise NotImplementedError

    def infer(self, x: Any) -> Any:
        """Return `y` computed with NumPy's functions, which an export records.

        By default by `formula`, or `forward` without one.
        """
        if type(self).formula is not Activation.formula:
            return self.formula(x)
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """Return `y` and the function that maps ∂loss/∂y to ∂loss/∂x; `x` must not be modified."""
        return self._forward_formula(x, training=False)

    def _forward_formula(self, x: Array, *, training: bool) -> tuple[Array, Backward]:
        """Return `y` and the backward function, which autograd records in training."""
        if training and derivative(self).by_autograd(x):
            y, vjp = trace(self.formula, [x])
            return y, lambda dy: vjp(dy)[0]

        def backward(dy: Array) -> Array:
            how = derivative(self)
            if how.slope is None or how.by_autograd(x):
                return trace(self.formula, [x])[1](dy)[0]
            found: Array = how.slope(x).astype(dy.dtype)
            return dy * found

        return self.formula(x), backward

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Do the same as `forward`, but `x` may be overwritten and be the returned `y`.

        Override it to save memory; the results must be the same.
        """
        if type(self).forward is Activation.forward:
            return self._forward_formula(x, training=context.training)
        return self.forward(x)

    def forward_bias_inplace(
        self, x: Array, bias: Array | None, context: Context
    ) -> tuple[Array, BiasBackward]:
        """Do the same for x + bias, where `x` is `(rows, features)` and may be overwritten.

        The returned function takes ∂loss/∂y and an array for ∂loss/∂bias, and returns ∂loss/∂x.
        Dense layers call this one. Override it to use a kernel that fuses the steps.
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
