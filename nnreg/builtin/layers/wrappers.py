"""Layers around a layer: in both directions of time, or at each step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Tanh
from nnreg.builtin.layers.dense import Dense, Flatten
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.recurrent import Gru, SimpleRnn
from nnreg.errors import Problem, ShapeError, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.operations.functions import scan


@dataclass(frozen=True)
class Bidirectional(Layer):
    """A recurrent layer, and a copy of it with weights of its own that reads the steps backwards.

    y = merge(layer(x), copy(x))

    Input `(time, in_features)`, output as that of the layer, with twice as many features if merge
    is "concat". The copy starts at the last step of each sequence, not at its padding; without
    `sequences`, its output is that after the first step. The parameters are `forward/weight`,
    `backward/weight` and so on. Schuster and Paliwal 1997.

    Options:
        layer: a recurrent layer: simple_rnn, gru, lstm, or another with the option `backwards`
        merge: how the two outputs are joined: "concat", "add", "average" or "multiply"
    """

    layer: Layer
    merge: Literal["concat", "add", "average", "multiply"] = "concat"
    independent = True
    keeps_integers = False

    @classmethod
    def examples(cls) -> list[tuple[Bidirectional, Shape]]:
        return [
            (cls(Gru(2, sequences=True)), (3, 2)),
            (cls(Lstm(3, projection=2), "add"), (4, 3)),
            (cls(SimpleRnn(2, backwards=True), "average"), (2, 4)),
            (cls(Gru(1, sequences=True), "multiply"), (3, 3)),
        ]

    @property
    def keeps_mask(self) -> bool | None:
        """As of the layer."""
        return self.layer.keeps_mask

    @property
    def output_range(self) -> tuple[float, float] | None:
        """Bounds of the joined outputs; None if unknown."""
        bounds = self.layer.output_range
        if bounds is None or self.merge == "multiply":
            return None
        factor = 2 if self.merge == "add" else 1
        return factor * bounds[0], factor * bounds[1]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        path = f"{builder.path}.layer"
        output: Shape = builder.layer("forward", self.layer, shape, path=path)
        if not hasattr(self.layer, "backwards"):
            problem = (
                f"{type(self.layer).__name__} does not read steps in an order; bidirectional takes "
                "a recurrent layer, such as gru or lstm"
            )
            raise SpecError([Problem(path, problem)])
        builder.layer("backward", self._copy(), shape, path=path)
        return (*output[:-1], 2 * output[-1]) if self.merge == "concat" else output

    def _copy(self) -> Layer:
        layer = cast(Any, self.layer)
        copy: Layer = replace(layer, backwards=not layer.backwards)
        return copy

    def infer(self, x: Any, context: Context) -> Any:
        pairs = zip((self.layer, self._copy()), context.children.values(), strict=True)
        first, second = (layer.infer(x, own) for layer, own in pairs)
        if self.merge == "concat":
            return np.concatenate([first, second], axis=-1)
        if self.merge == "multiply":
            return first * second
        return (first + second) * (0.5 if self.merge == "average" else 1)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        outputs, backward_fns = [], []
        for layer, own in zip((self.layer, self._copy()), context.children.values(), strict=True):
            own.needs_input_gradient = context.needs_input_gradient
            y, backward_fn = layer.forward(x, own)
            outputs.append(y)
            backward_fns.append(backward_fn)

        def backward(dy: Array) -> Array | None:
            gradients = self._split(dy, outputs, context)
            dx, other = (fn(part) for fn, part in zip(backward_fns, gradients, strict=True))
            return None if dx is None else np.add(dx, other, out=context.empty(x.shape))

        return self._merge(outputs, context), backward

    def _merge(self, outputs: list[Array], context: Context) -> Array:
        first, second = outputs
        if self.merge == "concat":
            joined = context.empty((*first.shape[:-1], 2 * first.shape[-1]))
            return np.concatenate(outputs, axis=-1, out=joined)
        combine = np.multiply if self.merge == "multiply" else np.add
        y = combine(first, second, out=context.empty(first.shape))
        return np.multiply(y, 0.5, out=y) if self.merge == "average" else y

    def _split(self, dy: Array, outputs: list[Array], context: Context) -> tuple[Array, Array]:
        """Return the gradient of each of the two outputs."""
        first, second = outputs
        if self.merge == "concat":
            units = first.shape[-1]
            return dy[..., :units], dy[..., units:]
        if self.merge == "multiply":
            dfirst = np.multiply(dy, second, out=context.empty(dy.shape))
            return dfirst, np.multiply(dy, first, out=context.empty(dy.shape))
        if self.merge == "average":
            dy = np.multiply(dy, 0.5, out=context.empty(dy.shape))
        return dy, dy


@dataclass(frozen=True)
class TimeDistributed(Layer):
    """A layer that is applied to each step by itself, with the same weights.

    y of a step = layer(x of the step)

    Input `(time, ...)`, output `(time, ...)` with the shape of the layer's output. The steps of all
    sequences are one batch of the layer, as in Keras: batch normalization takes the statistics of
    all. It is for layers that take images or flat examples; dense, activation and others take
    sequences without it. For sequences of different lengths, the layer must treat each step
    independently of the others, unlike batch normalization.

    Options:
        layer: the layer
    """

    layer: Layer
    independent = True
    keeps_mask = True

    @classmethod
    def examples(cls) -> list[tuple[TimeDistributed, Shape]]:
        return [(cls(Dense(2, Tanh())), (3, 2)), (cls(Flatten()), (3, 2, 2))]

    @property
    def output_range(self) -> tuple[float, float] | None:
        """As of the layer."""
        return self.layer.output_range

    def split_output_activation(self) -> tuple[Layer, Activation] | None:
        split = self.layer.split_output_activation()
        return split and (replace(self, layer=split[0]), split[1])

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) < 2 or shape[0] == 0:
            raise ShapeError(shape, "(batch, time, ...)")
        time, *step = shape
        output = builder.layer("layer", self.layer, tuple(step), integer=builder.integer, mask=None)
        if not isinstance(output, tuple):
            problem = f"takes a layer of one output; this one has {', '.join(output)}"
            raise SpecError([Problem(f"{builder.path}.layer", problem)])
        inner = list(_nested(builder))
        mixing = [type(layer).__name__ for layer, _ in inner if not layer.independent]
        if any(builder.masks) and mixing:
            problem = (
                f"{mixing[0]} would combine steps of sequences with their padding; use it outside "
                "of time_distributed, or make all sequences equally long"
            )
            raise SpecError([Problem(f"{builder.path}.layer", problem)])
        builder.activation_count = (time - 1) * sum(plan.activations for _, plan in inner)
        for _, plan in inner:
            plan.products = [time * multiplications for multiplications in plan.weight_products]
        return (time, *output)

    def infer(self, x: Any, context: Context) -> Any:
        own = context.children["layer"]
        _, (y,) = scan(lambda _, steps: ([], [self.layer.infer(steps[0], own)]), [], [x])
        return y

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        own = context.children["layer"]
        own.needs_input_gradient = context.needs_input_gradient
        leading = x.shape[:2]
        steps = x.reshape(leading[0] * leading[1], *x.shape[2:])
        y, backward_fn = self.layer.forward(steps, own)

        def backward(dy: Array) -> Array | None:
            dx = backward_fn(dy.reshape(y.shape))
            return None if dx is None else dx.reshape(x.shape)

        return y.reshape(*leading, *y.shape[1:]), backward


def _nested(builder: LayerBuilder) -> Iterator[tuple[Layer, LayerBuilder]]:
    """Yield every layer below a plan."""
    for layer, plan in builder.children.values():
        yield layer, plan
        yield from _nested(plan)
