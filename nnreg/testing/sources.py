"""The conformance checks of data sources. Each takes a source and the content of a file."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.columns import categorical, is_text, numbers
from nnreg.tables.concat import concat_chunks
from nnreg.tables.lazy import materialize
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import RowReader, Table


@dataclass(frozen=True)
class SourceCase:
    """A source and the bytes of a file that it reads; None if its class has no example."""

    source: Source
    content: bytes | None

    def __str__(self) -> str:
        return str(self.source)


DAMAGED = (b"", b"\x00\xff\xfe not a file of any format \x80", b"{", b"PK\x03\x04 cut off")


def damaged_files(case: SourceCase) -> None:
    """A file that it cannot read raises DataError with the name of the file, and no other error."""
    contents = list(DAMAGED)
    if case.content is not None:
        contents.append(case.content[: len(case.content) // 2])
    for content in contents:
        try:
            _read(case.source, content)
        except DataError as error:
            if "data.file" not in str(error):
                raise AssertionError(
                    f"{case}: the error does not name the file: {error}"
                ) from error


def reads(case: SourceCase) -> None:
    """Columns of the example have equal length, and are numbers, or text with None for missing."""
    if case.content is None:
        return
    columns = _read(case.source, case.content)
    if not columns:
        raise AssertionError(f"{case}: the table of its example has no columns")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise AssertionError(f"{case}: columns of different lengths: {lengths}")
    for name, column in columns.items():
        text = column.dtype == object and all(v is None or isinstance(v, str) for v in column)
        if not text and column.dtype.kind not in "biuf":
            raise AssertionError(
                f"{case}: column {name!r} is neither numbers nor objects that are text or None"
            )


def repeatable(case: SourceCase) -> None:
    """Reading the example again gives the same table, and does not modify the file."""
    if case.content is None:
        return
    first, again = (_read(case.source, case.content) for _ in range(2))
    if first.keys() != again.keys() or not all(_equal(first[n], again[n]) for n in first):
        raise AssertionError(f"{case}: the table read again differs")


def chunks(case: SourceCase) -> None:
    """The chunks together are the table; the files that it lists exist."""
    if case.content is None:
        return
    with _written(case.content) as path:
        for file in case.source.files(path):
            if not file.is_file():
                raise AssertionError(f"{case}: it lists a file that does not exist: {file.name}")
        table, joined = case.source.read(path), concat_chunks(case.source, path)
    if table.columns.keys() != joined.columns.keys():
        raise AssertionError(f"{case}: its chunks have other columns than its table")
    for name, column in table.columns.items():
        one, other = materialize(column), materialize(joined.columns[name])
        numbers = one.dtype.kind in "biuf" and other.dtype.kind in "biuf"
        same = one.shape == other.shape and (
            np.allclose(one, other, equal_nan=True) if numbers else _equal(one, other)
        )
        if not same:
            raise AssertionError(f"{case}: column {name!r} of its chunks differs")


def rows_on_demand(case: SourceCase) -> None:
    """Rows read on demand have the types, values and locations that they have in the table."""
    if case.content is None:
        return
    with _written(case.content) as path:
        table = concat_chunks(case.source, path)
        texts = [name for name, column in table.columns.items() if is_text(column)]
        for text in (texts, [*table.columns]):
            reader = case.source.rows(path)
            if reader is None:
                return
            known = _Known(case, concat_chunks(case.source, path, text), text)
            known.require("all rows", concat_chunks(reader, path, text))
            known.require_starts(reader)
            for segments in _requests(len(table), reader.starts.tolist()):
                for names in (list(table.columns), list(table.columns)[-1:]):
                    known.require_rows(reader, segments, names)


def changed_file(case: SourceCase) -> None:
    """Rows read on demand raise DataError if the file has changed since all of it was read."""
    if case.content is None:
        return
    with _written(case.content) as path:
        reader = case.source.rows(path)
        if reader is None:
            return
        names: Collection[str] = ()
        for table in reader.iter_chunks(path, ()):
            names = table.columns.keys()
        path.write_bytes(2 * case.content)
        try:
            list(reader.read([(0, 1)], names))
        except DataError as error:
            if "data.file" not in str(error):
                raise AssertionError(
                    f"{case}: the error does not name the file: {error}"
                ) from error
            return
        raise AssertionError(f"{case}: no error for rows of a file that has changed")


def _requests(rows: int, starts: Sequence[int]) -> Iterator[Sequence[tuple[int, int]]]:
    """Yield segments to read: all rows, all parts at once, single rows, and some with gaps."""
    yield [(0, rows)]
    yield [part for part in pairwise(starts) if part[0] < part[1]]
    some = np.unique(np.linspace(0, rows, 7).astype(int)).tolist()
    yield from ([(row - 1, row)] for row in reversed(some[1:]))
    yield list(pairwise(some))[::2]


@dataclass(frozen=True)
class _Known:
    """The table in memory, of which the columns `text` were asked for as text."""

    case: SourceCase
    table: Table
    text: Collection[str]

    def require_starts(self, reader: RowReader) -> None:
        """Require that `starts` has the first row of each part, and then the number of rows."""
        starts, rows = np.asarray(reader.starts), len(self.table)
        if starts[0] != 0 or starts[-1] != rows or (np.diff(starts) < 0).any():
            raise AssertionError(
                f"{self.case}: `starts` is {starts.tolist()}; expected ascending numbers of rows "
                f"from 0 to {rows}, that of all rows"
            )

    def require_rows(
        self, reader: RowReader, segments: Sequence[tuple[int, int]], names: Sequence[str]
    ) -> None:
        """Require that a reader gives these rows, those of each segment in tables of its own."""
        parts = reader.read(segments, names)
        for segment in segments:
            start, stop = segment
            while start < stop:
                part = next(parts, None)
                if part is None or len(part) > stop - start:
                    given = "too few rows" if part is None else "a table that goes beyond it"
                    raise AssertionError(
                        f"{self.case}: the segments {segments} were read with {given} for "
                        f"{segment}; yield the rows of each segment in tables of its own"
                    )
                what = f"rows {start} to {start + len(part) - 1}, read on demand"
                self.require(what, part, start, names)
                start += len(part)
        if next(parts, None) is not None:
            raise AssertionError(f"{self.case}: more rows than the segments {segments} have")

    def require(
        self, what: str, found: Table, start: int = 0, names: Sequence[str] | None = None
    ) -> None:
        """Require rows from `start` on, of the columns `names`, by default of all of them."""
        rows = slice(start, len(self.table) if names is None else start + len(found))
        known = self.table.slice_rows(rows)
        for name in known.columns if names is None else names:
            if not isinstance(known.columns[name], Ragged):  # sequences are read to memory
                self._require_column(f"{self.case}: {what}, column {name!r}", name, found, known)

    def _require_column(self, what: str, name: str, found: Table, known: Table) -> None:
        if name not in found.columns:
            raise AssertionError(f"{what}: missing")
        numeric = not is_text(known.columns[name])
        if name not in self.text and is_text(found.columns[name]) == numeric:
            kinds = ("text", "numbers") if numeric else ("numbers", "text")
            raise AssertionError(f"{what}: {kinds[0]}, in memory {kinds[1]}")
        read = numbers if numeric and name not in self.text else _texts
        if not _equal(read(found, name), read(known, name)):
            raise AssertionError(f"{what}: other values than in memory")
        for row in range(len(found)):
            here, there = found.location(row, name), known.location(row, name)
            if here != there:
                raise AssertionError(f"{what}: located at {here!r}, in memory at {there!r}")


def _texts(table: Table, name: str) -> Array:
    return categorical(table, name).text()


OF_FILES = (damaged_files, reads, repeatable, chunks)
CHECKS = (*OF_FILES, rows_on_demand, changed_file)


def checks_of(cls: type[Source]) -> Sequence[Any]:
    """Return the checks that apply to this class: only one without an example."""
    if not list(cls.examples()):
        return (damaged_files,)
    return OF_FILES if cls.rows is Source.rows else CHECKS


def cases(example: Source | tuple[Source, bytes]) -> Sequence[SourceCase]:
    """Return the source with the bytes of a file."""
    if isinstance(example, Source):
        return [SourceCase(example, None)]
    return [SourceCase(*example)]


def _equal(one: Array, other: Array) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@contextmanager
def _written(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "data.file"
        path.write_bytes(content)
        yield path


def _read(source: Source, content: bytes) -> dict[str, Array]:
    """Return the columns of a file with these bytes, all in memory."""
    with _written(content) as path:
        columns = {name: materialize(column) for name, column in source.read(path).columns.items()}
        if path.read_bytes() != content:
            raise AssertionError(f"{source}: reading modified the file")
    return columns
