"""The windows of convolutions and pooling, as views or slices of their images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from nnreg._types import Array

Pair: TypeAlias = tuple[int, int]


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
