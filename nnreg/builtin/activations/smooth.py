"""Smooth relatives of the rectified linear unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nnreg._types import Array
from nnreg.builtin.activations.functions import log1p_exp, logistic
from nnreg.interfaces.activation import Activation, Backward


@dataclass(frozen=True)
class Softplus(Activation):
    """Smooth rectified linear unit.

    y = log(1 + exp(x))

    Computed as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = log1p_exp(x)
        return y, lambda dy: dy * logistic(x)
