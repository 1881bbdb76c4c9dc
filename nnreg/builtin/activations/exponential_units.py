"""Activations that are an exponential function for negative inputs, or everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.builtin.activations.kernel_activation import KernelActivation
from nnreg.interfaces.activation import Activation, Backward

LARGEST_EXPONENT: Final = 80.0
"""Its exponential, 5.5e34, is finite in float32."""


@dataclass(frozen=True)
class Elu(KernelActivation):
    """Exponential linear unit.

    y = x for x > 0, otherwise alpha · (exp(x) - 1)

    Clevert et al. 2015.

    Options:
        alpha: the negative of the limit for x → -∞, in (0, 10]
    """

    alpha: Annotated[float, Interval(gt=0, le=10)] = 1.0
    sums_to_one = False

    def _kernel(self) -> tuple[str, float]:
        return "elu", self.alpha

    def forward(self, x: Array) -> tuple[Array, Backward]:
        negative = np.minimum(x, 0)
        slope = np.where(x > 0, x.dtype.type(1), np.exp(negative) * self.alpha)
        return np.where(x > 0, x, np.expm1(negative) * self.alpha), lambda dy: dy * slope


@dataclass(frozen=True)
class Selu(Activation):
    """Exponential linear unit with the constants that keep mean 0 and variance 1.

    y = scale · elu(x, alpha)

    alpha is 1.6733 and scale 1.0507. Klambauer et al. 2017.
    """

    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        alpha, scale = 1.6732632423543772, 1.0507009873554805
        y, backward = Elu(alpha).forward(x)
        return scale * y, lambda dy: scale * backward(dy)


@dataclass(frozen=True)
class Celu(Activation):
    """Exponential linear unit whose derivative is continuous for every alpha.

    y = x for x > 0, otherwise alpha · (exp(x / alpha) - 1)

    Barron 2017.

    Options:
        alpha: the negative of the limit for x → -∞, in (0, 10]
    """

    alpha: Annotated[float, Interval(gt=0, le=10)] = 1.0
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        negative = np.minimum(x, 0) / self.alpha
        y = np.maximum(x, 0) + self.alpha * np.expm1(negative)
        return y, lambda dy: dy * np.exp(negative)


@dataclass(frozen=True)
class Exponential(Activation):
    """Exponential function, such as for the rate of a Poisson distribution.

    y = exp(min(x, 80))

    The limit keeps y finite in float32; the derivative is 0 beyond it. Keras and PyTorch have none.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = np.exp(np.minimum(x, LARGEST_EXPONENT))
        return y, lambda dy: dy * y * (x <= LARGEST_EXPONENT)
