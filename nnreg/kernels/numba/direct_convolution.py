"""Convolutions without columns: tiles of pixels times filters, read where the images are."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled, compiled_exactly
from nnreg.kernels.numba.places import Sums, places_of, reversed_sums_of, sums_of
from nnreg.kernels.numba.tiles import TILE_ROWS, narrow_tile, whole_tile
from nnreg.kernels.numba.vectors import VECTOR_BYTES
from nnreg.kernels.scratch import ScratchSpace
from nnreg.kernels.windows import Amounts, Windows

CACHED_VALUES = 2**16
"""The values of images that are padded, or multiplied for the gradient of the weights, at a time:
they are read many times, from the cache."""

MIN_PIXELS = 128
"""The fewest pixels at a time, as the sums of the weight's gradient are read and written once."""


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
    _, *space, channels = images.shape
    sums = sums_of(windows, padding, tuple(space), channels)
    _multiply(images, weight.reshape(-1, weight.shape[-1]), bias, z, sums, scratch, relu)


def input_gradient(
    dz: Array,
    weight: Array,
    dimages: Array,
    windows: Windows,
    padding: Amounts,
    scratch: ScratchSpace,
) -> None:
    """Write the gradient of the images, as `Kernels.convolve_input_gradient`.

    It is a convolution of dz with the weights in reverse order.
    """
    _, *space, channels = dimages.shape
    filters = weight.shape[-1]
    sums = reversed_sums_of(windows, padding, tuple(space), filters)
    turned = scratch.empty((weight.size // channels, channels), dz.dtype)
    _turn(weight.reshape(-1, channels, filters), turned.reshape(-1, filters, channels))
    _multiply(dz, turned, None, dimages, sums, scratch, relu=False)


def _multiply(
    images: Array,
    weight: Array,
    bias: Array | None,
    z: Array,
    sums: Sums,
    scratch: ScratchSpace,
    relu: bool,
) -> None:
    """Write the sums of values of the images times rows of the weight, plus the bias."""
    batch = len(images)
    if not batch:
        return
    panels, bias = panels_of(weight, bias, scratch)
    convolve_sums(images.reshape(batch, -1), *sums, panels, bias, z.reshape(batch, -1), relu)


def panels_of(weight: Array, bias: Array | None, scratch: ScratchSpace) -> tuple[Array, Array]:
    """Return the weight `(inner, filters)` in the order of the tiles, and the bias or zeros."""
    panels = scratch.empty((weight.size,), weight.dtype)
    _copy_panels(weight, panels)
    if bias is None:
        bias = scratch.empty((weight.shape[1],), weight.dtype)
        bias[...] = 0
    return panels, bias


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
    rows, width = len(places.starts), places.width
    values_of_row = width * filters + places.size // rows
    chunk = max(CACHED_VALUES // values_of_row, -(-MIN_PIXELS // width))
    where = places.starts, width, places.step, places.values, chunk
    if not batch:
        dweight[...] = 0
        return
    flat, dflat = images.reshape(batch, -1), dz.reshape(batch, -1)
    gradient = dweight.reshape(-1, filters)
    if not places.padded:
        _weight_gradient(flat, dflat, gradient, *where, False)
        return
    least = -(-MIN_PIXELS // (rows * width))
    group = max(min(max(CACHED_VALUES // places.size, least), batch), 1)
    padded = scratch.empty((group, places.size), dz.dtype)
    padded[...] = 0
    for start in range(0, batch, group):
        part = slice(start, start + group)
        some = padded[: len(flat[part])]
        _pad(flat[part], places.rows, some)
        _weight_gradient(some, dflat[part], gradient, *where, start > 0)


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


@compiled_exactly
def panel_width(filters: int, first: int, vector: int) -> int:
    """Return how many filters a tile has from one on."""
    left = filters - first
    return 2 * vector if left >= 2 * vector else min(left, vector)


@compiled
def _copy_panels(weight: Array, panels: Array) -> None:
    """Copy the filters of each tile to where they are adjacent."""
    inner, filters = weight.shape
    at = first = 0
    while first < filters:
        columns = panel_width(filters, first, VECTOR_BYTES // weight.itemsize)
        for k in range(inner):
            for n in range(columns):
                panels[at + n] = weight[k, first + n]
            at += columns
        first += columns


@compiled_exactly
def convolve_sums(
    images: Array,
    pixels: Array,
    starts: Array,
    ends: Array,
    values: Array,
    weights: Array,
    run_ends: Array,
    lengths: Array,
    panels: Array,
    bias: Array,
    z: Array,
    relu: bool,
) -> None:
    """Multiply images `(batch, values)` by panels of filters; see `Sums` for what is summed."""
    filters, vector = bias.size, VECTOR_BYTES // z.itemsize
    source, out, inner = images.reshape(-1), z.reshape(-1), panels.size // bias.size
    of_z, of_images = np.empty(TILE_ROWS, np.int64), np.empty(TILE_ROWS, np.int64)
    first = 0
    while first < filters:
        columns = panel_width(filters, first, vector)
        at = first * inner
        for kind in range(lengths.size):
            length = lengths[kind]
            these = values[run_ends[kind] : run_ends[kind + 1]]
            rows = weights[run_ends[kind] : run_ends[kind + 1]]
            image, pixel = 0, ends[kind]
            for _ in range(0, images.shape[0] * (ends[kind + 1] - ends[kind]), TILE_ROWS):
                for m in range(TILE_ROWS):
                    if image < images.shape[0]:
                        of_z[m] = image * z.shape[1] + pixels[pixel] * filters + first
                        of_images[m] = image * images.shape[1] + starts[pixel]
                        pixel += 1
                        if pixel == ends[kind + 1]:
                            pixel = ends[kind]
                            image += 1
                    else:  # the last tile repeats the last pixel
                        of_z[m], of_images[m] = of_z[m - 1], of_images[m - 1]
                if columns == 2 * vector:
                    whole_tile(
                        out, of_z, source, of_images, these, length, 1, panels, at, rows, columns,
                        columns, bias, first, False, relu,
                    )  # fmt: skip
                else:
                    narrow_tile(
                        out, of_z, source, of_images, these, length, 1, panels, at, rows, columns,
                        columns, bias, first, False, relu,
                    )  # fmt: skip
        first += columns


@compiled
def _weight_gradient(
    images: Array,
    dz: Array,
    dweight: Array,
    starts: Array,
    width: int,
    step: int,
    values: Array,
    chunk: int,
    add: bool,
) -> None:
    """Write, or add, the sums of windows times dz `(batch, values)` to `(inner, filters)`.

    A chunk of the rows of windows is in the cache while all tiles of the sums are computed.
    """
    inner, filters = dweight.shape
    vector, rows = VECTOR_BYTES // dz.itemsize, images.shape[0] * starts.size
    source, own, out = images.reshape(-1), dz.reshape(-1), dweight.reshape(-1)
    of_rows, of_dz = np.empty(rows, np.int64), np.arange(rows) * width
    for image in range(images.shape[0]):
        for row in range(starts.size):
            of_rows[image * starts.size + row] = image * images.shape[1] + starts[row]
    of_sums, of_images = np.empty(TILE_ROWS, np.int64), np.empty(TILE_ROWS, np.int64)
    for row in range(0, rows, chunk):
        these, those = of_rows[row : row + chunk], of_dz[row : row + chunk]
        more = add or row > 0
        first = 0
        while first < filters:
            columns = panel_width(filters, first, vector)
            for start in range(0, inner, TILE_ROWS):
                for m in range(TILE_ROWS):
                    k = min(start + m, inner - 1)
                    of_sums[m], of_images[m] = k * filters + first, values[k]
                if columns == 2 * vector:
                    whole_tile(
                        out, of_sums, source, of_images, these, width, step, own, first,
                        those, filters, columns, None, 0, more, False,
                    )  # fmt: skip
                else:
                    narrow_tile(
                        out, of_sums, source, of_images, these, width, step, own, first,
                        those, filters, columns, None, 0, more, False,
                    )  # fmt: skip
            first += columns
