"""Tables whose rows stay in their files and are read on demand, all columns at once."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nnreg._types import Array, Shape
from nnreg.tables.lazy import BLOCK, StoredColumn, read_ahead, row_numbers
from nnreg.tables.table import RowReader, Table


def surveyed(table: Table, name: str) -> Table:
    """Return a table in which a column that stays in its files has only what it is known to have.

    The type of the column, and where a text is first, are then found as in memory.
    """
    stored = table.columns.get(name)
    if not isinstance(stored, StoredColumn):
        return table
    rows = stored.known_rows
    return replace(table, columns={name: stored.known}, row_numbers=rows, missing_texts=None)


def reader_of(table: Table, names: Collection[str]) -> RowReader | None:
    """Return what reads these columns; None if all are in memory."""
    stay = any(isinstance(table.columns.get(name), StoredColumn) for name in names)
    return table.reader if stay else None


def rows_in_file(table: Table) -> Array:
    """Return the numbers that the rows of a table have in its files."""
    return row_numbers(len(table)) if table.row_numbers is None else table.row_numbers


def located_as(part: Table, table: Table, rows: Array) -> Table:
    """Return rows that were read, located as in their table, where they have these numbers."""
    return replace(
        part,
        origin=table.origin,
        line_numbers=table.line_numbers,
        row_numbers=rows,
        file_starts=table.file_starts,
    )


def block_starts(starts: Array, width: int) -> Array:
    """Return parts of a file joined to blocks of about `BLOCK` values in rows of this width."""
    rows, found = max(BLOCK // max(width, 1), 1), [0]
    for start, stop in pairwise(starts.tolist()):
        if start - found[-1] > 0 and stop - found[-1] > rows:
            found.append(start)
    return np.array([*found, starts[-1]])


def stored_chunks(table: Table, names: Collection[str]) -> Generator[Table, None, None]:
    """Yield the rows of a table, which stay in its files, in order, in tables in memory."""
    reader = reader_of(table, names)
    assert reader is not None  # asked of tables that are in files
    rows = rows_in_file(table)
    ends = np.unique(np.searchsorted(rows, block_starts(reader.starts, len(names))))

    def read(block: tuple[int, int]) -> list[Table]:
        own = rows[block[0] : block[1]]
        start, found = int(own[0]), []
        for part in reader.read([(start, int(own[-1]) + 1)], names):
            inside = own[np.searchsorted(own, start) : np.searchsorted(own, start + len(part))]
            found.append(located_as(part.take(inside - start), table, inside))
            start += len(part)
        return found

    with closing(read_ahead(read, pairwise(ends.tolist()))) as blocks:
        for block in blocks:
            yield from block


@dataclass(frozen=True, eq=False)
class RowsOfTable:
    """Rows that were read, as a `LazyArray` selects some of them to be encoded."""

    table: Table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: slice | Array) -> RowsOfTable:
        table = self.table
        return RowsOfTable(table.slice_rows(rows) if isinstance(rows, slice) else table.take(rows))


class StoredRows:
    """The rows of a table in files as a `Dataset`, of which each becomes `width` numbers."""

    chunk = 1

    def __init__(self, reader: RowReader, names: Collection[str], width: int) -> None:
        self.reader = reader
        self.names = names
        self.starts = block_starts(reader.starts, width)
        self.shape: Shape = (int(self.starts[-1]), width)
        self.dtype = np.dtype(np.float64)

    def read(self, segments: Sequence[tuple[int, int]]) -> Iterator[RowsOfTable]:
        """Yield the rows of each segment `(start, stop)` in parts."""
        return map(RowsOfTable, self.reader.read(segments, self.names))
