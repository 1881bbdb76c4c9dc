"""One table of the pieces that a source yields, in little more memory than the table takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.lazy import AnyColumn, materialize
from nnreg.tables.table import Table

MAX_CATEGORIES = 2**15 - 1
"""The most different words of a column that is kept as a `Categorical`: codes take two bytes."""

TEXT = np.dtypes.StringDType(na_object=None)
"""How a column of more words is kept: 16 bytes a row, and what a word has beyond 15."""


class ChunkReader(Protocol):
    """Anything that reads a file as tables of successive rows, as a data source does."""

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield tables of successive rows; the columns `text` keep their text."""


def concat_chunks(source: ChunkReader, path: Path, text: Collection[str] = ()) -> Table:
    """Read a file as one table; the columns `text` keep their text though they hold numbers.

    A column that turns out to hold words after pieces of it were taken for numbers has lost the
    text of those: the file is then read once more.
    """
    table, mixed = _concat(source, path, text)
    if mixed:
        table, mixed = _concat(source, path, {*text, *mixed})
    if mixed:
        name = min(mixed)
        raise DataError(f"{path}: column {name!r} is numbers in one piece and words in another")
    return table


def _concat(source: ChunkReader, path: Path, text: Collection[str]) -> tuple[Table, set[str]]:
    """Return the table, and the names of the columns that were numbers first and then words."""
    chunks = iter(source.iter_chunks(path, text))
    table = next(chunks)
    columns: dict[str, _NumericBuffer | _CategoricalBuffer] = {}
    for chunk in chunks:
        if not columns:
            columns = {name: _growing_column(column) for name, column in table.columns.items()}
            lines = [table.line_numbers]
        lines.append(chunk.line_numbers)
        for name, column in chunk.columns.items():
            columns[name].add(materialize(column))
        _require_memory(path, sum(column.size for column in columns.values()))
    if not columns:
        return table, set()
    mixed = {name for name, column in columns.items() if column.mixed}
    joined = {name: columns.pop(name).column() for name in list(columns) if name not in mixed}
    return Table(joined, table.origin, _concat_line_numbers(lines)), mixed


def _require_memory(path: Path, size: int) -> None:
    """Refuse a table that more than half of the memory would hold, before the system does."""
    if exceeds_memory(size, 1 / 2):
        raise DataError(
            f"{path}: its rows take more than {byte_size(size)}, half of the memory; "
            "take fewer rows or columns, or arrays in an HDF5 file, which may be larger"
        )


def _growing_column(column: AnyColumn) -> _NumericBuffer | _CategoricalBuffer:
    begun = (
        _NumericBuffer(column.shape[1:]) if column.dtype.kind in "biuf" else _CategoricalBuffer()
    )
    begun.add(materialize(column))
    return begun


class _NumericBuffer:
    """A column of numbers that grows, in the smallest type that holds all of them exactly."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] | None = None
        self.values = bytearray()
        self.mixed = False

    @property
    def size(self) -> int:
        """The bytes of memory that it takes."""
        return len(self.values)

    def add(self, values: Array) -> None:
        """Take the next rows."""
        if values.dtype.kind not in "biuf":
            self.mixed = True
        if self.mixed:
            self.values.clear()
            return
        if self.dtype is None or values.dtype != self.dtype:  # NumPy takes None for float64
            needed = _smallest(values, self.dtype)
            if self.dtype is not None and needed != self.dtype:
                self.values = bytearray(self.column().astype(needed).tobytes())
            self.dtype = needed
        self.values += values.astype(self.dtype, copy=False).tobytes()

    def column(self) -> Array:
        """Return all rows."""
        return np.frombuffer(self.values, self.dtype).reshape(-1, *self.shape)


def _smallest(values: Array, before: np.dtype[Any] | None) -> np.dtype[Any]:
    """Return the smallest type that holds these numbers exactly, and those `before` too."""
    kinds = [np.dtype(kind) for kind in ("f2", "f4", "f8")]
    if values.dtype != np.float64 or not (before is None or before in kinds):
        return np.result_type(values, values if before is None else before)
    for kind in kinds[0 if before is None else kinds.index(before) :]:
        with np.errstate(over="ignore"):
            if kind.itemsize == 8 or np.array_equal(values.astype(kind), values, equal_nan=True):
                break
    return kind


class _CategoricalBuffer:
    """A column of words that grows: as a `Categorical` while there are few different ones."""

    mixed = False

    def __init__(self) -> None:
        self.places = CategoryCodes()
        self.codes = bytearray()
        self.texts: list[Array] = []

    @property
    def size(self) -> int:
        """The bytes of memory that it takes, but for what long words have beyond 15."""
        return len(self.codes) + sum(part.nbytes for part in self.texts)

    def add(self, values: Array) -> None:
        """Take the next rows."""
        if self.texts:
            self.texts.append(values.astype(TEXT))
            return
        words = values.tolist()
        codes = np.fromiter(map(self.places.__getitem__, words), np.int32, len(words))
        if len(self.places) <= MAX_CATEGORIES:
            self.codes += codes.astype(np.int16).tobytes()
            return
        self.texts = [
            self._categorical().each(self.places.categories, None, TEXT),
            values.astype(TEXT),
        ]
        self.places, self.codes = CategoryCodes(), bytearray()

    def column(self) -> Array | Categorical:
        """Return all rows."""
        if not self.texts:
            return self._categorical()
        column = np.empty(sum(map(len, self.texts)), TEXT)
        end = len(column)
        while self.texts:  # each is freed when it is copied
            part = self.texts.pop()
            column[end - len(part) : end] = part
            end -= len(part)
        return column

    def _categorical(self) -> Categorical:
        return Categorical(self.places.categories, np.frombuffer(self.codes, np.int16))


def _concat_line_numbers(parts: Sequence[Any]) -> Sequence[int] | Array | None:
    """Return the lines of all rows: a range where they follow each other, as they mostly do."""
    if parts[0] is None:
        return None
    if all(isinstance(part, range) for part in parts) and all(
        left.stop == right.start for left, right in pairwise(parts)
    ):
        return range(parts[0].start, parts[-1].stop)
    return np.concatenate([np.asarray(part, np.uint32) for part in parts])
