"""Activations that multiply their input by a number between 0 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations.functions import logistic
from nnreg.builtin.activations.kernel_activation import KernelActivation
from nnreg.interfaces.activation import Activation, Backward
from nnreg.kernels.numpy.activations import (
    GELU_CUBE,
    GELU_FACTOR,
    LARGEST_OF_MISH,
    normal_cdf,
)
from nnreg.operations.functions import erf


@dataclass(frozen=True)
class Gelu(KernelActivation):
    """Gaussian error linear unit.

    y = x · Φ(x), Φ the distribution function of the standard normal

    By default Φ(x) ≈ (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2; Keras and PyTorch compute
    the exact Φ by default. Hendrycks and Gimpel 2016.

    Options:
        exact: compute Φ by the error function, which is slow in float64, as NumPy lacks it
    """

    exact: bool = False
    sums_to_one = False

    def _kernel(self) -> tuple[str, float]:
        return ("exact_gelu" if self.exact else "gelu"), 0.0

    def infer(self, x: Any) -> Any:
        if self.exact:
            return x * (0.5 + 0.5 * erf(x * (1 / math.sqrt(2))))
        return super().infer(x)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if self.exact:
            cdf, *spare = np.empty_like(x, shape=(3, *x.shape))
            normal_cdf(x, cdf, spare)
            slope = np.exp(np.square(np.clip(x, -40, 40)) * -0.5) * (1 / math.sqrt(2 * math.pi))
            return x * cdf, lambda dy: dy * (cdf + x * slope)
        c, k = GELU_FACTOR, GELU_CUBE
        th = np.tanh(x * (c + (c * k) * (x * x)))
        cdf = 0.5 + 0.5 * th
        slope = (1 - th * th) * (x * (0.5 * c + (1.5 * c * k) * (x * x)))
        return x * cdf, lambda dy: dy * (cdf + slope)


@dataclass(frozen=True)
class Silu(KernelActivation):
    """Sigmoid linear unit, also called swish.

    y = x · sigmoid(x)

    Elfwing et al. 2017.
    """

    sums_to_one = False

    def _kernel(self) -> tuple[str, float]:
        return "silu", 0.0

    def forward(self, x: Array) -> tuple[Array, Backward]:
        s = logistic(x)
        y = x * s
        return y, lambda dy: dy * (s + y * (1 - s))


@dataclass(frozen=True)
class HardSilu(Activation):
    """Sigmoid linear unit with the hard sigmoid, also called hard swish.

    y = x · min(max(x/6 + 1/2, 0), 1)

    Howard et al. 2019.
    """

    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        gate = np.clip(x + 3, 0, 6) / 6
        return x * gate, lambda dy: dy * (gate + x * ((x > -3) & (x < 3)) * (1 / 6))


@dataclass(frozen=True)
class Mish(KernelActivation):
    """Self-gated unit that is smooth everywhere.

    y = x · tanh(log(1 + exp(x)))

    Misra 2019.
    """

    sums_to_one = False

    def _kernel(self) -> tuple[str, float]:
        return "mish", 0.0

    def forward(self, x: Array) -> tuple[Array, Backward]:
        e = np.exp(np.minimum(x, LARGEST_OF_MISH))
        n = e * (e + 2)  # tanh(log(1 + e)) is n / (n + 2)
        return x * (
            n / (n + 2)
        ), lambda dy: dy * ((x * (4 * (e * (e + 1))) / (n + 2) + n) / (n + 2))
