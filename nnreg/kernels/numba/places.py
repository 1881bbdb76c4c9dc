"""Where the values are that a convolution multiplies: positions in flat arrays, for the loops.

They are the same for all images of a shape, so that they are made once. The loops are then the same
for any number of spatial axes, and any stride, dilation and padding.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.kernels.windows import Amounts, Windows

Inside: TypeAlias = tuple[tuple[int, int], ...]
"""The positions of a window that are inside, each with its distance from the first of them."""


class Sums(NamedTuple):
    """What the sum of each pixel of an output is over: the values that are not padding.

    Pixels for which the same positions of the window are inside are of one kind. Those of kind n
    are `pixels[ends[n]:ends[n + 1]]`, and the first values of their windows are at the same of
    `starts`. The kind has the runs from `run_ends[n]` to `run_ends[n + 1]`: each of `lengths[n]`
    adjacent values from `values` on, which the weights from row `weights` on are for.
    """

    pixels: Array
    starts: Array
    ends: Array
    values: Array
    weights: Array
    run_ends: Array
    lengths: Array


@dataclass(frozen=True)
class _Axis:
    """An axis: position i of window o has the value (o stride + i dilation - first) / divisor.

    It is inside if that is an integer, and one of `length`.
    """

    size: int
    stride: int
    dilation: int
    first: int
    divisor: int
    length: int

    def inside(self, o: int) -> tuple[int, Inside]:
        """Return the first value of a window that is inside, and which positions are."""
        values = [
            (i, *divmod(o * self.stride + i * self.dilation - self.first, self.divisor))
            for i in range(self.size)
        ]
        found = [(i, at) for i, at, rest in values if not rest and 0 <= at < self.length]
        start = found[0][1] if found else 0
        return start, tuple((i, at - start) for i, at in found)

    def kinds(self, count: int) -> list[tuple[Inside, list[int], list[int]]]:
        """Return, for each set of positions, its windows and their first values."""
        found: dict[Inside, tuple[list[int], list[int]]] = {}
        for o in range(count):
            start, positions = self.inside(o)
            windows, starts = found.setdefault(positions, ([], []))
            windows.append(o)
            starts.append(start)
        return [(positions, *lists) for positions, lists in found.items()]


@functools.lru_cache(256)
def sums_of(windows: Windows, padding: Amounts, space: Shape, channels: int) -> Sums:
    """Return what a convolution of images `(*space, channels)` sums."""
    out = windows.count(tuple(n + sum(pair) for n, pair in zip(space, padding, strict=True)))
    each = zip(windows.size, windows.stride, windows.dilation, padding, space, strict=True)
    axes = [_Axis(size, s, d, before, 1, n) for size, s, d, (before, _), n in each]
    return _sums(axes, out, channels)


@functools.lru_cache(256)
def reversed_sums_of(windows: Windows, padding: Amounts, space: Shape, filters: int) -> Sums:
    """Return what the gradient of images of this space sums, of that of the `filters`.

    The weights are those of `sums_of` in reverse order, as the values then are.
    """
    out = windows.count(tuple(n + sum(pair) for n, pair in zip(space, padding, strict=True)))
    each = zip(windows.size, windows.stride, windows.dilation, padding, out, strict=True)
    axes = [_Axis(size, 1, d, (size - 1) * d - before, s, n) for size, s, d, (before, _), n in each]
    return _sums(axes, space, filters)


def _sums(axes: Sequence[_Axis], out: Shape, channels: int) -> Sums:
    """Return the sums over windows of these axes, of which there are `out`."""
    of_out = _strides(out, 1)
    of_values = _strides([axis.length for axis in axes], channels)
    of_weights = _strides([axis.size for axis in axes], channels)
    parts: list[tuple[Array, ...]] = []
    lengths = []
    kinds = [axis.kinds(count) for axis, count in zip(axes, out, strict=True)]
    for kind in itertools.product(*kinds):
        positions = [list(one[0]) for one in kind]
        length = channels
        if _adjacent(positions[-1]):
            length *= len(positions[-1])
            positions[-1] = positions[-1][:1]
        parts.append((
            _table([one[1] for one in kind], of_out),
            _table([one[2] for one in kind], of_values),
            _table([[at for _, at in one] for one in positions], of_values),
            _table([[i for i, _ in one] for one in positions], of_weights),
        ))  # fmt: skip
        lengths.append(length)
    pixels, starts, values, weights = zip(*parts, strict=True)
    return Sums(
        pixels=np.concatenate(pixels),
        starts=np.concatenate(starts),
        ends=_ends(pixels),
        values=np.concatenate(values),
        weights=np.concatenate(weights),
        run_ends=_ends(values),
        lengths=np.array(lengths),
    )


def _adjacent(positions: Sequence[tuple[int, int]]) -> bool:
    """Whether positions follow each other, and their values too."""
    return bool(positions) and all(
        one == (positions[0][0] + n, n) for n, one in enumerate(positions)
    )


def _strides(shape: Sequence[int], last: int) -> list[int]:
    return [last * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _table(indices: Sequence[Sequence[int]], strides: Sequence[int]) -> Array:
    """Return the positions of all combinations of indices."""
    at = np.zeros(1, np.int64)
    for one, stride in zip(indices, strides, strict=True):
        at = np.add.outer(at, np.array(one, np.int64) * stride).reshape(-1)
    return at


def _ends(arrays: Sequence[Array]) -> Array:
    """Return where each array begins in their concatenation, and where the last ends."""
    return np.cumsum([0, *map(len, arrays)])


@dataclass(frozen=True)
class Places:
    """Where the values are that the gradient of the weights multiplies, in padded images.

    A padded image has `size` values; its rows of pixels that are not padding begin at `rows`. The
    windows of each of the rows of windows begin at `starts`, `width` of them with `step` from one
    to the next, and the values of a window are at `values`.
    """

    padded: bool
    size: int
    rows: Array
    starts: Array
    width: int
    step: int
    values: Array


@functools.lru_cache(256)
def places_of(windows: Windows, padding: Amounts, space: Shape, channels: int) -> Places:
    """Return where the windows are in images `(*space, channels)`."""
    outside = tuple(n + sum(amounts) for n, amounts in zip(space, padding, strict=True))
    out, strides = windows.count(outside), _strides(outside, channels)

    def table(counts: Sequence[int], steps: Sequence[int]) -> Array:
        indices = [range(0, n * step, step) for n, step in zip(counts, steps, strict=True)]
        return _table(indices, strides)

    corner = sum(before * stride for (before, _), stride in zip(padding, strides, strict=True))
    positions = table(windows.size, windows.dilation)
    return Places(
        padded=outside != space,
        size=channels * math.prod(outside),
        rows=corner + table((*space[:-1], 1), (1,) * len(space)),
        starts=table((*out[:-1], 1), windows.stride),
        width=out[-1],
        step=windows.stride[-1] * channels,
        values=np.add.outer(positions, np.arange(channels)).reshape(-1),
    )
