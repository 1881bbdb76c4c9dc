"""Blocks of transformers: `(batch, time, features)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Relu
from nnreg.builtin.initializers import GlorotUniform
from nnreg.builtin.layers.attention import MultiHeadAttention
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.layers.dot_product_attention import apply_dropout
from nnreg.builtin.layers.normalization import LayerNorm
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count, Positive, ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.join import Join, several_shapes
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


class Transformer(Layer):
    """What the blocks share. A subclass is a dataclass with these options."""

    heads: int
    hidden_units: int | None
    activation: Activation
    dropout: float
    norm_first: bool
    epsilon: float
    initializer: Initializer
    rotary: float | None
    independent: ClassVar[bool] = True
    keeps_integers: ClassVar[bool | None] = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def _attention(self, *, causal: bool, rotary: float | None) -> MultiHeadAttention:
        return MultiHeadAttention(
            self.heads, causal, self.initializer, dropout=self.dropout, rotary=rotary
        )

    def _dense(self, features: int) -> dict[str, Dense]:
        """Return the two layers behind the attention, for inputs of this number of features."""
        hidden = self.hidden_units or 4 * features
        return {
            "hidden": Dense(hidden, self.activation, initializer=self.initializer),
            "output": Dense(features, initializer=self.initializer),
        }

    def _build_dense(self, builder: LayerBuilder, shape: Shape) -> None:
        """Build the two layers and their normalization, the last nested layer."""
        layers = self._dense(shape[1])
        wide = builder.layer("hidden", layers["hidden"], shape)
        builder.layer("output", layers["output"], wide)
        builder.layer("output_norm", LayerNorm(self.epsilon), shape)

    def _apply_dense(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Run the two layers, with dropout between them."""
        layers, own = self._dense(x.shape[-1]), context.children
        hidden, hidden_backward = layers["hidden"].forward(x, own["hidden"])
        kept, dropout_backward = apply_dropout(hidden, self.dropout, context)
        y, output_backward = layers["output"].forward(kept, own["output"])

        def backward(dy: Array) -> Array | None:
            dkept = output_backward(dy)
            assert dkept is not None  # it is always needed
            return hidden_backward(dropout_backward(dkept))

        return y, backward

    def _infer_around(self, x: Any, run: Callable[[Any], Any], norm: Context) -> Any:
        """Return norm(x + run(x)), or x + run(norm(x)), for `infer`."""
        normalization = LayerNorm(self.epsilon)
        if self.norm_first:
            return x + run(normalization.infer(x, norm))
        return normalization.infer(x + run(x), norm)

    def _infer_dense(self, x: Any, context: Context) -> Any:
        """Return x with what the two dense layers compute, for `infer`."""
        layers, own = self._dense(x.shape[-1]), context.children

        def run(inner: Any) -> Any:
            hidden = layers["hidden"].infer(inner, own["hidden"])
            return layers["output"].infer(hidden, own["output"])

        return self._infer_around(x, run, own["output_norm"])

    def _around(
        self, x: Array, run: Callable[[Array], Any], norm: Context, context: Context
    ) -> tuple[Array, Callable[[Array], Array]]:
        """Return norm(x + run(x)), or x + run(norm(x)), with dropout of what `run` returns."""
        normalize: Callable[[Array, Context], Any] = LayerNorm(self.epsilon).forward
        inner = x
        if self.norm_first:
            inner, norm_backward = normalize(x, norm)
        z, run_backward = run(inner)
        kept, dropout_backward = apply_dropout(z, self.dropout, context)
        y = np.add(x, kept, out=context.empty(x.shape))
        if not self.norm_first:
            y, norm_backward = normalize(y, norm)

        def backward(dy: Array) -> Array:
            dsum: Array = dy if self.norm_first else norm_backward(dy)
            dx: Array = run_backward(dropout_backward(dsum))
            if self.norm_first:
                dx = norm_backward(dx)
            return np.add(dsum, dx, out=context.empty(x.shape))

        return y, backward


@dataclass(frozen=True)
class TransformerEncoder(Transformer):
    """A block of a transformer: self-attention and two dense layers, each with a skip connection.

    h = norm(x + attention(x)), y = norm(h + output(activation(hidden(h))))

    With `norm_first`, h = x + attention(norm(x)), and y likewise. Input `(time, features)`, output
    of the same shape. The layers are `attention`, a `multi_head_attention`, `hidden` and `output`,
    each a `dense`, and `attention_norm` and `output_norm`, each a `layer_norm`; parameters are
    named after them, such as `attention/weight`. In training there is dropout of the weights of
    the attention, and of the outputs of `attention`, `hidden` and `output`, as in PyTorch. Vaswani
    et al. 2017; norm first: Xiong et al. 2020.

    Options:
        heads: number of heads, which must divide the features
        hidden_units: outputs of `hidden`; null for 4 · features
        activation: applied to `hidden`
        dropout: probability that a value is set to 0 in training, in [0, 1)
        norm_first: normalize the inputs of attention and dense layers instead of the sums; behind
            the last block then belongs a layer_norm
        epsilon: that of the normalizations, > 0
        causal: hide later time steps from each, for a network that predicts the next step
        rotary: base of `rotary_positions` of the attention, such as 10000; null for none
        initializer: first values of all weights
    """

    heads: Count
    hidden_units: Count | None = None
    activation: Activation = Relu()
    dropout: ProperFraction = 0.1
    norm_first: bool = False
    epsilon: Positive = 1e-5
    causal: bool = False
    rotary: Positive | None = None
    initializer: Initializer = GlorotUniform()

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        attention = self._attention(causal=self.causal, rotary=self.rotary)
        _require_features(shape, self.heads)
        builder.layer("attention", attention, shape)
        builder.layer("attention_norm", LayerNorm(self.epsilon), shape)
        self._build_dense(builder, shape)
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        attention = self._attention(causal=self.causal, rotary=self.rotary)
        own = context.children
        h = self._infer_around(
            x, lambda inner: attention.infer(inner, own["attention"]), own["attention_norm"]
        )
        return self._infer_dense(h, context)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        own = context.children
        attention = self._attention(causal=self.causal, rotary=self.rotary)

        def attend(inner: Array) -> Any:
            return attention.forward(inner, own["attention"])

        def transform(inner: Array) -> Any:
            return self._apply_dense(inner, context)

        h, first_backward = self._around(x, attend, own["attention_norm"], context)
        y, last_backward = self._around(h, transform, own["output_norm"], context)
        return y, lambda dy: first_backward(last_backward(dy))


