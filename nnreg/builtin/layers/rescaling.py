"""A layer that multiplies by a constant and adds another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward


@dataclass(frozen=True)
class Rescaling(Layer):
    """Values multiplied by a constant, plus another, such as 0 to 255 scaled to -1 to 1.

    y = scale · x + offset

    Input of any shape, output of the same. As Keras's, with one number for all values.

    Options:
        scale: the factor
        offset: added to the product
    """

    scale: float
    offset: float = 0.0
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def infer(self, x: Any, context: Context) -> Any:
        return self.scale * x + self.offset

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        y = np.multiply(x, self.scale, out=context.empty(x.shape))
        np.add(y, self.offset, out=y)
        return y, lambda dy: np.multiply(dy, self.scale, out=context.empty(x.shape))
