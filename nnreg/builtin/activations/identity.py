"""No activation at all."""

from __future__ import annotations

from dataclasses import dataclass

from nnreg._types import Array
from nnreg.interfaces.activation import Activation, Backward


@dataclass(frozen=True)
class Identity(Activation):
    """No nonlinearity.

    y = x
    """

    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return x, lambda dy: dy
