"""Attention with several heads, of a sequence to itself or to another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.dot_product_attention import (
    attend,
    infer_attention,
    mask_of_keys,
    of_inputs,
    require_steps,
)
from nnreg.builtin.layers.positions import infer_turned, turn
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count, Positive, ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.join import Join, several_shapes
from nnreg.interfaces.layer import LayerBuilder

Part: TypeAlias = tuple[int, int]
"""The number of heads of queries, keys or values, and the size of each."""

HeadsBackward: TypeAlias = Callable[[Sequence[Array]], Any]
"""Takes the gradients of heads and returns that of the input, or those of several."""


class HeadAttention(Join):
    """Attention with several heads, whose queries, keys and values are products with weights.

    A subclass is a dataclass with these options, and returns the heads in `parts`.
    """

    heads: int
    causal: bool
    initializer: Initializer
    head_size: int | None
    units: int | None
    bias: bool
    dropout: float
    rotary: float | None
    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True
    joins_masks = True
    takes_one_input = True
    output_range = (-math.inf, math.inf)

    def parts(self, features: int) -> tuple[Part, Part, Part]:
        """Return the heads of queries, keys and values, for queries of this number of features."""
        raise NotImplementedError

    def _size(self, features: int) -> int:
        return self.head_size or features // self.heads

    def build(self, shapes: Any, builder: LayerBuilder) -> Shape:
        each = several_shapes(shapes)
        query, key, value = each[0], each[min(1, len(each) - 1)], each[-1]
        for shape in each:
            if len(shape) != 2 or len(each) > 3:
                raise ShapeError(shape, "one to three inputs, each (batch, time, features)")
        features = query[1]
        if self.head_size is None and features % self.heads:
            expected = f"(batch, time, features) with features divisible by {self.heads} heads"
            raise ShapeError(query, expected)
        require_steps(key, value)
        if self.rotary is not None and self._size(features) % 2:
            raise ShapeError(query, "heads of an even size, which rotary positions need")
        parts = self.parts(features)
        widths = [heads * size for heads, size in parts]
        values = self.heads * parts[-1][1]
        builder.activation_count = query[0] * widths[0] + key[0] * sum(widths[1:])
        builder.activation_count += 2 * query[0] * (values + self.heads * key[0])
        if len(each) == 1:
            self._declare(builder, "", features, sum(widths))
            products = [math.prod(query) * sum(widths)]
        else:
            inputs = [*zip(("query_", "key_", "value_"), (query, key, value), widths, strict=True)]
            products = [math.prod(shape) * width for _, shape, width in inputs]
            for prefix, shape, width in inputs:
                self._declare(builder, prefix, shape[1], width)
        units = self.units or features
        self._declare(builder, "output_", values, units)
        builder.products = [*products, query[0] * values * units]
        return (query[0], units)

    def _declare(self, builder: LayerBuilder, prefix: str, features: int, units: int) -> None:
        builder.param(f"{prefix}weight", (features, units), self.initializer, regularized=True)
        if self.bias:
            builder.param(f"{prefix}bias", (units,), Zeros())

    def infer(self, xs: Any, context: Context) -> Any:
        q, k, v = self._infer_heads(xs, context)
        (rows, _, time, size), shared, width = q.shape, k.shape[1], v.shape[-1]
        if self.rotary is not None:
            q, k = infer_turned(q, self.rotary), infer_turned(k, self.rotary)
        if shared < self.heads:
            k, v = (np.repeat(one, self.heads // shared, axis=1) for one in (k, v))
        q = q * (1 / math.sqrt(size))
        y = infer_attention(q, k, v, mask_of_keys(context), causal=self.causal)
        joined = np.swapaxes(y, 1, 2).reshape(rows, time, self.heads * width)
        return _infer_product(joined, "output_", context)

    def _infer_heads(self, xs: Any, context: Context) -> list[Any]:
        """Return what `_project` does, for `infer`."""
        if "weight" in context.params:
            return _infer_projections(xs, "", self.parts(xs.shape[-1]), context)
        inputs, prefixes = (xs[0], xs[1], xs[-1]), ("query_", "key_", "value_")
        each = zip(inputs, prefixes, self.parts(xs[0].shape[-1]), strict=True)
        return [_infer_projections(x, prefix, [part], context)[0] for x, prefix, part in each]

    def forward(self, xs: Any, context: Context) -> tuple[Array, Callable[[Array], Any]]:
        heads, project_backward = self._project(xs, context)
        joined, attend_backward = self._attend(heads, context)
        y, output_backward = _multiply(joined, "output_", context)

        def backward(dy: Array) -> Any:
            djoined = output_backward(dy)
            assert djoined is not None  # it is always needed
            return project_backward(attend_backward(djoined))

        return y, backward

    def _project(self, xs: Any, context: Context) -> tuple[Sequence[Array], HeadsBackward]:
        """Return the heads of queries, keys and values, each `(batch, heads, time, size)`."""
        if "weight" in context.params:
            return _project(xs, "", self.parts(xs.shape[-1]), context)
        inputs = zip(
            (xs[0], xs[1], xs[-1]),
            ("query_", "key_", "value_"),
            self.parts(xs[0].shape[-1]),
            strict=True,
        )
        projected = [_project(x, prefix, [part], context) for x, prefix, part in inputs]

        def backward(gradients: Sequence[Array]) -> list[Array | None]:
            found = zip(projected, gradients, strict=True)
            dquery, dkey, dvalue = (own_backward([one]) for (_, own_backward), one in found)
            return [dquery, *of_inputs(dkey, dvalue, len(xs))]

        return [own[0] for own, _ in projected], backward

    def _attend(
        self, heads: Sequence[Array], context: Context
    ) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
        """Return the results of the heads side by side, `(batch, time, features)`."""
        q, k, v = heads
        (batch, _, time, size), shared, width = q.shape, k.shape[1], v.shape[-1]
        if self.rotary is not None:
            turn(q, self.rotary, context)
            turn(k, self.rotary, context)
        np.multiply(q, 1 / math.sqrt(size), out=q)
        groups = self.heads // shared
        y, attend_backward = attend(
            # the queries of the heads that share keys and values, one behind the other
            q.reshape(batch, shared, groups * time, size),
            k,
            v,
            context,
            real=mask_of_keys(context),
            causal=self.causal,
            groups=groups,
            dropout=self.dropout,
        )
        by_head = (batch, self.heads, time, width)
        joined = context.copy(y.reshape(by_head).swapaxes(1, 2))

        def backward(djoined: Array) -> tuple[Array, Array, Array]:
            dheads = context.copy(djoined.reshape(joined.shape).swapaxes(1, 2))
            dq, dk, dv = attend_backward(dheads.reshape(y.shape))
            dq = dq.reshape(q.shape)
            np.multiply(dq, 1 / math.sqrt(size), out=dq)
            if self.rotary is not None:
                turn(dq, self.rotary, context, back=True)
                turn(dk, self.rotary, context, back=True)
            return dq, dk, dv

        return joined.reshape(batch, time, self.heads * width), backward


@dataclass(frozen=True)
class MultiHeadAttention(HeadAttention):
    """Attention with several heads, of a sequence to itself or to another.

    y = softmax(q · kᵀ / √head_size) · v in each head, then joined · output_weight + output_bias

    Input `(time, features)`, or two, the queries and what they look up; or three, the queries, keys
    and values (Keras has the values before the keys). Output `(time, units)`. q, k and v are the
    inputs · weight + bias, each with a weight of its own if there are several inputs. The softmax
    is over the steps of each sequence, without those after its end; without any it is 0. Vaswani et
    al. 2017.

    Options:
        heads: number of heads, which must divide the features unless `head_size` is given
        causal: hide later time steps from each
        initializer: first values of weight and output_weight
        head_size: size of q and k in a head; null for features / heads
        value_size: size of v in a head; null for `head_size`
        units: number of outputs; null for the features of the queries
        bias: whether to add biases
        dropout: probability that a weight of the softmax is set to 0 in training, in [0, 1)
        rotary: base of `rotary_positions` of q and k, such as 10000; null for none

    Parameters:
        weight: (features, 2 · heads · head_size + heads · value_size), of one input
        bias: (2 · heads · head_size + heads · value_size,), of one input
        query_weight: (features, heads · head_size), of several inputs, as all that follow
        query_bias: (heads · head_size,), unless `bias` is false
        key_weight: (features of the keys, heads · head_size)
        key_bias: (heads · head_size,), unless `bias` is false
        value_weight: (features of the values, heads · value_size)
        value_bias: (heads · value_size,), unless `bias` is false
        output_weight: (heads · value_size, units), always
        output_bias: (units,), unless `bias` is false
    """

    heads: Count
    causal: bool = False
    initializer: Initializer = GlorotUniform()
    head_size: Count | None = None
    value_size: Count | None = None
    units: Count | None = None
    bias: bool = True
    dropout: ProperFraction = 0.0
    rotary: Positive | None = None

    def parts(self, features: int) -> tuple[Part, Part, Part]:
        size = self._size(features)
        return (self.heads, size), (self.heads, size), (self.heads, self.value_size or size)


@dataclass(frozen=True)
class GroupedQueryAttention(HeadAttention):
    """Attention in which several heads of queries share those of keys and values.

    y = softmax(q · kᵀ / √head_size) · v in each head, then joined · output_weight + output_bias

    Inputs and output as those of `multi_head_attention`. Query head h uses the head of keys and
    values number h · key_value_heads / heads, rounded down. With one, it is multi-query attention
    (Shazeer 2019); with as many as queries, multi-head attention. Ainslie et al. 2023.

    Options:
        heads: number of heads of queries, which must divide the features unless `head_size` is
            given
        key_value_heads: number of heads of keys and values, which must divide `heads`
        causal: hide later time steps from each
        initializer: first values of weight and output_weight
        head_size: size of a head; null for features / heads
        units: number of outputs; null for the features of the queries
        bias: whether to add biases
        dropout: probability that a weight of the softmax is set to 0 in training, in [0, 1)
        rotary: base of `rotary_positions` of q and k, such as 10000; null for none

    Parameters:
        weight: (features, heads · head_size + 2 · key_value_heads · head_size), of one input
        bias: (heads · head_size + 2 · key_value_heads · head_size,), of one input
        query_weight: (features, heads · head_size), of several inputs, as all that follow
        query_bias: (heads · head_size,), unless `bias` is false
        key_weight: (features of the keys, key_value_heads · head_size)
        key_bias: (key_value_heads · head_size,), unless `bias` is false
        value_weight: (features of the values, key_value_heads · head_size)
        value_bias: (key_value_heads · head_size,), unless `bias` is false
        output_weight: (heads · head_size, units), always
        output_bias: (units,), unless `bias` is false
    """

    heads: Count
    key_value_heads: Count
    causal: bool = False
    initializer: Initializer = GlorotUniform()
    head_size: Count | None = None
    units: Count | None = None
    bias: bool = True
    dropout: ProperFraction = 0.0
    rotary: Positive | None = None

    def __post_init__(self) -> None:
        if self.heads % self.key_value_heads:
            raise ValueError(
                f"heads ({self.heads}) must be a multiple of key_value_heads "
                f"({self.key_value_heads})"
            )

    def parts(self, features: int) -> tuple[Part, Part, Part]:
        shared = (self.key_value_heads, self._size(features))
        return (self.heads, self._size(features)), shared, shared


def _infer_product(x: Any, prefix: str, context: Context) -> Any:
    """Return x · weight + bias, for `Layer.infer`."""
    y, bias = x @ context.params[f"{prefix}weight"], context.params.get(f"{prefix}bias")
    return y if bias is None else y + bias


def _infer_projections(x: Any, prefix: str, parts: Sequence[Part], context: Context) -> list[Any]:
    """Return what `_project` does, for `Layer.infer`."""
    mixed, found, start = _infer_product(x, prefix, context), [], 0
    for heads, size in parts:
        own = mixed[..., start : start + heads * size].reshape(*x.shape[:2], heads, size)
        found.append(np.swapaxes(own, 1, 2))
        start += heads * size
    return found


def _multiply(
    x: Array, prefix: str, context: Context, *, input_gradient: bool = True
) -> tuple[Array, Callable[[Array], Array | None]]:
    """Return `x` · weight + bias, and the function that writes their gradients and returns dx."""
    params, gradients = context.params, context.gradients
    weight, bias = params[f"{prefix}weight"], params.get(f"{prefix}bias")
    rows = x.reshape(-1, x.shape[-1])
    y = context.workspace.dot(rows, weight, out=context.empty((len(rows), weight.shape[1])))
    if bias is not None:
        np.add(y, bias, out=y)

    def backward(dy: Array) -> Array | None:
        flat = dy.reshape(y.shape)
        context.workspace.dot(rows.T, flat, out=gradients[f"{prefix}weight"])
        if bias is not None:
            context.kernels.sum_rows(flat, gradients[f"{prefix}bias"], context.workspace)
        if not input_gradient:
            return None
        dx = context.workspace.dot(flat, weight.T, out=context.empty(rows.shape))
        return dx.reshape(x.shape)

    return y.reshape((*x.shape[:-1], weight.shape[1])), backward


def _project(
    x: Array, prefix: str, parts: Sequence[Part], context: Context
) -> tuple[list[Array], Callable[[Sequence[Array]], Array | None]]:
    """Return the products with a weight as heads, `(batch, heads, time, size)` for each part.

    They are contiguous for the products of queries and keys. The function takes their gradients.
    """
    batch, time, _ = x.shape
    mixed, multiply_backward = _multiply(
        x, prefix, context, input_gradient=context.needs_input_gradient
    )

    def views(array: Array) -> list[Array]:
        found, start = [], 0
        for heads, size in parts:
            own = array[..., start : start + heads * size].reshape(batch, time, heads, size)
            found.append(own.swapaxes(1, 2))
            start += heads * size
        return found

    def backward(gradients: Sequence[Array]) -> Array | None:
        dmixed = context.empty(mixed.shape)
        for view, gradient in zip(views(dmixed), gradients, strict=True):
            view[...] = gradient
        return multiply_backward(dmixed)

    return [context.copy(view) for view in views(mixed)], backward
