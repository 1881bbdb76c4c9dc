"""Reads images at other places than those of their values, given by an affine function."""

from __future__ import annotations

import itertools
from typing import Any, Literal, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.context import Context

FillMode: TypeAlias = Literal["constant", "reflect", "edge", "circular"]
Interpolation: TypeAlias = Literal["bilinear", "nearest"]


def indices(count: int, context: Context, dtype: Any = np.intp) -> Array:
    """Return the numbers from 0 to count - 1."""
    found = context.empty((count,), dtype)
    found[...] = np.arange(count)
    return found


def grid(matrices: Array, space: Shape, context: Context) -> Array:
    """Return where each image is read for each place of the output, `(batch, 2, height, width)`.

    In float64 whatever the images are, so that the nearest value does not depend on it.
    """
    centres = [(length - 1) / 2 for length in space]
    rows, columns = (
        indices(length, context, np.float64) - centre
        for length, centre in zip(space, centres, strict=True)
    )
    positions = context.empty((len(matrices), 2, *space), np.float64)
    for axis, centre in enumerate(centres):
        along_rows = matrices[:, axis, 0, None] * rows + (matrices[:, axis, 2, None] + centre)
        along_columns = matrices[:, axis, 1, None] * columns
        np.add(along_rows[:, :, None], along_columns[:, None, :], out=positions[:, axis])
    return positions


def sample(
    images: Array,
    positions: Array,
    fill_mode: FillMode,
    interpolation: Interpolation,
    fill_value: float,
    context: Context,
) -> tuple[Array, Any]:
    """Return images `(batch, height, width, channels)` read at positions, and the adjoint map."""
    batch, height, width, channels = images.shape
    shape = (batch, height, width)
    first = indices(batch, context).reshape(-1, 1, 1) * (height * width)
    rows, columns = (
        _neighbours(positions[:, axis], images.shape[1 + axis], fill_mode, interpolation, context)
        for axis in (0, 1)
    )
    read = list[tuple[Array, Array]]()
    for (row, row_weight), (column, column_weight) in itertools.product(rows, columns):
        index = np.multiply(row, width, out=context.empty(shape, np.intp))
        np.add(index, column, out=index)
        np.add(index, first, out=index)
        weight = np.multiply(row_weight, column_weight, out=context.empty(shape))
        read.append((index.reshape(-1), weight.reshape(-1, 1)))
    values = images.reshape(-1, channels)
    y = context.empty((batch * height * width, channels))
    part = context.empty(y.shape)
    y[...] = fill_value if fill_mode == "constant" else 0
    for index, weight in read:
        np.take(values, index, axis=0, out=part, mode="clip")  # "raise" would copy twice
        if fill_mode == "constant" and fill_value:
            np.subtract(part, fill_value, out=part)
        np.add(y, np.multiply(part, weight, out=part), out=y)

    def backward(dy: Array) -> Array:
        dx = context.empty(values.shape)
        dx[...] = 0
        for index, weight in read:
            np.add.at(dx, index, np.multiply(dy.reshape(y.shape), weight, out=part))
        return dx.reshape(images.shape)

    return y.reshape(images.shape), backward


def _neighbours(
    position: Array,
    length: int,
    fill_mode: FillMode,
    interpolation: Interpolation,
    context: Context,
) -> list[tuple[Array, Array]]:
    """Return the values of an axis to read for each position, and their weights.

    The weights of values that are outside, where the fill value is read, are 0.
    """
    nearest = interpolation == "nearest"
    low = context.empty(position.shape, np.float64)
    (np.rint if nearest else np.floor)(position, out=low)
    fraction = np.subtract(position, low, out=context.empty(position.shape, np.float64))
    found = []
    for step in (0,) if nearest else (0, 1):
        index = context.empty(position.shape, np.intp)
        index[...] = low
        np.add(index, step, out=index)
        weight = context.empty(position.shape)
        weight[...] = 1 if nearest else fraction if step else 1 - fraction
        if fill_mode == "constant":
            np.multiply(weight, (index >= 0) & (index < length), out=weight)
        _move_inside(index, length, fill_mode)
        found.append((index, weight))
    return found


def _move_inside(index: Array, length: int, fill_mode: FillMode) -> None:
    """Replace indices outside an axis by those of the values that stand there."""
    if fill_mode == "circular":
        np.remainder(index, length, out=index)
    elif fill_mode == "reflect":
        period = max(2 * (length - 1), 1)
        np.remainder(index, period, out=index)
        np.minimum(index, period - index, out=index)
    else:
        np.clip(index, 0, length - 1, out=index)
