"""The columns of a table that stays in its files: which are in memory, and what the others have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnreg._types import Array, Shape
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import beyond_float
from nnreg.tables.columns import categories_of
from nnreg.tables.concat import concat_chunks
from nnreg.tables.lazy import AnyColumn, StoredColumn, materialize
from nnreg.tables.lists import is_lists
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import RowReader, Table
from nnreg.tables.text_counts import TextCounts


class _Survey:
    """What a column is found to have, in the types that it would have in memory.

    `text` is for one that is read as text, even if it is numeric; arrays of numbers are not.
    """

    def __init__(self, *, text: bool) -> None:
        self.text = text
        self.mixed = False
        self.sequences = False
        self.shape: Shape | None = None
        self.counts = TextCounts()
        self.first_known = np.nan
        self.first_row = 0
        self.kinds: set[str] = set()
        self.large = False
        """Whether there is an integer that float64 would round."""

    def add(self, values: AnyColumn) -> None:
        """Look at more rows."""
        shape = values.shape[1:]
        numeric = values.dtype.kind in "iuf" or (values.dtype.kind == "b" and bool(shape))
        several = isinstance(values, Ragged) or self.shape not in (None, shape)
        self.sequences = self.sequences or several or (not numeric and bool(shape))
        if self.mixed or self.sequences:
            return
        if self.shape is None:
            self.text = not numeric or (self.text and not shape)
        self.shape = shape
        if self.text:
            if not isinstance(values, Categorical):
                values = categories_of(materialize(values))
            self.counts.add(values)
        elif not numeric:
            self.mixed = True
        else:
            self._add_numbers(materialize(values))

    def _add_numbers(self, values: Array) -> None:
        self.kinds.add(values.dtype.kind)
        self.large = self.large or beyond_float(values)
        self.mixed = values.ndim == 1 and self.large and "f" in self.kinds  # text, as in memory
        if np.isnan(self.first_known):
            known = values[~np.isnan(values)]
            self.first_known = float(known[0]) if len(known) else np.nan

    def column(self, count: int, missing: Collection[str]) -> StoredColumn:
        """Return the column. Texts in `missing` are missing values."""
        shape, rows = self.shape or (), np.zeros(1, int)
        if self.text:
            known, rows = self.counts.without(missing)
            sequences, complete = self.sequences or is_lists(known), not self.counts.too_many
            return StoredColumn(count, np.dtype(object), shape, known, rows, complete, sequences)
        value = np.full((1, *shape), self.first_known)
        return StoredColumn(
            count, np.dtype(np.float64), shape, value, rows, sequences=self.sequences
        )


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
                self.found = {name: _Survey(text=name in text) for name in others}
            for name, survey in self.found.items():
                survey.add(chunk.columns[name])
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
