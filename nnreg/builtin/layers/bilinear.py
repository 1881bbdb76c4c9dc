"""Bilinear functions of two inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Identity
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.dense import WeightedLayer
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Units
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.join import Join, JoinBackward
from nnreg.interfaces.layer import LayerBuilder
from nnreg.interfaces.masks import require_features


@dataclass(frozen=True)
class Bilinear(WeightedLayer, Join):
    """Bilinear function of two inputs over their last axes.

    y = activation(Σ x₁ · weight · x₂ + bias)

    Two inputs `(..., features₁)` and `(..., features₂)` with the same axes before, output
    `(..., units)`. As PyTorch's, whose weight is `(units, features₁, features₂)`, without an
    activation; Keras does not have it. Tenenbaum and Freeman 2000.

    Options:
        units: number of outputs, or "classes" for one per class of the target
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias

    Parameters:
        weight: (features₁, features₂, units)
        bias: (units,), unless `bias` is false
    """

    units: Units
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True

    @classmethod
    def examples(cls) -> Iterable[Any]:
        return [(cls(2), ((3,), (4,))), (cls(3, bias=False), ((5, 4), (5, 2)))]

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        if len(shapes) != 2:
            raise ShapeError(shapes[-1], f"two inputs, found {len(shapes)}")
        first, second = shapes
        for shape in shapes:
            if not shape or shape[:-1] != first[:-1]:
                raise ShapeError(shape, "two inputs (batch, ..., features) that differ in features")
            require_features(shape, builder)
        units = builder.size(self.units)
        self._declare(builder, (first[-1], second[-1], units))
        builder.activation_count = math.prod(second) * units
        return (*first[:-1], units)

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        weight = context.params["weight"]
        features, other, units = weight.shape
        first, second = xs
        maps = (first @ weight.reshape(features, other * units)).reshape(
            *first.shape[:-1], other, units
        )
        return self._activated((second[..., None] * maps).sum(axis=-2), context)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        weight = context.params["weight"]
        features, other, units = weight.shape
        count = math.prod(xs[0].shape[:-1])
        first, second = xs[0].reshape(count, features), xs[1].reshape(count, other)
        flat = weight.reshape(features, other * units)
        dot, empty = context.workspace.dot, context.empty
        maps = dot(first, flat, out=empty((count, other * units))).reshape(count, other, units)
        z = np.matmul(np.expand_dims(second, 1), maps, out=empty((count, 1, units)))
        y, backward_fn = self._activate(
            z.reshape(count, units), context.params.get("bias"), context
        )

        def backward(dy: Array) -> list[Array | None]:
            dz = backward_fn(dy.reshape(y.shape), context.gradients.get("bias"))
            dmaps = empty(maps.shape)
            np.multiply(np.expand_dims(second, 2), np.expand_dims(dz, 1), out=dmaps)
            rows = dmaps.reshape(count, other * units)
            dot(first.T, rows, out=context.gradients["weight"].reshape(flat.shape))
            if not context.needs_input_gradient:
                return [None, None]
            dsecond = np.matmul(maps, np.expand_dims(dz, 2), out=empty((count, other, 1)))
            dfirst = dot(rows, flat.T, out=empty(first.shape))
            return [dfirst.reshape(xs[0].shape), dsecond.reshape(xs[1].shape)]

        return y.reshape((*xs[0].shape[:-1], units)), backward
