"""Pooling over windows in one, two and three dimensions, channels last."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.layers.geometry import (
    Frame,
    Padding1d,
    Padding2d,
    Padding3d,
    Pair,
    Triple,
    each_axis,
    places,
    require_windows,
    space_of,
)
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.kernels.windows import Windows
from nnreg.operations.functions import pool


class Pooling(Layer):
    """What pooling over windows shares: `dims` is the number of spatial axes."""

    dims: ClassVar[int]
    size: Any
    stride: Any
    padding: Any
    independent = True
    keeps_integers = False
    output_range = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        if not isinstance(self.padding, str):
            size, padding = each_axis(self.size, self.dims), each_axis(self.padding, self.dims)
            if any(n >= k for n, k in zip(padding, size, strict=True)):
                raise ValueError(
                    f"padding {self.padding} must be below size {self.size}, so that each "
                    "window has a value"
                )

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, channels = space_of(shape, self.dims)
        windows, _, out = self._places(space)
        require_windows(windows, shape, out)
        return (*out, channels)

    def _places(self, space: Shape) -> tuple[Windows, Frame, Shape]:
        """Return the windows over an input, the values around it, and how many windows."""
        stride = self.size if self.stride is None else self.stride
        return places(self.size, stride, 1, self.padding, "zeros", space)


class MaxPooling(Pooling):
    """The largest value of each window."""

    def infer(self, x: Any, context: Context) -> Any:
        windows, frame, _ = self._places(x.shape[1:-1])
        return pool("max", frame.around(x, -math.inf), windows.size, windows.stride)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        windows, frame, _ = self._places(x.shape[1:-1])
        padded = frame.pad(x, context, -math.inf)
        if self.dims == 3:
            y, pooled_backward = _max_of_volumes(padded, windows, context)
        else:
            y, pooled_backward = _max_of_images(padded, windows.size, windows.stride, context)

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            return frame.unpad(pooled_backward(dy), context)

        return y, backward


def _max_of_images(
    x: Array, size: Shape, stride: Shape, context: Context
) -> tuple[Array, Callable[[Array], Array]]:
    """Pool `(batch, height, width, channels)`, or sequences `(batch, time, channels)`."""
    height, width = (1, 1, *size)[-2:]
    sh, sw = (1, 1, *stride)[-2:]
    images = x if x.ndim == 4 else x.reshape(x.shape[0], 1, *x.shape[1:])
    batch, rows, columns, channels = images.shape
    out = (batch, (rows - height) // sh + 1, (columns - width) // sw + 1, channels)
    y = context.empty(out)
    context.kernels.max_pool(images, y, (height, width), (sh, sw))

    def backward(dy: Array) -> Array:
        dx = context.empty(images.shape)
        context.kernels.max_pool_backward(
            dy.reshape(out), images, y, dx, (height, width), (sh, sw), context.workspace
        )
        return dx.reshape(x.shape)

    return y if x.ndim == 4 else y.reshape(batch, *out[2:]), backward


def _max_of_volumes(
    x: Array, windows: Windows, context: Context
) -> tuple[Array, Callable[[Array], Array]]:
    """Pool the images of each volume, and the results over the depth."""
    batch, depth, height, width, channels = x.shape
    images = x.reshape(batch * depth, height, width, channels)
    flat, images_backward = _max_of_images(images, windows.size[1:], windows.stride[1:], context)
    _, *out, _ = flat.shape
    wide = flat.reshape(batch, depth, math.prod(out), channels)
    size, stride = (windows.size[0], 1), (windows.stride[0], 1)
    y, depth_backward = _max_of_images(wide, size, stride, context)

    def backward(dy: Array) -> Array:
        dflat = depth_backward(dy.reshape(y.shape)).reshape(flat.shape)
        return images_backward(dflat).reshape(x.shape)

    return y.reshape(batch, y.shape[1], *out, channels), backward


class AveragePooling(Pooling):
    """The mean of each window, over the values that are not padding."""

    def infer(self, x: Any, context: Context) -> Any:
        windows, frame, _ = self._places(x.shape[1:-1])
        size = windows.size, windows.stride
        y = pool("mean", frame.around(x), *size)
        ones = np.ones((1, *frame.space, 1), x.dtype)
        return y / pool("mean", frame.around(ones), *size) if frame.outside != frame.space else y

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        windows, frame, out = self._places(x.shape[1:-1])
        padded = frame.pad(x, context)
        slices = [(slice(None), *each) for _, each in windows.positions(out)]
        count: Any = len(slices)
        if padded is not x:
            ones = context.empty((1, *frame.space, 1))
            ones[...] = 1
            count = _sum_windows(frame.pad(ones, context), slices, (1, *out, 1), context)
        y = _sum_windows(padded, slices, (x.shape[0], *out, x.shape[-1]), context)
        np.divide(y, count, out=y)

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            part = np.divide(dy, count, out=context.empty(dy.shape))
            dpadded = context.empty(padded.shape)
            dpadded[...] = 0
            for each in slices:
                target = dpadded[each]
                np.add(target, part, out=target)
            return frame.unpad(dpadded, context)

        return y, backward


def _sum_windows(
    images: Array, slices: Sequence[tuple[slice, ...]], shape: Shape, context: Context
) -> Array:
    """Return the sum of each window; the slices are those of the positions in a window."""
    total = context.empty(shape)
    total[...] = images[slices[0]]
    for each in slices[1:]:
        np.add(total, images[each], out=total)
    return total


@dataclass(frozen=True)
class MaxPool1d(MaxPooling):
    """The largest value of each window of a sequence.

    y = max(window)

    Input `(time, channels)`, output of as many channels. Steps that do not fill
    a window are dropped. Of equal values the first gets the gradient.

    Options:
        size: steps of the window
        stride: steps from window to window; null for the size of the window
        padding: "valid" (none), "same" (so that stride 1 keeps the size; the larger half is
            after the end), or the steps to add at each end
    """

    size: Count = 2
    stride: Count | None = None
    padding: Padding1d = "valid"
    dims = 1


@dataclass(frozen=True)
class MaxPool2d(MaxPooling):
    """The largest value of each window of an image.

    y = max(window)

    Input `(height, width, channels)`, output of as many channels. Rows and columns that do not fill
    a window are dropped. Of equal values the first gets the gradient.

    Options:
        size: height and width of the window; one number for both
        stride: rows and columns from window to window; null for the size of the window
        padding: "valid" (none), "same" (so that stride 1 keeps the size; the larger half is
            below or to the right), or the rows and columns to add at each side
    """

    size: Pair = 2
    stride: Pair | None = None
    padding: Padding2d = "valid"
    dims = 2


@dataclass(frozen=True)
class MaxPool3d(MaxPooling):
    """The largest value of each window of a volume.

    y = max(window)

    Input `(depth, height, width, channels)`, output of as many channels. Values at the end of
    an axis that do not fill a window are dropped. Of equal values the first gets the gradient.

    Options:
        size: depth, height and width of the window; one number for all
        stride: values from window to window along each axis; null for the size of the window
        padding: "valid" (none), "same" (so that stride 1 keeps the size; the larger half is
            after the end), or the values to add at each end of each axis
    """

    size: Triple = 2
    stride: Triple | None = None
    padding: Padding3d = "valid"
    dims = 3


@dataclass(frozen=True)
class AveragePool1d(AveragePooling):
    """The mean of each window of a sequence.

    y = mean(window)

    Input `(time, channels)`, output of as many channels. Steps that do not fill
    a window are dropped. The mean is over the values that are not padding, as in Keras, and in
    PyTorch with count_include_pad=False.

    Options:
        size: steps of the window
        stride: steps from window to window; null for the size of the window
        padding: "valid" (none), "same" (so that stride 1 keeps the size; the larger half is
            after the end), or the steps to add at each end
    """

    size: Count = 2
    stride: Count | None = None
    padding: Padding1d = "valid"
    dims = 1


@dataclass(frozen=True)
class AveragePool2d(AveragePooling):
    """The mean of each window of an image.

    y = mean(window)

    Input `(height, width, channels)`, output of as many channels. Rows and columns that do not fill
    a window are dropped. The mean is over the values that are not padding, as in Keras, and in
    PyTorch with count_include_pad=False.

    Options:
        size: height and width of the window; one number for both
        stride: rows and columns from window to window; null for the size of the window
        padding: "valid" (none), "same" (so that stride 1 keeps the size; the larger half is
            below or to the right), or the rows and columns to add at each side
    """

    size: Pair = 2
    stride: Pair | None = None
    padding: Padding2d = "valid"
    dims = 2


@dataclass(frozen=True)
class AveragePool3d(AveragePooling):
    """The mean of each window of a volume.

    y = mean(window)

    Input `(depth, height, width, channels)`, output of as many channels. Values at the end of
    an axis that do not fill a window are dropped. The mean is over the values that are not padding,
    as in Keras, and in PyTorch with count_include_pad=False.

    Options:
        size: depth, height and width of the window; one number for all
        stride: values from window to window along each axis; null for the size of the window
        padding: "valid" (none), "same" (so that stride 1 keeps the size; the larger half is
            after the end), or the values to add at each end of each axis
    """

    size: Triple = 2
    stride: Triple | None = None
    padding: Padding3d = "valid"
    dims = 3
