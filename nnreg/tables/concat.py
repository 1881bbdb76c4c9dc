"""One table from the chunks of a source, in little more memory than the table takes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.memory import array_bytes, data_limit, require_memory
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.cells import beyond_float
from nnreg.tables.columns import categories_of
from nnreg.tables.growing import Growing, GrowingText
from nnreg.tables.lazy import AnyColumn, materialize
from nnreg.tables.packed_texts import TEXT, PackedColumns, PackedTexts
from nnreg.tables.ragged import Ragged, joined, of_rows
from nnreg.tables.table import Table

MAX_CATEGORIES = 2**15 - 1
"""The most categories of a column that is stored as a `Categorical`: codes take two bytes."""

SAMPLED = 16
"""Of many texts, only one in this number is measured."""


class ChunkReader(Protocol):
    """Reads a file as tables of consecutive rows, as a data source does."""

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield tables of consecutive rows; the columns `text` are read as text."""


def concat_chunks(source: ChunkReader, path: Path, text: Collection[str] = ()) -> Table:
    """Read a file as one table; the columns `text` are read as text even if they are numeric.

    If text is found in a column after chunks of it were read as numbers, the text of those chunks
    is lost, so the file is read once more.
    """
    table, mixed = _concat(source, path, text)
    if mixed:
        table, mixed = _concat(source, path, {*text, *mixed})
    if mixed:
        name = min(mixed)
        raise DataError(f"{path}: column {name!r} is numeric in one chunk and text in another")
    return table


def _concat(source: ChunkReader, path: Path, text: Collection[str]) -> tuple[Table, set[str]]:
    """Return the table, and the names of the columns that were numeric first and then text."""
    chunks = iter(source.iter_chunks(path, text))
    table = next(chunks)
    columns: dict[str, _Buffer] = {}
    parts = [_part(table)]
    limit = data_limit()
    for chunk in chunks:
        if not columns:
            columns = {name: _growing_column(column) for name, column in table.columns.items()}
        parts.append(_part(chunk))
        for name, column in _stored(chunk).items():
            buffer = columns[name]
            buffer.fraction = chunk.fraction_read
            if isinstance(column, Categorical | PackedTexts):
                if isinstance(buffer, _CategoricalBuffer):
                    buffer.add(column)
                    continue
                column = column.text()
            values = column if isinstance(column, Ragged) else materialize(column)
            columns[name] = buffer = _buffer_for(buffer, values)
            buffer.add(values)  # type: ignore[arg-type] # sequences have a buffer of their own
        size = sum(column.size for column in columns.values())
        if size > limit:
            require_memory(size, f"{path}, its rows so far")
    if not columns:
        require_memory(_size(table), f"{path}, its table")
        return table, set()
    mixed = {name for name, column in columns.items() if column.mixed}
    joined = {name: columns.pop(name).column() for name in list(columns) if name not in mixed}
    return _located(joined, parts, str(path), table.missing_texts), mixed


def _stored(chunk: Table) -> Mapping[str, AnyColumn | PackedTexts]:
    """Return the columns of a chunk as they are in memory."""
    columns = chunk.columns
    return columns.stored if isinstance(columns, PackedColumns) else columns


def require_columns(
    found: Collection[str], names: Collection[str], origin: str, first: str
) -> None:
    """Raise `DataError` if a file has other columns than the `first` one of its table."""
    for name in names:
        if name not in found:
            raise DataError(
                f"{origin}: no column {name!r}, which {first} has; all files of a table need the "
                "same columns"
            )
    for name in found:
        if name not in names:
            raise DataError(
                f"{origin}: column {name!r} is not in {first}; all files of a table need the same "
                "columns"
            )


class _Part(NamedTuple):
    """Where the rows of a chunk are in their file."""

    rows: int
    origin: str
    lines: Sequence[int] | Array | None
    names: Sequence[str] | None


def _part(chunk: Table) -> _Part:
    return _Part(len(chunk), chunk.origin, chunk.line_numbers, chunk.row_names)


def _located(
    columns: Mapping[str, AnyColumn],
    parts: Sequence[_Part],
    origin: str,
    missing_texts: Sequence[str] | None,
) -> Table:
    """Return the table of these columns, whose rows are located as those of the chunks are."""
    names = [one.names for one in parts]
    return Table(
        columns,
        parts[0].origin if len({one.origin for one in parts}) == 1 else origin,
        _concat_line_numbers([one.lines for one in parts]),
        row_names=None if None in names else list(itertools.chain(*filter(None, names))),
        missing_texts=missing_texts,
        file_starts=_file_starts(parts),
    )


