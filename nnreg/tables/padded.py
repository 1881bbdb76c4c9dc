"""Sequences of different lengths as one array, with zeros after the end of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.errors import DataError
from nnreg.tables.relative import RelativeTargets


class Padded:
    """Sequences of different lengths: `values` `(rows, steps, ...)` and `lengths` `(rows,)`.

    The first `lengths[i]` steps of row i are its sequence, and its values after them are 0. Slices
    and arrays of row numbers select rows, as they do of an array.
    """

    __slots__ = ("lengths", "values")

    def __init__(self, values: npt.ArrayLike, lengths: npt.ArrayLike) -> None:
        try:
            self.values: Array = np.asarray(values)
            self.lengths: Array = np.asarray(lengths)
        except ValueError as error:
            raise DataError(
                "padded sequences are an array (rows, steps, ...), not lists of different lengths; "
                "Padded.of takes those"
            ) from error
        if self.values.ndim < 2:
            raise DataError(
                f"padded sequences have the shape (rows, steps, ...), found {self.values.shape}"
            )
        if self.lengths.shape != self.values.shape[:1]:
            raise DataError(
                f"{len(self.values)} padded sequences need as many lengths, found an array of "
                f"shape {self.lengths.shape}"
            )
        if self.lengths.dtype.kind not in "iu":
            raise DataError(f"lengths of sequences are integers, found {self.lengths.dtype}")
        wrong = (self.lengths < 0) | (self.lengths > self.steps)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"row {row}: the length {self.lengths[row]} is not between 0 and the number of "
                f"steps, {self.steps}"
            )
        self.lengths = self.lengths.astype(np.intp, copy=False)
        after = self.values[~self.mask]
        if np.any(after != 0):  # also for NaN
            self.values = self.values.copy()
            self.values[~self.mask] = 0

    @classmethod
    def of(cls, sequences: Sequence[npt.ArrayLike]) -> Padded:
        """Return a list of arrays, each `(steps, ...)` with its own number of steps.

        Raises `DataError` naming the row if the others differ from the first in anything else.
        """
        arrays = [_array(one, row) for row, one in enumerate(sequences)]
        example = next((one.shape[1:] for one in arrays if one.size), None)
        for row, array in enumerate(arrays):
            if array.ndim == 0 or array.dtype.kind not in "biuf":
                raise DataError(
                    f"row {row}: expected a sequence of numbers, found "
                    f"{'a single value' if array.ndim == 0 else array.dtype}"
                )
            if array.size and array.shape[1:] != example:
                raise DataError(
                    f"row {row}: its steps have shape {array.shape[1:]}, those of the rows before "
                    f"{example}"
                )
        if example is None:
            example = max((one.shape[1:] for one in arrays), key=len, default=())
        filled = [one for one in arrays if one.size] or arrays
        dtype = np.result_type(*filled) if filled else np.dtype(np.float64)
        steps = max(map(len, arrays), default=0)
        values = np.zeros((len(arrays), steps, *example), dtype)
        for row, array in enumerate(arrays):
            if array.size:
                values[row, : len(array)] = array
        return cls._checked(values, np.array([len(one) for one in arrays], np.intp))

    @classmethod
    def _checked(cls, values: Array, lengths: Array) -> Padded:
        """Return sequences whose values and lengths are known to be right."""
        padded = object.__new__(cls)
        padded.values, padded.lengths = values, lengths
        return padded

    @property
    def steps(self) -> int:
        """The number of steps of `values`, at least the largest length."""
        steps: int = self.values.shape[1]
        return steps

    @property
    def mask(self) -> Array:
        """Which steps are real, `(rows, steps)`."""
        return mask_of(self.lengths, self.steps)

    @property
    def points(self) -> Array:
        """The real steps of all rows, one after the other: `(points, ...)`."""
        real: Array = self.values[self.mask]
        return real

    @property
    def shape(self) -> Shape:
        """The shape of `values`."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions of `values`."""
        return self.values.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of `values`."""
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return self.values.nbytes + self.lengths.nbytes

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Array) -> Padded:
        """Return these rows, with the same number of steps."""
        return self._checked(self.values[rows], self.lengths[rows])

    def __repr__(self) -> str:
        return f"<{len(self)} sequences of up to {self.steps} steps>"

    def sequences(self) -> list[Array]:
        """Return the sequences as a list of arrays, each with its own number of steps."""
        pairs = zip(self.values, self.lengths, strict=True)
        return [values[:length] for values, length in pairs]

    def with_points(self, points: Array) -> Padded:
        """Return sequences of the same lengths whose real steps are `(points, ...)`."""
        values = np.zeros((*self.values.shape[:2], *points.shape[1:]), points.dtype)
        values[self.mask] = points
        return self._checked(values, self.lengths)

    def each(self, function: Callable[[Array], Array]) -> Padded:
        """Return the results of a function for the values and for the lengths."""
        return self._checked(function(self.values), function(self.lengths))

    def resized(self, steps: int) -> Padded:
        """Return the same sequences in an array of this number of steps.

        It must be at least the largest length.
        """
        if steps == self.steps:
            return self
        values = np.zeros((len(self), steps, *self.values.shape[2:]), self.values.dtype)
        common = min(steps, self.steps)
        values[:, :common] = self.values[:, :common]
        return self._checked(values, self.lengths)


def _array(sequence: npt.ArrayLike, row: int) -> Array:
    """Return a sequence as an array. Raises `DataError` for lists that differ in length."""
    try:
        return np.asarray(sequence)
    except ValueError as error:
        problem = "lists within the sequence differ in length; every step needs the same number"
        raise DataError(f"row {row}: {problem}") from error


def mask_of(lengths: Array, steps: int) -> Array:
    """Return which of a number of steps are real, `(rows, steps)`."""
    mask: Array = np.less(np.arange(steps), lengths[:, None])
    return mask


def points_of(values: Array | Padded | RelativeTargets) -> Array:
    """Return the real steps of sequences, the values of relative targets, or an array as it is."""
    return values if isinstance(values, np.ndarray) else values.points


def as_type(values: Array | Padded, dtype: npt.DTypeLike) -> Array | Padded:
    """Return values of another type."""
    if isinstance(values, Padded):
        return values.with_points(values.points.astype(dtype))
    return values.astype(dtype)


def concatenate_padded(parts: Sequence[Padded]) -> Padded:
    """Return the rows of all parts, which may differ in their number of steps."""
    steps = max(part.steps for part in parts)
    values = np.concatenate([part.resized(steps).values for part in parts])
    return Padded._checked(values, np.concatenate([part.lengths for part in parts]))


def points_like(values: Array, like: Array | Padded) -> Array:
    """Return the real steps of an array, by the lengths of `like`; all if that is an array."""
    return values[mask_of(like.lengths, values.shape[1])] if isinstance(like, Padded) else values
