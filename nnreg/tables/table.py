"""A table: columns by name, and where its rows come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnreg._types import Array
from nnreg.tables.lazy import AnyColumn, LazyArray


@dataclass(frozen=True)
class Table:
    """Named columns of equal length.

    A column is an array of numbers `(rows, ...)`, or of objects `(rows,)` that are text or, where
    the value is missing, None; or of text in NumPy's `StringDType`; or a `Categorical`. Numbers may
    also be left in their file, as `LazyArray`. `line_numbers` has the lines of a file of text, by
    the row's number, or `row_names` what the rows are called, such as the file of each image;
    `row_numbers` has the number of each row where not all are there. `fraction_read` is how much of
    the file has been read when a piece ends, from 0 to 1.
    """

    columns: Mapping[str, AnyColumn]
    origin: str = "the data"
    line_numbers: Sequence[int] | Array | None = None
    row_numbers: Array | None = None
    fraction_read: float = 1.0
    row_names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def location(self, row: int, column: str) -> str:
        """Say where a value is, for an error message."""
        return f"{self.origin}, {self.row_label(row)}, column {column!r}"

    def row_label(self, row: int) -> str:
        """Say where a row is in the file: `line 3` of text, its name, or else `row 1`."""
        number = row if self.row_numbers is None else self.row_numbers[row]
        if self.row_names is not None:
            return self.row_names[number]
        return f"row {number}" if self.line_numbers is None else f"line {self.line_numbers[number]}"

    def slice_rows(self, rows: slice) -> Table:
        """Return a stretch of the rows, without a copy of what is in memory."""
        return self._select(rows, np.arange(*rows.indices(len(self))))

    def take(self, rows: Array) -> Table:
        """Return the table of these rows only, in ascending order."""
        return self._select(rows, rows)

    def _select(self, rows: Array | slice, numbers: Array) -> Table:
        columns = {
            name: column.select(numbers) if isinstance(column, LazyArray) else column[rows]
            for name, column in self.columns.items()
        }
        numbers = numbers if self.row_numbers is None else self.row_numbers[numbers]
        return replace(self, columns=columns, row_numbers=numbers)
