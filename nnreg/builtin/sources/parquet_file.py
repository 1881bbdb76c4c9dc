"""The rows of Parquet files, in their groups."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from nnreg._types import Array
from nnreg._utils.extras import needed
from nnreg._utils.file_state import FileState
from nnreg._utils.memory import array_bytes, data_limit, require_memory
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.dataframes import columns_of_arrow
from nnreg.tables.table import Table

ROWS, MIN_ROWS, VALUES = 2**14, 2**9, 2**18
"""The most rows that are decoded at once, the fewest, and about how many values: 2 MB of float64,
of which Arrow takes several times as much."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""The name of a missing value in the name of a directory."""


def partition_of(file: Path, directory: Path) -> dict[str, str | None]:
    """Return the columns that the names of directories have: of `year=2024/month=1`, two."""
    parts = file.relative_to(directory).parent.parts if file != directory else ()
    pairs = (part.split("=", 1) for part in parts if "=" in part)
    return {unquote(k): None if v == NO_VALUE else unquote(v) for k, v in pairs}


def constants(partition: Mapping[str, str | None], rows: int) -> dict[str, Categorical]:
    """Return columns that have one value each."""
    return {
        name: Categorical(
            () if value is None else (value,), np.full(rows, -1 if value is None else 0, np.int16)
        )
        for name, value in partition.items()
    }


class ParquetFile:
    """A file with its metadata, which are read and checked once."""

    def __init__(self, path: Path) -> None:
        with self._errors(path):
            import pyarrow.parquet

            self.path = path
            self.state = FileState.of(path)
            with path.open("rb") as raw:
                self.metadata = pyarrow.parquet.read_metadata(raw)
            self.encoded = _check_row_groups(self.metadata, path)
            self.widths = _widths(self.metadata)

    @property
    def group_rows(self) -> list[int]:
        """The number of rows of each group."""
        return [self.metadata.row_group(n).num_rows for n in range(self.metadata.num_row_groups)]

    @property
    def size(self) -> int:
        """About how many bytes all values take in memory, which are numbers or short texts."""
        return int(self.metadata.num_rows * sum(self.widths.values()) * 8)

    def tables(
        self,
        text: Collection[str],
        groups: Sequence[int] | None = None,
        names: Collection[str] | None = None,
        first: int = 0,
    ) -> Iterator[Table]:
        """Yield the rows of these groups, by default all, in tables with the columns `names`.

        The columns `text` are read as text. `first` is the number of the first row.
        """
        chosen = range(self.metadata.num_row_groups) if groups is None else groups
        columns = None if names is None else list(names)
        with self._errors(self.path), self.path.open("rb") as raw:
            import pyarrow.parquet

            file = pyarrow.parquet.ParquetFile(
                raw,
                metadata=self.metadata,
                read_dictionary=self.encoded,
                pre_buffer=False,  # which would keep in memory what was read
            )
            width = sum(self.widths[name] for name in columns or self.widths)
            rows = int(min(max(VALUES / max(width, 1), MIN_ROWS), ROWS))
            batches = file.iter_batches(
                rows,
                row_groups=list(chosen),
                columns=columns,
                use_threads=False,  # columns of a few rows are not worth a task of a thread each
            )
            yield from _tables(batches, self.path, text, first, self.metadata.num_rows)

    @staticmethod
    @contextmanager
    def _errors(path: Path) -> Iterator[None]:
        with needed(path, "reading Parquet", "pyarrow", "parquet"):
            import pyarrow
        try:
            yield
        except (pyarrow.ArrowException, ValueError) as error:
            raise DataError(f"{path}: not a readable Parquet file: {error}") from error


def _tables(
    batches: Iterable[Any], path: Path, text: Collection[str], first: int, total: int
) -> Iterator[Table]:
    """Yield batches of consecutive rows, from the `first` of `total` in the file, as tables."""
    done = first
    for batch in batches:
        require_memory(batch.nbytes, f"{path}, {len(batch):,} rows after row {done:,}")
        rows = np.arange(done, done + len(batch))
        done += len(batch)
        yield Table(
            columns_of_arrow(batch, str(path), text),
            str(path),
            row_numbers=rows,
            fraction_read=done / total,
            missing_texts=MISSING_TEXTS,
        )


