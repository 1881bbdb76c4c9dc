"""Transposed convolutions in one, two and three dimensions, channels last."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Identity
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.dense import WeightedLayer
from nnreg.builtin.layers.geometry import (
    NOUNS,
    Extent,
    Padding1d,
    Padding2d,
    Padding3d,
    Pair,
    Triple,
    each_axis,
    space_of,
)
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import LayerBackward, LayerBuilder
from nnreg.kernels.windows import Windows
from nnreg.operations.functions import convolve


class TransposedConvolution(WeightedLayer):
    """What transposed convolutions share: `dims` is the number of their spatial axes.

    Each value of the input adds its window of the output; a convolution with these options reads
    that window for that value. The windows are added on a canvas, from which the output is cut.
    """

    dims: ClassVar[int]
    filters: Count
    kernel: Any
    stride: Any
    padding: Any
    activation: Activation
    bias: bool
    initializer: Initializer
    bias_initializer: Initializer
    dilation: Any
    output_padding: Any
    independent = True
    divides_products = True
    keeps_integers = False

    def __post_init__(self) -> None:
        """Refuse an output padding that no convolution with these options would leave over."""
        options = (self.output_padding, self.stride, self.dilation)
        axes = zip(*(each_axis(value, self.dims) for value in options), strict=True)
        if any(more >= max(stride, dilation) for more, stride, dilation in axes):
            raise ValueError(
                f"output_padding ({self.output_padding}) must be below stride ({self.stride}) or "
                f"dilation ({self.dilation})"
            )
        if self.padding == "same" and self.output_padding != 0:
            raise ValueError('output_padding must be 0 with padding "same", which gives the size')

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, channels = space_of(shape, self.dims, channel_axis=False)
        windows, _, cut = self._places(space)
        out = tuple(end - start for start, end in cut)
        if min(out) < 1:
            raise ShapeError(
                shape, f"{NOUNS[self.dims]} of which padding {self.padding} leaves some"
            )
        size = (*windows.size, channels, self.filters)
        self._declare(builder, size)
        builder.products = [math.prod(space) * math.prod(size)]
        return (*out, self.filters)

    def _places(self, space: Shape) -> tuple[Windows, Shape, tuple[tuple[int, int], ...]]:
        """Return the windows, the size of the canvas, and where the output starts and ends."""
        options = (self.kernel, self.stride, self.dilation)
        windows = Windows(*(each_axis(value, self.dims) for value in options))
        axes = zip(space, windows.span, windows.stride, strict=True)
        full = tuple((n - 1) * stride + span for n, span, stride in axes)
        if self.padding == "same":
            out = tuple(n * stride for n, stride in zip(space, windows.stride, strict=True))
            starts = tuple(before for before, _ in windows.around("same", out))
            cut = tuple((start, start + n) for start, n in zip(starts, out, strict=True))
        else:
            more = each_axis(self.output_padding, self.dims)
            ends = zip(full, windows.around(self.padding, space), more, strict=True)
            cut = tuple((start, n - end + extra) for n, (start, end), extra in ends)
        canvas = tuple(max(n, end) for n, (_, end) in zip(full, cut, strict=True))
        return windows, canvas, cut

    def infer(self, x: Any, context: Context) -> Any:
        weight, space = context.params["weight"], x.shape[1 : self.dims + 1]
        windows, canvas, cut = self._places(space)
        values = x if x.ndim == self.dims + 2 else x[..., None]
        for axis, stride in enumerate(windows.stride, 1):
            values = _with_zeros_between(values, axis, stride)
        around = [(span - 1, span - 1) for span in windows.span]
        turned = np.flip(weight, tuple(range(self.dims)))
        whole = convolve(
            np.pad(values, [(0, 0), *around, (0, 0)]), turned, (1,) * self.dims, windows.dilation
        )
        more = [(0, n - found) for n, found in zip(canvas, whole.shape[1:-1], strict=True)]
        z = np.pad(whole, [(0, 0), *more, (0, 0)])
        return self._activated(z[:, *(slice(*pair) for pair in cut)], context)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Compute as the gradient of the images of a convolution, whose weights are turned."""
        weight, kernels, workspace = context.params["weight"], context.kernels, context.workspace
        *_, channels, filters = weight.shape
        space = x.shape[1 : self.dims + 1]
        values = x.reshape(x.shape[0], *space, channels)
        windows, canvas, cut = self._places(space)
        turned = context.copy(np.swapaxes(weight, -1, -2))
        ends = tuple((n - 1) * s + k for n, s, k in _axes(space, windows))
        fits = all(end <= n for (_, end), n in zip(cut, ends, strict=True))
        pairs = zip(cut, ends, strict=True)
        padding = tuple((start, n - end) if fits else (0, 0) for (start, end), n in pairs)
        out = (x.shape[0], *(end - start for start, end in cut), filters)
        z = whole = context.empty(out if fits else (x.shape[0], *ends, filters))
        kernels.convolve_input_gradient(values, turned, whole, windows, padding, workspace)
        if not fits:
            z = _cut(whole, canvas, cut, context)
        rows = z.reshape(math.prod(out[:-1]), filters)
        y, backward_fn = self._activate(rows, context.params.get("bias"), context)

        def backward(dy: Array) -> Array | None:
            dz = backward_fn(dy.reshape(y.shape), context.gradients.get("bias")).reshape(out)
            if not fits:
                dcanvas = context.empty((x.shape[0], *canvas, filters))
                dcanvas[...] = 0
                dcanvas[:, *(slice(*pair) for pair in cut)] = dz
                dz = dcanvas[:, *map(slice, ends)]
            if not dz.flags.c_contiguous:
                dz = context.copy(dz)
            dx = found = None
            if context.needs_input_gradient:
                dx = context.empty(values.shape)
                found = kernels.convolve(dz, turned, None, dx, windows, padding, workspace)
            dturned = context.empty(turned.shape)
            kernels.convolve_weight_gradient(
                dz, values, dturned, windows, padding, workspace, found
            )
            context.gradients["weight"][...] = np.swapaxes(dturned, -1, -2)
            return None if dx is None else dx.reshape(x.shape)

        return y.reshape(out), backward


