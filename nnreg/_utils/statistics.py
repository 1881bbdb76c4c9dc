"""Mean, standard deviation and norm that are right for every finite input.

The textbook formulas are not: the mean of a constant column can differ from it in the last digit,
which then looks like a deviation, and squares overflow at the square root of the largest number.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nnreg._types import Array

Numbers: TypeAlias = float | tuple[float, ...]
"""One number for all columns, or one for each."""

HEADROOM = 8.0
"""The power of two by which numbers near the largest float64 are divided before a difference."""

BLOCK_ROWS = 512
"""The rows whose sum is right to a few units of the last digit without a wider type."""

MOMENT_ROWS = 2**13
"""The rows of a block whose moments are merged: 64 kB of each column, which stay in the cache."""

BLOCKS_AT_ONCE = 32
"""The blocks of a column that are added by one call of each function."""

SAFE = 1e150
"""Values up to this magnitude have squares whose sums stay below the largest float64."""

ROUNDING = 8
"""The deviation that rounding alone may cause, in units of the last digit of the mean."""


def mean_and_deviation(values: Array) -> tuple[Array, Array]:
    """Return the mean and standard deviation of each column, as float64 arrays `values.shape[1:]`.

    `values` is `(rows, ...)` with one row or more, all finite; the deviation is that of the
    population (divided by the number of rows). The mean of a constant column is its value and its
    deviation 0, exactly. More than `MOMENT_ROWS` are merged in blocks, as `Moments` does.
    """
    x = np.asarray(values, np.float64)
    if len(x) <= MOMENT_ROWS:
        return _of_block(x)
    found = Moments()
    found.add(x)
    return found.result()


def _of_block(x: Array) -> tuple[Array, Array]:
    """Return mean and deviation with rounding errors that do not grow with the number of rows.

    The mean of the remainders is taken out twice, the corrected two-pass algorithm (Chan et al.
    1983).
    """
    exponents = _exponents(x)
    if exponents.any():
        x = np.ldexp(x, -exponents)
    first = x[0]
    rest = x - first
    shift = np.mean(rest, axis=0)
    rest -= shift
    correction = np.mean(rest, axis=0)
    rest -= correction
    deviation = np.sqrt(np.mean(np.square(rest, out=rest), axis=0))
    mean = first + (shift + correction)
    return np.ldexp(mean, exponents), np.ldexp(deviation, exponents)


def _exponents(x: Array) -> Array:
    """Return the power of two to divide each column by before its values are squared, mostly 0."""
    largest = np.maximum(np.max(x, axis=0), -np.min(x, axis=0))
    safe = (largest == 0) | ((largest > 1 / SAFE) & (largest < SAFE))
    return np.where(safe, 0, np.frexp(largest)[1] + 1)


class Moments:
    """The mean and standard deviation of rows that are added a few at a time.

    The rows are merged in blocks of `MOMENT_ROWS`, in their order, so that the result has the same
    bits however many are added at a time, and is that of `mean_and_deviation` of all. Neighbours
    are merged, then these, and so on: rounding errors hardly grow with the number of blocks.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._merged: list[_Moments] = []
        self._rest: Array = np.empty(0)
        """Its first `_rest_rows` rows are not merged; one array, as many fragment memory."""
        self._rest_rows = 0

    def add(self, values: Array) -> None:
        """Add rows `(rows, ...)`, all finite."""
        x, start = np.asarray(values, np.float64), 0
        self.rows += len(x)
        if not self._rest_rows and x.ndim == 1 and x.flags.c_contiguous:
            start = self._add_blocks(x)
        while start < len(x):
            part = x[start : start + MOMENT_ROWS - self._rest_rows]
            start += len(part)
            if len(part) == MOMENT_ROWS:
                self._add_block(part)
                continue
            self._keep(part)
            if self._rest_rows == MOMENT_ROWS:
                self._add_block(self._rest)
                self._rest_rows = 0

    def _keep(self, part: Array) -> None:
        """Copy rows, as the caller may use their memory again, until they are a whole block."""
        before, after = self._rest_rows, self._rest_rows + len(part)
        if after > len(self._rest):
            rows = min(max(after, 2 * before), MOMENT_ROWS)
            grown = np.empty((rows, *part.shape[1:]))
            if before:
                grown[:before] = self._rest[:before]
            self._rest = grown
        self._rest[before:after] = part
        self._rest_rows = after

    def _add_blocks(self, x: Array) -> int:
        """Add whole blocks of a column, many at a time, and return how many rows these were."""
        end = len(x) - len(x) % MOMENT_ROWS
        for start in range(0, end, BLOCKS_AT_ONCE * MOMENT_ROWS):
            some = x[start : min(start + BLOCKS_AT_ONCE * MOMENT_ROWS, end)]
            for pair in zip(*_of_block(some.reshape(-1, MOMENT_ROWS).T), strict=True):
                self._push(_Moments(MOMENT_ROWS, *pair))
        return end

    def _add_block(self, block: Array) -> None:
        self._push(_Moments(len(block), *_of_block(block)))

    def _push(self, found: _Moments) -> None:
        while self._merged and self._merged[-1].rows == found.rows:
            found = self._merged.pop().merged(found)
        self._merged.append(found)

    def result(self) -> tuple[Array, Array]:
        """Return the mean and the deviation. Raises ValueError if there is no row."""
        if self._rest_rows:
            self._add_block(self._rest[: self._rest_rows])
            self._rest_rows = 0
        if not self._merged:
            raise ValueError("there are no rows")
        *others, found = self._merged
        for one in reversed(others):
            found = one.merged(found)
        self._merged = [found]
        return found.mean, found.deviation


