"""Columns of sequences of different lengths, and tables of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.memory import array_bytes, require_memory
from nnreg.tables.categorical import Categorical
from nnreg.tables.padded import Padded

HINT = "use fewer or shorter sequences"


@dataclass(frozen=True, eq=False)
class Ragged:
    """A column of sequences: row i has `values[starts[i] : starts[i] + lengths[i]]`.

    `values` are numbers `(steps, ...)`, text or a `Categorical`; rows may share steps.
    """

    values: Array | Categorical
    starts: Array
    lengths: Array

    @property
    def shape(self) -> Shape:
        """The shape that the column has when it is padded."""
        return (len(self), int(self.lengths.max(initial=0)), *self.values.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of dimensions of `shape`."""
        return 1 + self.values.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: Any) -> Ragged:
        return Ragged(self.values, self.starts[rows], self.lengths[rows])

    @property
    def steps(self) -> Array | Categorical:
        """The steps of all rows, one after the other."""
        ends = np.cumsum(self.lengths)
        total = int(ends[-1]) if len(ends) else 0
        first = int(self.starts[0]) if len(self) else 0
        before = ends - self.lengths
        if np.array_equal(self.starts, first + before):
            return self.values[first : first + total]
        return self.values[np.repeat(self.starts - before, self.lengths) + np.arange(total)]

    def require_memory(self, where: str) -> None:
        """Raise `DataError` if the steps, of which rows may share some, are too large."""
        count = int(self.lengths.sum(dtype=np.float64))
        each = np.dtype(np.int32) if isinstance(self.values, Categorical) else self.dtype
        size = array_bytes((count, *self.values.shape[1:]), each)
        require_memory(size + array_bytes((count,), np.dtype(np.intp)), where, HINT)


def of_consecutive(values: Array | Categorical, lengths: Array) -> Ragged:
    """Return sequences of these lengths whose steps are consecutive in `values`."""
    lengths = np.asarray(lengths, np.int64)
    return Ragged(values, np.cumsum(lengths) - lengths, lengths)


def of_rows(array: Array | Categorical, lengths: Array | None = None) -> Ragged:
    """Return the first steps of each row of a column `(rows, steps, ...)`; by default, all."""
    rows, steps, *inner = array.shape
    if lengths is None:
        lengths = np.full(rows, steps, np.int64)
    starts = np.arange(rows, dtype=np.int64) * steps
    flat = (rows * steps, *inner)
    if isinstance(array, Categorical):
        return Ragged(replace(array, codes=array.codes.reshape(flat)), starts, lengths)
    return Ragged(array.reshape(flat), starts, lengths)


def joined(parts: Sequence[Ragged]) -> Ragged:
    """Return the rows of several columns, all of numbers or all of `Categorical`, as one."""
    values = [part.steps for part in parts]
    lengths = np.concatenate([part.lengths for part in parts])
    return of_consecutive(joined_values(values), lengths)


def joined_values(parts: Sequence[Array | Categorical]) -> Array | Categorical:
    """Return arrays, or instances of `Categorical`, as one."""
    codes: list[Array] = []
    number_of: dict[str, int] = {}
    arrays: list[Array] = []
    for part in parts:
        if not isinstance(part, Categorical):
            arrays.append(part)
            continue
        own = [number_of.setdefault(category, len(number_of)) for category in part.categories]
        codes.append(np.array([*own, -1], np.int32)[part.codes])
    if codes:
        return Categorical(tuple(number_of), np.concatenate(codes))
    return np.concatenate(arrays)


def padded(points: Array, lengths: Array, where: str) -> Padded:
    """Return steps `(points, ...)` of rows of these lengths with padding after each row's end."""
    steps = max(int(lengths.max(initial=0)), 1)
    shape = (len(lengths), steps, *points.shape[1:])
    size = array_bytes(shape, points.dtype)
    require_memory(size, f"{where}, {len(lengths):,} sequences padded to {steps:,} steps", HINT)
    return Padded(np.zeros(shape, points.dtype), lengths).with_points(points)
