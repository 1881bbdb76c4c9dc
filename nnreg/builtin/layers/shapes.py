"""Layers that rearrange, repeat, cut or surround values, channels last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg.builtin.layers.geometry import Extent, Frame, Pair, Triple, each_axis, space_of
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.kernels.windows import Amounts

Ends: TypeAlias = Extent | tuple[Extent, Extent]
"""How many values at both ends of an axis, or at each."""


class Rearranged(Layer):
    """What layers without parameters share, whose outputs are values of their input."""

    independent = True
    keeps_integers = True
    output_range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Reshape(Rearranged):
    """The values of an example in another shape.

    y = x, reshaped to `(batch, *shape)`

    Input of any shape with as many values; output `shape`.

    Options:
        shape: lengths of the axes of the output; one may be -1, for what the others leave
    """

    shape: tuple[Annotated[int, Ge(-1)], ...]

    def __post_init__(self) -> None:
        if self.shape.count(-1) > 1 or 0 in self.shape:
            raise ValueError(
                f"shape {list(self.shape)} must be positive numbers and at most one -1"
            )

    @classmethod
    def examples(cls) -> list[tuple[Reshape, Shape]]:
        return [(cls((2, 3)), (6,)), (cls((-1,)), (2, 3)), (cls((3, -1, 1)), (6, 2))]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        known, values = math.prod(n for n in self.shape if n > 0), math.prod(shape)
        if values % known or (values != known and -1 not in self.shape):
            raise ShapeError(shape, f"a number of values that fill the shape {self.shape}")
        return tuple(values // known if n == -1 else n for n in self.shape)

    def infer(self, x: Any, context: Context) -> Any:
        known, values = math.prod(n for n in self.shape if n > 0), math.prod(x.shape[1:])
        return x.reshape(x.shape[0], *(values // known if n == -1 else n for n in self.shape))

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        known, values = math.prod(n for n in self.shape if n > 0), math.prod(x.shape[1:])
        shape = (values // known if n == -1 else n for n in self.shape)
        return x.reshape(x.shape[0], *shape), lambda dy: dy.reshape(x.shape)


@dataclass(frozen=True)
class Permute(Rearranged):
    """The axes of an example in another order.

    y[i of axis axes[0], i of axis axes[1], …] = x[i of axis 1, i of axis 2, …]

    Input with as many axes; output with their lengths in this order.

    Options:
        axes: for each axis of the output, which of the input's it is; 1 is the first after the
            batch
    """

    axes: tuple[Count, ...]

    def __post_init__(self) -> None:
        if sorted(self.axes) != list(range(1, len(self.axes) + 1)):
            raise ValueError(
                f"axes {list(self.axes)} must be the numbers from 1 to {len(self.axes)}, each once"
            )

    @classmethod
    def examples(cls) -> list[tuple[Permute, Shape]]:
        return [(cls((2, 1)), (3, 2)), (cls((3, 1, 2)), (2, 3, 4))]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != len(self.axes):
            raise ShapeError(shape, f"a batch of examples with {len(self.axes)} axes")
        return tuple(shape[axis - 1] for axis in self.axes)

    def infer(self, x: Any, context: Context) -> Any:
        return np.transpose(x, (0, *self.axes))

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        inverse = [0, *(self.axes.index(axis + 1) + 1 for axis in range(len(self.axes)))]
        return (
            context.copy(np.transpose(x, (0, *self.axes))),
            lambda dy: context.copy(np.transpose(dy, inverse)),
        )


@dataclass(frozen=True)
class RepeatVector(Rearranged):
    """The same vector at each of several steps, such as for a decoder.

    y[step] = x

    Input `(features,)`, output `(times, features)`.

    Options:
        times: number of steps
    """

    times: Count

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 1:
            raise ShapeError(shape, "(batch, features)")
        return (self.times, *shape)

    def infer(self, x: Any, context: Context) -> Any:
        return np.repeat(x[:, None], self.times, axis=1)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        y = context.empty((x.shape[0], self.times, x.shape[1]), x.dtype)
        y[...] = np.expand_dims(x, 1)
        return y, lambda dy: np.sum(dy, axis=1, out=context.empty(x.shape))


class UpSampling(Rearranged):
    """What nearest-neighbour up-sampling shares: `dims` is the number of spatial axes."""

    dims: ClassVar[int]
    size: Any

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, channels = space_of(shape, self.dims)
        factors = each_axis(self.size, self.dims)
        return (*(n * factor for n, factor in zip(space, factors, strict=True)), channels)

    def infer(self, x: Any, context: Context) -> Any:
        for axis, factor in enumerate(each_axis(self.size, self.dims), 1):
            x = np.repeat(x, factor, axis=axis)
        return x

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        batch, *space, channels = x.shape
        factors = each_axis(self.size, self.dims)
        pairs = list(zip(space, factors, strict=True))
        repeated = (batch, *(n for pair in pairs for n in pair), channels)
        y = context.empty(repeated, x.dtype)
        y[...] = x.reshape((batch, *(n for one in space for n in (one, 1)), channels))

        def backward(dy: Array) -> Array | None:
            if not context.needs_input_gradient:
                return None
            copies = tuple(range(2, len(repeated), 2))
            return np.sum(dy.reshape(repeated), axis=copies, out=context.empty(x.shape))

        return y.reshape((batch, *(n * factor for n, factor in pairs), channels)), backward


@dataclass(frozen=True)
class UpSampling1d(UpSampling):
    """Nearest-neighbour up-sampling: a sequence in which each step is repeated.

    y[step] = x[step // size]

    Input `(time, channels)`; output `(time · size, channels)`.

    Options:
        size: steps that a step becomes
    """

    size: Count = 2
    dims = 1


@dataclass(frozen=True)
class UpSampling2d(UpSampling):
    """Nearest-neighbour up-sampling: an image enlarged by repeating its rows and columns.

    y[row, column] = x[row // rows, column // columns]

    Input `(height, width, channels)`; output `(height · rows, width · columns, channels)`.

    Options:
        size: rows and columns that a value becomes; one number for both
    """

    size: Pair = 2
    dims = 2


@dataclass(frozen=True)
class UpSampling3d(UpSampling):
    """Nearest-neighbour up-sampling: a volume enlarged by repeating its values.

    y[i, j, k] = x[i // depth, j // height, k // width]

    Input `(depth, height, width, channels)`; output as many channels, each axis longer by its size.

    Options:
        size: values that a value becomes along each axis; one number for all
    """

    size: Triple = 2
    dims = 3


class Bordered(Rearranged):
    """What padding and cropping share: `dims` is the number of spatial axes."""

    dims: ClassVar[int]

    def _amounts(self, option: Any) -> Amounts:
        """Return how many values are at both ends of each axis."""
        ends = (option,) if self.dims == 1 else each_axis(option, self.dims)
        return tuple((one, one) if isinstance(one, int) else one for one in ends)


class ZeroPadding(Bordered):
    """Zeros around the values."""

    padding: Any

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, channels = space_of(shape, self.dims)
        return (*Frame(space, self._amounts(self.padding)).outside, channels)

    def infer(self, x: Any, context: Context) -> Any:
        return np.pad(x, ((0, 0), *self._amounts(self.padding), (0, 0)))

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        frame = Frame(x.shape[1:-1], self._amounts(self.padding))
        y = frame.pad(x, context, dtype=x.dtype)
        return y, lambda dy: context.copy(dy[frame.inside])


class Cropping(Bordered):
    """The values without those at the ends of each axis."""

    crop: Any

    def _within(self, space: Shape) -> Frame:
        """Return the values that are removed as the frame of those that stay."""
        amounts = self._amounts(self.crop)
        return Frame(tuple(n - sum(ends) for n, ends in zip(space, amounts, strict=True)), amounts)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        space, channels = space_of(shape, self.dims)
        rest = self._within(space).space
        if min(rest) < 1:
            raise ShapeError(shape, f"axes longer than what is cropped, {self.crop}")
        return (*rest, channels)

    def infer(self, x: Any, context: Context) -> Any:
        return x[self._within(x.shape[1:-1]).inside]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        frame = self._within(x.shape[1:-1])
        y = context.copy(x[frame.inside])
        return y, lambda dy: frame.pad(dy, context)


@dataclass(frozen=True)
class ZeroPadding1d(ZeroPadding):
    """Zeros around a sequence.

    y = x inside, 0 around it

    Input `(time, channels)`, output of as many channels.

    Options:
        padding: steps to add at each end, or before the start and after the end
    """

    padding: Ends = 1
    dims = 1


@dataclass(frozen=True)
class ZeroPadding2d(ZeroPadding):
    """Zeros around an image.

    y = x inside, 0 around it

    Input `(height, width, channels)`, output of as many channels.

    Options:
        padding: rows and columns to add at each side; one number for both, or for
            each a number or two, above and below or left and right
    """

    padding: Extent | tuple[Ends, Ends] = 1
    dims = 2


@dataclass(frozen=True)
class ZeroPadding3d(ZeroPadding):
    """Zeros around a volume.

    y = x inside, 0 around it

    Input `(depth, height, width, channels)`, output of as many channels.

    Options:
        padding: values to add at each end of each axis; one number for all, or for each a
            number or two, before and after
    """

    padding: Extent | tuple[Ends, Ends, Ends] = 1
    dims = 3


@dataclass(frozen=True)
class Cropping1d(Cropping):
    """A sequence without its first and last steps.

    y = x[before : length - after] along each axis

    Input `(time, channels)`, output of as many channels.

    Options:
        crop: steps to remove at each end, or at the start and at the end
    """

    crop: Ends = 1
    dims = 1


@dataclass(frozen=True)
class Cropping2d(Cropping):
    """An image without its first and last rows and columns.

    y = x[before : length - after] along each axis

    Input `(height, width, channels)`, output of as many channels.

    Options:
        crop: rows and columns to remove at each side; one number for both, or for
            each a number or two, above and below or left and right
    """

    crop: Extent | tuple[Ends, Ends] = 1
    dims = 2


@dataclass(frozen=True)
class Cropping3d(Cropping):
    """A volume without its first and last values.

    y = x[before : length - after] along each axis

    Input `(depth, height, width, channels)`, output of as many channels.

    Options:
        crop: values to remove at each end of each axis; one number for all, or for each a
            number or two, before and after
    """

    crop: Extent | tuple[Ends, Ends, Ends] = 1
    dims = 3
