"""Layers that work on each example's features: dense, and the steps around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Identity
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Units
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


@dataclass(frozen=True)
class Dense(Layer):
    """y = activation(x · weight + bias), over the last axis.

    Takes `(..., features)`, gives `(..., units)`. Parameters: weight `(features, units)` and,
    unless `bias` is false, bias `(units,)`, whose first values `initializer` and
    `bias_initializer` draw.
    """

    units: Units
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    independent = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        units = builder.size(self.units)
        builder.param("weight", (shape[-1], units), self.initializer, regularized=True)
        if self.bias:
            builder.param("bias", (units,), self.bias_initializer)
        return (*shape[:-1], units)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        weight = context.params["weight"]
        features, units = weight.shape
        rows = x if x.ndim == 2 else x.reshape(-1, features)
        z = np.dot(rows, weight, out=context.empty((rows.shape[0], units)))
        y, backward_fn = self.activation.forward_bias_inplace(
            z, context.params.get("bias"), context
        )

        def backward(dy: Array) -> Array | None:
            dz = backward_fn(
                dy if dy.ndim == 2 else dy.reshape(y.shape), context.gradients.get("bias")
            )
            np.dot(rows.T, dz, out=context.gradients["weight"])
            if not context.needs_input_gradient:
                return None
            dx = np.dot(dz, weight.T, out=context.empty(rows.shape))
            return dx if x.ndim == 2 else dx.reshape(x.shape)

        return y if x.ndim == 2 else y.reshape((*x.shape[:-1], units)), backward


@dataclass(frozen=True)
class ActivationLayer(Layer):
    """y = activation(x), as a layer of its own. Any shape."""

    activation: Activation = field()
    independent = True

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return self.activation.forward(x)


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets a share `rate` of the values to 0 and scales up the others, in training only.

    Any shape. Srivastava et al. 2014.
    """

    rate: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    independent = True

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        if not context.training or self.rate == 0:
            return x, lambda dy: dy
        kept = context.rng.random(x.shape, dtype=np.float32) >= self.rate
        scale = np.multiply(kept, 1 / (1 - self.rate), out=context.empty(x.shape))
        y = np.multiply(x, scale, out=context.empty(x.shape))
        return y, lambda dy: np.multiply(dy, scale, out=context.empty(x.shape))


@dataclass(frozen=True)
class Flatten(Layer):
    """Lays out each example as one row: `(batch, ...)` to `(batch, features)`."""

    independent = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        return (math.prod(shape),)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        y = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        return y, lambda dy: dy.reshape(x.shape)
