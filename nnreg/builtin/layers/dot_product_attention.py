"""Attention of given queries, keys and values, on which all other attention is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Softmax
from nnreg.builtin.initializers import Constant
from nnreg.builtin.layers.dense import Dropout
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Positive, ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.join import Join, JoinBackward
from nnreg.interfaces.layer import LayerBuilder


@dataclass(frozen=True)
class Attention(Join):
    """Attention of each time step of the queries to those of the keys.

    y = softmax(scale · query · keyᵀ) · value

    Two inputs, query `(time, features)` and value `(steps, features)`, which is the key too; or
    three, query, key `(steps, features)` and value `(steps, values)`. Output `(time, values)`. The
    softmax is over the steps of each key and value, without those after its end; y is 0 without
    steps. Keras has the value before the key, and the scale 1; PyTorch has no trained scale. Luong
    et al. 2015, scaled as in Vaswani et al. 2017.

    Options:
        scale: factor of the products; null for 1 / √features
        trained_scale: train the scale, from that value on
        causal: hide later steps from each; step t of the query sees those of the key up to t
        dropout: probability that a weight of the softmax is set to 0 in training, in [0, 1)

    Parameters:
        scale: (1,), if `trained_scale`
    """

    scale: Positive | None = None
    trained_scale: bool = False
    causal: bool = False
    dropout: ProperFraction = 0.0
    independent = True
    keeps_integers = False
    keeps_mask = True
    joins_masks = True

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        if len(shapes) > 3 or any(len(shape) != 2 for shape in shapes):
            raise ShapeError(shapes[-1], "two or three inputs, each (batch, time, features)")
        query, key, value = shapes[0], shapes[1], shapes[-1]
        if key[1] != query[1]:
            raise ShapeError(key, f"keys with {query[1]} features, as many as the queries have")
        require_steps(key, value)
        builder.activation_count = 2 * query[0] * key[0]
        if self.trained_scale:
            builder.param("scale", (1,), Constant(self._scale(query[1])))
        return (query[0], value[1])

    def _scale(self, features: int) -> float:
        return 1 / math.sqrt(features) if self.scale is None else self.scale

    def infer(self, xs: Any, context: Context) -> Any:
        query, key, value = xs[0], xs[1], xs[-1]
        scale = context.params.get("scale")
        scaled = query * (self._scale(query.shape[-1]) if scale is None else scale)
        return infer_attention(scaled, key, value, mask_of_keys(context), causal=self.causal)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        query, key, value = xs[0], xs[1], xs[-1]
        q, scale = query, context.params.get("scale")
        if scale is not None:
            q = np.multiply(query, scale, out=context.empty(query.shape))
        y, backward_fn = attend(
            q,
            key,
            value,
            context,
            real=mask_of_keys(context),
            causal=self.causal,
            scale=None if self.trained_scale else self._scale(query.shape[-1]),
            dropout=self.dropout,
        )

        def backward(dy: Array) -> list[Array | None]:
            dq, dkey, dvalue = backward_fn(dy)
            if scale is not None:
                products = np.multiply(dq, query, out=context.empty(query.shape))
                np.sum(products.reshape(-1, 1), axis=0, out=context.gradients["scale"])
                np.multiply(dq, scale, out=dq)
            return [dq, *of_inputs(dkey, dvalue, len(xs))]

        return y, backward


@dataclass(frozen=True)
class CrossAttention(Join):
    """Attention of each time step of the first input to those of the second.

    y = softmax(query · memoryᵀ / √features) · memory

    Two inputs, query `(time, features)` and memory `(steps, features)`, output `(time, features)`.
    The softmax is over the steps of each memory, without those after its end; y is 0 for a memory
    without steps. It is `attention` without options. Luong et al. 2015, scaled as in Vaswani et al.
    2017.
    """

    independent = True
    keeps_integers = False
    keeps_mask = True
    joins_masks = True

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        query, memory = shapes[0], shapes[-1]
        if len(shapes) != 2 or len(query) != 2 or len(memory) != 2 or query[1] != memory[1]:
            raise ShapeError(memory, "two inputs, (time, features) and (steps, features)")
        return Attention().build(shapes, builder)

    def infer(self, xs: Any, context: Context) -> Any:
        return Attention().infer(xs, context)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        return Attention().forward(xs, context)


def infer_attention(q: Any, k: Any, v: Any, real: Any, *, causal: bool) -> Any:
    """Return what `attend` does, without dropout and a scale, for `Layer.infer`."""
    scores = q @ np.swapaxes(k, -1, -2)
    if causal:
        later = np.triu(np.ones(scores.shape[-2:], bool), 1)
        scores = np.where(later, np.array(-math.inf, scores.dtype), scores)
    if real is None:
        return Softmax().infer(scores) @ v
    between = (None,) * (scores.ndim - 2)
    real = real[:, *between]
    least = np.array(np.finfo(scores.dtype).min, scores.dtype)
    weights = np.where(real, Softmax().infer(np.where(real, scores, least)), 0)
    return weights @ v


def attend(
    q: Array,
    k: Array,
    v: Array,
    context: Context,
    *,
    real: Array | None = None,
    causal: bool = False,
    groups: int = 1,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """Return softmax(scale · q · kᵀ) · v, and the function that returns the gradients of all three.

    q is `(batch, ..., queries, size)`, k `(batch, ..., steps, size)`, v `(batch, ..., steps, n)`.
    The softmax is over the `real` steps, `(batch, steps)`, None for all; the result is 0 without
    any. If `causal`, each query is that of a step, from which later ones are hidden; several
    `groups` of queries stand one behind the other.
    """
    scores_shape = (*q.shape[:-1], k.shape[-2])
    scores = np.matmul(q, k.swapaxes(-1, -2), out=context.empty(scores_shape))
    if scale is not None:
        np.multiply(scores, scale, out=scores)
    if causal:
        time, steps = scores_shape[-2] // groups, scores_shape[-1]
        later = np.triu(np.ones((time, steps), bool), 1)
        np.copyto(scores.reshape(-1, time, steps), -math.inf, where=later)
    weights, softmax_backward = _softmax_of_real(scores, real, context)
    kept, dropout_backward = weights, None
    if dropout:
        kept, dropout_backward = apply_dropout(weights, dropout, context)

    def backward(dy: Array) -> tuple[Array, Array, Array]:
        dv = np.matmul(kept.swapaxes(-1, -2), dy, out=context.empty(v.shape))
        dkept = np.matmul(dy, v.swapaxes(-1, -2), out=context.empty(scores_shape))
        if dropout_backward is not None:
            dkept = dropout_backward(dkept)
        dscores = softmax_backward(dkept)
        if scale is not None:
            dscores = np.multiply(dscores, scale, out=context.empty(scores_shape))
        dq = np.matmul(dscores, k, out=context.empty(q.shape))
        dk = np.matmul(dscores.swapaxes(-1, -2), q, out=context.empty(k.shape))
        return dq, dk, dv

    return np.matmul(kept, v, out=context.empty((*q.shape[:-1], v.shape[-1]))), backward


def apply_dropout(
    x: Array, rate: float, context: Context
) -> tuple[Array, Callable[[Array], Array]]:
    """Return `x` with dropout, and the function that returns its gradient."""
    y, backward_fn = Dropout(rate).forward(x, context)
    return y, cast("Callable[[Array], Array]", backward_fn)


def _softmax_of_real(
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


def mask_of_keys(context: Context) -> Array | None:
    """Return which steps of keys and values are real: those of all inputs but the first, if any."""
    if len(context.mask_names) < 2:  # of a layer without masks, or of one input
        return context.mask
    masks = [mask for mask in context.masks[1:] if mask is not None]
    if not masks:
        return None
    keys, values = masks[0], masks[-1]
    return keys if keys is values else np.logical_and(keys, values)


def require_steps(key: Shape, value: Shape) -> None:
    """Raise `ShapeError` if there is not a value for each key."""
    if key[0] != value[0]:
        raise ShapeError(value, f"values of {key[0]} steps, as many as the keys have")


def of_inputs(dkey: Array | None, dvalue: Array | None, count: int) -> list[Array | None]:
    """Return the gradients of keys and values: one, if one input is both."""
    if count == 3 or dkey is None or dvalue is None:
        return [dkey, dvalue][: count - 1]
    return [np.add(dvalue, dkey, out=dvalue)]