def _check_row_groups(metadata: Any, path: Path) -> list[str]:
    """Raise `DataError` for a group of rows, read at once, that declares more than the memory.

    Returns the columns to leave dictionary-encoded, because a chunk of their text may be too large.
    """
    encoded = set()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        hint = "write it with smaller groups, such as row_group_size=100_000 of pyarrow"
        require_memory(group.total_byte_size, f"{path}, a group of {group.num_rows:,} rows", hint)
        for index in range(group.num_columns):
            column, kind = group.column(index), metadata.schema.column(index)
            text = column.physical_type == "BYTE_ARRAY"
            if kind.max_repetition_level:
                size = array_bytes((column.num_values,), np.dtype(object if text else np.float64))
                require_memory(size, f"{path}, lists of {column.num_values:,} values", hint)
            elif text and ROWS * column.total_uncompressed_size > data_limit():
                encoded.add(kind.name)
    return sorted(encoded)


def _widths(metadata: Any) -> dict[str, float]:
    """Return the number of values that a row has in each column, on average if it has lists."""
    values = [0] * metadata.num_columns
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for index in range(metadata.num_columns):
            values[index] += group.column(index).num_values
    found, stored = {}, iter(values)
    for field in metadata.schema.to_arrow_schema():
        own = sum(itertools.islice(stored, _stored_columns(field.type)))
        found[field.name] = own / max(metadata.num_rows, 1)
    return found


def _stored_columns(kind: Any) -> int:
    """Return how many columns of the file a column of this type is stored in."""
    inner = (kind.field(number).type for number in range(kind.num_fields))
    return sum(map(_stored_columns, inner)) or 1


@dataclass(frozen=True)
class _Group:
    """A group of rows: its file, its number there, and the number of its first row there."""

    file: ParquetFile
    number: int
    first: int


class ParquetRows:
    """Reads rows of Parquet files by their numbers; see `RowReader`."""

    def __init__(
        self,
        path: Path,
        files: Sequence[Path],
        chunks: Callable[[Path, Collection[str]], Iterator[Table]],
        *,
        required: bool,
    ) -> None:
        self.required = required
        self.path = path
        self._chunks = chunks
        self._text: Collection[str] = ()
        self.groups: list[_Group] = []
        counts, self.size = [0], 0
        for file in map(ParquetFile, files):
            self.size += file.size
            first = 0
            for number, rows in enumerate(file.group_rows):
                self.groups.append(_Group(file, number, first))
                counts.append(rows)
                first += rows
        self.starts: Array = np.cumsum(counts)

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield all rows."""
        self._text = text
        return self._chunks(path, text)

    def read(self, segments: Sequence[tuple[int, int]], names: Collection[str]) -> Iterator[Table]:
        """Yield the rows of each segment, from the groups that have some of them."""
        for start, stop in segments:
            numbers = range(
                int(np.searchsorted(self.starts, start, "right")) - 1,
                int(np.searchsorted(self.starts, stop)),
            )
            for _, same in itertools.groupby(numbers, lambda number: self.groups[number].file.path):
                of_file = list(same)
                first = int(self.starts[of_file[0]])
                inside = max(start - first, 0), stop - first
                yield from self._rows([self.groups[n] for n in of_file], inside, names)

    def _rows(
        self, groups: Sequence[_Group], inside: tuple[int, int], names: Collection[str]
    ) -> Iterator[Table]:
        """Yield the rows `inside` of consecutive groups of a file, counted from their first."""
        file, done = groups[0].file, 0
        partition = partition_of(file.path, self.path)
        own = [name for name in names if name not in partition] or list(file.widths)[:1]
        numbers = [one.number for one in groups]
        with file.state.unchanged():
            for table in file.tables(self._text, numbers, own, groups[0].first):
                part = slice(max(inside[0] - done, 0), min(inside[1] - done, len(table)))
                done += len(table)
                if part.start < part.stop:
                    found = table.slice_rows(part)
                    columns = {**found.columns, **constants(partition, len(found))}
                    yield replace(found, columns=columns)
                if done >= inside[1]:
                    break
