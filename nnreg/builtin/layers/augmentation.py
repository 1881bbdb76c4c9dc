"""Layers that change images at random in training. Otherwise only `random_crop` changes any."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Interval

from nnreg._types import Array, Shape
from nnreg.builtin.layers.affine_sampling import (
    FillMode,
    Interpolation,
    grid,
    indices,
    sample,
)
from nnreg.builtin.layers.geometry import space_of
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count, Fraction, ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder

SignedFraction: TypeAlias = Annotated[float, Interval(ge=-1, le=1)]
Factor: TypeAlias = Fraction | tuple[SignedFraction, SignedFraction]
"""The largest absolute value of what is drawn, or the least and the largest value."""
ZoomEnd: TypeAlias = Annotated[float, Interval(gt=-1, le=1)]
ZoomFactor: TypeAlias = ProperFraction | tuple[ZoomEnd, ZoomEnd]


class RandomImages(Layer):
    """A layer that changes images in training: `(height, width, channels)`, or without channels."""

    independent = True
    keeps_integers = False
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space_of(shape, 2, channel_axis=False)
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        return x

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        if not context.training:
            return x, lambda dy: dy
        images = _with_channels(x)
        y, backward_fn = self.changed(images, context)

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            dx: Array = backward_fn(dy.reshape(y.shape))
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward

    def changed(self, images: Array, context: Context) -> tuple[Array, Any]:
        """Return `(batch, height, width, channels)` changed at random, and the backward function.

        Given the drawn numbers, this is a linear map and a constant.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class RandomFlip(RandomImages):
    """Images of which half are mirrored, each by a draw of its own.

    y[row, column] = x[row, width - 1 - column], x[height - 1 - row, column], or both

    Input `(height, width, channels)` or `(height, width)`, output of the same shape; outside
    training it is the input.

    Options:
        mode: mirror left and right ("horizontal"), top and bottom ("vertical"), or draw each
    """

    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal_and_vertical"

    def changed(self, images: Array, context: Context) -> tuple[Array, Any]:
        axes = [1] if "vertical" in self.mode else []
        axes += [2] if "horizontal" in self.mode else []
        drawn = [(axis, context.rng.random(len(images)) < 0.5) for axis in axes]

        def flip(x: Array) -> Array:
            for axis, chosen in drawn:
                y = context.copy(x)
                np.copyto(y, np.flip(x, axis), where=chosen.reshape(-1, 1, 1, 1))
                x = y
            return x

        return flip(images), flip


@dataclass(frozen=True)
class RandomCrop(Layer):
    """A part of each image, at a random place in training and in the centre otherwise.

    y[i, j] = x[top + i, left + j]

    Input `(height, width, channels)` or `(height, width)`, output with the height and width of the
    options. Each image has a place of its own, and an image that is smaller is refused; Keras has
    one place for a batch, and enlarges small images.

    Options:
        height: rows of the output
        width: columns of the output
    """

    height: Count
    width: Count
    independent = True
    keeps_integers = False
    output_range = (-math.inf, math.inf)

    @classmethod
    def examples(cls) -> list[tuple[RandomCrop, Shape]]:
        return [(cls(3, 2), (5, 4, 2)), (cls(4, 4), (4, 5)), (cls(1, 3), (4, 3, 1))]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, _ = space_of(shape, 2, channel_axis=False)
        if space[0] < self.height or space[1] < self.width:
            raise ShapeError(shape, f"images of at least {self.height} x {self.width}")
        return (self.height, self.width, *shape[2:])

    def infer(self, x: Any, context: Context) -> Any:
        top, left = (x.shape[1] - self.height) // 2, (x.shape[2] - self.width) // 2
        return x[:, top : top + self.height, left : left + self.width]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        count = len(x)
        top = _starts(x.shape[1] - self.height, count, context)
        left = _starts(x.shape[2] - self.width, count, context)
        place = (
            indices(count, context)[:, None, None],
            (top[:, None] + indices(self.height, context))[:, :, None],
            (left[:, None] + indices(self.width, context))[:, None, :],
        )

        def backward(dy: Array) -> Array:
            dx = context.empty(x.shape)
            dx[...] = 0
            dx[place] = dy
            return dx

        return x[place], backward


@dataclass(frozen=True)
class RandomContrast(RandomImages):
    """Images whose contrast is raised or lowered, each by a draw of its own.

    y = (x - mean) · contrast + mean, mean over height and width

    The contrast is uniform in [1 - lower, 1 + upper]. Input `(height, width, channels)` or
    `(height, width)`, output of the same shape; outside training it is the input. Keras also clips
    the result to the range of pixels, which this layer does not know.

    Options:
        factor: lower and upper; one number for both
    """

    factor: Fraction | tuple[Fraction, Fraction]

    def changed(self, images: Array, context: Context) -> tuple[Array, Any]:
        lower, upper = self.factor if isinstance(self.factor, tuple) else (self.factor,) * 2
        drawn = _uniform(1 - lower, 1 + upper, len(images), context).reshape(-1, 1, 1, 1)
        contrast = context.empty(drawn.shape)
        contrast[...] = drawn

        def scale(x: Array) -> Array:
            mean = np.mean(x, axis=(1, 2), keepdims=True)
            y = np.subtract(x, mean, out=context.empty(x.shape))
            np.multiply(y, contrast, out=y)
            return np.add(y, mean, out=y)

        return scale(images), scale  # the map is symmetric


