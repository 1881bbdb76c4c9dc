"""Layers that add or multiply random numbers in training, and do nothing otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.random_masks import draw_kept
from nnreg.builtin.layers.geometry import space_of
from nnreg.interfaces.component import NonNegative, ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder

SELU_LOWEST: Final = -1.7580993408473766
"""The limit of selu for large negative inputs, to which alpha dropout sets values."""


class _Noise(Layer):
    """A layer that draws numbers in training, if its option allows any noise."""

    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    @property
    def _amount(self) -> float:
        """The option that is 0 for no noise."""
        raise NotImplementedError

    def _draw(self, x: Array, context: Context) -> tuple[Array, Array | None]:
        """Return the output, and what its gradient is multiplied by; None for 1."""
        raise NotImplementedError

    def infer(self, x: Any, context: Context) -> Any:
        return x

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        if not context.training or not self._amount:
            return x, lambda dy: dy
        y, scale = self._draw(x, context)
        if scale is None:
            return y, lambda dy: dy
        return y, lambda dy: np.multiply(dy, scale, out=context.empty(x.shape))


class _WithRate(_Noise):
    """Noise whose amount is the option `rate`."""

    rate: ProperFraction

    @property
    def _amount(self) -> float:
        return self.rate

    def _kept(self, shape: Shape, context: Context) -> Array:
        """Return which values are kept, true with probability 1 - rate."""
        return draw_kept(context.rng, self.rate, shape)


@dataclass(frozen=True)
class AlphaDropout(_WithRate):
    """Dropout for selu, which keeps the mean 0 and the variance 1 of its inputs.

    y = a · (x · mask + α · (1 - mask)) + b, mask 0 with probability `rate` and 1 otherwise

    α = -1.758 is the lowest output of selu, a = 1 / √((1 - rate) · (1 + rate · α²)) and
    b = -a · α · rate. Input of any shape, output of the same. As PyTorch's and Keras's. Klambauer
    et al. 2017.

    Options:
        rate: probability that a value is set to α, in [0, 1)
    """

    rate: ProperFraction = 0.5

    def _draw(self, x: Array, context: Context) -> tuple[Array, Array]:
        kept = self._kept(x.shape, context)
        a = 1 / math.sqrt((1 - self.rate) * (1 + self.rate * SELU_LOWEST**2))
        b = -a * SELU_LOWEST * self.rate
        scale = np.multiply(kept, a, out=context.empty(x.shape))
        y = np.multiply(x, scale, out=context.empty(x.shape))
        np.add(y, b, out=y)
        np.add(y, a * SELU_LOWEST, out=y, where=np.logical_not(kept))
        return y, scale


@dataclass(frozen=True)
class GaussianDropout(_WithRate):
    """Values multiplied by normal noise in training, with the variance of dropout.

    y = x · noise, noise ~ N(1, rate / (1 - rate))

    Input of any shape, output of the same. As Keras's. Srivastava et al. 2014.

    Options:
        rate: probability of the dropout whose variance it has, in [0, 1)
    """

    rate: ProperFraction = 0.5

    def _draw(self, x: Array, context: Context) -> tuple[Array, Array]:
        scale = _normal(x.shape, math.sqrt(self.rate / (1 - self.rate)), context)
        np.add(scale, 1, out=scale)
        return np.multiply(x, scale, out=context.empty(x.shape)), scale


@dataclass(frozen=True)
class GaussianNoise(_Noise):
    """Normal noise added in training.

    y = x + noise, noise ~ N(0, std²)

    Input of any shape, output of the same. As Keras's, whose option is `stddev`. Bishop 1995.

    Options:
        std: standard deviation of the noise, >= 0
    """

    std: NonNegative

    @property
    def _amount(self) -> float:
        return self.std

    def _draw(self, x: Array, context: Context) -> tuple[Array, None]:
        noise = _normal(x.shape, self.std, context)
        return np.add(x, noise, out=noise), None


def _normal(shape: Shape, std: float, context: Context) -> Array:
    """Return normal noise with the mean 0."""
    noise = context.empty(shape)
    noise[...] = context.rng.standard_normal(shape, dtype=np.float32)
    return np.multiply(noise, std, out=noise)


class _SpatialDropout(_WithRate):
    """Dropout of whole channels; `dims` is the number of axes before them."""

    dims: ClassVar[int]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, self.dims)
        return shape

    def _draw(self, x: Array, context: Context) -> tuple[Array, Array]:
        kept = self._kept((x.shape[0], *[1] * self.dims, x.shape[-1]), context)
        scale = np.multiply(kept, 1 / (1 - self.rate), out=context.empty(kept.shape))
        return np.multiply(x, scale, out=context.empty(x.shape)), scale


@dataclass(frozen=True)
class SpatialDropout1d(_SpatialDropout):
    """Random channels of a sequence set to 0 in training, with the others scaled up.

    y = x · mask / (1 - rate), mask 0 with probability `rate` and 1 otherwise, for each channel

    Input `(time, channels)`, output of the same shape. Keras's SpatialDropout1D, and PyTorch's
    Dropout1d. Tompson et al. 2015.

    Options:
        rate: probability that a channel is set to 0, in [0, 1)
    """

    rate: ProperFraction = 0.5
    dims = 1


@dataclass(frozen=True)
class SpatialDropout2d(_SpatialDropout):
    """Random channels of an image set to 0 in training, with the others scaled up.

    y = x · mask / (1 - rate), mask 0 with probability `rate` and 1 otherwise, for each channel

    Input `(height, width, channels)`, output of the same shape. Keras's SpatialDropout2D, and
    PyTorch's Dropout2d. Tompson et al. 2015.

    Options:
        rate: probability that a channel is set to 0, in [0, 1)
    """

    rate: ProperFraction = 0.5
    dims = 2


@dataclass(frozen=True)
class SpatialDropout3d(_SpatialDropout):
    """Random channels of a volume set to 0 in training, with the others scaled up.

    y = x · mask / (1 - rate), mask 0 with probability `rate` and 1 otherwise, for each channel

    Input `(depth, height, width, channels)`, output of the same shape. Keras's SpatialDropout3D,
    and PyTorch's Dropout3d. Tompson et al. 2015.

    Options:
        rate: probability that a channel is set to 0, in [0, 1)
    """

    rate: ProperFraction = 0.5
    dims = 3
