"""Convolutions in one, two and three dimensions, channels last."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Identity
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.dense import WeightedLayer
from nnreg.builtin.layers.geometry import (
    Frame,
    Padding1d,
    Padding2d,
    Padding3d,
    PaddingMode,
    Pair,
    Triple,
    places,
    require_windows,
    space_of,
)
from nnreg.builtin.layers.pooling import MaxPool2d
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation, BiasBackward
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder, PairForward
from nnreg.interfaces.passes import chain
from nnreg.kernels.windows import Amounts, Windows


class Convolution(WeightedLayer):
    """What all convolutions share: `dims` is the number of their spatial axes.

    A subclass is a dataclass with these options; `_filters` and `_groups` are how many there are
    for a number of channels.
    """

    dims: ClassVar[int]
    kernel: Any
    stride: Any
    padding: Any
    dilation: Any
    padding_mode: PaddingMode
    independent = True
    divides_products = True
    keeps_integers = False

    def _filters(self, channels: int) -> int:
        raise NotImplementedError

    def _groups(self, channels: int) -> int:
        raise NotImplementedError

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, channels = space_of(shape, self.dims, channel_axis=False)
        windows, frame, out = self._places(space)
        frame.require(shape)
        require_windows(windows, shape, out)
        filters, groups = self._filters(channels), self._groups(channels)
        if channels % groups:
            raise ShapeError(shape, f"a number of channels that is a multiple of {groups}, groups")
        size = (*windows.size, channels // groups, filters)
        self._declare(builder, size)
        builder.products = [math.prod(out) * math.prod(size) // groups] * groups
        return (*out, filters)

    def _places(self, space: Shape) -> tuple[Windows, Frame, Shape]:
        """Return the windows over an input, the values around it, and how many windows."""
        mode = self.padding_mode
        return places(self.kernel, self.stride, self.dilation, self.padding, mode, space)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        space = x.shape[1 : self.dims + 1]
        channels = x.shape[-1] if x.ndim == self.dims + 2 else 1
        windows, frame, out = self._places(space)
        images, mask = x.reshape((x.shape[0], *space, channels)), context.mask
        if mask is not None:
            images = np.multiply(images, np.expand_dims(mask, 2), out=context.empty(images.shape))
        groups = self._groups(channels)
        shape = (x.shape[0], *out, self._filters(channels))
        if groups > 1:
            padded = frame.pad(images, context)
            z, products_backward = _multiply_groups(padded, windows, shape[:-1], groups, context)
            y, backward_fn = self._activate(z, context.params.get("bias"), context)
        else:
            padded, padding = images, frame.amounts
            if self.padding_mode != "zeros":
                padded, padding = frame.pad(images, context), ((0, 0),) * self.dims
            y, backward_fn, products_backward = self._convolve(
                padded, windows, padding, shape, context
            )

        def backward(dy: Array) -> Array | None:
            dz = backward_fn(dy.reshape(y.shape), context.gradients.get("bias"))
            dx = products_backward(dz)
            if dx is None:
                return None
            if dx.shape != images.shape:
                dx = frame.unpad(dx, context)
            if mask is not None:
                dx = np.multiply(dx, np.expand_dims(mask, 2), out=context.empty(images.shape))
            return dx.reshape(x.shape)

        return y.reshape(shape), backward

    def _convolve(
        self, images: Array, windows: Windows, padding: Amounts, shape: Shape, context: Context
    ) -> tuple[Array, BiasBackward, Callable[[Array], Array | None]]:
        """Return the outputs `(rows, filters)`, the backward function of the activation, another.

        That writes the gradient of the weights and returns that of the images.
        """
        weight, bias = context.params["weight"], context.params.get("bias")
        kernels, workspace = context.kernels, context.workspace
        z, relu = context.empty(shape), self.activation.clips
        found = kernels.convolve(images, weight, bias, z, windows, padding, workspace, relu=relu)
        y = z.reshape(math.prod(shape[:-1]), shape[-1])
        if relu:
            backward_fn = self.activation.backward_from(y, context)
        else:
            y, backward_fn = self._activate(y, None, context)

        def backward(dz: Array) -> Array | None:
            dz = dz.reshape(shape)
            if not dz.flags.c_contiguous:  # a part of the gradient of a concatenation
                dz = context.copy(dz)
            kernels.convolve_weight_gradient(
                images, dz, context.gradients["weight"], windows, padding, workspace, found
            )
            if not context.needs_input_gradient:
                return None
            dimages = context.empty(images.shape)
            kernels.convolve_input_gradient(dz, weight, dimages, windows, padding, workspace)
            return dimages

        return y, backward_fn, backward


def _multiply_groups(
    padded: Array, windows: Windows, out: Shape, groups: int, context: Context
) -> tuple[Array, Callable[[Array], Array | None]]:
    """Multiply each group of channels by the weights of its filters, `(rows, filters)`.

    `out` is `(batch, *out)`. The other function writes the gradient of the weights and returns that
    of the padded images.
    """
    weight, space = context.params["weight"], padded.shape[:-1]
    *size, depth, filters = weight.shape
    rows, inner, each = math.prod(out), math.prod(size) * depth, filters // groups
    by_group = (inner, groups, each)
    weights = context.copy(np.transpose(weight.reshape(by_group), (1, 0, 2)))
    columns = context.empty((groups, *out, *size, depth))
    # the axis of groups is moved to the channels, of which the images have that many groups
    moved = (*range(1, columns.ndim - 1), 0, columns.ndim - 1)
    windows.copy_parts(padded.reshape((*space, groups, depth)), np.transpose(columns, moved))
    products = columns.reshape(groups, rows, inner)
    found = np.matmul(products, weights, out=context.empty((groups, rows, each)))
    z = context.copy(np.transpose(found, (1, 0, 2)))

    def backward(dz: Array) -> Array | None:
        own = context.copy(np.transpose(dz.reshape(rows, groups, each), (1, 0, 2)))
        found = np.matmul(np.swapaxes(products, 1, 2), own, out=context.empty(weights.shape))
        gradient = context.gradients["weight"].reshape(by_group)
        gradient[...] = np.transpose(found, (1, 0, 2))
        if not context.needs_input_gradient:
            return None
        dcolumns = context.empty(products.shape)
        np.matmul(own, np.swapaxes(weights, 1, 2), out=dcolumns)
        dpadded = context.empty((*space, groups, depth))
        windows.add_parts(np.transpose(dcolumns.reshape(columns.shape), moved), dpadded)
        return dpadded.reshape(padded.shape)

    return z.reshape(rows, filters), backward


class OverTime:
    """A convolution over time, of sequences that may have different lengths."""

    dims: ClassVar[int] = 1
    stride: Any
    padding: Any
    padding_mode: PaddingMode

    @property
    def keeps_mask(self) -> bool | None:
        """True if each step has an output, which needs no value beyond the end but zeros."""
        steps = self.stride == 1 and self.padding in ("same", "causal")
        return True if steps and self.padding_mode == "zeros" else None


class _Grouped(Convolution):
    """A convolution with the options `filters` and `groups`."""

    filters: Count
    groups: Count

    def __post_init__(self) -> None:
        if self.filters % self.groups:
            raise ValueError(
                f"filters ({self.filters}) must be a multiple of groups ({self.groups})"
            )

    def _filters(self, channels: int) -> int:
        return self.filters

    def _groups(self, channels: int) -> int:
        return self.groups


@dataclass(frozen=True)
class Conv1d(OverTime, _Grouped):
    """One-dimensional convolution of a sequence.

    y = activation(Σ weight · window + bias)

    Input `(time, channels)`, or `(time,)` as one channel; output `(time, filters)`. Sequences of
    different lengths need padding "same" or "causal" with zeros and stride 1: the steps after the
    end of each count as zeros. Waibel et al. 1989; causal and dilated: van den Oord et al. 2016.

    Options:
        filters: number of output channels
        kernel: steps of the window
        stride: steps from window to window
        padding: "valid" (none), "same" (so that stride 1 keeps the length; the larger half is
            after the end), "causal" (before the start alone, so that no output depends on later
            steps), or the steps to add at each end
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: steps from value to value in a window
        groups: number of groups of channels, each of which has its own filters
        padding_mode: the padded values: "zeros", "reflect" (mirrored, without the edge), "edge"
            (the nearest), or "circular" (from the other end)

    Parameters:
        weight: (kernel, channels / groups, filters)
        bias: (filters,), unless `bias` is false
    """

    filters: Count
    kernel: Count = 3
    stride: Count = 1
    padding: Padding1d | Literal["causal"] = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    dilation: Count = 1
    groups: Count = 1
    padding_mode: PaddingMode = "zeros"


@dataclass(frozen=True)
class Conv2d(_Grouped):
    """Two-dimensional convolution of an image.

    y = activation(Σ weight · window + bias)

    Input `(height, width, channels)`, or `(height, width)` as one channel; output
    `(height, width, filters)`. LeCun et al. 1989; dilated: Yu and Koltun 2016; groups: Krizhevsky
    et al. 2012.

    Options:
        filters: number of output channels
        kernel: height and width of the window; one number for both
        stride: rows and columns from window to window; one number for both
        padding: "valid" (none), "same" (so that stride 1 keeps the size; of an odd number, the
            larger half is below or to the right), or the rows and columns to add at each side
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: rows and columns from value to value in a window; one number for both
        groups: number of groups of channels, each of which has its own filters
        padding_mode: the padded values: "zeros", "reflect" (mirrored, without the edge), "edge"
            (the nearest), or "circular" (from the other side)

    Parameters:
        weight: (kernel_height, kernel_width, channels / groups, filters)
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
    groups: Count = 1
    padding_mode: PaddingMode = "zeros"
    dims = 2
    joined_kernel = "convolve_max_pool"

    def joined(self, following: Layer) -> PairForward | None:
        # not for subclasses, whose methods may differ
        if type(self) is not Conv2d or type(following) is not MaxPool2d:
            return None
        if self.groups > 1 or self.padding_mode != "zeros" or following.padding != "valid":
            return None
        plain = self.activation.clips or type(self.activation) is Identity
        return PooledConvolution(self, following).forward if plain else None


