"""Normalization of each example by the size of its values, over the last axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import Ones
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Positive
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.masks import require_features

SMALLEST: Final = 1e-12
"""Values up to this size count as zeros; PyTorch and Keras divide shorter vectors by it."""


class _RowNormalization(Layer):
    """A normalization of `(..., features)`, which leaves of a single feature only its sign."""

    independent = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape or shape[-1] < 2:
            raise ShapeError(shape, "(batch, ..., features) with two features or more")
        require_features(shape, builder)
        return shape


@dataclass(frozen=True)
class RmsNorm(_RowNormalization):
    """Normalization by the root mean square over the last axis of each example.

    y = gamma · x / √(mean(x²) + epsilon)

    Input `(..., features)` with two features or more, output of the same shape. As PyTorch's and
    Keras's, whose default epsilon is that of Keras. Zhang and Sennrich 2019.

    Options:
        epsilon: added to the mean square, > 0

    Parameters:
        gamma: (features,)
    """

    epsilon: Positive = 1e-6
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        output = super().build(shape, builder)
        builder.param("gamma", shape[-1:], Ones())
        return output

    def infer(self, x: Any, context: Context) -> Any:
        mean_square = (x * x).mean(axis=-1, keepdims=True)
        return x / np.sqrt(mean_square + self.epsilon) * context.params["gamma"]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        gamma, kernels, scratch = context.params["gamma"], context.kernels, context.workspace
        rows = x.reshape(-1, x.shape[-1])
        y, scale = context.empty(rows.shape), context.empty(rows.shape[:1])
        kernels.layer_norm(rows, gamma, None, y, None, scale, self.epsilon, scratch)

        def backward(dy: Array) -> Array:
            dx, dgamma = context.empty(rows.shape), context.gradients["gamma"]
            g = dy.reshape(rows.shape)
            kernels.layer_norm_backward(g, rows, gamma, None, scale, dx, dgamma, None, scratch)
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward


@dataclass(frozen=True)
class UnitNorm(_RowNormalization):
    """Each example divided by its length, the Euclidean norm over the last axis.

    y = x / √(Σ x²)

    Input `(..., features)` with two features or more, output of the same shape. Keras's layer
    UnitNormalization, and PyTorch's function normalize. Zeros remain zeros and have no gradient,
    where Keras and PyTorch have one of 1e12; so it is with vectors of values up to 1e-12.
    """

    output_range = (-1, 1)

    def infer(self, x: Any, context: Context) -> Any:
        largest = np.abs(x).max(axis=-1, keepdims=True)
        scaled = x / np.where(largest <= SMALLEST, math.inf, largest)
        return scaled / np.maximum(np.sqrt((scaled * scaled).sum(axis=-1, keepdims=True)), 1)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        column = (*x.shape[:-1], 1)
        y = np.abs(x, out=context.empty(x.shape))
        largest = np.max(y, axis=-1, keepdims=True, out=context.empty(column))
        np.copyto(largest, math.inf, where=np.less_equal(largest, SMALLEST))
        np.divide(x, largest, out=y)  # so that no square overflows or becomes 0
        length = np.sum(np.square(y), axis=-1, keepdims=True, out=context.empty(column))
        np.maximum(np.sqrt(length, out=length), 1, out=length)
        np.divide(y, length, out=y)
        inverse = np.divide(1, np.multiply(length, largest, out=length), out=length)

        def backward(dy: Array) -> Array:
            part = np.multiply(dy, y, out=context.empty(x.shape))
            across = np.sum(part, axis=-1, keepdims=True, out=context.empty(column))
            dx = np.subtract(dy, np.multiply(y, across, out=part), out=part)
            return np.multiply(dx, inverse, out=dx)

        return y, backward