class RandomAffine(RandomImages):
    """Images that are read at other places, an affine function of those of the output."""

    fill_mode: Any
    interpolation: Any
    fill_value: Any

    def draw(self, count: int, space: Shape, context: Context) -> Array:
        """Return for each image a matrix `(2, 3)`: where to read for a place of the output.

        It takes (row, column, 1) to (row, column), both from the centre of the image.
        """
        raise NotImplementedError

    def changed(self, images: Array, context: Context) -> tuple[Array, Any]:
        matrices = self.draw(len(images), images.shape[1:3], context)
        positions = grid(matrices, images.shape[1:3], context)
        return sample(
            images, positions, self.fill_mode, self.interpolation, self.fill_value, context
        )


@dataclass(frozen=True)
class RandomRotation(RandomAffine):
    """Images turned around their centres, each by a draw of its own.

    y[p] = x[rotation of p by the angle 2π · factor], counter-clockwise

    Input `(height, width, channels)` or `(height, width)`, output of the same shape; outside
    training it is the input.

    Options:
        factor: largest turn in both directions, as a fraction of a full one; or least and largest,
            positive counter-clockwise
        fill_mode: what is outside an image: fill_value ("constant"), the image mirrored without
            its edge repeated ("reflect", which Keras repeats), its "edge", or its other side
            ("circular")
        interpolation: between the nearest four values ("bilinear"), or the "nearest"
        fill_value: value outside an image for "constant"
    """

    factor: Factor
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        _ends("factor", self.factor)

    def draw(self, count: int, space: Shape, context: Context) -> Array:
        low, high = _ends("factor", self.factor)
        angle = _uniform(2 * math.pi * low, 2 * math.pi * high, count, context)
        matrices = _matrices(count, context)
        cosine, sine = np.cos(angle), np.sin(angle)
        matrices[:, 0, 0] = matrices[:, 1, 1] = cosine
        matrices[:, 0, 1] = sine
        matrices[:, 1, 0] = -sine
        return matrices


@dataclass(frozen=True)
class RandomTranslation(RandomAffine):
    """Images that are shifted, each by a draw of its own.

    y[row, column] = x[row - height · height_factor, column - width · width_factor]

    Input `(height, width, channels)` or `(height, width)`, output of the same shape; outside
    training it is the input.

    Options:
        height_factor: largest shift up or down, as a fraction of the height; or least and largest,
            positive downwards
        width_factor: as height_factor for the width, positive to the right
        fill_mode: what is outside an image: fill_value ("constant"), the image mirrored without
            its edge repeated ("reflect", which Keras repeats), its "edge", or its other side
            ("circular")
        interpolation: between the nearest four values ("bilinear"), or the "nearest"
        fill_value: value outside an image for "constant"
    """

    height_factor: Factor
    width_factor: Factor
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        _ends("height_factor", self.height_factor)
        _ends("width_factor", self.width_factor)

    def draw(self, count: int, space: Shape, context: Context) -> Array:
        matrices = _matrices(count, context)
        matrices[:, 0, 0] = matrices[:, 1, 1] = 1
        for axis, factor in enumerate((self.height_factor, self.width_factor)):
            low, high = _ends("factor", factor)
            shift = _uniform(low, high, count, context)
            matrices[:, axis, 2] = np.multiply(shift, -space[axis])
        return matrices


@dataclass(frozen=True)
class RandomZoom(RandomAffine):
    """Images that are enlarged or reduced around their centres, each by a draw of its own.

    y[row, column] = x[row · (1 + height_factor), column · (1 + width_factor)], from the centre

    Input `(height, width, channels)` or `(height, width)`, output of the same shape; outside
    training it is the input.

    Options:
        height_factor: largest change of the height that is shown, as a fraction of it; or least
            and largest, negative to enlarge the image
        width_factor: as height_factor for the width; null for the same draw, which keeps the shape
        fill_mode: what is outside an image: fill_value ("constant"), the image mirrored without
            its edge repeated ("reflect", which Keras repeats), its "edge", or its other side
            ("circular")
        interpolation: between the nearest four values ("bilinear"), or the "nearest"
        fill_value: value outside an image for "constant"
    """

    height_factor: ZoomFactor
    width_factor: ZoomFactor | None = None
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        _ends("height_factor", self.height_factor)
        if self.width_factor is not None:
            _ends("width_factor", self.width_factor)

    def draw(self, count: int, space: Shape, context: Context) -> Array:
        matrices = _matrices(count, context)
        low, high = _ends("height_factor", self.height_factor)
        zoom = _uniform(1 + low, 1 + high, count, context)
        matrices[:, 0, 0] = zoom
        if self.width_factor is not None:
            low, high = _ends("width_factor", self.width_factor)
            zoom = _uniform(1 + low, 1 + high, count, context)
        matrices[:, 1, 1] = zoom
        return matrices


def _with_channels(x: Array) -> Array:
    """Return images with an axis of channels."""
    return x if x.ndim == 4 else x.reshape(*x.shape, 1)


def _ends(option: str, factor: Any) -> tuple[float, float]:
    """Return the least and the largest value of a factor; raise `ValueError` for another order."""
    low, high = factor if isinstance(factor, tuple) else (-factor, factor)
    if low > high:
        raise ValueError(f"{option} {list(factor)}: the first must be at most the second")
    return low, high


def _uniform(low: float, high: float, count: int, context: Context) -> Array:
    """Return a number between two for each image."""
    return np.add(np.multiply(context.rng.random(count), high - low), low)


def _starts(free: int, count: int, context: Context) -> Array:
    """Return where a part of each image starts, of `free` + 1 places: the centre in evaluation."""
    if context.training:
        return context.rng.integers(0, free + 1, count)
    starts = context.empty((count,), np.intp)
    starts[...] = free // 2
    return starts


def _matrices(count: int, context: Context) -> Array:
    """Return a matrix of zeros for each image."""
    matrices = context.empty((count, 2, 3), np.float64)
    matrices[...] = 0
    return matrices
