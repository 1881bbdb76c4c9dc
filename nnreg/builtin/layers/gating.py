"""Layers that do what an activation does, but change the width or draw numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Sigmoid
from nnreg.builtin.layers.dense import activated, infer_activation
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Fraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.masks import require_features


@dataclass(frozen=True)
class Glu(Layer):
    """Gated linear unit: one half of the features multiplied by an activation of the other.

    y = a · activation(b), a and b the first and the second half of x

    Input `(..., 2 · features)`, output `(..., features)`. Dauphin et al. 2017; with gelu and silu
    it is the GEGLU and SwiGLU of Shazeer 2020.

    Options:
        activation: applied to the second half; Keras and PyTorch have sigmoid alone
    """

    activation: Activation = Sigmoid()
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape or shape[-1] % 2 or not shape[-1]:
            raise ShapeError(shape, "(batch, ..., 2 · features)")
        require_features(shape, builder)
        half = (*shape[:-1], shape[-1] // 2)
        builder.activation("activation", self.activation, half)
        return half

    def infer(self, x: Any, context: Context) -> Any:
        half = x.shape[-1] // 2
        return x[..., :half] * infer_activation(self.activation, x[..., half:], context)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        half = x.shape[-1] // 2
        a, b = x[..., :half], x[..., half:]
        gate, backward_fn = activated(self.activation, b, context)
        y = np.multiply(a, gate, out=context.empty(a.shape))

        def backward(dy: Array) -> Array:
            dx = context.empty(x.shape)
            np.multiply(dy, gate, out=dx[..., :half])
            dx[..., half:] = backward_fn(np.multiply(dy, a, out=context.empty(a.shape)))
            return dx

        return y, backward


@dataclass(frozen=True)
class RRelu(Layer):
    """Rectified linear unit whose slope for negative inputs is random in training.

    y = x for x > 0, otherwise slope · x

    The slope of each value is uniform between `low` and `high` in training, and their mean
    otherwise. Input of any shape, output of the same. As PyTorch's; Keras does not have it. Xu et
    al. 2015.

    Options:
        low: smallest slope, in [0, 1]
        high: largest slope, in [0, 1]
    """

    low: Fraction = 1 / 8
    high: Fraction = 1 / 3
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not be above high ({self.high})")

    def infer(self, x: Any, context: Context) -> Any:
        return np.where(x > 0, x, x * ((self.low + self.high) / 2))

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        slope = context.empty(x.shape)
        if context.training:
            drawn = context.rng.random(x.shape, dtype=np.float32)
            np.multiply(drawn, self.high - self.low, out=slope)
            np.add(slope, self.low, out=slope)
        else:
            slope.fill((self.low + self.high) / 2)
        np.copyto(slope, 1, where=x > 0)
        y = np.multiply(x, slope, out=context.empty(x.shape))
        return y, lambda dy: np.multiply(dy, slope, out=context.empty(x.shape))
