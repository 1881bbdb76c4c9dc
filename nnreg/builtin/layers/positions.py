"""Positions of time steps: `(batch, time, features)`."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import Normal
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Positive
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


@dataclass(frozen=True)
class _Sinusoids(Initializer):
    """sin and cos of time / 10000^(k / features), side by side. Vaswani et al. 2017."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        time, features = shape
        k = np.arange(0, features, 2)
        angles = np.arange(time)[:, None] / 10_000 ** (k / features)
        waves = np.zeros(shape)
        waves[:, 0::2] = np.sin(angles)
        waves[:, 1::2] = np.cos(angles)[:, : features // 2]
        return waves


@dataclass(frozen=True)
class AddPosition(Layer):
    """A vector per time step, added to the input.

    y = x + position

    Input `(time, features)`, output of the same shape. Vaswani et al. 2017.

    Options:
        learned: train the position; if false it is fixed, sines and cosines of different wavelength
        initializer: first values of a trained position

    Parameters:
        position: (time, features), if `learned`

    Buffers:
        position: (time, features), unless `learned`
    """

    learned: bool = True
    initializer: Initializer = Normal(std=0.02)
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 2:
            raise ShapeError(shape, "(batch, time, features)")
        if self.learned:
            builder.param("position", shape, self.initializer)
            builder.products = ()
        else:
            builder.buffer("position", shape, _Sinusoids())
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        return x + (context.params if self.learned else context.state)["position"]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        position = (context.params if self.learned else context.state)["position"]

        def backward(dy: Array) -> Array:
            if self.learned:
                np.sum(dy, axis=0, out=context.gradients["position"])
            return dy

        return np.add(x, position, out=context.empty(x.shape)), backward


@dataclass(frozen=True)
class RotaryPositions(Layer):
    """Features turned by angles that grow with the time step.

    y_k = x_k · cos(a_k) - x_j · sin(a_k), y_j = x_j · cos(a_k) + x_k · sin(a_k), a_k = t / base^(2k
    / features)

    Input `(time, features)`, output of the same shape. Feature k < features / 2 is paired with
    j = k + features / 2, as in Llama and KerasHub; the paper pairs neighbours, which is the same up
    to the order of the features. The product of two steps then depends on their distance alone. For
    the queries and keys of `attention`; the layers with heads have it as an option. It works for
    sequences of any length. Neither PyTorch nor Keras has it. Su et al. 2021.

    Options:
        base: wavelengths are from 2π to 2π · base
    """

    base: Positive = 10_000.0
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 2 or shape[1] % 2:
            raise ShapeError(shape, "(batch, time, features) with an even number of features")
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        return infer_turned(x, self.base)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        def turned(values: Array, *, back: bool) -> Array:
            y = context.copy(values)
            turn(y, self.base, context, back=back)
            return y

        return turned(x, back=False), lambda dy: turned(dy, back=True)


def turn(x: Array, base: float, context: Context, *, back: bool = False) -> None:
    """Turn the features of `(..., time, size)` in place by the angles of the steps, or back.

    Whole rows are multiplied, not halves: of heads of few features, the halves are short.
    """
    half = x.shape[-1] // 2
    cos, sin = context.empty((2, *x.shape[-2:]))
    cos[:, :half], sin[:, half:] = _cos_and_sin(x.shape[-2], half, base)
    cos[:, half:] = cos[:, :half]
    np.negative(sin[:, half:], out=sin[:, :half])
    if back:
        np.negative(sin, out=sin)
    swapped = context.empty(x.shape)
    swapped[..., :half], swapped[..., half:] = x[..., half:], x[..., :half]
    np.multiply(swapped, sin, out=swapped)
    np.multiply(x, cos, out=x)
    np.add(x, swapped, out=x)


def infer_turned(x: Any, base: float) -> Any:
    """Return `turn` of features by NumPy's functions, for `Layer.infer`."""
    half = x.shape[-1] // 2
    cos, sin = (part.astype(x.dtype) for part in _cos_and_sin(x.shape[-2], half, base))
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


@functools.lru_cache(maxsize=8)
def _cos_and_sin(time: int, half: int, base: float) -> tuple[Array, Array]:
    angles = np.arange(time)[:, None] / base ** (np.arange(half) / half)
    return np.cos(angles), np.sin(angles)
