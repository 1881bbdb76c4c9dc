"""The columns of a table that stays in its files: which are in memory, and what the others have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.cells import beyond_float
from nnreg.tables.columns import categories_of
from nnreg.tables.concat import concat_chunks
from nnreg.tables.lazy import AnyColumn, StoredColumn, materialize
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import RowReader, Table

MAX_TEXTS = 2**18
"""The most distinct texts of a column that are known: about 25 MB of short ones."""

HINT = 'set "stream" of the source to false to read it to memory'


@dataclass(frozen=True, eq=False)
class Counted(Categorical):
    """Distinct texts, one per row, each of which stands for as many rows of a file."""

    rows: Array | tuple[int, ...] = ()

    def counts(self) -> Array:
        """Return the number of rows of each category."""
        return np.array(self.rows, np.int64)


class TextCounts:
    """The distinct texts of a column that is read in parts, and the number of rows of each."""

    def __init__(self) -> None:
        self.code_of = CategoryCodes()
        self.rows: Array = np.zeros(0, np.int64)
        self.first: Array = np.zeros(0, np.int64)
        """The first row of each text; that of one without rows is after all others."""
        self.done = 0
        self.too_many = False
        self.ordered = False
        self._last: tuple[tuple[str, ...], Array] = ((), np.zeros(0, np.int64))

    def add(self, cells: Categorical) -> None:
        """Count more rows."""
        if self.too_many:
            return
        if cells.categories is not self._last[0]:  # chunks of a file may share them
            own = [self.code_of[text] for text in cells.categories]
            self._last = cells.categories, np.array(own, np.int64)
            self._grow()
        codes = self._last[1]
        self.rows[codes] += cells.counts()
        new = codes[(self.first[codes] > self.done) & (self.rows[codes] > 0)]
        if len(new):
            of_row = np.append(codes, -1)[cells.codes]
            found, rows = np.unique(of_row, return_index=True)
            is_new = np.isin(found, new)
            self.first[found[is_new]] = self.done + rows[is_new]
        self.done += len(cells)
        self.ordered = cells.ordered
        self.too_many = len(self.code_of) > MAX_TEXTS

    def _grow(self) -> None:
        more = len(self.code_of) - 1 - len(self.rows)
        self.rows = np.append(self.rows, np.zeros(more, np.int64))
        self.first = np.append(self.first, np.full(more, np.iinfo(np.int64).max))

    def without(self, missing: Collection[str]) -> tuple[Counted, Array]:
        """Return the texts with their counts, without those of a missing value, and first rows."""
        texts = self.code_of.categories
        kept = [n for n, text in enumerate(texts) if text not in missing]
        used = [place for place, n in enumerate(kept) if self.rows[n]]
        counted = Counted(
            tuple(texts[n] for n in kept), np.array(used, np.int32), self.ordered, self.rows[kept]
        )
        return counted, self.first[[kept[place] for place in used]]


class _Survey:
    """What a column is found to have, in the types that it would have in memory.

    `text` is for one that is read as text, even if it is numeric.
    """

    def __init__(self, name: str, *, text: bool) -> None:
        self.name = name
        self.text = text
        self.mixed = False
        self.shape: Shape | None = None
        self.counts = TextCounts()
        self.first_known = np.nan
        self.first_row = 0
        self.kinds: set[str] = set()
        self.large = False
        """Whether there is an integer that float64 would round."""

    def add(self, values: AnyColumn, origin: str) -> None:
        """Look at more rows."""
        if self.mixed:
            return
        shape = values.shape[1:]
        if isinstance(values, Ragged) or self.shape not in (None, shape):
            raise DataError(
                f"{origin}: column {self.name!r} holds sequences, which do not stay in their "
                f"file; list it in 'exclude', or {HINT}"
            )
        numeric = values.dtype.kind in "iuf" or (values.dtype.kind == "b" and bool(shape))
        if self.shape is None:
            self.text = self.text or not numeric
        self.shape = shape
        if self.text:
            self._add_text(values, origin)
        elif not numeric:
            self.mixed = True
        else:
            self._add_numbers(materialize(values))

    def _add_text(self, values: AnyColumn, origin: str) -> None:
        if values.ndim > 1:
            raise DataError(
                f"{origin}: column {self.name!r} has several texts per row, which do not stay in "
                f"their file; list it in 'exclude', or {HINT}"
            )
        cells = values if isinstance(values, Categorical) else categories_of(materialize(values))
        self.counts.add(cells)

    def _add_numbers(self, values: Array) -> None:
        self.kinds.add(values.dtype.kind)
        self.large = self.large or beyond_float(values)
        self.mixed = values.ndim == 1 and self.large and "f" in self.kinds  # text, as in memory
        if np.isnan(self.first_known):
            known = np.flatnonzero(~np.isnan(values.reshape(len(values), -1)[:, :1]))
            if len(known):
                self.first_known = float(values[known[0]].reshape(-1)[0])

    def column(self, count: int, missing: Collection[str]) -> StoredColumn:
        """Return the column. Texts in `missing` are missing values."""
        shape = self.shape or ()
        if self.text:
            known, first = self.counts.without(missing)
            complete = not self.counts.too_many
            return StoredColumn(count, np.dtype(object), shape, known, first, complete)
        value = np.full((1, *shape), self.first_known)
        return StoredColumn(count, np.dtype(np.float64), shape, value, np.zeros(1, int))


class _Surveyed:
    """Reads a table to memory without the columns that stay in its files, which it surveys."""

    def __init__(self, reader: RowReader, kept: Collection[str]) -> None:
        self.reader = reader
        self.kept = kept
        self.found: dict[str, _Survey] = {}
        self.names: tuple[str, ...] = ()
        self.rows = 0

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield the columns that are kept."""
        self.found, self.names, self.rows = {}, (), 0
        for chunk in self.reader.iter_chunks(path, text):
            if not self.names:
                self.names = tuple(chunk.columns)
                others = [name for name in self.names if name not in self.kept]
                self.found = {name: _Survey(name, text=name in text) for name in others}
            for name, survey in self.found.items():
                survey.add(chunk.columns[name], chunk.origin)
            self.rows += len(chunk)
            kept = {name: chunk.columns[name] for name in self.names if name in self.kept}
            yield replace(chunk, columns=kept)

    @property
    def mixed(self) -> set[str]:
        """The columns that were numbers first and then text."""
        return {name for name, survey in self.found.items() if survey.mixed}


def survey_table(
    reader: RowReader, path: Path, text: Collection[str], kept: Collection[str]
) -> Table:
    """Return a table whose columns stay in its files, except for those that are `kept` in memory.

    All rows are read once: what the type of a column is depends on each of them. They are read once
    more if text is found in a column after numbers. The columns `text` are read as text.
    """
    source, text = _Surveyed(reader, kept), frozenset(text)
    table = concat_chunks(source, path, text)
    if source.mixed:
        text |= source.mixed
        table = concat_chunks(source, path, text)
    missing = table.missing_texts or ()
    columns: dict[str, AnyColumn] = {}
    for name in source.names:
        survey = source.found.get(name)
        if survey is None:
            columns[name] = table.columns[name]
            continue
        columns[name] = survey.column(source.rows, missing)
    return replace(table, columns=columns, reader=reader)
