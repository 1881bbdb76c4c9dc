"""Activations that grow from one bound to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations.functions import logistic
from nnreg.interfaces.activation import Activation, Backward
from nnreg.interfaces.context import Context


@dataclass(frozen=True)
class Sigmoid(Activation):
    """Logistic function.

    y = 1 / (1 + exp(-x))

    Computed as (1 + tanh(x/2)) / 2, which cannot overflow.
    """

    range = (0.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = logistic(x)
        return y, lambda dy: dy * (y * (1 - y))

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        y = np.multiply(x, 0.5, out=x)
        np.tanh(y, out=y)
        np.multiply(y, 0.5, out=y)
        np.add(y, 0.5, out=y)

        def backward(dy: Array) -> Array:
            slope = np.subtract(1, y, out=context.empty(y.shape))
            np.multiply(slope, y, out=slope)
            return np.multiply(slope, dy, out=slope)

        return y, backward


@dataclass(frozen=True)
class Tanh(Activation):
    """Hyperbolic tangent.

    y = tanh(x)
    """

    range = (-1.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = np.tanh(x)
        return y, lambda dy: dy * (1 - y * y)

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        y = np.tanh(x, out=x)

        def backward(dy: Array) -> Array:
            slope = np.multiply(y, y, out=context.empty(y.shape))
            np.subtract(1, slope, out=slope)
            return np.multiply(slope, dy, out=slope)

        return y, backward


@dataclass(frozen=True)
class Softsign(Activation):
    """Function with the range of tanh and slower saturation.

    y = x / (1 + |x|)

    Turian et al. 2009.
    """

    range = (-1.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        d = 1 + np.abs(x)
        return x / d, lambda dy: dy / (d * d)
