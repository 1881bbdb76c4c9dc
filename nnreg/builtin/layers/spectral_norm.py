"""Spectral normalization of the weight of another layer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape, Shapes
from nnreg._utils.statistics import norm
from nnreg.builtin.initializers import Normal
from nnreg.builtin.layers.dense import Dense
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder

HELD = "layer"
"""The name of the layer that the normalization holds."""


@dataclass(frozen=True)
class SpectralNorm(Layer):
    """A layer whose weight is divided by its largest singular value.

    y = layer(x) with the weight W / σ, σ = |W u| ≈ the largest singular value of W

    W is the weight as a matrix `(inputs, outputs)`, with all axes but the last as inputs. Each
    training step begins with `power_iterations` of the power method, u ← Wᵀ v / |Wᵀ v| and
    v ← W u / |W u|; otherwise v does not change, and σ = |Wᵀ v|. The gradient takes u and v as
    constants, as PyTorch and Keras do. PyTorch's `parametrizations.spectral_norm` stores u too,
    so that its σ of an evaluation is older by half an iteration, and begins with 15 iterations.
    Keras's SpectralNormalization stores u alone, and replaces W by W / σ. Miyato et al. 2018.

    Options:
        layer: a layer of numbers with the parameter `weight`, such as `dense` or `conv2d`
        power_iterations: iterations in each training step

    Buffers:
        v: (inputs,), the estimate of the left singular vector
    """

    layer: Layer
    power_iterations: Count = 1
    exact_gradient = False
    combines_shards = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True

    @property
    def output_range(self) -> tuple[float, float] | None:
        return self.layer.output_range

    def split_output_activation(self) -> tuple[Layer, Activation] | None:
        split = self.layer.split_output_activation()
        return split and (replace(self, layer=split[0]), split[1])

    @classmethod
    def examples(cls) -> Iterable[Any]:
        return [(cls(Dense(3)), (4,)), (cls(Dense(2), power_iterations=2), (5, 4))]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shapes:
        output: Shapes = builder.layer(HELD, self.layer, shape, integer=builder.integer)
        weight = builder.children[HELD][1].params.get("weight")
        if weight is None or len(weight.shape) < 2:
            name = type(self.layer).__name__
            problem = f"{name} has no matrix 'weight' to normalize; give a layer such as dense"
            raise SpecError([Problem(f"{builder.path}.{HELD}", problem)])
        builder.buffer("v", (math.prod(weight.shape[:-1]),), Normal(std=1))
        return output

    def infer(self, x: Any, context: Context) -> Any:
        inner = context.children[HELD]
        weight = inner.params["weight"]
        sigma = self._singular(weight.reshape(-1, weight.shape[-1]), context)[2]
        return self.layer.infer(
            x, replace(inner, params={**inner.params, "weight": weight / sigma})
        )

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        inner = context.children[HELD]
        weight = inner.params["weight"]
        matrix = weight.reshape(-1, weight.shape[-1])
        u, v, sigma = self._singular(matrix, context)
        normalized = np.divide(weight, sigma, out=context.empty(weight.shape))
        y, backward_fn = self.layer.forward(
            x, replace(inner, params={**inner.params, "weight": normalized})
        )

        def backward(dy: Array) -> Array:
            dx: Array = backward_fn(dy)
            gradient = inner.gradients["weight"]
            rows = gradient.reshape(matrix.shape)
            along = np.vdot(gradient, normalized)
            part = np.multiply(v.reshape(-1, 1), u, out=context.empty(matrix.shape))
            np.subtract(rows, np.multiply(part, along, out=part), out=rows)
            np.divide(rows, sigma, out=rows)
            return dx

        return y, backward

    def _singular(self, matrix: Array, context: Context) -> tuple[Array, Array, float]:
        """Return the singular vectors u and v and the singular value; in training, improve v."""
        # that of the first shard, since others may read it while the first writes the next one
        (state, *_) = context.gather(context.state["v"])
        v = state / (norm(state) or 1)
        u, sigma = _product(v, matrix, context)
        if not context.training:
            return u, v, sigma or 1
        for iteration in range(self.power_iterations):
            if iteration:
                u, _ = _product(v, matrix, context)
            v, sigma = _product(u, matrix.T, context)
        if context.updates_buffers and sigma:
            context.state["v"][...] = v
        return u, v, sigma or 1


def _product(vector: Array, matrix: Array, context: Context) -> tuple[Array, float]:
    """Return the direction of a vector times a matrix, and the length; zeros have no direction."""
    out = context.empty((1, matrix.shape[1]))
    product = context.workspace.dot(vector.reshape(1, -1), matrix, out=out)[0]
    length = norm(product)
    return np.divide(product, length or 1, out=product), length
