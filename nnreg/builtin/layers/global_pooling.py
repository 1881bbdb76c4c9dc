"""Pooling over all axes but the last, and over parts of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import sum_rows
from nnreg.builtin.layers.geometry import space_of
from nnreg.errors import ShapeError
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean over all axes but the last.

    y = mean(x)

    Input `(..., features)`, output `(features,)`. Of sequences of different lengths, the mean is
    over the steps before the end of each, and 0 if there are none. Lin et al. 2013.
    """

    independent = True
    keeps_integers = False
    keeps_mask = False
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) < 2:
            raise ShapeError(shape, "(batch, ..., features) with an axis to average over")
        return shape[-1:]

    def infer(self, x: Any, context: Context) -> Any:
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        if context.mask is None:
            return rows.mean(axis=1)
        real = real_positions(context.mask, x)[:, :, None]
        count = np.maximum(real.sum(axis=1), 1)
        return np.where(real, rows, 0).sum(axis=1) / count

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        if context.mask is not None:
            return self._masked(x, rows, real_positions(context.mask, x), context)
        batch, count, features = rows.shape

        def backward(dy: Array) -> Array:
            dx = context.empty(rows.shape)
            dx[...] = np.expand_dims(dy / count, 1)
            return dx.reshape(x.shape)

        # as a product with ones, which is several times as fast as np.mean
        total = context.empty((batch, features))
        sum_rows(rows, context.workspace.ones, total)
        return np.divide(total, count, out=total), backward

    def _masked(
        self, x: Array, rows: Array, real: Array, context: Context
    ) -> tuple[Array, LayerBackward]:
        """Average over the real positions, `(batch, positions)`, alone."""
        batch, count, features = rows.shape
        weights = context.empty((batch, 1, count))
        number = np.maximum(np.sum(real, axis=1, keepdims=True), 1)
        np.divide(np.expand_dims(real, 1), np.expand_dims(number, 1), out=weights)
        y = np.matmul(weights, rows, out=context.empty((batch, 1, features)))

        def backward(dy: Array) -> Array:
            columns = np.swapaxes(weights, 1, 2)
            dx = context.empty(rows.shape)
            np.multiply(columns, np.expand_dims(dy, 1), out=dx)
            return dx.reshape(x.shape)

        return y.reshape(batch, features), backward


@dataclass(frozen=True)
class GlobalMaxPool(Layer):
    """The largest value over all axes but the last.

    y = max(x)

    Input `(..., features)`, output `(features,)`. Of equal values the first gets the gradient. Of
    sequences of different lengths, it is the largest value before the end of each, and 0 if there
    is none. Collobert et al. 2011.
    """

    independent = True
    keeps_integers = False
    keeps_mask = False
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) < 2 or not math.prod(shape[:-1]):
            raise ShapeError(shape, "(batch, ..., features) with values to choose from")
        return shape[-1:]

    def infer(self, x: Any, context: Context) -> Any:
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        if context.mask is None:
            return rows.max(axis=1)
        real = real_positions(context.mask, x)[:, :, None]
        return np.where(real.any(axis=1), np.where(real, rows, -math.inf).max(axis=1), 0)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        candidates, any_real = rows, None
        if context.mask is not None:
            real = real_positions(context.mask, x)
            candidates = np.where(np.expand_dims(real, 2), rows, -math.inf)
            any_real = np.any(real, axis=1, keepdims=True)
        index = np.expand_dims(np.argmax(candidates, axis=1), 1)
        y = np.take_along_axis(rows, index, axis=1)[:, 0]

        def backward(dy: Array) -> Array:
            dx = context.empty(rows.shape)
            dx.fill(0)
            chosen = dy if any_real is None else np.where(any_real, dy, 0)
            np.put_along_axis(dx, index, np.expand_dims(chosen, 1), axis=1)
            return dx.reshape(x.shape)

        return y if any_real is None else np.where(any_real, y, 0), backward


def real_positions(mask: Array, x: Array) -> Array:
    """Return which positions of all axes but the last are real, `(batch, positions)`."""
    real: Array = np.repeat(mask, math.prod(x.shape[2:-1]), axis=1)
    return real


@dataclass(frozen=True)
class GlobalAveragePool1d(GlobalAveragePool):
    """The mean over all steps of a sequence.

    y = mean(x)

    Input `(time, channels)`, output `(channels,)`. As `global_average_pool`, for
    such inputs alone.
    """

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, 1)
        return super().build(shape, builder)


@dataclass(frozen=True)
class GlobalAveragePool2d(GlobalAveragePool):
    """The mean over all positions of an image.

    y = mean(x)

    Input `(height, width, channels)`, output `(channels,)`. As `global_average_pool`, for
    such inputs alone.
    """

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, 2)
        return super().build(shape, builder)


@dataclass(frozen=True)
class GlobalAveragePool3d(GlobalAveragePool):
    """The mean over all positions of a volume.

    y = mean(x)

    Input `(depth, height, width, channels)`, output `(channels,)`. As `global_average_pool`, for
    such inputs alone.
    """

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, 3)
        return super().build(shape, builder)


@dataclass(frozen=True)
class GlobalMaxPool1d(GlobalMaxPool):
    """The largest value over all steps of a sequence.

    y = max(x)

    Input `(time, channels)`, output `(channels,)`. As `global_max_pool`, for
    such inputs alone.
    """

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, 1)
        return super().build(shape, builder)


@dataclass(frozen=True)
class GlobalMaxPool2d(GlobalMaxPool):
    """The largest value over all positions of an image.

    y = max(x)

    Input `(height, width, channels)`, output `(channels,)`. As `global_max_pool`, for
    such inputs alone.
    """

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, 2)
        return super().build(shape, builder)


@dataclass(frozen=True)
class GlobalMaxPool3d(GlobalMaxPool):
    """The largest value over all positions of a volume.

    y = max(x)

    Input `(depth, height, width, channels)`, output `(channels,)`. As `global_max_pool`, for
    such inputs alone.
    """

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, 3)
        return super().build(shape, builder)
