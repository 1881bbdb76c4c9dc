"""Layers for images, channels last: `(batch, height, width, channels)`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import sum_rows
from nnreg.builtin.activations import Identity
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.dense import ActivatedLayer
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder

Pair = Count | tuple[Count, Count]


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _windows(length: int, size: int, stride: int, padding: int) -> int:
    return (length + padding - size) // stride + 1


@dataclass(frozen=True)
class Conv2d(ActivatedLayer):
    """Two-dimensional convolution of an image.

    y = activation(Σ weight · window + bias)

    Input `(height, width, channels)`, or `(height, width)` as one channel; output
    `(height, width, filters)`. Of an odd number of padded rows or columns, the larger half is below
    or to the right. LeCun et al. 1989.

    Options:
        filters: number of output channels
        kernel: height and width of the window; one number for both
        stride: rows and columns from window to window; one number for both
        padding: "valid" (none) or "same" (zeros around the image, so that stride 1 keeps its size)
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias

    Parameters:
        weight: (kernel_height, kernel_width, channels, filters)
        bias: (filters,), unless `bias` is false
    """

    filters: Count
    kernel: Pair = 3
    stride: Pair = 1
    padding: Literal["valid", "same"] = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    independent = True
    keeps_integers = False

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) not in (2, 3):
            raise ShapeError(shape, "(batch, height, width, channels) or (batch, height, width)")
        height, width, channels = (*shape, 1)[:3]
        (kh, kw), (sh, sw) = _pair(self.kernel), _pair(self.stride)
        top, bottom, left, right = self._padding(height, width)
        if height + top + bottom < kh or width + left + right < kw:
            raise ShapeError(shape, f"images of at least {kh} x {kw}, the size of its kernel")
        builder.param(
            "weight", (kh, kw, channels, self.filters), self.initializer, regularized=True
        )
        if self.bias:
            builder.param("bias", (self.filters,), self.bias_initializer)
        builder.activation("activation", self.activation, (self.filters,))
        return (
            _windows(height, kh, sh, top + bottom),
            _windows(width, kw, sw, left + right),
            self.filters,
        )

    def _padding(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the rows above and below and the columns left and right that are added."""
        if self.padding == "valid":
            return 0, 0, 0, 0
        sides = []
        for length, size, stride in zip(
            (height, width), _pair(self.kernel), _pair(self.stride), strict=True
        ):
            total = max((-(-length // stride) - 1) * stride + size - length, 0)
            sides += [total // 2, total - total // 2]
        return sides[0], sides[1], sides[2], sides[3]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        weight = context.params["weight"]
        kh, kw, channels, filters = weight.shape
        sh, sw = _pair(self.stride)
        images = x.reshape((*x.shape[:3], channels))
        batch, height, width, _ = images.shape
        top, bottom, left, right = self._padding(height, width)
        padded = images
        if top or bottom or left or right:
            padded = context.empty((batch, height + top + bottom, width + left + right, channels))
            padded[...] = 0
            padded[:, top : top + height, left : left + width] = images
        oh = _windows(padded.shape[1], kh, sh, 0)
        ow = _windows(padded.shape[2], kw, sw, 0)

        columns = context.empty((batch, oh, ow, kh, kw, channels))
        context.kernels.im2col(padded, columns, (sh, sw))
        rows = columns.reshape(batch * oh * ow, kh * kw * channels)
        flat_weight = weight.reshape(kh * kw * channels, filters)
        z = context.workspace.dot(rows, flat_weight, out=context.empty((rows.shape[0], filters)))
        y, backward_fn = self.activation.forward_bias_inplace(
            z,
            context.params.get("bias"),
            context.children["activation"] if context.children else context,
        )

        def backward(dy: Array) -> Array | None:
            dz = backward_fn(dy.reshape(y.shape), context.gradients.get("bias"))
            gradient = context.gradients["weight"].reshape(flat_weight.shape)
            context.workspace.dot(rows.T, dz, out=gradient)
            if not context.needs_input_gradient:
                return None
            flat = context.workspace.dot(dz, flat_weight.T, out=context.empty(rows.shape))
            dpadded = context.empty(padded.shape)
            context.kernels.col2im(flat.reshape(columns.shape), dpadded, (sh, sw))
            return dpadded[:, top : top + height, left : left + width].reshape(x.shape)

        return y.reshape(batch, oh, ow, filters), backward


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The largest value of each window of an image.

    y = max(window)

    Input `(height, width, channels)`, output of as many channels. Rows and columns that do not fill
    a window are dropped. Of equal values the first gets the gradient.

    Options:
        size: height and width of the window; one number for both
        stride: rows and columns from window to window; null for the size of the window
    """

    size: Pair = 2
    stride: Pair | None = None
    independent = True
    keeps_integers = False
    output_range = (-math.inf, math.inf)

    def _strides(self) -> tuple[int, int]:
        return _pair(self.size if self.stride is None else self.stride)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        kh, kw = _pair(self.size)
        if len(shape) != 3 or shape[0] < kh or shape[1] < kw:
            raise ShapeError(shape, f"(batch, height, width, channels) of at least {kh} x {kw}")
        sh, sw = self._strides()
        return _windows(shape[0], kh, sh, 0), _windows(shape[1], kw, sw, 0), shape[2]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        size, stride = _pair(self.size), self._strides()
        batch, height, width, channels = x.shape
        oh = _windows(height, size[0], stride[0], 0)
        ow = _windows(width, size[1], stride[1], 0)
        y = context.empty((batch, oh, ow, channels))
        context.kernels.max_pool(x, y, size, stride)

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            dx = context.empty(x.shape)
            context.kernels.max_pool_backward(dy, x, y, dx, size, stride, context.workspace)
            return dx

        return y, backward


@dataclass(frozen=True)
class UpSampling2d(Layer):
    """Nearest-neighbour up-sampling: an image enlarged by repeating its rows and columns.

    y[row, column] = x[row // rows, column // columns]

    Input `(height, width, channels)`; output `(height · rows, width · columns, channels)`.

    Options:
        size: rows and columns that a value becomes; one number for both
    """

    size: Pair = 2
    independent = True
    keeps_integers = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 3:
            raise ShapeError(shape, "(batch, height, width, channels)")
        rows, columns = _pair(self.size)
        return shape[0] * rows, shape[1] * columns, shape[2]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        rows, columns = _pair(self.size)
        batch, height, width, channels = x.shape
        repeated = (batch, height, rows, width, columns, channels)
        y = context.empty(repeated, x.dtype)
        y[...] = x.reshape(batch, height, 1, width, 1, channels)

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            return np.sum(dy.reshape(repeated), axis=(2, 4), out=context.empty(x.shape))

        return y.reshape(batch, height * rows, width * columns, channels), backward


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean over all axes but the last.

    y = mean(x)

    Input `(..., features)`, output `(features,)`. Of sequences of different lengths, the mean is
    over the steps before the end of each, and 0 if there are none. Lin et al. 2013.
    """

    independent = True
    keeps_integers = False
    keeps_mask = False
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) < 2:
            raise ShapeError(shape, "(batch, ..., features) with an axis to average over")
        return shape[-1:]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        if context.mask is not None:
            return self._masked(x, rows, _real_positions(context.mask, x), context)
        batch, count, features = rows.shape

        def backward(dy: Array) -> Array:
            dx = context.empty(rows.shape)
            dx[...] = np.expand_dims(dy / count, 1)
            return dx.reshape(x.shape)

        # as a product with ones, which is several times as fast as np.mean
        total = context.empty((batch, features))
        sum_rows(rows, context.workspace.ones, total)
        return np.divide(total, count, out=total), backward

    def _masked(
        self, x: Array, rows: Array, real: Array, context: Context
    ) -> tuple[Array, LayerBackward]:
        """Average over the real positions, `(batch, positions)`, alone."""
        batch, count, features = rows.shape
        weights = context.empty((batch, 1, count))
        number = np.maximum(np.sum(real, axis=1, keepdims=True), 1)
        np.divide(np.expand_dims(real, 1), np.expand_dims(number, 1), out=weights)
        y = np.matmul(weights, rows, out=context.empty((batch, 1, features)))

        def backward(dy: Array) -> Array:
            columns = np.swapaxes(weights, 1, 2)
            dx = context.empty(rows.shape)
            np.multiply(columns, np.expand_dims(dy, 1), out=dx)
            return dx.reshape(x.shape)

        return y.reshape(batch, features), backward


@dataclass(frozen=True)
class GlobalMaxPool(Layer):
    """The largest value over all axes but the last.

    y = max(x)

    Input `(..., features)`, output `(features,)`. Of equal values the first gets the gradient. Of
    sequences of different lengths, it is the largest value before the end of each, and 0 if there
    is none. Collobert et al. 2011.
    """

    independent = True
    keeps_integers = False
    keeps_mask = False
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) < 2 or not math.prod(shape[:-1]):
            raise ShapeError(shape, "(batch, ..., features) with values to choose from")
        return shape[-1:]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        candidates, any_real = rows, None
        if context.mask is not None:
            real = _real_positions(context.mask, x)
            candidates = np.where(np.expand_dims(real, 2), rows, -math.inf)
            any_real = np.any(real, axis=1, keepdims=True)
        index = np.expand_dims(np.argmax(candidates, axis=1), 1)
        y = np.take_along_axis(rows, index, axis=1)[:, 0]

        def backward(dy: Array) -> Array:
            dx = context.empty(rows.shape)
            dx.fill(0)
            chosen = dy if any_real is None else np.where(any_real, dy, 0)
            np.put_along_axis(dx, index, np.expand_dims(chosen, 1), axis=1)
            return dx.reshape(x.shape)

        return y if any_real is None else np.where(any_real, y, 0), backward


def _real_positions(mask: Array, x: Array) -> Array:
    """Return which positions of all axes but the last are real, `(batch, positions)`."""
    real: Array = np.repeat(mask, math.prod(x.shape[2:-1]), axis=1)
    return real
