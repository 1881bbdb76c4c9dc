"""A table: columns by name, and where its rows come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnreg._types import Array
from nnreg.tables.lazy import AnyColumn, Stored


@dataclass(frozen=True)
class Table:
    """Named columns of equal length.

    A column is an array of numbers `(rows, ...)`, or of objects `(rows,)` that are text or, where
    the value is missing, None; or of text in NumPy's `StringDType`; or a `Categorical`. Numbers may
    also be left in their file, as `Stored`. `lines` has the lines of a file of text, by the row's
    number, or `names` what the rows are called, such as the file of each image; `rows` has the
    number of each row where not all are there. `share` is how much of the file has been read when
    a piece ends, from 0 to 1.
    """

    columns: Mapping[str, AnyColumn]
    origin: str = "the data"
    lines: Sequence[int] | Array | None = None
    rows: Array | None = None
    share: float = 1.0
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def place(self, row: int, column: str) -> str:
        """Say where a value is, for an error message."""
        return f"{self.origin}, {self.where(row)}, column {column!r}"

    def where(self, row: int) -> str:
        """Say where a row is in the file: `line 3` of text, its name, or else `row 1`."""
        number = row if self.rows is None else self.rows[row]
        if self.names is not None:
            return self.names[number]
        return f"row {number}" if self.lines is None else f"line {self.lines[number]}"

    def part(self, rows: slice) -> Table:
        """Return a stretch of the rows, without a copy of what is in memory."""
        return self._select(rows, np.arange(*rows.indices(len(self))))

    def take(self, rows: Array) -> Table:
        """Return the table of these rows only, in ascending order."""
        return self._select(rows, rows)

    def _select(self, rows: Array | slice, numbers: Array) -> Table:
        columns = {
            name: column.select(numbers) if isinstance(column, Stored) else column[rows]
            for name, column in self.columns.items()
        }
        numbers = numbers if self.rows is None else self.rows[numbers]
        return replace(self, columns=columns, rows=numbers)
