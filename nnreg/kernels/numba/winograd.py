"""Convolutions by windows of 3x3 pixels with fewer multiplications.

The four outputs of a tile of 4x4 pixels are sums of 16 products for each channel, instead of 36:
F(2x2, 3x3) of Lavin and Gray 2015.

What is multiplied are sums of four pixels. An output therefore has a rounding error relative to the
largest values of its tile, and is not finite if any value of it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.tiles import product
from nnreg.kernels.numba.vectors import INTEGER, VECTOR_BYTES, Vectors
from nnreg.kernels.scratch import ScratchSpace

TILES = 48
"""The tiles that are transformed at a time: their products are in the cache, and are a multiple of
the rows of a tile of the products."""

_ONCE = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
OF_WEIGHTS = np.kron(_ONCE, _ONCE)
"""What transforms the nine weights of a filter and a channel to 16."""


def vector_length(dtype: Any) -> int:
    """Return how many numbers are in a vector; those of channels and filters are a multiple."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)


def convolve_max_pool(
    images: Array, weight: Array, bias: Array | None, y: Array, scratch: ScratchSpace, relu: bool
) -> bool:
    """Write the largest of each 2x2 outputs of windows of 3x3 pixels, if all are finite.

    `images` are with their padding, and `weight` is `(3, 3, channels, filters)`. Return whether
    they are finite.
    """
    channels, filters = weight.shape[2:]
    weights = scratch.empty((16, channels * filters))
    np.dot(OF_WEIGHTS.astype(weight.dtype), weight.reshape(9, -1), out=weights)
    if bias is None:
        bias = scratch.empty((filters,))
        bias[...] = 0
    tiles = scratch.empty((16 * TILES * channels,))
    products = scratch.empty((16 * TILES * filters,))
    found: bool = _convolve_max_pool(images, weights.reshape(-1), bias, tiles, products, y, relu)
    return found


def _pairs(builder: Any, values: Sequence[Any]) -> list[Any]:
    """Return the sums and differences of four numbers that are multiplied."""
    a, b, c, d = values
    return [builder.fsub(a, c), builder.fadd(b, c), builder.fsub(c, b), builder.fsub(b, d)]


def _sums(builder: Any, values: Sequence[Any]) -> list[Any]:
    """Return the two outputs of four products."""
    a, b, c, d = values
    first = builder.fadd(builder.fadd(a, b), c)
    return [first, builder.fsub(builder.fsub(b, c), d)]


def _both(builder: Any, rows: Sequence[Sequence[Any]], transform: Any) -> list[list[Any]]:
    """Apply a transform to each column of a table, and then to each row."""
    columns = [transform(builder, column) for column in zip(*rows, strict=True)]
    return [transform(builder, row) for row in zip(*columns, strict=True)]


@intrinsic
def _transform(
    typing: Any, images: Any, at: Any, row: Any, pixel: Any, tiles: Any, to: Any, step: Any
) -> Any:
    """Write what is multiplied of the 4x4 pixels at `at`, for all channels, `pixel` of them.

    The n-th of the 16 sums is at tiles[to + n step].
    """
    whole = types.int64
    signature = types.void(images, whole, whole, whole, tiles, whole, whole)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, target = (
            context.make_array(signature.args[n])(context, builder, values[n]).data for n in (0, 4)
        )
        at, row, pixel, to, step = (values[n] for n in (1, 2, 3, 5, 6))
        write = Vectors(builder, signature.args[0].dtype, 1)
        zero, length = (ir.Constant(INTEGER, n) for n in (0, write.length))

        def place(data: Any, *terms: tuple[Any, int]) -> Any:
            for value, count in terms:
                by = builder.mul(value, ir.Constant(INTEGER, count))
                data = builder.gep(data, [by])
            return data

        with cgutils.for_range_slice(builder, zero, pixel, length) as (k, _):
            pixels = [
                [
                    write.load(place(source, (at, 1), (k, 1), (row, i), (pixel, j)))[0]
                    for j in range(4)
                ]
                for i in range(4)
            ]
            found = [one for row in _both(builder, pixels, _pairs) for one in row]
            for n, value in enumerate(found):
                write.store([value], place(target, (to, 1), (k, 1), (step, n)))
        return context.get_dummy_value()

    return signature, code


@intrinsic
def _largest(
    typing: Any, products: Any, at: Any, step: Any, bias: Any, y: Any, to: Any, filters: Any,
    relu: Any, check: Any,
) -> Any:  # fmt: skip
    """Write the largest of the four outputs of a tile, for all filters, to y[to].

    The n-th of the 16 products is at products[at + n step]. Zero times each output is added to the
    vector `check`, which is then NaN if it is not finite.
    """
    whole = types.int64
    signature = types.void(products, whole, whole, bias, y, whole, whole, types.boolean, check)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, shift, target, checked = (
            context.make_array(signature.args[n])(context, builder, values[n]).data
            for n in (0, 3, 4, 8)
        )
        at, step, to, filters = (values[n] for n in (1, 2, 5, 6))
        write = Vectors(builder, signature.args[0].dtype, 1)
        zero, length = (ir.Constant(INTEGER, n) for n in (0, write.length))
        least = ir.Constant(write.number, float("-inf"))
        least = builder.select(values[7], ir.Constant(write.number, 0.0), least)
        low = write.repeat(least, write.number)
        total = write.totals(write.load(checked))[0]
        with cgutils.for_range_slice(builder, zero, filters, length) as (k, _):
            rows = [
                [
                    write.load(
                        builder.gep(
                            source,
                            [
                                builder.add(
                                    builder.add(at, k),
                                    builder.mul(step, ir.Constant(INTEGER, 4 * i + j)),
                                )
                            ],
                        )
                    )[0]
                    for j in range(4)
                ]
                for i in range(4)
            ]
            four = [one for row in _both(builder, rows, _sums) for one in row]
            for one in four:
                write.add_product(total, one, write.zero)
            largest = four[0]
            for one in four[1:]:
                largest = builder.select(builder.fcmp_ordered(">", one, largest), one, largest)
            own = write.load(builder.gep(shift, [k]))[0]
            found = builder.fadd(largest, own)
            found = builder.select(builder.fcmp_ordered("<", found, low), low, found)
            write.store([found], builder.gep(target, [builder.add(to, k)]))
        write.store([builder.load(total)], checked)
        return context.get_dummy_value()

    return signature, code


@compiled
def _convolve_max_pool(
    images: Array,
    weights: Array,
    bias: Array,
    tiles: Array,
    products: Array,
    y: Array,
    relu: bool,
) -> bool:
    batch, height, width, channels = images.shape
    _, rows, columns, filters = y.shape
    source, out, own = images.reshape(-1), y.reshape(-1), tiles.size // 16
    step, check = TILES * filters, np.zeros(VECTOR_BYTES // y.itemsize, y.dtype)
    total, each = batch * rows * columns, rows * columns
    for first in range(0, total, TILES):
        count = min(TILES, total - first)
        for t in range(count):
            image, place = divmod(first + t, each)
            r, s = divmod(place, columns)
            at = ((image * height + 2 * r) * width + 2 * s) * channels
            _transform(source, at, width * channels, channels, tiles, t * channels, own)
        for n in range(16):
            product(
                products, n * step, filters, tiles, n * own, channels, 1,
                weights, n * channels * filters, filters, None, 0, count, filters, channels, False,
            )  # fmt: skip
        for t in range(count):
            _largest(
                products, t * filters, step, bias, out, (first + t) * filters, filters, relu, check
            )
    return not np.isnan(check).any()
