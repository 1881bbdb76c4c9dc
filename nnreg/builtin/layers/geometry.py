"""The spatial axes of `(batch, *space, channels)`: windows over them, and values around them."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context

Extent: TypeAlias = Annotated[int, Ge(0)]
Pair: TypeAlias = Count | tuple[Count, Count]
Triple: TypeAlias = Count | tuple[Count, Count, Count]
Padding1d: TypeAlias = Literal["valid", "same"] | Extent
Padding2d: TypeAlias = Padding1d | tuple[Extent, Extent]
Padding3d: TypeAlias = Padding1d | tuple[Extent, Extent, Extent]
PaddingMode: TypeAlias = Literal["zeros", "reflect", "edge", "circular"]
Index: TypeAlias = tuple[Any, ...]
Amounts: TypeAlias = tuple[tuple[int, int], ...]
"""For each axis, how many values are before and after."""

AXES: Final = {1: "time", 2: "height, width", 3: "depth, height, width"}
NOUNS: Final = {1: "sequences", 2: "images", 3: "volumes"}


def each_axis(value: int | Shape, dims: int) -> Shape:
    """Return one number for each axis; one number is for all."""
    return (value,) * dims if isinstance(value, int) else value


def space_of(shape: Shape, dims: int, *, channel_axis: bool = True) -> tuple[Shape, int]:
    """Return the lengths of the spatial axes and the channels of an input without the batch axis.

    Without `channel_axis`, an input without channels is taken as one. Raises `ShapeError`.
    """
    if len(shape) == dims + 1:
        return shape[:dims], shape[dims]
    expected = f"(batch, {AXES[dims]}, channels)"
    if channel_axis:
        raise ShapeError(shape, expected)
    if len(shape) != dims:
        raise ShapeError(shape, f"{expected} or (batch, {AXES[dims]})")
    return shape, 1


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

    def require(self, shape: Shape, count: Shape) -> None:
        """Raise `ShapeError` for an input of this shape if no window fits into it."""
        if min(count) < 1:
            least, noun = " x ".join(map(str, self.span)), NOUNS[len(self.span)]
            raise ShapeError(shape, f"{noun} of at least {least}, the size of its kernel or window")

    def around(self, padding: str | int | Shape, space: Shape) -> Amounts:
        """Return how many values an option `padding` adds before and after each axis."""
        if padding == "valid":
            return ((0, 0),) * len(space)
        if padding == "causal":
            return tuple((span - 1, 0) for span in self.span)
        if not isinstance(padding, str):
            return tuple((n, n) for n in each_axis(padding, len(space)))
        amounts = []
        for length, span, stride in zip(space, self.span, self.stride, strict=True):
            total = max((-(-length // stride) - 1) * stride + span - length, 0)
            amounts.append((total // 2, total - total // 2))
        return tuple(amounts)

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

    def copy(self, images: Array, columns: Array, context: Context) -> None:
        """Copy every window of `(batch, *space, channels)` to `(batch, *out, *size, channels)`."""
        if self._has_kernel:
            context.kernels.im2col(*self._as_images(images, columns))
        else:
            self.copy_parts(images, columns)

    def add(self, columns: Array, images: Array, context: Context) -> None:
        """Write the sums of the windows to the images that they were copied from."""
        if self._has_kernel:
            flat, wide, stride = self._as_images(images, columns)
            context.kernels.col2im(wide, flat, stride)
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


@dataclass(frozen=True)
class Frame:
    """The values around `(batch, *space, channels)`: how many, and which."""

    space: Shape
    amounts: Amounts
    mode: PaddingMode = "zeros"

    @functools.cached_property
    def outside(self) -> Shape:
        """The lengths of the axes with the frame."""
        return tuple(n + sum(amounts) for n, amounts in zip(self.space, self.amounts, strict=True))

    @functools.cached_property
    def inside(self) -> tuple[slice, ...]:
        """The slices of the images within the frame."""
        pairs = zip(self.space, self.amounts, strict=True)
        return (slice(None), *(slice(before, before + n) for n, (before, _) in pairs))

    def require(self, shape: Shape) -> None:
        """Raise `ShapeError` if an input of this shape has too few values to fill the frame."""
        longest = tuple(map(max, self.amounts))
        least = [n + 1 if self.mode == "reflect" else n for n in longest]
        if self.mode in ("reflect", "circular") and any(map(int.__lt__, self.space, least)):
            text, noun = " x ".join(map(str, least)), NOUNS[len(self.space)]
            raise ShapeError(shape, f"{noun} of at least {text}, for padding mode {self.mode!r}")

    def pad(
        self,
        images: Array,
        context: Context,
        value: float = 0.0,
        dtype: npt.DTypeLike | None = None,
    ) -> Array:
        """Return the images with the frame; `value` is that of the mode "zeros"."""
        if self.outside == self.space:
            return images
        padded = context.empty((len(images), *self.outside, images.shape[-1]), dtype)
        if self.mode == "zeros":
            padded[...] = value
        padded[self.inside] = images
        for target, source in self._copies:
            padded[target] = padded[source]
        return padded

    def unpad(self, gradient: Array, context: Context) -> Array:
        """Return the gradient of the images from that with the frame, which changes."""
        if self.outside == self.space:
            return gradient
        for target, source in reversed(self._copies):
            part = gradient[source]
            np.add(part, gradient[target], out=part)
        # contiguous, as kernels and products of the layer before need it
        inside = context.empty((len(gradient), *self.space, gradient.shape[-1]))
        inside[...] = gradient[self.inside]
        return inside

    @functools.cached_property
    def _copies(self) -> list[tuple[Index, Index]]:
        """The places in the frame, axis by axis, and those whose values they have."""
        if self.mode == "zeros":
            return []
        found = list[tuple[Index, Index]]()
        for axis, (n, (before, after)) in enumerate(zip(self.space, self.amounts, strict=True)):
            whole = (slice(None),) * (axis + 1)
            for index in (*range(-before, 0), *range(n, n + after)):
                source = before + _source(index, n, self.mode)
                found.append(((*whole, before + index), (*whole, source)))
        return found


def _source(index: int, length: int, mode: PaddingMode) -> int:
    """Return which value is at an index outside an axis."""
    if mode == "edge":
        return min(max(index, 0), length - 1)
    if mode == "circular":
        return index % length
    return -index if index < 0 else 2 * (length - 1) - index


@functools.lru_cache(256)
def places(
    size: int | Shape,
    stride: int | Shape,
    dilation: int | Shape,
    padding: str | int | Shape,
    mode: PaddingMode,
    space: Shape,
) -> tuple[Windows, Frame, Shape]:
    """Return the windows over an input with these options, the frame, and how many windows.

    Small networks are bound by calls: each step takes the same from the cache.
    """
    windows = Windows(*(each_axis(value, len(space)) for value in (size, stride, dilation)))
    frame = Frame(space, windows.around(padding, space), mode)
    return windows, frame, windows.count(frame.outside)