@dataclass(frozen=True)
class TransformerDecoder(Transformer, Join):
    """A block of a decoder: as `transformer_encoder`, and attention to a second input between.

    h = norm(x + attention(x)), g = norm(h + cross_attention(h, memory)),
    y = norm(g + output(activation(hidden(g))))

    With `norm_first`, h = x + attention(norm(x)), and g and y likewise. Input `(time, features)`,
    alone or before a memory `(steps, memory_features)`; g is h without one. Output of the shape of
    the first. The layers are those of `transformer_encoder`, of which `attention` hides later time
    steps, and `cross_attention`, a `multi_head_attention` of two inputs, and
    `cross_attention_norm`. Dropout is as there. Vaswani et al. 2017; norm first: Xiong et al. 2020.

    Options:
        heads: number of heads, which must divide the features
        hidden_units: outputs of `hidden`; null for 4 · features
        activation: applied to `hidden`
        dropout: probability that a value is set to 0 in training, in [0, 1)
        norm_first: normalize the inputs of attention and dense layers instead of the sums; behind
            the last block then belongs a layer_norm
        epsilon: that of the normalizations, > 0
        rotary: base of `rotary_positions` of `attention`, such as 10000; null for none
        initializer: first values of all weights
    """

    heads: Count
    hidden_units: Count | None = None
    activation: Activation = Relu()
    dropout: ProperFraction = 0.1
    norm_first: bool = False
    epsilon: Positive = 1e-5
    rotary: Positive | None = None
    initializer: Initializer = GlorotUniform()
    joins_masks = True
    takes_one_input = True

    def build(self, shapes: Any, builder: LayerBuilder) -> Shape:
        shape, *memory = several_shapes(shapes)
        _require_features(shape, self.heads)
        builder.layer("attention", self._attention(causal=True, rotary=self.rotary), shape)
        builder.layer("attention_norm", LayerNorm(self.epsilon), shape)
        if memory:
            if len(memory) > 1 or len(memory[0]) != 2:
                raise ShapeError(memory[-1], "one or two inputs, each (batch, time, features)")
            cross = self._attention(causal=False, rotary=None)
            builder.join("cross_attention", cross, shapes, builder.masks)
            builder.layer("cross_attention_norm", LayerNorm(self.epsilon), shape)
        self._build_dense(builder, shape)
        return shape

    def infer(self, xs: Any, context: Context) -> Any:
        own = context.children
        x, *memory = xs if isinstance(xs, list | tuple) else [xs]
        attention = self._attention(causal=True, rotary=self.rotary)
        y = self._infer_around(
            x, lambda inner: attention.infer(inner, own["attention"]), own["attention_norm"]
        )
        if memory:
            cross = self._attention(causal=False, rotary=None)
            y = self._infer_around(
                y,
                lambda inner: cross.infer([inner, *memory], own["cross_attention"]),
                own["cross_attention_norm"],
            )
        return self._infer_dense(y, context)

    def forward(self, xs: Any, context: Context) -> tuple[Array, Callable[[Array], Any]]:
        own = context.children
        x, *memory = xs if isinstance(xs, list | tuple) else [xs]
        dmemory: list[Array] = []

        def attend(inner: Array) -> Any:
            attention = self._attention(causal=True, rotary=self.rotary)
            return attention.forward(inner, own["attention"])

        def look_up(inner: Array) -> Any:
            cross = self._attention(causal=False, rotary=None)
            y, cross_backward = cross.forward([inner, *memory], own["cross_attention"])

            def backward(dy: Array) -> Array:
                dinner, found = cross_backward(dy)
                dmemory.append(found)
                return cast("Array", dinner)

            return y, backward

        def transform(inner: Array) -> Any:
            return self._apply_dense(inner, context)

        y, backward_fns = x, []
        runs: Mapping[str, Callable[[Array], Any]] = {
            "attention": attend,
            "cross_attention": look_up,
            "output": transform,
        }
        for name, run in runs.items():
            if f"{name}_norm" in own:
                y, backward_fn = self._around(y, run, own[f"{name}_norm"], context)
                backward_fns.append(backward_fn)

        def backward(dy: Array) -> Any:
            for backward_fn in reversed(backward_fns):
                dy = backward_fn(dy)
            return [dy, *dmemory] if memory else dy

        return y, backward


def _require_features(shape: Shape, heads: int) -> None:
    if len(shape) != 2 or shape[1] % heads:
        expected = f"(batch, time, features) with features divisible by {heads} heads"
        raise ShapeError(shape, expected)
