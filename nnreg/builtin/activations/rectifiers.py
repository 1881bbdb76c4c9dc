"""Rectified linear units, and what else is linear between a few points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.interfaces.activation import Activation, Backward, BiasBackward
from nnreg.interfaces.context import Context


@dataclass(frozen=True)
class Relu(Activation):
    """Rectified linear unit.

    y = max(x, 0)

    The derivative at 0 is 0. Nair and Hinton 2010.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return np.maximum(x, 0), lambda dy: dy * (x > 0)

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        y, backward_fn = self.forward_bias_inplace(x, None, context)
        return y, lambda dy: backward_fn(dy, None)

    def forward_bias_inplace(
        self, x: Array, bias: Array | None, context: Context
    ) -> tuple[Array, BiasBackward]:
        """Overwrite x; backward needs only the sign of y, which is that of x + bias."""
        context.kernels.relu(x, bias, context.workspace)

        def backward(dy: Array, dbias: Array | None) -> Array:
            dx = context.empty(x.shape)
            context.kernels.relu_backward(dy, x, dx, dbias, context.workspace)
            return dx

        return x, backward


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """Rectified linear unit with a slope for negative inputs.

    y = x for x > 0, otherwise slope · x

    Maas et al. 2013.

    Options:
        slope: slope for negative x, in [0, 1]
    """

    slope: Annotated[float, Interval(ge=0, le=1)] = 0.01
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope))
        return x * slope, lambda dy: dy * slope
