"""Layers of several inputs, which the entries of a graph name."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Positive
from nnreg.interfaces.context import Context
from nnreg.interfaces.join import Join, JoinBackward
from nnreg.interfaces.layer import LayerBuilder
from nnreg.interfaces.masks import require_features


class _Elementwise(Join):
    """A join of inputs of one shape, whose output has the same shape."""

    independent = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        return _common_shape(shapes)

    def forward_members(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        return self.forward(xs, context)


def _common_shape(shapes: Sequence[Shape]) -> Shape:
    for shape in shapes:
        if shape != shapes[0]:
            raise ShapeError(shape, "inputs of one shape")
    return shapes[0]


def _fold(function: np.ufunc, xs: Sequence[Array], context: Context) -> Array:
    """Return the result of a function of two arrays, applied from the first array to the last."""
    out = context.empty(xs[0].shape)
    return functools.reduce(lambda y, x: function(y, x, out=out), xs)


@dataclass(frozen=True)
class Add(_Elementwise):
    """Sum of the inputs.

    y = x₁ + x₂ + …

    Inputs of one shape, output of the same.
    """

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        return functools.reduce(operator.add, xs)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        return _fold(np.add, xs, context), lambda dy: [dy] * len(xs)


@dataclass(frozen=True)
class Subtract(_Elementwise):
    """The first input minus the others.

    y = x₁ - x₂ - …

    Inputs of one shape, output of the same.
    """

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        return functools.reduce(operator.sub, xs)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        def backward(dy: Array) -> list[Array]:
            negative = np.negative(dy, out=context.empty(dy.shape))
            return [dy, *[negative] * (len(xs) - 1)]

        return _fold(np.subtract, xs, context), backward


@dataclass(frozen=True)
class Multiply(_Elementwise):
    """Product of the inputs, value by value.

    y = x₁ · x₂ · …

    Inputs of one shape, output of the same.
    """

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        return functools.reduce(operator.mul, xs)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        def backward(dy: Array) -> list[Array]:
            return [
                _fold(np.multiply, [dy, *xs[:index], *xs[index + 1 :]], context)
                for index in range(len(xs))
            ]

        return _fold(np.multiply, xs, context), backward


@dataclass(frozen=True)
class Average(_Elementwise):
    """Mean of the inputs, value by value.

    y = (x₁ + x₂ + …) / n

    Inputs of one shape, output of the same.
    """

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        return functools.reduce(operator.add, xs) / len(xs)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        def backward(dy: Array) -> list[Array]:
            return [np.divide(dy, len(xs), out=context.empty(dy.shape))] * len(xs)

        total = _fold(np.add, xs, context)
        return np.divide(total, len(xs), out=total), backward


class _Extreme(_Elementwise):
    """The largest or smallest input, value by value; the first of equal ones gets the gradient."""

    choose: np.ufunc

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        return functools.reduce(self.choose, xs)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        y = _fold(self.choose, xs, context)

        def backward(dy: Array) -> list[Array]:
            rest, parts = dy, []
            for x in xs:
                chosen = np.equal(x, y)
                parts.append(np.multiply(rest, chosen, out=context.empty(dy.shape)))
                rest = np.subtract(rest, parts[-1], out=context.empty(dy.shape))
            return parts

        return y, backward


@dataclass(frozen=True)
class Maximum(_Extreme):
    """Largest of the inputs, value by value.

    y = max(x₁, x₂, …)

    Inputs of one shape, output of the same.
    """

    choose = np.maximum


@dataclass(frozen=True)
class Minimum(_Extreme):
    """Smallest of the inputs, value by value.

    y = min(x₁, x₂, …)

    Inputs of one shape, output of the same.
    """

    choose = np.minimum


@dataclass(frozen=True)
class Concat(Join):
    """The inputs side by side.

    y = [x₁, x₂, …] along an axis

    Inputs whose shapes differ along that axis alone.

    Options:
        axis: axis along which they are put together; 0 is the first axis of an example, -1 the last
    """

    axis: int = -1
    independent = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        first = shapes[0]
        if not -len(first) <= self.axis < len(first):
            raise ShapeError(first, f"inputs that have an axis {self.axis}")
        axis = self.axis % len(first)
        if axis == 0 and any(builder.masks):
            raise ShapeError(first, "an axis other than 0 for sequences of different lengths")
        for shape in shapes:
            others = len(shape) == len(first) and {*range(len(first))} - {axis}
            if others is False or any(shape[one] != first[one] for one in others):
                raise ShapeError(shape, f"inputs of one shape except along axis {self.axis}")
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        return np.concatenate(xs, self.axis + 1 if self.axis >= 0 else self.axis)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        return self._joined(xs, context, self.axis + 1 if self.axis >= 0 else self.axis)

    def forward_members(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        return self._joined(xs, context, self.axis + 2 if self.axis >= 0 else self.axis)

    def _joined(
        self, xs: Sequence[Array], context: Context, axis: int
    ) -> tuple[Array, JoinBackward]:
        ends = list(itertools.accumulate(x.shape[axis] for x in xs))
        shape = list(xs[0].shape)
        shape[axis] = ends[-1]
        y = np.concatenate(xs, axis=axis, out=context.empty(tuple(shape)))
        return y, lambda dy: np.split(dy, ends[:-1], axis=axis)


@dataclass(frozen=True)
class Dot(Join):
    """Scalar product of two inputs along the last axis.

    y = Σ x₁ · x₂

    Two inputs of shape `(..., features)`, output `(..., 1)`.
    """

    independent = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        return _pair(shapes, builder)

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        return (xs[0] * xs[1]).sum(axis=-1, keepdims=True)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        first, second = xs
        products = np.multiply(first, second, out=context.empty(first.shape))
        y = np.sum(products, axis=-1, keepdims=True, out=context.empty((*first.shape[:-1], 1)))

        def backward(dy: Array) -> list[Array]:
            return [np.multiply(dy, x, out=context.empty(x.shape)) for x in (second, first)]

        return y, backward


@dataclass(frozen=True)
class Distance(Join):
    """Euclidean distance of two inputs along the last axis.

    y = √(Σ (x₁ - x₂)² + epsilon)

    Two inputs of shape `(..., features)`, output `(..., 1)`.

    Options:
        epsilon: added to the squared distance, so that the gradient of equal inputs is finite
    """

    epsilon: Positive = 1e-12
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (0, math.inf)

    def build(self, shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
        return _pair(shapes, builder)

    def infer(self, xs: Sequence[Any], context: Context) -> Any:
        difference = xs[0] - xs[1]
        return np.sqrt((difference * difference).sum(axis=-1, keepdims=True) + self.epsilon)

    def forward(self, xs: Sequence[Array], context: Context) -> tuple[Array, JoinBackward]:
        first, second = xs
        difference = np.subtract(first, second, out=context.empty(first.shape))
        squares = np.multiply(difference, difference, out=context.empty(first.shape))
        y = np.sum(squares, axis=-1, keepdims=True, out=context.empty((*first.shape[:-1], 1)))
        np.sqrt(np.add(y, self.epsilon, out=y), out=y)

        def backward(dy: Array) -> list[Array]:
            scale = np.divide(dy, y, out=context.empty(y.shape))
            dx = np.multiply(difference, scale, out=context.empty(difference.shape))
            return [dx, np.negative(dx, out=context.empty(dx.shape))]

        return y, backward


def _pair(shapes: Sequence[Shape], builder: LayerBuilder) -> Shape:
    """Return the shape of one value per row of two inputs of one shape."""
    shape = _common_shape(shapes)
    if len(shapes) != 2 or not shape:
        raise ShapeError(shape, "two inputs (..., features)")
    require_features(shape, builder)
    return (*shape[:-1], 1)
