"""Convolutions of each channel alone, and followed by a mixture of the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Identity
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.convolution import Convolution, OverTime
from nnreg.builtin.layers.dense import ActivatedLayer, Dense
from nnreg.builtin.layers.geometry import Padding1d, Padding2d, PaddingMode, Pair
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import LayerBackward, LayerBuilder
from nnreg.interfaces.passes import chain, infer


class Depthwise(Convolution):
    """A convolution in which each channel is a group, with as many filters as `multiplier`."""

    multiplier: Count

    def _filters(self, channels: int) -> int:
        return channels * self.multiplier

    def _groups(self, channels: int) -> int:
        return channels


@dataclass(frozen=True)
class DepthwiseConv1d(OverTime, Depthwise):
    """One-dimensional convolution of each channel of a sequence alone.

    y = activation(Σ weight · window + bias), for each channel

    Input `(time, channels)`, or `(time,)` as one channel; output `(time, channels · multiplier)`,
    those of the first channel first. Sequences of different lengths are taken as by `conv1d`.
    Sifre and Mallat 2014.

    Options:
        kernel: steps of the window
        multiplier: number of filters of each channel
        stride: steps from window to window
        padding: "valid", "same", "causal" or a number of steps, as of `conv1d`
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: steps from value to value in a window
        padding_mode: the padded values: "zeros", "reflect", "edge" or "circular", as of `conv1d`

    Parameters:
        weight: (kernel, 1, channels · multiplier)
        bias: (channels · multiplier,), unless `bias` is false
    """

    kernel: Count = 3
    multiplier: Count = 1
    stride: Count = 1
    padding: Padding1d | Literal["causal"] = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    dilation: Count = 1
    padding_mode: PaddingMode = "zeros"


@dataclass(frozen=True)
class DepthwiseConv2d(Depthwise):
    """Two-dimensional convolution of each channel of an image alone.

    y = activation(Σ weight · window + bias), for each channel

    Input `(height, width, channels)`, or `(height, width)` as one channel; output
    `(height, width, channels · multiplier)`, those of the first channel first. Sifre and Mallat
    2014.

    Options:
        kernel: height and width of the window; one number for both
        multiplier: number of filters of each channel
        stride: rows and columns from window to window; one number for both
        padding: "valid", "same", or rows and columns to add at each side, as of `conv2d`
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias
        dilation: rows and columns from value to value in a window; one number for both
        padding_mode: the padded values: "zeros", "reflect", "edge" or "circular", as of `conv2d`

    Parameters:
        weight: (kernel_height, kernel_width, 1, channels · multiplier)
        bias: (channels · multiplier,), unless `bias` is false
    """

    kernel: Pair = 3
    multiplier: Count = 1
    stride: Pair = 1
    padding: Padding2d = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    dilation: Pair = 1
    padding_mode: PaddingMode = "zeros"
    dims = 2


class Separable(ActivatedLayer):
    """A depthwise convolution without bias, followed by a dense layer over the channels."""

    depthwise: ClassVar[type[Any]]
    filters: Count
    kernel: Any
    stride: Any
    padding: Any
    activation: Activation
    bias: bool
    initializer: Initializer
    bias_initializer: Initializer
    multiplier: Count
    dilation: Any
    padding_mode: PaddingMode
    independent = True
    keeps_integers = False

    def _layers(self) -> tuple[Any, Dense]:
        """Return the two convolutions; that over the channels is a dense layer."""
        depthwise = self.depthwise(
            self.kernel,
            self.multiplier,
            self.stride,
            self.padding,
            bias=False,
            initializer=self.initializer,
            dilation=self.dilation,
            padding_mode=self.padding_mode,
        )
        pointwise = Dense(
            self.filters, self.activation, self.bias, self.initializer, self.bias_initializer
        )
        return depthwise, pointwise

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        depthwise, pointwise = self._layers()
        inner: Shape = builder.layer("depthwise", depthwise, shape)
        output: Shape = builder.layer("pointwise", pointwise, inner)
        return output

    def infer(self, x: Any, context: Context) -> Any:
        return infer(zip(self._layers(), context.children.values(), strict=True), x)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return chain(zip(self._layers(), context.children.values(), strict=True), x)


@dataclass(frozen=True)
class SeparableConv1d(OverTime, Separable):
    """Depthwise separable convolution of a sequence: of each channel, then over the channels.

    y = activation(dense(depthwise(x)))

    Input `(time, channels)`, or `(time,)` as one channel; output `(time, filters)`. Sequences of
    different lengths are taken as by `conv1d`. Its parameters are `depthwise/weight` `(kernel, 1,
    channels · multiplier)`, `pointwise/weight` `(channels · multiplier, filters)` and
    `pointwise/bias` `(filters,)`. Chollet 2017.

    Options:
        filters: number of output channels
        kernel: steps of the window
        stride: steps from window to window
        padding: "valid", "same", "causal" or a number of steps, as of `conv1d`
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of both weights
        bias_initializer: first values of bias
        multiplier: number of filters of each channel
        dilation: steps from value to value in a window
        padding_mode: the padded values: "zeros", "reflect", "edge" or "circular", as of `conv1d`
    """

    filters: Count
    kernel: Count = 3
    stride: Count = 1
    padding: Padding1d | Literal["causal"] = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    multiplier: Count = 1
    dilation: Count = 1
    padding_mode: PaddingMode = "zeros"
    depthwise = DepthwiseConv1d


@dataclass(frozen=True)
class SeparableConv2d(Separable):
    """Depthwise separable convolution of an image: of each channel, then over the channels.

    y = activation(dense(depthwise(x)))

    Input `(height, width, channels)`, or `(height, width)` as one channel; output
    `(height, width, filters)`. Its parameters are `depthwise/weight` `(kernel_height,
    kernel_width, 1, channels · multiplier)`, `pointwise/weight` `(channels · multiplier, filters)`
    and `pointwise/bias` `(filters,)`. Chollet 2017.

    Options:
        filters: number of output channels
        kernel: height and width of the window; one number for both
        stride: rows and columns from window to window; one number for both
        padding: "valid", "same", or rows and columns to add at each side, as of `conv2d`
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of both weights
        bias_initializer: first values of bias
        multiplier: number of filters of each channel
        dilation: rows and columns from value to value in a window; one number for both
        padding_mode: the padded values: "zeros", "reflect", "edge" or "circular", as of `conv2d`
    """

    filters: Count
    kernel: Pair = 3
    stride: Pair = 1
    padding: Padding2d = "valid"
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    multiplier: Count = 1
    dilation: Pair = 1
    padding_mode: PaddingMode = "zeros"
    depthwise = DepthwiseConv2d
