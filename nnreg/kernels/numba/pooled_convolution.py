"""Convolutions whose outputs are pooled while they are in the cache, for a few images at a time."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array, Shape
from nnreg.kernels.numba import winograd
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.direct_convolution import CACHED_VALUES, convolve_sums, panels_of
from nnreg.kernels.numba.places import Sums, sums_of
from nnreg.kernels.numba.pooled_tiles import TILE_WINDOWS, convolve_tiles
from nnreg.kernels.numba.pooling import max_pool
from nnreg.kernels.scratch import ScratchSpace
from nnreg.kernels.windows import Amounts, Pair, Windows


def convolve_max_pool(
    images: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    windows: Windows,
    padding: Amounts,
    size: Pair,
    stride: Pair,
    scratch: ScratchSpace,
    relu: bool,
) -> None:
    """Write the largest outputs in windows of pixels, as `Kernels.convolve_max_pool`.

    Outputs at the end of an axis that are in no window are not computed.
    """
    if not len(images):
        return
    three = windows.size == (3, 3) and windows.stride == windows.dilation == (1, 1)
    length = winograd.vector_length(y.dtype)
    whole = all(count % length == 0 for count in weight.shape[2:])
    if three and whole and size == stride == (2, 2):
        padded = _padded(images, padding, scratch)
        if winograd.convolve_max_pool(padded, weight, bias, y, scratch, relu):
            return
    filters = weight.shape[-1]
    used = tuple((n - 1) * s + k for n, k, s in zip(y.shape[1:3], size, stride, strict=True))
    sums = _sums_of(images.shape, windows, padding, used)
    panels, bias = panels_of(weight.reshape(-1, filters), bias, scratch)
    if size == stride == (2, 2) and len(sums.lengths) == 1:
        _in_tiles(images, sums, used, panels, bias, y, relu)
        return
    group = max(min(CACHED_VALUES // (used[0] * used[1] * filters), len(images)), 1)
    z, flat = scratch.empty((group, *used, filters)), images.reshape(len(images), -1)
    _convolve_max_pool(flat, sums, panels, bias, z, y, size, stride, relu)


def _in_tiles(
    images: Array, sums: Sums, used: Shape, panels: Array, bias: Array, y: Array, relu: bool
) -> None:
    """Write the largest of each 2x2 outputs, if the sums of all are over the same positions."""
    height, width = used
    starts = sums.starts.reshape(height // 2, 2, width // 2, 2).swapaxes(1, 2).reshape(-1, 4)
    of_tiles = np.arange(-(-len(starts) // TILE_WINDOWS) * TILE_WINDOWS)
    windows = np.minimum(of_tiles, len(starts) - 1)
    convolve_tiles(
        images.reshape(len(images), -1), y.reshape(len(y), -1), starts[windows].reshape(-1),
        windows * y.shape[-1], sums.values, sums.weights, sums.lengths[0], panels, bias, relu,
    )  # fmt: skip


def _padded(images: Array, padding: Amounts, scratch: ScratchSpace) -> Array:
    """Return images with zeros around them."""
    if not any(map(any, padding)):
        return images
    batch, height, width, channels = images.shape
    (above, below), (left, right) = padding
    padded = scratch.empty((batch, above + height + below, left + width + right, channels))
    padded[...] = 0
    padded[:, above : above + height, left : left + width] = images
    return padded


def _sums_of(shape: Shape, windows: Windows, padding: Amounts, used: Shape) -> Sums:
    """Return the sums for the first `used` outputs along each axis.

    Fewer values are then after an axis.
    """
    _, *space, channels = shape
    count = windows.count(tuple(n + sum(pair) for n, pair in zip(space, padding, strict=True)))
    axes = zip(padding, count, used, windows.stride, strict=True)
    fewer = tuple((before, after - (n - k) * s) for (before, after), n, k, s in axes)
    return sums_of(windows, fewer, tuple(space), channels)


@compiled
def _convolve_max_pool(
    images: Array,
    sums: Sums,
    panels: Array,
    bias: Array,
    z: Array,
    y: Array,
    size: Pair,
    stride: Pair,
    relu: bool,
) -> None:
    """Convolve and pool as many images `(batch, values)` at a time as there are in z."""
    batch, group = images.shape[0], z.shape[0]
    pixels, starts, ends, values, weights, run_ends, lengths = sums
    for start in range(0, batch, group):
        stop = min(start + group, batch)
        some = z[: stop - start]
        convolve_sums(
            images[start:stop], pixels, starts, ends, values, weights, run_ends, lengths, panels,
            bias, some.reshape(stop - start, -1), relu,
        )  # fmt: skip
        max_pool(some, y[start:stop], size[0], size[1], stride[0], stride[1])
