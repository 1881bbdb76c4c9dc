"""Convolutions as products of the windows of a few images at a time, copied as columns."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nnreg._types import Array, Shape
from nnreg.kernels.numpy.dense import DenseKernels
from nnreg.kernels.numpy.pooling import PoolingKernels
from nnreg.kernels.scratch import ScratchSpace
from nnreg.kernels.windows import Amounts, ImageKernels, Pair, Windows, rows_of_windows

COLUMN_VALUES = 300_000
"""The most values of the columns that are multiplied at a time: they stay in the processor's cache.
If there are more, they are copied again in the backward pass."""

MAX_FEW_CHANNELS = 3
"""Up to this many channels, each position of the windows is a row of the columns: NumPy then copies
rows of pixels, which are longer than the rows of a window."""


class ConvolutionKernels(DenseKernels, PoolingKernels):
    """Convolutions of images `(batch, *space, channels)`, with any number of spatial axes."""

    def convolve(
        self,
        images: Array,
        weight: Array,
        bias: Array | None,
        z: Array,
        windows: Windows,
        padding: Amounts,
        scratch: ScratchSpace,
        *,
        relu: bool = False,
    ) -> Array | None:
        """Write Σ weight · window + bias of every window to z `(batch, *out, filters)`.

        `weight` is `(*size, channels, filters)`. `padding` is how many zeros are before and after
        each axis. With `relu`, max(z, 0) is written. The columns of all windows are returned if
        they were multiplied at once: `convolve_weight_gradient` then need not copy them again.
        """
        filters = weight.shape[-1]
        columns = _Columns(self, images, z.shape[1:-1], windows, padding, scratch)
        for part in columns.parts():
            rows = z[part].reshape(-1, filters)
            columns.copy(images[part])
            scratch.dot(columns.copied, weight.reshape(-1, filters), out=rows)
            if relu:
                self.relu(rows, bias, scratch)
            elif bias is not None:
                self.add_bias(rows, bias, scratch)
        return columns.copied if columns.whole else None

    def convolve_max_pool(
        self,
        images: Array,
        weight: Array,
        bias: Array | None,
        y: Array,
        windows: Windows,
        padding: Amounts,
        size: Pair,
        stride: Pair,
        scratch: ScratchSpace,
        *,
        relu: bool = False,
    ) -> None:
        """Write the largest outputs of `convolve` in windows of pixels; only to predict.

        `images` are `(batch, height, width, channels)`; size and stride are those of `max_pool`.
        """
        axes = zip(images.shape[1:-1], padding, strict=True)
        out = windows.count(tuple(n + sum(pair) for n, pair in axes))
        z = scratch.empty((len(images), *out, weight.shape[-1]))
        self.convolve(images, weight, bias, z, windows, padding, scratch, relu=relu)
        self.max_pool(z, y, size, stride)

    def convolve_weight_gradient(
        self,
        images: Array,
        dz: Array,
        dweight: Array,
        windows: Windows,
        padding: Amounts,
        scratch: ScratchSpace,
        found: Array | None = None,
    ) -> None:
        """Write the gradient of the weight of `convolve`, which returned what it `found`."""
        filters = dweight.shape[-1]
        gradient = dweight.reshape(-1, filters)
        if found is not None:
            scratch.dot(found.T, dz.reshape(-1, filters), out=gradient)
            return
        gradient[...] = 0  # for a batch of no images
        columns = _Columns(self, images, dz.shape[1:-1], windows, padding, scratch)
        more = scratch.empty(gradient.shape)
        for part in columns.parts():
            columns.copy(images[part])
            target = more if part.start else gradient
            scratch.dot(columns.copied.T, dz[part].reshape(-1, filters), out=target)
            if part.start:
                np.add(gradient, more, out=gradient)

    def convolve_input_gradient(
        self,
        dz: Array,
        weight: Array,
        dimages: Array,
        windows: Windows,
        padding: Amounts,
        scratch: ScratchSpace,
    ) -> None:
        """Write the gradient of the images of `convolve`."""
        filters = weight.shape[-1]
        columns = _Columns(self, dimages, dz.shape[1:-1], windows, padding, scratch, summed=True)
        for part in columns.parts():
            rows = dz[part].reshape(-1, filters)
            target = columns.rows(len(dz[part]))
            scratch.dot(rows, weight.reshape(-1, filters).T, out=target)
            columns.add(target, dimages[part])

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        """Copy every window of `(batch, height, width, channels)`.

        `columns` is `(batch, out height, out width, kernel height, kernel width, channels)`.
        """
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        if sw == 1 and channels > 1:
            for rows, windows in rows_of_windows(images, columns, sh):
                windows[...] = rows
            return
        for i in range(kh):
            for j in range(kw):
                columns[:, :, :, i, j] = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        """Add windows to the images that they were copied from."""
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        images[...] = 0
        if sw == 1 and channels > 1:
            for rows, windows in rows_of_windows(images, columns, sh):
                np.add(rows, windows, out=rows)
            return
        for i in range(kh):
            for j in range(kw):
                part = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]
                np.add(part, columns[:, :, :, i, j], out=part)


class _Columns:
    """The columns of as many images as stay in the cache: a row for each window.

    If they are to be `summed`, the rows are those of windows even for few channels: NumPy does not
    add to values that are not adjacent any faster.
    """

    def __init__(
        self,
        kernels: ImageKernels,
        images: Array,
        out: Shape,
        windows: Windows,
        padding: Amounts,
        scratch: ScratchSpace,
        *,
        summed: bool = False,
    ) -> None:
        batch, *space, channels = images.shape
        self._kernels, self._windows, self._out, self._channels = kernels, windows, out, channels
        self._inner = math.prod(windows.size) * channels
        self._by_position = channels <= MAX_FEW_CHANNELS and not summed
        each = math.prod(out) * self._inner
        self._batch = batch
        parts = 1 if scratch.divides_products else -(-batch * each // COLUMN_VALUES)
        self._count = max(-(-batch // max(parts, 1)), 1)
        self.whole = self._count == batch
        self.copied: Array = images
        self._values = scratch.empty((self._count * each,))
        self._padded: Array | None = None
        if any(map(any, padding)):
            pairs = list(zip(space, padding, strict=True))
            outside = [n + before + after for n, (before, after) in pairs]
            self._inside = tuple(slice(before, before + n) for n, (before, _) in pairs)
            self._padded = scratch.empty((self._count, *outside, channels))
            self._padded[...] = 0

    def parts(self) -> Iterator[slice]:
        """Yield the images whose columns there are at a time."""
        for start in range(0, self._batch, self._count):
            yield slice(start, start + self._count)

    def rows(self, count: int) -> Array:
        """Return the columns of `count` images as `(windows, inner)`."""
        return self._values[: count * math.prod(self._out) * self._inner].reshape(-1, self._inner)

    def copy(self, images: Array) -> None:
        """Copy these images to the columns `copied`, `(windows, inner)`."""
        count, source = len(images), images
        if self._padded is not None:
            source = self._padded[:count]
            source[:, *self._inside] = images
        rows = self.rows(count)
        size = (*self._windows.size, self._channels)
        if not self._by_position:
            columns = rows.reshape(count, *self._out, *size)
            self._windows.copy(source, columns, self._kernels)
            self.copied = rows
            return
        places = rows.reshape(*size, count, *self._out)
        by_channel = np.moveaxis(source, -1, 0)
        for position, space in self._windows.positions(self._out):
            places[position] = by_channel[:, :, *space]
        self.copied = rows.reshape(self._inner, -1).T

    def add(self, rows: Array, images: Array) -> None:
        """Write the sums of columns `(windows, inner)` to the images they would be copied from."""
        count = len(images)
        columns = rows.reshape(count, *self._out, *self._windows.size, self._channels)
        if self._padded is None:
            self._windows.add(columns, images, self._kernels)
            return
        padded = self._padded[:count]
        self._windows.add(columns, padded, self._kernels)
        images[...] = padded[:, *self._inside]
