"""The spatial axes of `(batch, *space, channels)`: windows over them, and values around them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.kernels.windows import Amounts, Index, Windows

Extent: TypeAlias = Annotated[int, Ge(0)]
Pair: TypeAlias = Count | tuple[Count, Count]
Triple: TypeAlias = Count | tuple[Count, Count, Count]
Padding1d: TypeAlias = Literal["valid", "same"] | Extent
Padding2d: TypeAlias = Padding1d | tuple[Extent, Extent]
Padding3d: TypeAlias = Padding1d | tuple[Extent, Extent, Extent]
PaddingMode: TypeAlias = Literal["zeros", "reflect", "edge", "circular"]

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


def require_windows(windows: Windows, shape: Shape, count: Shape) -> None:
    """Raise `ShapeError` for an input of this shape if no window fits into it."""
    if min(count) < 1:
        least, noun = " x ".join(map(str, windows.span)), NOUNS[len(windows.span)]
        raise ShapeError(shape, f"{noun} of at least {least}, the size of its kernel or window")


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

    def around(self, images: Any, value: float = 0.0) -> Any:
        """Return the images with the frame by NumPy's functions, for `Layer.infer`."""
        width = ((0, 0), *self.amounts, (0, 0))
        if self.mode == "zeros":
            return np.pad(images, width, constant_values=value)
        modes: dict[str, Any] = {"reflect": "reflect", "edge": "edge", "circular": "wrap"}
        return np.pad(images, width, mode=modes[self.mode])

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