def _file_starts(parts: Sequence[_Part]) -> list[tuple[int, str]]:
    """Return the first row of each file, and its name; none if all are of one file."""
    origins = dict.fromkeys(one.origin for one in parts)
    if len(origins) == 1:
        return []
    base = os.path.commonpath([os.path.dirname(origin) for origin in origins])
    starts: dict[str, int] = {}
    count = 0
    for one in parts:
        starts.setdefault(one.origin, count)
        count += one.rows
    return [(start, os.path.relpath(origin, base)) for origin, start in starts.items()]


def _size(table: Table) -> int:
    """Return the bytes of a table's arrays that are in memory."""
    columns = table.columns.values()
    return sum(array_bytes(one.shape, one.dtype) for one in columns if isinstance(one, np.ndarray))


def _growing_column(column: AnyColumn) -> _Buffer:
    numeric = column.dtype.kind in "biuf"
    if isinstance(column, Ragged) or (not numeric and column.ndim > 1):
        sequences = _SequenceBuffer()
        sequences.add(column if isinstance(column, Ragged) else materialize(column))
        return sequences
    buffer = _NumericBuffer(column.shape[1:]) if numeric else _CategoricalBuffer()
    buffer.add(materialize(column))
    return buffer


_Buffer: TypeAlias = "_NumericBuffer | _CategoricalBuffer | _SequenceBuffer"


def _buffer_for(buffer: _Buffer, values: Array | Ragged) -> _Buffer:
    """Return a buffer that can take these values.

    That is one of text, where a number would be rounded, and one of sequences, where they differ in
    length.
    """
    if isinstance(buffer, _SequenceBuffer) or buffer.mixed:
        return buffer
    if isinstance(values, Ragged) or _other_length(buffer, values):
        sequences = _SequenceBuffer()
        sequences.add(buffer.column())
        return sequences
    if isinstance(buffer, _CategoricalBuffer) or buffer.dtype is None:
        return buffer
    kinds = {buffer.dtype.kind, values.dtype.kind}
    exact = kinds & {*"OT"} and kinds & {*"biu"}
    if not exact and not ("f" in kinds and (beyond_float(values) or beyond_float(buffer.column()))):
        return buffer
    text = _CategoricalBuffer()
    text.add(buffer.column())
    return text


def _other_length(buffer: _NumericBuffer | _CategoricalBuffer, values: Array) -> bool:
    """Return True for arrays of another number of steps than those before."""
    known = buffer.shape if isinstance(buffer, _NumericBuffer) else ()
    return len(known) == values.ndim - 1 > 0 and known[0] != values.shape[1]


class _SequenceBuffer:
    """A growing column of sequences, some chunks of which may be arrays."""

    mixed = False
    dtype = None
    fraction = 1.0

    def __init__(self) -> None:
        self.parts: list[Ragged] = []
        self.size = 0
        """The bytes of memory in use."""

    def add(self, values: Array | Categorical | Ragged) -> None:
        """Append rows."""
        if isinstance(values, np.ndarray) and values.dtype.kind not in "biuf":
            values = categories_of(values)
        if not isinstance(values, Ragged):
            values = of_rows(values)
        self.parts.append(values)
        steps = values.values
        self.size += steps.codes.nbytes if isinstance(steps, Categorical) else steps.nbytes

    def column(self) -> Ragged:
        """Return all rows."""
        return joined(self.parts)


