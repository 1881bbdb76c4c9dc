"""Pooling to a given number of windows in one, two and three dimensions, channels last."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.layers.geometry import Pair, Triple, each_axis, space_of
from nnreg.builtin.layers.global_pooling import GlobalAveragePool, GlobalMaxPool
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


class AdaptivePooling(Layer):
    """What adaptive pooling shares: `pool` is that of a window, `dims` the number of axes.

    Window i of an axis of n values goes from floor(i · n / output_size) to
    ceil((i + 1) · n / output_size), so that adjacent windows may share a value.
    """

    dims: ClassVar[int]
    pool: ClassVar[Layer]
    output_size: Any
    independent = True
    keeps_integers = False
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, channels = space_of(shape, self.dims)
        if not math.prod(space):
            raise ShapeError(shape, "axes with values to pool")
        return (*each_axis(self.output_size, self.dims), channels)

    def infer(self, x: Any, context: Context) -> Any:
        out = each_axis(self.output_size, self.dims)
        windows = self._windows(x.shape[1:-1], out)
        pooled = [self.pool.infer(x[window], context) for _, window in windows]
        return np.stack(pooled, axis=1).reshape(x.shape[0], *out, x.shape[-1])

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        out = each_axis(self.output_size, self.dims)
        y = context.empty((x.shape[0], *out, x.shape[-1]))
        windows, backward_fns = self._windows(x.shape[1:-1], out), []
        for place, window in windows:
            y[place], backward_fn = self.pool.forward(x[window], context)
            backward_fns.append(backward_fn)

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            dx = context.empty(x.shape)
            dx[...] = 0
            for (place, window), backward_fn in zip(windows, backward_fns, strict=True):
                part = dx[window]
                np.add(part, backward_fn(dy[place]), out=part)
            return dx

        return y, backward

    def _windows(
        self, space: Shape, out: Shape
    ) -> list[tuple[tuple[slice | int, ...], tuple[slice, ...]]]:
        """Return where each window is in the output and in the input."""
        axes = [
            [slice(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
            for n, count in zip(space, out, strict=True)
        ]
        every = slice(None)
        return [
            ((every, *place), (every, *(axes[axis][i] for axis, i in enumerate(place))))
            for place in itertools.product(*map(range, out))
        ]


@dataclass(frozen=True)
class AdaptiveAveragePool1d(AdaptivePooling):
    """The mean of each of a given number of windows of a sequence.

    y = mean(window)

    Input `(time, channels)`, output `(output_size, channels)`. The windows are as equal as they can
    be, and together cover the input. He et al. 2014.

    Options:
        output_size: number of windows
    """

    output_size: Count
    dims = 1
    pool = GlobalAveragePool()


@dataclass(frozen=True)
class AdaptiveAveragePool2d(AdaptivePooling):
    """The mean of each of a given number of windows of an image.

    y = mean(window)

    Input `(height, width, channels)`, output `(output_height, output_width, channels)`. The windows
    are as equal as they can be, and together cover the input. He et al. 2014.

    Options:
        output_size: rows and columns of the output; one number for both
    """

    output_size: Pair
    dims = 2
    pool = GlobalAveragePool()


@dataclass(frozen=True)
class AdaptiveAveragePool3d(AdaptivePooling):
    """The mean of each of a given number of windows of a volume.

    y = mean(window)

    Input `(depth, height, width, channels)`, output `(output_depth, output_height, output_width,
    channels)`. The windows are as equal as they can
    be, and together cover the input. He et al. 2014.

    Options:
        output_size: depth, height and width of the output; one number for all
    """

    output_size: Triple
    dims = 3
    pool = GlobalAveragePool()


@dataclass(frozen=True)
class AdaptiveMaxPool1d(AdaptivePooling):
    """The largest value of each of a given number of windows of a sequence.

    y = max(window)

    Input `(time, channels)`, output `(output_size, channels)`. The windows are as equal as they can
    be, and together cover the input. He et al. 2014.

    Options:
        output_size: number of windows
    """

    output_size: Count
    dims = 1
    pool = GlobalMaxPool()


@dataclass(frozen=True)
class AdaptiveMaxPool2d(AdaptivePooling):
    """The largest value of each of a given number of windows of an image.

    y = max(window)

    Input `(height, width, channels)`, output `(output_height, output_width, channels)`. The windows
    are as equal as they can be, and together cover the input. He et al. 2014.

    Options:
        output_size: rows and columns of the output; one number for both
    """

    output_size: Pair
    dims = 2
    pool = GlobalMaxPool()


@dataclass(frozen=True)
class AdaptiveMaxPool3d(AdaptivePooling):
    """The largest value of each of a given number of windows of a volume.

    y = max(window)

    Input `(depth, height, width, channels)`, output `(output_depth, output_height, output_width,
    channels)`. The windows are as equal as they can
    be, and together cover the input. He et al. 2014.

    Options:
        output_size: depth, height and width of the output; one number for all
    """

    output_size: Triple
    dims = 3
    pool = GlobalMaxPool()
