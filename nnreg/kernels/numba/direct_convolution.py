"""Convolutions without columns: tiles of pixels times filters, read where the images are.

Positions are in flat arrays, in tables that are made once for each shape, so that the loops are the
same for any number of spatial axes, and any stride and dilation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.tiles import TILE_ROWS, VECTOR_BYTES, narrow_tile, whole_tile
from nnreg.kernels.scratch import ScratchSpace
from nnreg.kernels.windows import Amounts, Windows

CACHED_VALUES = 2**16
"""The values of images that are padded, or multiplied for the gradient of the weights, at a time:
they are read many times, from the cache."""

MIN_PIXELS = 128
"""The fewest pixels at a time, as the sums of the weight's gradient are read and written once."""


@dataclass(frozen=True)
class Places:
    """Where the windows over images of a shape are: positions in the flat values of an image.

    A padded image has `size` values; its rows of pixels that are not padding begin at `rows`. The
    windows begin at `pixels`, those of each row of windows at `starts`, with `step` from one to the
    next. In a window, each of the runs of `run` adjacent values begins at `runs`, and `values` has
    the positions of all its values.
    """

    padded: bool
    size: int
    rows: Array
    pixels: Array
    starts: Array
    step: int
    runs: Array
    run: int
    values: Array

    def group(self, batch: int) -> int:
        """Return how many padded images there are at a time."""
        least = -(-MIN_PIXELS // len(self.pixels))
        return max(min(max(CACHED_VALUES // self.size, least), batch), 1)

    def chunk(self, filters: int) -> int:
        """Return how many rows of windows are multiplied at a time for the weight's gradient."""
        width, count = len(self.pixels) // len(self.starts), len(self.starts)
        least = -(-MIN_PIXELS // width)
        return max(CACHED_VALUES // (width * filters + self.size // count), least)


@functools.lru_cache(256)
def places_of(windows: Windows, padding: Amounts, space: Shape, channels: int) -> Places:
    """Return where the windows are in images `(*space, channels)`."""
    outside = tuple(n + sum(amounts) for n, amounts in zip(space, padding, strict=True))
    out, ones = windows.count(outside), (1,) * len(space)
    strides = [channels * math.prod(outside[axis + 1 :]) for axis in range(len(space))]

    def table(counts: Sequence[int], steps: Sequence[int]) -> Array:
        at = np.zeros(1, np.int64)
        for count, step, stride in zip(counts, steps, strides, strict=True):
            at = np.add.outer(at, np.arange(count) * step * stride).reshape(-1)
        return at

    corner = sum(before * stride for (before, _), stride in zip(padding, strides, strict=True))
    adjacent = windows.dilation[-1] == 1
    size = (*windows.size[:-1], 1) if adjacent else windows.size
    runs, run = table(size, windows.dilation), channels * (windows.size[-1] if adjacent else 1)
    return Places(
        padded=outside != space,
        size=channels * math.prod(outside),
        rows=corner + table((*space[:-1], 1), ones),
        pixels=table(out, windows.stride),
        starts=table((*out[:-1], 1), windows.stride),
        step=windows.stride[-1] * channels,
        runs=runs,
        run=run,
        values=np.add.outer(runs, np.arange(run)).reshape(-1),
    )


def convolve(
    images: Array,
    weight: Array,
    bias: Array | None,
    z: Array,
    windows: Windows,
    padding: Amounts,
    scratch: ScratchSpace,
    relu: bool,
) -> None:
    """Write the outputs of all windows, as `Kernels.convolve`."""
    batch, *space, channels = images.shape
    filters = weight.shape[-1]
    places = places_of(windows, padding, tuple(space), channels)
    if bias is None:
        bias = scratch.empty((filters,), z.dtype)
        bias[...] = 0
    panels = scratch.empty((weight.size,), z.dtype)
    flat, padded = images.reshape(batch, -1), _padded(images, places, scratch)
    _copy_panels(weight.reshape(-1, filters), panels)
    out = z.reshape(batch, -1)
    if not places.padded:
        _convolve(flat, places.pixels, places.runs, places.run, panels, bias, out, relu)
        return
    for start in range(0, batch, len(padded)):
        part = slice(start, start + len(padded))
        count = len(flat[part])
        _pad(flat[part], places.rows, padded)
        _convolve(
            padded[:count], places.pixels, places.runs, places.run, panels, bias, out[part], relu
        )


def weight_gradient(
    images: Array,
    dz: Array,
    dweight: Array,
    windows: Windows,
    padding: Amounts,
    scratch: ScratchSpace,
) -> None:
    """Write the gradient of the weight, as `Kernels.convolve_weight_gradient`."""
    batch, *space, channels = images.shape
    filters = dweight.shape[-1]
    places = places_of(windows, padding, tuple(space), channels)
    flat, padded = images.reshape(batch, -1), _padded(images, places, scratch)
    rows, gradient = dz.reshape(batch, -1), dweight.reshape(-1, filters)
    where = places.starts, places.step, places.values, places.chunk(filters)
    if not places.padded:
        _weight_gradient(flat, rows, gradient, *where, add=False)
        return
    for start in range(0, batch, len(padded)):
        part = slice(start, start + len(padded))
        _pad(flat[part], places.rows, padded)
        count = len(flat[part])
        _weight_gradient(padded[:count], rows[part], gradient, *where, add=start > 0)


def input_gradient(
    dz: Array,
    weight: Array,
    dimages: Array,
    windows: Windows,
    padding: Amounts,
    scratch: ScratchSpace,
) -> None:
    """Write the gradient of the images, as `Kernels.convolve_input_gradient`, for stride 1.

    It is the convolution of dz with the weights in reverse order.
    """
    *size, channels, filters = weight.shape
    turned = scratch.empty((*size, filters, channels), dz.dtype)
    _turn(weight.reshape(-1, channels, filters), turned.reshape(-1, filters, channels))
    around = reversed_padding(windows, padding)
    convolve(dz, turned, None, dimages, windows, around, scratch, relu=False)


def reversed_padding(windows: Windows, padding: Amounts) -> Amounts:
    """Return the padding of the gradient of the output in `input_gradient`."""
    axes = zip(windows.span, padding, strict=True)
    return tuple((span - 1 - before, span - 1 - after) for span, (before, after) in axes)


def _padded(images: Array, places: Places, scratch: ScratchSpace) -> Array:
    """Return zeros for as many padded images as are processed at a time."""
    if not places.padded:
        return images
    padded = scratch.empty((places.group(len(images)), places.size), images.dtype)
    padded[...] = 0
    return padded


@compiled
def _pad(images: Array, rows: Array, padded: Array) -> None:
    """Copy images `(batch, values)`, of which each row of pixels has a place, to padded ones."""
    length = images.shape[1] // rows.size
    for image in range(images.shape[0]):
        for row in range(rows.size):
            for k in range(length):
                padded[image, rows[row] + k] = images[image, row * length + k]


@compiled
def _turn(weight: Array, turned: Array) -> None:
    """Copy `(positions, channels, filters)` to `(positions, filters, channels)` in reverse."""
    positions, channels, filters = weight.shape
    for p in range(positions):
        for f in range(filters):
            for c in range(channels):
                turned[positions - 1 - p, f, c] = weight[p, c, f]


@compiled
def _panel_width(filters: int, first: int, lanes: int) -> int:
    """Return how many filters a tile has from one on."""
    left = filters - first
    return 2 * lanes if left >= 2 * lanes else min(left, lanes)


@compiled
def _copy_panels(weight: Array, panels: Array) -> None:
    """Copy the filters of each tile to where they are adjacent."""
    inner, filters = weight.shape
    at = first = 0
    while first < filters:
        columns = _panel_width(filters, first, VECTOR_BYTES // weight.itemsize)
        for k in range(inner):
            for n in range(columns):
                panels[at + n] = weight[k, first + n]
            at += columns
        first += columns


@compiled
def _convolve(
    images: Array,
    pixels: Array,
    runs: Array,
    run: int,
    panels: Array,
    bias: Array,
    z: Array,
    relu: bool,
) -> None:
    """Multiply the windows of `(batch, values)` by panels of filters; z is `(batch, values)`."""
    filters, lanes = bias.size, VECTOR_BYTES // z.itemsize
    source, out = images.reshape(-1), z.reshape(-1)
    of_z, of_images = np.empty(TILE_ROWS, np.int64), np.empty(TILE_ROWS, np.int64)
    own_bias = np.zeros(2 * lanes, z.dtype)
    at = first = 0
    while first < filters:
        columns = _panel_width(filters, first, lanes)
        own_bias[:columns] = bias[first : first + columns]
        pixel = image = 0
        for _ in range(0, images.shape[0] * pixels.size, TILE_ROWS):
            for m in range(TILE_ROWS):
                if image < images.shape[0]:
                    of_z[m] = (image * pixels.size + pixel) * filters + first
                    of_images[m] = image * images.shape[1] + pixels[pixel]
                    pixel += 1
                    if pixel == pixels.size:
                        pixel = 0
                        image += 1
                else:  # the last tile repeats the last pixel
                    of_z[m], of_images[m] = of_z[m - 1], of_images[m - 1]
            if columns == 2 * lanes:
                whole_tile(
                    out, of_z, source, of_images, runs, run, 1, panels, at, run * columns, columns,
                    columns, own_bias, False, relu,
                )  # fmt: skip
            else:
                narrow_tile(
                    out, of_z, source, of_images, runs, run, 1, panels, at, run * columns, columns,
                    columns, own_bias, False, relu,
                )  # fmt: skip
        at += run * runs.size * columns
        first += columns


@compiled
def _weight_gradient(
    images: Array,
    dz: Array,
    dweight: Array,
    starts: Array,
    step: int,
    values: Array,
    chunk: int,
    add: bool,
) -> None:
    """Write, or add, the sums of windows times dz `(batch, values)` to `(inner, filters)`.

    A chunk of the rows of windows is in the cache while all tiles of the sums are computed.
    """
    inner, filters = dweight.shape
    lanes, rows = VECTOR_BYTES // dz.itemsize, images.shape[0] * starts.size
    width = dz.shape[1] // (starts.size * filters)
    source, own, out = images.reshape(-1), dz.reshape(-1), dweight.reshape(-1)
    of_rows = np.empty(rows, np.int64)
    for image in range(images.shape[0]):
        for row in range(starts.size):
            of_rows[image * starts.size + row] = image * images.shape[1] + starts[row]
    of_sums, of_images = np.empty(TILE_ROWS, np.int64), np.empty(TILE_ROWS, np.int64)
    zeros = np.zeros(2 * lanes, dz.dtype)
    for row in range(0, rows, chunk):
        these = of_rows[row : row + chunk]
        more, at = add or row > 0, row * width * filters
        first = 0
        while first < filters:
            columns = _panel_width(filters, first, lanes)
            for start in range(0, inner, TILE_ROWS):
                for m in range(TILE_ROWS):
                    k = min(start + m, inner - 1)
                    of_sums[m], of_images[m] = k * filters + first, values[k]
                if columns == 2 * lanes:
                    whole_tile(
                        out, of_sums, source, of_images, these, width, step, own, at + first,
                        width * filters, filters, columns, zeros, more, False,
                    )  # fmt: skip
                else:
                    narrow_tile(
                        out, of_sums, source, of_images, these, width, step, own, at + first,
                        width * filters, filters, columns, zeros, more, False,
                    )  # fmt: skip
            first += columns
