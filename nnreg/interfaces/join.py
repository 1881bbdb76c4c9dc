"""Layers of several inputs, which the entries of a graph name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from nnreg._types import Array, Shape, Shapes
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder

JoinBackward: TypeAlias = Callable[[Array], Sequence[Array | None]]


class Join(Layer):
    """A layer of several inputs, whose methods get a sequence of shapes or arrays."""

    joins = True
    joins_masks: ClassVar[bool] = False
    """Whether inputs may have masks of different origin; the output then has that of the first."""

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shapes:
        """Declare on `builder` the arrays for inputs of these shapes; return the output's shape.

        Raises `ShapeError` for inputs that it does not support.
        """
        raise NotImplementedError

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Any, JoinBackward]:
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

    def build(self, shape: Shape, builder: LayerBuilder) -> Shapes:
        """Build the join."""
        return self.join.build(self.shapes, builder)

    def infer(self, x: Any, context: Context) -> Any:
        """Return the output of the join."""
        return self.join.infer(split_values(x, self.shapes), context)

    def forward(self, x: Array, context: Context) -> tuple[Any, LayerBackward]:
        """Return the output of the join; the returned function puts its gradients together."""
        xs = split_values(x, self.shapes)
        y, backward_fn = self.join.forward(xs, context)

        def backward(dy: Array) -> Array | None:
            found = [dx for dx in backward_fn(dy) if dx is not None]
            return flat_inputs(found) if found else None

        return y, backward


def split_values(x: Array, shapes: Sequence[Shape]) -> list[Array]:
    """Return the arrays of these shapes whose values are side by side."""
    ends = list(itertools.accumulate(map(math.prod, shapes)))
    spans = zip([0, *ends], ends, shapes, strict=False)
    return [x[:, start:end].reshape(len(x), *shape) for start, end, shape in spans]


def one_output(returned: Any) -> Any:
    """Return what `forward` returned, with several outputs put side by side in one."""
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], dict)):
        return returned
    y, backward_fn = returned
    shapes = [one.shape[1:] for one in y.values()]

    def backward(dy: Array) -> Any:
        return backward_fn(dict(zip(y, split_values(dy, shapes), strict=True)))

    return flat_inputs(list(y.values())), backward


def one_shape(shapes: Shapes) -> Shape:
    """Return the shape of the output, or of several that `one_output` puts side by side."""
    return shapes if isinstance(shapes, tuple) else (sum(map(math.prod, shapes.values())),)


def flat_inputs(xs: Sequence[Array]) -> Array:
    """Return arrays with their values side by side, as the inputs of a join in `OneInput`."""
    return np.concatenate([x.reshape(len(x), math.prod(x.shape[1:])) for x in xs], axis=1)


def several_shapes(shape: Any) -> tuple[Shape, ...]:
    """Return the shapes of several inputs, or that of one, as several."""
    return tuple(shape) if shape and not isinstance(shape[0], int) else (shape,)


def one_input(layer: Layer, shape: Shape | tuple[Shape, ...]) -> tuple[Layer, Shape]:
    """Return a layer of inputs of these shapes, or of one, as one of a single input; its shape."""
    shapes = several_shapes(shape)
    if isinstance(layer, Join) and layer.reads_several(len(shapes)):
        return OneInput(layer, shapes), (sum(map(math.prod, shapes)),)
    return layer, shapes[0]
