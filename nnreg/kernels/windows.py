"""The windows of convolutions and pooling, as views or slices of their images."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from nnreg._types import Array, Shape

Pair: TypeAlias = tuple[int, int]
Index: TypeAlias = tuple[Any, ...]
Amounts: TypeAlias = tuple[tuple[int, int], ...]
"""For each axis, how many values are before and after."""


class ImageKernels(Protocol):
    """Kernels that copy the windows of images, and add them."""

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        """Copy every window."""

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        """Add windows to the images that they were copied from."""


@dataclass(frozen=True)
class Windows:
    """The windows of a convolution or of pooling, with a number for each axis."""

    size: Shape
    stride: Shape
    dilation: Shape

    @functools.cached_property
    def span(self) -> Shape:
        """The length from the first to the last position of a window, for each axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))

    def count(self, space: Shape) -> Shape:
        """Return how many windows there are along each axis."""
        axes = zip(space, self.span, self.stride, strict=True)
        return tuple((length - span) // stride + 1 for length, span, stride in axes)

    def around(self, padding: str | int | Shape, space: Shape) -> Amounts:
        """Return how many values an option `padding` adds before and after each axis."""
        if padding == "valid":
            return ((0, 0),) * len(space)
        if padding == "causal":
            return tuple((span - 1, 0) for span in self.span)
        if not isinstance(padding, str):
            axes = (padding,) * len(space) if isinstance(padding, int) else padding
            return tuple((n, n) for n in axes)
        amounts = []
        for length, span, stride in zip(space, self.span, self.stride, strict=True):
            total = max((-(-length // stride) - 1) * stride + span - length, 0)
            amounts.append((total // 2, total - total // 2))
        return tuple(amounts)

    @functools.lru_cache(256)  # noqa: B019 (windows are few and small)
    def positions(self, out: Shape) -> list[tuple[Shape, tuple[slice, ...]]]:
        """Return each position in a window, and the slices of the images at this position."""
        return [
            (
                position,
                tuple(
                    slice(i * step, i * step + count * stride, stride)
                    for i, step, count, stride in zip(
                        position, self.dilation, out, self.stride, strict=True
                    )
                ),
            )
            for position in itertools.product(*map(range, self.size))
        ]

    def copy(self, images: Array, columns: Array, kernels: ImageKernels) -> None:
        """Copy every window of `(batch, *space, channels)` to `(batch, *out, *size, channels)`."""
        if self._has_kernel:
            kernels.im2col(*self._as_images(images, columns))
        else:
            self.copy_parts(images, columns)

    def add(self, columns: Array, images: Array, kernels: ImageKernels) -> None:
        """Write the sums of the windows to the images that they were copied from."""
        if self._has_kernel:
            flat, wide, stride = self._as_images(images, columns)
            kernels.col2im(wide, flat, stride)
        else:
            self.add_parts(columns, images)

    def copy_parts(self, images: Array, columns: Array) -> None:
        """Copy as `copy` does, for any number of axes, also of channels, and any dilation."""
        for at_images, at_columns in self._parts(columns):
            columns[at_columns] = images[at_images]

    def add_parts(self, columns: Array, images: Array) -> None:
        """Add as `add` does, for any number of axes, also of channels, and any dilation."""
        images[...] = 0
        for at_images, at_columns in self._parts(columns):
            part = images[at_images]
            np.add(part, columns[at_columns], out=part)

    def _parts(self, columns: Array) -> list[tuple[Index, Index]]:
        """Return for each position in a window where it is in the images and in the columns."""
        dims = len(self.size)
        channels = (slice(None),) * (columns.ndim - 1 - 2 * dims)
        return [
            ((slice(None), *space), (..., *position, *channels))
            for position, space in self.positions(columns.shape[1 : 1 + dims])
        ]

    @functools.cached_property
    def _has_kernel(self) -> bool:
        return len(self.size) < 3 and all(d == 1 for d in self.dilation)

    def _as_images(self, images: Array, columns: Array) -> tuple[Array, Array, tuple[int, int]]:
        """Return the arguments of a kernel: a sequence is an image of one row."""
        if len(self.size) == 2:
            return images, columns, (self.stride[0], self.stride[1])
        batch, length, channels = images.shape
        _, out, size, _ = columns.shape
        wide = columns.reshape(batch, 1, out, 1, size, channels)
        return images.reshape(batch, 1, length, channels), wide, (1, self.stride[0])


def rows_of_windows(images: Array, columns: Array, step: int) -> Iterator[tuple[Array, Array]]:
    """Yield corresponding views of images and of columns, one row of the kernel at a time.

    The windows of a row are divided into groups of adjacent windows that do not overlap: kernel
    width times channels values are contiguous in both views.
    """
    batch, oh, ow, kh, kw, channels = columns.shape
    for i in range(kh):
        rows = images[:, i : i + oh * step : step]
        for offset in range(min(kw, ow)):
            windows = columns[:, :, offset::kw, i]
            count = windows.shape[2]
            adjacent = rows[:, :, offset : offset + count * kw]
            yield adjacent.reshape(batch, oh, count, kw, channels), windows


def windows_of(y: Array, size: Pair, stride: Pair) -> list[tuple[slice, slice, slice]]:
    """Return, for each position in a window, the slices of the images at this position."""
    _, oh, ow, _ = y.shape
    return [
        (
            slice(None),
            slice(i, i + oh * stride[0], stride[0]),
            slice(j, j + ow * stride[1], stride[1]),
        )
        for i in range(size[0])
        for j in range(size[1])
    ]
