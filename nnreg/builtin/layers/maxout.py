"""Layers whose outputs are the largest of several linear functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Units
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.masks import require_features


@dataclass(frozen=True)
class Maxout(Layer):
    """The largest of several linear functions of the last axis, for each output.

    y = max over k of x · weightₖ + biasₖ

    Input `(..., in_features)`, output `(..., units)`. Of equal values the first gets the gradient.
    Neither PyTorch nor Keras has it. Goodfellow et al. 2013.

    Options:
        units: number of outputs, or "classes" for one per class of the target
        pieces: number of linear functions for each output, >= 2
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias

    Parameters:
        weight: (in_features, pieces · units), the columns of the first function first
        bias: (pieces · units,), unless `bias` is false
    """

    units: Units
    pieces: Annotated[int, Ge(2)] = 2
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        require_features(shape, builder)
        units = builder.size(self.units)
        columns = self.pieces * units
        builder.param("weight", (shape[-1], columns), self.initializer, regularized=True)
        if self.bias:
            builder.param("bias", (columns,), self.bias_initializer)
        builder.activation_count = math.prod(shape[:-1]) * columns
        return (*shape[:-1], units)

    def infer(self, x: Any, context: Context) -> Any:
        z = x @ context.params["weight"]
        z = z + context.params["bias"] if self.bias else z
        return z.reshape(*x.shape[:-1], self.pieces, z.shape[-1] // self.pieces).max(axis=-2)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        weight = context.params["weight"]
        features, columns = weight.shape
        rows = x.reshape(math.prod(x.shape[:-1]), features)
        z = context.workspace.dot(rows, weight, out=context.empty((len(rows), columns)))
        if self.bias:
            context.kernels.add_bias(z, context.params["bias"], context.workspace)
        pieces = z.reshape(len(rows), self.pieces, columns // self.pieces)
        chosen = np.expand_dims(np.argmax(pieces, axis=1), 1)
        y = np.take_along_axis(pieces, chosen, axis=1)

        def backward(dy: Array) -> Array | None:
            dz = context.empty(z.shape)
            dz.fill(0)
            np.put_along_axis(dz.reshape(pieces.shape), chosen, dy.reshape(y.shape), axis=1)
            context.workspace.dot(rows.T, dz, out=context.gradients["weight"])
            if self.bias:
                context.kernels.sum_rows(dz, context.gradients["bias"], context.workspace)
            if not context.needs_input_gradient:
                return None
            dx = context.workspace.dot(dz, weight.T, out=context.empty(rows.shape))
            return dx.reshape(x.shape)

        return y.reshape((*x.shape[:-1], columns // self.pieces)), backward
