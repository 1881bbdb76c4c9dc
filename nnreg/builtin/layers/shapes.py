"""Layers that rearrange, repeat, cut or surround values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.layers.geometry import Pair, each_axis
from nnreg.errors import ShapeError
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


@dataclass(frozen=True)
class UpSampling2d(Layer):
    """Nearest-neighbour up-sampling: an image enlarged by repeating its rows and columns.

    y[row, column] = x[row // rows, column // columns]

    Input `(height, width, channels)`; output `(height · rows, width · columns, channels)`.

    Options:
        size: rows and columns that a value becomes; one number for both
    """

    size: Pair = 2
    independent = True
    keeps_integers = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 3:
            raise ShapeError(shape, "(batch, height, width, channels)")
        rows, columns = each_axis(self.size, 2)
        return shape[0] * rows, shape[1] * columns, shape[2]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        rows, columns = each_axis(self.size, 2)
        batch, height, width, channels = x.shape
        repeated = (batch, height, rows, width, columns, channels)
        y = context.empty(repeated, x.dtype)
        y[...] = x.reshape(batch, height, 1, width, 1, channels)

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            return np.sum(dy.reshape(repeated), axis=(2, 4), out=context.empty(x.shape))

        return y.reshape(batch, height * rows, width * columns, channels), backward
