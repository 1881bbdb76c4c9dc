"""Windows of consecutive rows of an array, which share these rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array, Shape


class Windows:
    """Arrays of consecutive rows: the one at i is `values[starts[i] : starts[i] + length]`.

    The features `relative`, numbers of the last axis, are relative to the last row of the window.

    `values` is `(rows, ...)`, and stored once; those of a batch are copied when they are needed.
    Slices and arrays of numbers select windows, and give an array `(windows, length, ...)`.
    """

    __slots__ = ("length", "relative", "starts", "values")

    def __init__(
        self, values: Array, starts: Array, length: int, relative: Sequence[int] = ()
    ) -> None:
        self.values = np.ascontiguousarray(values)  # `take` would copy another one each time
        self.starts = starts
        self.length = length
        self.relative = tuple(relative)

    @property
    def shape(self) -> Shape:
        """The shape of all windows as one array."""
        return (len(self), self.length, *self.values.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of dimensions of `shape`."""
        return 1 + self.values.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of `values`."""
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return self.values.nbytes + self.starts.nbytes

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, windows: slice | Array) -> Array:
        """Return these windows as one array."""
        return self.take(windows)

    def take(self, windows: slice | Array, out: Array | None = None) -> Array:
        """Return these windows as one array, which is `out` if it is given."""
        rows = self.starts[windows][:, None] + np.arange(self.length)
        found = self.values.take(rows, 0, out, "clip")  # "raise" would copy twice
        for feature in self.relative:
            found[..., feature] -= found[:, -1:, feature]
        return found

    def __repr__(self) -> str:
        return f"<{len(self)} windows of {self.length} rows>"
