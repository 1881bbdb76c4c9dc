"""Smooth relatives of the rectified linear unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations.functions import log1p_exp, logistic
from nnreg.builtin.activations.kernel_activation import KernelActivation
from nnreg.interfaces.activation import Activation, Backward
from nnreg.interfaces.component import Positive


@dataclass(frozen=True)
class Softplus(KernelActivation):
    """Smooth rectified linear unit.

    y = log(1 + exp(x))

    Computed as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow. PyTorch's beta has no
    counterpart, and its result is x itself above 20.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def _kernel(self) -> tuple[str, float]:
        return "softplus", 0.0

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = log1p_exp(x)
        return y, lambda dy: dy * logistic(x)


@dataclass(frozen=True)
class Squareplus(Activation):
    """Smooth rectified linear unit without an exponential function.

    y = (x + √(x² + b)) / 2

    Barron 2021.

    Options:
        b: width of the bend at 0, > 0
    """

    b: Positive = 4.0
    range = (0.0, math.inf)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        root = np.hypot(x, x.dtype.type(math.sqrt(self.b)))
        larger = 0.5 * (np.abs(x) + root)  # the smaller of the two would lose its digits
        y = np.where(x > 0, larger, (0.25 * self.b) / larger)
        return y, lambda dy: dy * (y / root)


@dataclass(frozen=True)
class SparsePlus(Activation):
    """Smooth rectified linear unit that is exactly 0 below -1 and x above 1.

    y = 0 for x ≤ -1, x for x ≥ 1, otherwise (x + 1)² / 4

    The integral of sparse_sigmoid. As in Keras 3.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        slope = np.clip(0.5 * x + 0.5, 0, 1)
        return np.maximum(x - 1, 0) + slope * slope, lambda dy: dy * slope


@dataclass(frozen=True)
class Snake(Activation):
    """Identity with a periodic part, for functions that repeat themselves.

    y = x + sin²(alpha · x) / alpha

    Neither Keras nor PyTorch has it. Ziyin et al. 2020.

    Options:
        alpha: π divided by the period, > 0
    """

    alpha: Positive = 1.0
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        sine = np.sin(self.alpha * x)
        return x + sine * sine / self.alpha, lambda dy: dy * (1 + np.sin((2 * self.alpha) * x))
