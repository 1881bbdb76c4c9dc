"""Activations that bring values towards 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.activation import Activation, Backward
from nnreg.interfaces.component import Positive


@dataclass(frozen=True)
class HardShrink(Activation):
    """The input where it is far from 0, otherwise 0.

    y = x for |x| > threshold, otherwise 0

    The derivative at ±threshold is 0. Donoho and Johnstone 1994.

    Options:
        threshold: largest |x| that becomes 0 (lambd in PyTorch), > 0
    """

    threshold: Positive = 0.5
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        kept = np.abs(x) > self.threshold
        return x * kept, lambda dy: dy * kept


@dataclass(frozen=True)
class SoftShrink(Activation):
    """The input moved towards 0 by a distance, but not beyond.

    y = x - min(max(x, -threshold), threshold)

    The derivative at ±threshold is 0. Donoho 1995.

    Options:
        threshold: distance (lambd in PyTorch), > 0
    """

    threshold: Positive = 0.5
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = x - np.clip(x, -self.threshold, self.threshold)
        return y, lambda dy: dy * (np.abs(x) > self.threshold)


@dataclass(frozen=True)
class TanhShrink(Activation):
    """What the hyperbolic tangent leaves of its input.

    y = x - tanh(x)
    """

    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        tanh = np.tanh(x)
        return x - tanh, lambda dy: dy * (tanh * tanh)
