"""Layers that contain layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import ShapeError
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder, chain


@dataclass(frozen=True)
class Residual(Layer):
    """Layers with a skip connection around them.

    y = x + layers(x)

    Input of any shape that the layers keep. He et al. 2015.

    Options:
        layers: the layers, in order
    """

    layers: tuple[Layer, ...]
    independent = True
    keeps_integers = False
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        output = builder.chain(self.layers, shape)
        if output != shape:
            raise ShapeError(shape, f"inputs whose shape its layers keep; these return {output}")
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        y, backward_fn = chain(zip(self.layers, context.children.values(), strict=True), x)

        def backward(dy: Array) -> Array:
            dx = backward_fn(dy)
            return dy if dx is None else np.add(dx, dy, out=context.empty(x.shape))

        return np.add(x, y, out=context.empty(x.shape)), backward
