"""Layers of several inputs, which the entries of a graph name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder

JoinBackward: TypeAlias = Callable[[Array], Sequence[Array | None]]


class Join(Layer):
    """A layer of several inputs, whose methods get a sequence of shapes or arrays."""

    joins = True

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        """Declare on `builder` the arrays for inputs of these shapes; return the output's shape.

        Raises `ShapeError` for inputs that it does not support.
        """
        raise NotImplementedError

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        """Return `y` and the function from ∂loss/∂y to the gradient of each input."""
        return super().forward(xs, context)


@dataclass(frozen=True)
class OneInput(Layer):
    """A join as a layer of one input `(batch, values)`, which is split into those of the join."""

    join: Join
    shapes: tuple[Shape, ...]

    @property
    def output_range(self) -> tuple[float, float] | None:
        """The bounds of the join's outputs."""
        return self.join.output_range

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        """Build the join."""
        return self.join.build(self.shapes, builder)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Return the output of the join; the returned function puts its gradients together."""
        ends = list(itertools.accumulate(math.prod(shape) for shape in self.shapes))
        spans = zip([0, *ends], ends, self.shapes, strict=False)
        xs = [x[:, start:end].reshape(len(x), *shape) for start, end, shape in spans]
        y, backward_fn = self.join.forward(xs, context)

        def backward(dy: Array) -> Array | None:
            found = [dx for dx in backward_fn(dy) if dx is not None]
            return flat_inputs(found) if found else None

        return y, backward


def flat_inputs(xs: Sequence[Array]) -> Array:
    """Return the inputs of a join as the input of `OneInput`."""
    return np.concatenate([x.reshape(len(x), math.prod(x.shape[1:])) for x in xs], axis=1)


def one_input(layer: Layer, shapes: tuple[Shape, ...]) -> tuple[Layer, Shape]:
    """Return a layer as one that has a single input, with the shape of that."""
    if isinstance(layer, Join):
        return OneInput(layer, shapes), (sum(map(math.prod, shapes)),)
    return layer, shapes[0]
