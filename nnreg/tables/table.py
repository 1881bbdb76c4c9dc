"""A table: columns by name, and the location of its rows in a file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.lazy import AnyColumn, LazyArray, StoredColumn
from nnreg.tables.ragged import Ragged


@dataclass(frozen=True)
class Table:
    """Named columns of equal length.

    A column is an array of numbers `(rows, ...)`; or of objects `(rows,)`, text or None if missing;
    or of text in NumPy's `StringDType`; or a `Categorical`; or a `LazyArray`, numbers that stay in
    their file. `line_numbers` has each row's line in a text file, or `row_names` its name, such as
    the file of an image; both are indexed by row number. `row_numbers` has the row numbers in the
    file if the table has only some of its rows. `fraction_read` is the fraction of the file read up
    to the end of this chunk. `missing_texts` are the texts of a missing value in its cells; None if
    its cells have no types, and its source has replaced such texts. `file_starts` are the first row
    and the name of each file, if several make up the table.

    A column of sequences is a `Ragged`. If each step was a row of the file, `step_rows` has the row
    numbers of the steps. The rows of each `StoredColumn` are read by the `reader`.
    """

    columns: Mapping[str, AnyColumn]
    origin: str = "the data"
    line_numbers: Sequence[int] | Array | None = None
    row_numbers: Array | None = None
    fraction_read: float = 1.0
    row_names: Sequence[str] | None = None
    missing_texts: Sequence[str] | None = None
    step_rows: Array | None = None
    file_starts: Sequence[tuple[int, str]] = ()
    reader: RowReader | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def location(self, row: int, column: str) -> str:
        """Return the location of a value for an error message."""
        return f"{self.origin}, {self.row_label(row)}, column {column!r}"

    def row_label(self, row: int) -> str:
        """Return the location of a row in its file: `line 3` of text, its name, or else `row 1`."""
        return self._file_row(row if self.row_numbers is None else self.row_numbers[row])

    def _file_row(self, number: int) -> str:
        before = [one for one in self.file_starts if one[0] <= number]
        start, name = before[-1] if before else (0, "")
        if self.row_names is not None:
            label = self.row_names[number]
        elif self.line_numbers is not None:
            label = f"line {self.line_numbers[number]}"
        else:
            label = f"row {number - start}"
        return f"{label} of {name}" if name else label

    def steps(self, names: Collection[str]) -> Table:
        """Return the table of the steps of these columns of sequences. Raises `DataError`.

        Those of a row have the same length.
        """
        first, *others = names
        one = self.columns[first]
        assert isinstance(one, Ragged)
        columns: dict[str, AnyColumn] = {first: one.steps}
        for name in others:
            other = self.columns[name]
            assert isinstance(other, Ragged)
            differ = other.lengths != one.lengths
            if differ.any():
                row = int(np.argmax(differ))
                raise DataError(
                    f"{self.location(row, name)}: a sequence of {other.lengths[row]} steps, but "
                    f"that of column {first!r} has {one.lengths[row]}; give both as many"
                )
            columns[name] = other.steps
        rows = np.repeat(np.arange(len(one)), one.lengths)
        missing = self.missing_texts
        return Steps(columns, self.origin, missing_texts=missing, sequences=self, of_row=rows)

    def slice_rows(self, rows: slice) -> Table:
        """Return a range of rows, without copying arrays in memory."""
        return self._select(rows, np.arange(*rows.indices(len(self))))

    def take(self, rows: Array) -> Table:
        """Return the table of these rows only; they must ascend."""
        return self._select(rows, rows)

    def _select(self, rows: Array | slice, numbers: Array) -> Table:
        columns = {
            name: column.select(numbers)
            if isinstance(column, LazyArray | StoredColumn)
            else column[rows]
            for name, column in self.columns.items()
        }
        numbers = numbers if self.row_numbers is None else self.row_numbers[numbers]
        return replace(self, columns=columns, row_numbers=numbers)


class RowReader(Protocol):
    """Reads rows of a table in files by their numbers, as a data source does.

    Of processes that share a training, each reads only the rows that it asks for.
    """

    @property
    def required(self) -> bool:
        """Whether the spec says that rows stay in the files, whatever their size."""

    @property
    def size(self) -> int:
        """About how many bytes the whole table takes in memory."""

    @property
    def starts(self) -> Array:
        """The first row of each part that is best read at once, and then the number of rows.

        It is known after all rows were read once, by `iter_chunks`.
        """

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield all rows, as `Source.iter_chunks` does; later, `read` has the columns `text` too.

        `path` names the table in errors.
        """

    def read(self, segments: Sequence[tuple[int, int]], names: Collection[str]) -> Iterator[Table]:
        """Yield the rows of each segment `(start, stop)`, in one or more tables of its own.

        They have the columns `names`, in the types, with the values and at the locations that these
        rows have in the whole table. Segments ascend, and may leave rows out between them. Raises
        `DataError` if the files have changed since `iter_chunks`.
        """


@dataclass(frozen=True)
class Steps(Table):
    """The steps of a table of `sequences` as rows; `of_row` has the row of each."""

    sequences: Table = field(default_factory=lambda: Table({}))
    of_row: Array = field(default_factory=lambda: np.empty(0, np.intp))

    def row_label(self, row: int) -> str:
        """Return the location of a step: its line, where it was a row, or `row 1, step 0`."""
        step = row if self.row_numbers is None else int(self.row_numbers[row])
        sequence = int(self.of_row[step])
        number = step - int(np.searchsorted(self.of_row, sequence))
        if self.sequences.step_rows is not None:
            column = next(c for c in self.sequences.columns.values() if isinstance(c, Ragged))
            position = int(column.starts[sequence]) + number
            return self.sequences._file_row(int(self.sequences.step_rows[position]))
        return f"{self.sequences.row_label(sequence)}, step {number}"
