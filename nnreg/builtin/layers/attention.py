"""Layers of transformers: `(batch, time, features)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Softmax
from nnreg.builtin.initializers import GlorotUniform, Normal, Zeros
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.join import Join, JoinBackward
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


@dataclass(frozen=True)
class _Sinusoids(Initializer):
    """sin and cos of time / 10000^(k / features), side by side. Vaswani et al. 2017."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        time, features = shape
        k = np.arange(0, features, 2)
        angles = np.arange(time)[:, None] / 10_000 ** (k / features)
        waves = np.zeros(shape)
        waves[:, 0::2] = np.sin(angles)
        waves[:, 1::2] = np.cos(angles)[:, : features // 2]
        return waves


@dataclass(frozen=True)
class AddPosition(Layer):
    """A vector per time step, added to the input.

    y = x + position

    Input `(time, features)`, output of the same shape. Vaswani et al. 2017.

    Options:
        learned: train the position; if false it is fixed, sines and cosines of different wavelength
        initializer: first values of a trained position

    Parameters:
        position: (time, features), if `learned`

    Buffers:
        position: (time, features), unless `learned`
    """

    learned: bool = True
    initializer: Initializer = Normal(std=0.02)
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 2:
            raise ShapeError(shape, "(batch, time, features)")
        if self.learned:
            builder.param("position", shape, self.initializer)
        else:
            builder.buffer("position", shape, _Sinusoids())
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        position = (context.params if self.learned else context.state)["position"]

        def backward(dy: Array) -> Array:
            if self.learned:
                np.sum(dy, axis=0, out=context.gradients["position"])
            return dy

        return np.add(x, position, out=context.empty(x.shape)), backward


@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Self-attention with several heads.

    y = softmax(q · kᵀ / √size) · v in each head, then joined · output_weight + output_bias

    Input `(time, features)`, output of the same shape. q, k and v are x · weight + bias; a head has
    size features / heads. The softmax is over the steps of each sequence, without those after its
    end. Vaswani et al. 2017.

    Options:
        heads: number of heads, which must divide the features
        causal: hide later time steps from each
        initializer: first values of weight and output_weight

    Parameters:
        weight: (features, 3 · features)
        bias: (3 · features,)
        output_weight: (features, features)
        output_bias: (features,)
    """

    heads: Count
    causal: bool = False
    initializer: Initializer = GlorotUniform()
    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 2 or shape[1] % self.heads:
            expected = f"(batch, time, features) with features divisible by {self.heads} heads"
            raise ShapeError(shape, expected)
        features = shape[1]
        builder.activation_count = 5 * math.prod(shape) + 2 * self.heads * shape[0] ** 2
        builder.param("weight", (features, 3 * features), self.initializer, regularized=True)
        builder.param("bias", (3 * features,), Zeros())
        builder.param("output_weight", (features, features), self.initializer, regularized=True)
        builder.param("output_bias", (features,), Zeros())
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        params, gradients = context.params, context.gradients
        batch, time, features = x.shape
        size = features // self.heads
        rows = x.reshape(batch * time, features)
        mixed = context.workspace.dot(
            rows, params["weight"], out=context.empty((len(rows), 3 * features))
        )
        np.add(mixed, params["bias"], out=mixed)
        q, k, v = self._heads(mixed.reshape(batch, time, 3, self.heads, size), context)
        np.multiply(q, 1 / math.sqrt(size), out=q)

        scores_shape = (batch, self.heads, time, time)
        scores = np.matmul(q, np.swapaxes(k, -1, -2), out=context.empty(scores_shape))
        if self.causal:
            later = np.triu(np.ones((time, time), bool), 1)
            np.copyto(scores, -math.inf, where=later)
        weights, softmax_backward = _softmax(scores, context.mask, context)
        heads = np.matmul(weights, v, out=context.empty(v.shape))
        joined = context.empty((batch, time, self.heads, size))
        joined[...] = np.swapaxes(heads, 1, 2)
        joined_rows = joined.reshape(batch * time, features)
        y = context.workspace.dot(
            joined_rows, params["output_weight"], out=context.empty(rows.shape)
        )
        np.add(y, params["output_bias"], out=y)

        def backward(dy: Array) -> Array | None:
            dy_rows = dy.reshape(rows.shape)
            context.workspace.dot(joined_rows.T, dy_rows, out=gradients["output_weight"])
            context.kernels.sum_rows(dy_rows, gradients["output_bias"], context.workspace)
            djoined = context.workspace.dot(
                dy_rows, params["output_weight"].T, out=context.empty(rows.shape)
            )
            dheads = context.empty(v.shape)
            dheads[...] = np.swapaxes(djoined.reshape(joined.shape), 1, 2)
            dv = np.matmul(np.swapaxes(weights, -1, -2), dheads, out=context.empty(v.shape))
            dweights = np.matmul(dheads, np.swapaxes(v, -1, -2), out=context.empty(scores_shape))
            dscores = softmax_backward(dweights)
            dq = np.matmul(dscores, k, out=context.empty(v.shape))
            dk = np.matmul(np.swapaxes(dscores, -1, -2), q, out=context.empty(v.shape))
            np.multiply(dq, 1 / math.sqrt(size), out=dq)
            dmixed = context.empty((batch, time, 3, self.heads, size))
            for index, gradient in enumerate((dq, dk, dv)):
                dmixed[:, :, index] = np.swapaxes(gradient, 1, 2)
            flat = dmixed.reshape(mixed.shape)
            context.workspace.dot(rows.T, flat, out=gradients["weight"])
            context.kernels.sum_rows(flat, gradients["bias"], context.workspace)
            if not context.needs_input_gradient:
                return None
            dx = context.workspace.dot(flat, params["weight"].T, out=context.empty(rows.shape))
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward

    def _heads(self, mixed: Array, context: Context) -> tuple[Array, Array, Array]:
        """Return q, k and v, each `(batch, heads, time, size)`, contiguous for the products."""
        batch, time, _, heads, size = mixed.shape
        parts = []
        for index in range(3):
            part = context.empty((batch, heads, time, size))
            part[...] = np.swapaxes(mixed[:, :, index], 1, 2)
            parts.append(part)
        return parts[0], parts[1], parts[2]


@dataclass(frozen=True)
class CrossAttention(Join):
    """Attention of each time step of the first input to those of the second.

    y = softmax(query · memoryᵀ / √features) · memory

    Two inputs, query `(time, features)` and memory `(steps, features)`, output `(time, features)`.
    The softmax is over the steps of each memory, without those after its end; y is 0 for a memory
    without steps. Luong et al. 2015, scaled as in Vaswani et al. 2017.
    """

    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True
    joins_masks = True

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        query, memory = shapes[0], shapes[-1]
        if len(shapes) != 2 or len(query) != 2 or len(memory) != 2 or query[1] != memory[1]:
            raise ShapeError(memory, "two inputs, (time, features) and (steps, features)")
        builder.activation_count = 2 * query[0] * memory[0]
        return query

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        query, memory = xs
        scale = 1 / math.sqrt(query.shape[-1])
        shape = (*query.shape[:-1], memory.shape[-2])
        scores = np.matmul(query, np.swapaxes(memory, -1, -2), out=context.empty(shape))
        np.multiply(scores, scale, out=scores)
        real = context.masks[1] if context.masks else None
        weights, softmax_backward = _softmax(scores, real, context)

        def backward(dy: Array) -> list[Array]:
            transposed = np.swapaxes(weights, -1, -2)
            dmemory = np.matmul(transposed, dy, out=context.empty(memory.shape))
            dweights = np.matmul(dy, np.swapaxes(memory, -1, -2), out=context.empty(shape))
            dscores = softmax_backward(dweights)
            dscores = np.multiply(dscores, scale, out=context.empty(shape))
            dquery = np.matmul(dscores, memory, out=context.empty(query.shape))
            by_score = np.swapaxes(dscores, -1, -2)
            dkeys = np.matmul(by_score, query, out=context.empty(memory.shape))
            return [dquery, np.add(dmemory, dkeys, out=dmemory)]

        return np.matmul(weights, memory, out=context.empty(query.shape)), backward


def _softmax(
    scores: Array, real: Array | None, context: Context
) -> tuple[Array, Callable[[Array], Array]]:
    """Replace scores `(batch, ..., steps)` by their softmax over the real steps, 0 at the others.

    `real`, `(batch, steps)`, is true for these; None means all. Of a row without any, all are 0.
    """
    if real is None:
        return Softmax().forward_inplace(scores, context)
    real = real.reshape(len(real), *[1] * (scores.ndim - 2), real.shape[1])
    # the lowest number, not -∞: the softmax of a row of those alone is not a number
    np.copyto(scores, np.finfo(scores.dtype).min, where=np.logical_not(real))
    weights, backward_fn = Softmax().forward_inplace(scores, context)
    np.multiply(weights, real, out=weights)
    return weights, backward_fn
