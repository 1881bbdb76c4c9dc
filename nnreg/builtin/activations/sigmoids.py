"""Activations that grow from one bound to another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations.functions import log1p_exp, logistic
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


@dataclass(frozen=True)
class LogSigmoid(Activation):
    """Logarithm of the logistic function.

    y = log(1 / (1 + exp(-x)))

    Computed as min(x, 0) - log(1 + exp(-|x|)), which cannot overflow.
    """

    range = (-math.inf, 0.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return -log1p_exp(-x), lambda dy: dy * logistic(-x)


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """Logistic function made of three lines.

    y = min(max(x/6 + 1/2, 0), 1)

    The derivative at -3 and 3 is 0. As in Keras 3 and PyTorch; Keras 2 had x/5 + 1/2. Howard et al.
    2019.
    """

    range = (0.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = np.clip(x + 3, 0, 6) / 6
        return y, lambda dy: dy * ((x > -3) & (x < 3)) * (1 / 6)


@dataclass(frozen=True)
class HardTanh(Activation):
    """Hyperbolic tangent made of three lines.

    y = min(max(x, -1), 1)

    The derivative at -1 and 1 is 0. PyTorch's options min_val and max_val have no counterpart.
    Collobert 2004.
    """

    range = (-1.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return np.clip(x, -1, 1), lambda dy: dy * (np.abs(x) < 1)


@dataclass(frozen=True)
class SparseSigmoid(Activation):
    """Logistic function of which outputs can be exactly 0 or 1.

    y = min(max((x + 1) / 2, 0), 1)

    The first output of sparsemax for the inputs x and 0, and the derivative of sparse_plus; its own
    at -1 and 1 is 0. Martins and Astudillo 2016.
    """

    range = (0.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = np.clip(0.5 * x + 0.5, 0, 1)
        return y, lambda dy: 0.5 * dy * (np.abs(x) < 1)