class _Moments(NamedTuple):
    """The mean and deviation of some rows."""

    rows: int
    mean: Array
    deviation: Array

    def merged(self, other: _Moments) -> _Moments:
        """Return those of these rows and of others, by the formulas of Chan et al. 1983."""
        rows = self.rows + other.rows
        known, new = self.rows / rows, other.rows / rows
        half = other.mean / 2 - self.mean / 2  # halves, since a difference may overflow
        within = np.hypot(self.deviation * math.sqrt(known), other.deviation * math.sqrt(new))
        deviation = np.hypot(within, half * (2 * math.sqrt(known * new)))
        return _Moments(rows, self.mean + half * new + half * new, deviation)


def mean_and_deviation_of_chunks(chunks: Iterable[Array]) -> tuple[Array, Array]:
    """Return what `mean_and_deviation` returns of all rows, given as chunks `(rows, ...)`.

    Raises ValueError if there is no row.
    """
    found = Moments()
    for chunk in chunks:
        found.add(chunk)
    return found.result()


def scale_of(mean: Array, deviation: Array) -> Array:
    """Return the number to divide each column by: its deviation, or 1 if it is constant.

    It is constant too if its deviation is no more than the rounding of its values.
    """
    rounding = ROUNDING * sys.float_info.epsilon * np.abs(mean)
    return np.where(deviation > rounding, deviation, 1.0)


def standardize(values: Array, mean: Numbers, scale: Numbers) -> Array:
    """Return (value - mean) / scale of float64 values."""
    if not (_huge(mean) or _huge(scale)):
        values = np.subtract(values, mean)
        values /= scale
        return values
    values = np.divide(values, HEADROOM)
    values -= np.divide(mean, HEADROOM)
    values /= np.divide(scale, HEADROOM)
    return values


def unstandardize(values: Array, mean: Numbers, scale: Numbers) -> Array:
    """Replace float64 values by value · scale + mean in place, and return them."""
    if not (_huge(mean) or _huge(scale)):
        values *= scale
        values += mean
        return values
    values *= np.divide(scale, HEADROOM)
    values += np.divide(mean, HEADROOM)
    values *= HEADROOM
    return values


def _huge(numbers: Numbers) -> bool:
    """Return True if a difference from one of these numbers may overflow."""
    largest = max(map(abs, numbers), default=0) if isinstance(numbers, tuple) else abs(numbers)
    return largest > sys.float_info.max / HEADROOM


def sum_rows(x: Array, ones: Callable[[int], Array], out: Array) -> None:
    """Write the sums of `(..., rows, features)` over the rows, by matrix products.

    Many rows are summed in blocks, whose sums are added in float64, so that errors do not grow with
    the rows. `ones(n)` returns a vector of n ones.
    """
    if x.ndim == 2 and len(x) <= 2 * BLOCK_ROWS:  # first, as small networks are bound by calls
        ones(len(x)).dot(x, out)
        return
    *leading, rows, features = x.shape
    if rows <= 2 * BLOCK_ROWS:
        np.matmul(ones(rows), x, out=out)
        return
    blocks, rest = divmod(rows, BLOCK_ROWS)
    end = rows - rest
    parts = x[..., :end, :].reshape(*leading, blocks, BLOCK_ROWS, features)
    total = np.sum(np.matmul(ones(BLOCK_ROWS), parts), axis=-2, dtype=np.float64)
    total += np.matmul(ones(rest), x[..., end:, :])
    out[...] = total


def mean(values: Array) -> float:
    """Return the mean of floats, also if only their sum is beyond the range of their type.

    To be called with NumPy's warnings of overflow switched off.
    """
    found = float(np.mean(values))
    if not math.isinf(found):
        return found
    largest = float(np.max(np.abs(values)))
    return largest if math.isinf(largest) else float(np.mean(values / largest)) * largest


def means_of_rows(values: Array) -> Array:
    """Return the mean of each row of `(rows, values)` as `mean` does."""
    found: Array = np.mean(values, axis=1)
    if np.isinf(found).any():
        return np.array([mean(row) for row in values], values.dtype)
    return found


def tree_sum(arrays: Sequence[Array]) -> Array:
    """Add neighbours, then their sums, and so on; the total is written to the first array.

    The others are overwritten. The order depends on the number of arrays alone.
    """
    for first, second, _ in tree_additions(len(arrays)):
        np.add(arrays[first], arrays[second], out=arrays[first])
    return arrays[0]


@functools.cache
def tree_additions(count: int) -> Sequence[tuple[int, int, int]]:
    """Return the additions by which `tree_sum` adds this many arrays, in order.

    Each is of the second array to the first one; both are then sums of all arrays from the first up
    to, but without, the third number.
    """
    additions, step = list[tuple[int, int, int]](), 1
    while step < count:
        for index in range(0, count - step, 2 * step):
            additions.append((index, index + step, min(index + 2 * step, count)))
        step *= 2
    return additions


def norm(vector: Array) -> float:
    """Return the Euclidean norm of a vector of floats; inf or nan if a value is.

    One product where its result is in the range of the type; scaled by the largest value otherwise.
    To be called with NumPy's warnings of overflow switched off.
    """
    low, high = _range_of_squares(vector.dtype)
    squares = float(np.dot(vector, vector))
    if low * vector.size < squares <= high:
        return math.sqrt(squares)
    largest = float(np.max(np.abs(vector), initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = vector.astype(np.float64) / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))


@functools.cache
def _range_of_squares(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the bounds between which a sum of squares is precise; the lower one is per value."""
    limits = np.finfo(dtype)
    return float(limits.tiny) / float(limits.eps), float(limits.max)


def all_finite(values: Array) -> bool:
    """Return True if all values are finite; each is checked only if the sum of squares is not.

    To be called with NumPy's warnings of overflow switched off.
    """
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())