class _NumericBuffer:
    """A growing numeric column, in the smallest type that represents all values exactly."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] | None = None
        self.values = Growing(np.float64)
        self.rows = 0
        self.fraction = 1.0
        """The fraction of the file that has been read."""
        self.mixed = False

    @property
    def size(self) -> int:
        """The bytes of memory in use."""
        return self.values.nbytes

    def add(self, values: Array) -> None:
        """Append rows."""
        if values.dtype.kind not in "biuf":
            self.mixed = True
        if self.mixed:
            self.values, self.rows = Growing(np.float64), 0
            return
        if self.dtype is None or values.dtype != self.dtype:  # NumPy reads None as float64
            values = _smallest(values, self.dtype)
            if values.dtype != self.dtype:
                before, self.values = self.values, Growing(values.dtype)
                self.values.extend(before.all, self.fraction)
            self.dtype = values.dtype
        self.values.extend(values.reshape(-1), self.fraction)
        self.rows += len(values)

    def column(self) -> Array:
        """Return all rows."""
        return self.values.all.reshape(self.rows, *self.shape)


def _smallest(values: Array, before: np.dtype[Any] | None) -> Array:
    """Return numbers in the smallest type that represents them and type `before` exactly."""
    kinds = [np.dtype(kind) for kind in ("f2", "f4", "f8")]
    if values.dtype != np.float64 or not (before is None or before in kinds):
        return values.astype(np.result_type(values, values if before is None else before))
    for kind in kinds[0 if before is None else kinds.index(before) : -1]:
        with np.errstate(over="ignore"):
            smaller = values.astype(kind)
        same = smaller == values
        if same.all() or (same | np.isnan(values)).all():
            return smaller
    return values


class _CategoricalBuffer:
    """A growing column of text: a `Categorical` while there are few distinct values."""

    mixed = False

    def __init__(self) -> None:
        self.code_of = CategoryCodes()
        self.codes = Growing(np.int16)
        self.fraction = 1.0
        self.texts: GrowingText | None = None
        self.last: tuple[tuple[str, ...], Array] = ((), np.array([-1]))
        """The categories of the last `Categorical`, and their codes here."""
        self.characters = 0
        """Of the distinct texts, or of all once they are too many for codes."""

    @property
    def size(self) -> int:
        """The bytes of memory in use; a character may take up to four."""
        texts = self.texts.nbytes if self.texts else 0
        return self.codes.nbytes + texts + self.characters

    def add(self, values: Array | Categorical | PackedTexts) -> None:
        """Append rows."""
        if isinstance(values, PackedTexts):
            if self.texts is not None:
                self.texts.extend(values, self.fraction)
                self.characters += _characters(values.raw)
                return
            values = values.text()
        if values.dtype.kind in "biuf":
            values = categories_of(np.asarray(values)).text()
        if self.texts is None:
            codes = self._codes(values)
            if len(self.code_of) <= MAX_CATEGORIES:
                self.codes.extend(codes, self.fraction)
                return
            self.texts = GrowingText()
            coded = self._categorical()
            before = coded.each(coded.categories, None, TEXT)
            self.texts.extend(before, self.fraction * len(before) / (len(before) + len(values)))
            self.code_of, self.codes = CategoryCodes(), Growing(np.int16)
        text = values.text() if isinstance(values, Categorical) else values
        text = text.astype(TEXT, copy=False)
        self.texts.extend(text, self.fraction)
        self.characters += _characters(text)

    def _codes(self, values: Array | Categorical) -> Array:
        """Return the code of each row, new for texts that were not there before."""
        if not isinstance(values, Categorical):
            return self._codes_of(values.tolist())
        if values.categories is not self.last[0]:  # chunks of a file may share them
            self.last = values.categories, np.append(self._codes_of(values.categories), -1)
        return self.last[1][values.codes]

    def _codes_of(self, texts: Sequence[str | None]) -> Array:
        known = len(self.code_of)
        codes = np.fromiter(map(self.code_of.__getitem__, texts), np.int32, len(texts))
        new = itertools.islice(reversed(self.code_of), len(self.code_of) - known)
        self.characters += sum(map(len, filter(None, new)))
        return codes

    def column(self) -> Array | Categorical:
        """Return all rows."""
        return self._categorical() if self.texts is None else self.texts.array()

    def _categorical(self) -> Categorical:
        return Categorical(self.code_of.categories, self.codes.all)


def _characters(texts: Array) -> int:
    """Return about how many characters these texts have."""
    step = SAMPLED if len(texts) > SAMPLED**2 else 1
    some = texts[::step]
    if some.dtype.kind == "T":
        known = some.astype(bool)  # neither missing nor empty
        some = some if known.all() else some[known]
    return step * int(np.strings.str_len(some).sum())


def _concat_line_numbers(chunks: Sequence[Any]) -> Sequence[int] | Array | None:
    """Return the line numbers of all rows: as a range if they are consecutive, as is usual."""
    if chunks[0] is None:
        return None
    if all(isinstance(lines, range) for lines in chunks) and all(
        left.stop == right.start for left, right in pairwise(chunks)
    ):
        return range(chunks[0].start, chunks[-1].stop)
    return np.concatenate([np.asarray(lines, np.uint32) for lines in chunks])