@dataclass(frozen=True)
class PooledConvolution:
    """A convolution whose outputs are pooled while they are in the cache, in predictions."""

    convolution: Conv2d
    pooling: MaxPool2d

    def forward(self, x: Array, context: Context, following: Context) -> tuple[Any, Any]:
        """Return what the pooling returns, in training by one layer after the other."""
        own = self.convolution
        if not context.only_forward:
            return chain(((own, context), (self.pooling, following)), x)
        windows, frame, space = own._places(x.shape[1:3])
        pooled, _, out = self.pooling._places(space)
        y = context.empty((len(x), *out, own.filters))
        context.kernels.convolve_max_pool(
            x if x.ndim == 4 else x[..., None],
            context.params["weight"],
            context.params.get("bias"),
            y,
            windows,
            frame.amounts,
            (pooled.size[0], pooled.size[1]),
            (pooled.stride[0], pooled.stride[1]),
            context.workspace,
            relu=own.activation.clips,
        )
        return y, _no_backward


def _no_backward(dy: Array) -> Array | None:
    raise NotImplementedError("a pooled convolution has no backward function")


@dataclass(frozen=True)
class Conv3d(_Grouped):
    """Three-dimensional convolution of a volume, or of a film.

    y = activation(Σ weight · window + bias)

    Input `(depth, height, width, channels)`, or `(depth, height, width)` as one channel; output
    `(depth, height, width, filters)`. Ji et al. 2010.

    Options:
        filters: number of output channels
        kernel: depth, height and width of the window; one number for all
        stride: values from window to window along each axis; one number for all
        padding: "valid" (none), "same" (so that stride 1 keeps the size; of an odd number, the
            larger half is after the end), or the values to add at each end of each axis
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: values from value to value in a window; one number for all axes
        groups: number of groups of channels, each of which has its own filters
        padding_mode: the padded values: "zeros", "reflect" (mirrored, without the edge), "edge"
            (the nearest), or "circular" (from the other end)

    Parameters:
        weight: (kernel_depth, kernel_height, kernel_width, channels / groups, filters)
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
    groups: Count = 1
    padding_mode: PaddingMode = "zeros"
    dims = 3
