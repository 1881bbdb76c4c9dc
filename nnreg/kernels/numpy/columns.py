"""Statistics of channels over positions, and normalization by them.

Batch norm has a single example, whose positions are those of the whole batch; group and instance
norm have the statistics of each example. Between these steps, layers compute with arrays of a value
for each channel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import BLOCK_ROWS, sum_rows
from nnreg.kernels.blocks import BLOCK_VALUES
from nnreg.kernels.scratch import ScratchSpace

Block: TypeAlias = tuple[slice, slice]
"""Examples and rows."""

MAX_MERGED_CHANNELS, MIN_ROWS = 1024, 4
"""Positions are merged into rows of up to this width while this number of rows or more remains:
NumPy is slow on many short rows."""


class ColumnKernels:
    """Loops over `(examples, positions, channels)`.

    Arrays of a value for each channel of an example are `(examples, channels)`. Large arrays are
    processed in blocks that stay in the cache; for small ones, the calls would cost more.
    """

    def column_moments(self, x: Array, mean: Array, squares: Array, scratch: ScratchSpace) -> None:
        """Write the mean of each channel over the positions, and the sum of (x - mean)².

        The mean is subtracted first: the difference of Σ x² and its square may have no digit left.
        """
        if x.size <= BLOCK_VALUES:
            _sum_positions(x, mean, scratch)
            np.divide(mean, max(x.shape[1], 1), out=mean)
            part = np.subtract(x, mean[:, None], out=scratch.empty(x.shape))
            _sum_positions(np.multiply(part, part, out=part), squares, scratch)
            return
        rows = _Rows(x, scratch)
        values, totals = rows.of(x), rows.totals()
        for block in rows.blocks:
            rows.add(values[block], totals, block)
        rows.fold(totals, mean)
        np.divide(mean, max(x.shape[1], 1), out=mean)
        center, spare, totals = rows.spread(mean), rows.spare(), rows.totals()
        for block in rows.blocks:
            part = rows.part(spare, block)
            np.subtract(values[block], center[block[0]], out=part)
            np.multiply(part, part, out=part)
            rows.add(part, totals, block)
        rows.fold(totals, squares)

    def normalize_columns(
        self, x: Array, mean: Array, slope: Array, shift: Array, y: Array, scratch: ScratchSpace
    ) -> None:
        """Write (x - mean) · slope + shift to y."""
        if x.size <= BLOCK_VALUES:
            np.subtract(x, mean[:, None], out=y)
            np.multiply(y, slope[:, None], out=y)
            np.add(y, shift[:, None], out=y)
            return
        rows = _Rows(x, scratch)
        values, results = rows.of(x), rows.of(y)
        center, slopes, shifts = map(rows.spread, (mean, slope, shift))
        for block in rows.blocks:
            result, examples = results[block], block[0]
            np.subtract(values[block], center[examples], out=result)
            np.multiply(result, slopes[examples], out=result)
            np.add(result, shifts[examples], out=result)

    def column_products(
        self, dy: Array, x: Array, mean: Array, total: Array, products: Array, scratch: ScratchSpace
    ) -> None:
        """Write the sums over the positions of dy, and of dy · (x - mean)."""
        if x.size <= BLOCK_VALUES:
            _sum_positions(dy, total, scratch)
            part = np.subtract(x, mean[:, None], out=scratch.empty(x.shape))
            _sum_positions(np.multiply(part, dy, out=part), products, scratch)
            return
        rows = _Rows(x, scratch)
        values, gradients, center, spare = rows.of(x), rows.of(dy), rows.spread(mean), rows.spare()
        totals, product_totals = rows.totals(), rows.totals()
        for block in rows.blocks:
            gradient, part = gradients[block], rows.part(spare, block)
            rows.add(gradient, totals, block)
            np.subtract(values[block], center[block[0]], out=part)
            np.multiply(part, gradient, out=part)
            rows.add(part, product_totals, block)
        rows.fold(totals, total)
        rows.fold(product_totals, products)

    def normalize_columns_backward(
        self,
        dy: Array,
        x: Array,
        mean: Array,
        slope: Array,
        change: Array,
        shift: Array,
        dx: Array,
        scratch: ScratchSpace,
    ) -> None:
        """Write dy · slope - (x - mean) · change - shift to dx."""
        if x.size <= BLOCK_VALUES:
            part = np.subtract(x, mean[:, None], out=scratch.empty(x.shape))
            np.multiply(part, change[:, None], out=part)
            np.add(part, shift[:, None], out=part)
            np.multiply(dy, slope[:, None], out=dx)
            np.subtract(dx, part, out=dx)
            return
        rows = _Rows(x, scratch)
        values, gradients, results, spare = rows.of(x), rows.of(dy), rows.of(dx), rows.spare()
        center, slopes, changes, shifts = map(rows.spread, (mean, slope, change, shift))
        for block in rows.blocks:
            result, part, examples = results[block], rows.part(spare, block), block[0]
            np.subtract(values[block], center[examples], out=part)
            np.multiply(part, changes[examples], out=part)
            np.add(part, shifts[examples], out=part)
            np.multiply(gradients[block], slopes[examples], out=result)
            np.subtract(result, part, out=result)


def _sum_positions(x: Array, out: Array, scratch: ScratchSpace) -> None:
    """Write the sums of `(examples, positions, channels)` over the positions."""
    if len(x) == 1:
        sum_rows(x[0], scratch.ones, out[0])
    elif x.shape[1] > BLOCK_ROWS:
        sum_rows(x, scratch.ones, out)
    else:
        np.add.reduce(x, axis=1, out=out)


class _Rows:
    """The rows of arrays of one shape, each of several positions if the channels are few."""

    def __init__(self, x: Array, scratch: ScratchSpace) -> None:
        self._examples, positions, self._channels = x.shape
        self._scratch = scratch
        self._merged = _positions_of_row(positions, self._channels)
        self._shape = (self._examples, positions // self._merged, self._merged * self._channels)
        self.blocks = _blocks(*self._shape)

    def of(self, x: Array) -> Array:
        """Return the rows of an array, `(examples, rows, merged channels)`."""
        return x.reshape(self._shape)

    def spread(self, values: Array) -> Array:
        """Return `(examples, channels)` as `(examples, 1, merged channels)`, to go with rows."""
        if self._merged == 1:
            return values[:, None]
        repeated = self._scratch.empty((self._examples, self._merged, self._channels))
        repeated[...] = values[:, None]
        return repeated.reshape(self._examples, 1, self._shape[2])

    def spare(self) -> Array:
        """Return an array for a block."""
        first, rows = self.blocks[0]
        return self._scratch.empty((first.stop, rows.stop, self._shape[2]))

    def part(self, spare: Array, block: Block) -> Array:
        """Return a part of `spare` that is as large as a block."""
        examples, rows = block
        return spare[: examples.stop - examples.start, : rows.stop - rows.start]

    def totals(self) -> Array:
        """Return the totals of columns; in float64, so that errors do not grow with the blocks."""
        totals = self._scratch.empty((self._examples, self._shape[2]), np.float64)
        totals.fill(0)
        return totals

    def add(self, part: Array, totals: Array, block: Block) -> None:
        """Add the sums of the columns of a block."""
        total = totals[block[0]]
        if len(part) == 1:
            sums = np.dot(self._scratch.ones(part.shape[1]), part[0])  # faster than np.sum
        else:
            sums = np.add.reduce(part, axis=1)
        np.add(total, sums, out=total)

    def fold(self, totals: Array, out: Array) -> None:
        """Write the totals of channels, over the positions of a row."""
        by_position = totals.reshape(self._examples, self._merged, self._channels)
        out[...] = np.add.reduce(by_position, axis=1)


@functools.lru_cache
def _positions_of_row(positions: int, channels: int) -> int:
    """Return how many positions to merge into a row."""
    most = min(MAX_MERGED_CHANNELS // max(1, channels), positions // MIN_ROWS)
    return next((n for n in range(most, 1, -1) if positions % n == 0), 1)


@functools.lru_cache
def _blocks(examples: int, rows: int, width: int) -> Sequence[Block]:
    """Return blocks of several examples, or of rows of one; the first is the largest."""
    most = max(1, BLOCK_VALUES // max(1, width))
    step = max(1, most // max(1, rows))
    return [
        (slice(n, min(n + step, examples)), slice(row, min(row + most, rows)))
        for n in range(0, max(1, examples), step)
        for row in range(0, max(1, rows), most)
    ]