def _axes(space: Shape, windows: Windows) -> Iterator[tuple[int, int, int]]:
    return zip(space, windows.stride, windows.span, strict=True)


def _cut(whole: Array, canvas: Shape, cut: tuple[tuple[int, int], ...], context: Context) -> Array:
    """Return what is cut from a canvas that begins with `whole` and is larger."""
    large = context.empty((len(whole), *canvas, whole.shape[-1]))
    large[...] = 0
    large[:, *map(slice, whole.shape[1:-1])] = whole
    return context.copy(large[:, *(slice(*pair) for pair in cut)])


def _with_zeros_between(x: Any, axis: int, stride: int) -> Any:
    """Return values along an axis with `stride` - 1 zeros between two of them."""
    if stride == 1:
        return x
    length, shape = x.shape[axis], list(x.shape)
    each = np.expand_dims(x, axis + 1)
    zeros = np.zeros((1, *x.shape[1 : axis + 1], stride - 1, *x.shape[axis + 1 :]), x.dtype)
    zeros = (
        np.broadcast_to(zeros, (len(x), *zeros.shape[1:])) if isinstance(x, np.ndarray) else zeros
    )
    shape[axis] = length * stride
    spread = np.concatenate([each, zeros], axis=axis + 1).reshape(shape)
    return spread[(slice(None),) * axis + (slice((length - 1) * stride + 1),)]


@dataclass(frozen=True)
class Conv1dTranspose(TransposedConvolution):
    """One-dimensional transposed convolution, which enlarges a sequence.

    y = activation(Σ weight · x, added to the window of each value, + bias)

    Input `(time, channels)`, or `(time,)` as one channel; output
    `(time, filters)`. An axis of n values becomes one of
    (n - 1) · stride + dilation · (kernel - 1) + 1, less what padding removes. Zeiler et al. 2010.

    Options:
        filters: number of output channels
        kernel: steps of the window
        stride: steps of the output from value to value
        padding: "valid" (nothing is removed), "same" (so that an axis is n · stride long), or
            steps to remove at each end
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: steps from value to value in a window
        output_padding: steps to add after the end

    Parameters:
        weight: (kernel, channels, filters)
        bias: (filters,), unless `bias` is false
    """

    filters: Count
    kernel: Count = 3
    stride: Count = 1
    padding: Padding1d = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    dilation: Count = 1
    output_padding: Extent = 0
    dims = 1


@dataclass(frozen=True)
class Conv2dTranspose(TransposedConvolution):
    """Two-dimensional transposed convolution, which enlarges an image.

    y = activation(Σ weight · x, added to the window of each value, + bias)

    Input `(height, width, channels)`, or `(height, width)` as one channel; output
    `(height, width, filters)`. An axis of n values becomes one of
    (n - 1) · stride + dilation · (kernel - 1) + 1, less what padding removes. Zeiler et al. 2010.

    Options:
        filters: number of output channels
        kernel: height and width of the window; one number for both
        stride: rows and columns of the output from value to value; one number for both
        padding: "valid" (nothing is removed), "same" (so that an axis is n · stride long), or
            rows and columns to remove at each side
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: rows and columns from value to value in a window; one number for both
        output_padding: rows and columns to add below and to the right; one number for both

    Parameters:
        weight: (kernel_height, kernel_width, channels, filters)
        bias: (filters,), unless `bias` is false
    """

    filters: Count
    kernel: Pair = 3
    stride: Pair = 1
    padding: Padding2d = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    dilation: Pair = 1
    output_padding: Extent | tuple[Extent, Extent] = 0
    dims = 2


@dataclass(frozen=True)
class Conv3dTranspose(TransposedConvolution):
    """Three-dimensional transposed convolution, which enlarges a volume.

    y = activation(Σ weight · x, added to the window of each value, + bias)

    Input `(depth, height, width, channels)`, or `(depth, height, width)` as one channel; output
    `(depth, height, width, filters)`. An axis of n values becomes one of
    (n - 1) · stride + dilation · (kernel - 1) + 1, less what padding removes. Zeiler et al. 2010.

    Options:
        filters: number of output channels
        kernel: depth, height and width of the window; one number for all
        stride: values of the output from value to value along each axis; one number for all
        padding: "valid" (nothing is removed), "same" (so that an axis is n · stride long), or
            values to remove at each end of each axis
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: values from value to value in a window; one number for all axes
        output_padding: values to add after the end of each axis; one number for all

    Parameters:
        weight: (kernel_depth, kernel_height, kernel_width, channels, filters)
        bias: (filters,), unless `bias` is false
    """

    filters: Count
    kernel: Triple = 3
    stride: Triple = 1
    padding: Padding3d = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    dilation: Triple = 1
    output_padding: Extent | tuple[Extent, Extent, Extent] = 0
    dims = 3
