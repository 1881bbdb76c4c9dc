"""Fitting the input columns of a table that stays in its files, in passes over its rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import Moments
from nnreg.builtin.encoders.categories import category_counts, most_frequent
from nnreg.data.column_summary import (
    ColumnSummary,
    summarize_counts,
    summarize_numbers,
)
from nnreg.data.input_columns import (
    InputColumn,
    checked_learner,
    input_column,
    learn_column,
    missing_of,
    raw_column,
)
from nnreg.data.settings import Columns, Missing
from nnreg.errors import DataError
from nnreg.interfaces.encoder import Encoder, Learner, RawColumn
from nnreg.tables.concat import concat_chunks
from nnreg.tables.lazy import StoredColumn
from nnreg.tables.stored import stored_chunks
from nnreg.tables.table import Table
from nnreg.tables.text_counts import MAX_TEXTS, TextCounts

MAX_SAMPLED, MAX_SAMPLED_VALUES = 2**16, 2**21
"""The most rows, and the most values of all columns, that quantiles of a summary are those of."""


def fit_in_parts(
    train: Table, encoders: Mapping[str, Encoder], columns: Columns, *, integer: bool
) -> list[InputColumn]:
    """Fit these columns on training rows that stay in their files.

    One pass is enough for all encoders that learn from a part of the rows at a time. A column of
    another encoder is read to memory, one after the other.
    """
    for name in encoders:
        _require_known(train, name, columns)
    learners = {name: checked_learner(encoder, name) for name, encoder in encoders.items()}
    sampled = _sampled_rows(len(train), len(encoders))
    parts = {
        name: _Part(
            name, encoders[name], learner, missing_of(encoders[name], columns), len(sampled)
        )
        for name, learner in learners.items()
        if learner is not None
    }
    done = 0
    if parts:
        with closing(stored_chunks(train, parts)) as chunks:
            for chunk in chunks:
                ends = np.searchsorted(sampled, [done, done + len(chunk)])
                for part in parts.values():
                    part.add(chunk, sampled[slice(*ends)] - done)
                done += len(chunk)
    whole = len(sampled) == len(train)
    return [
        parts[name].found(integer, whole=whole)
        if name in parts
        else _fit_in_memory(train, name, encoder, columns, integer)
        for name, encoder in encoders.items()
    ]


def _require_known(train: Table, name: str, columns: Columns) -> None:
    """Raise `DataError` for a column whose type is not known, as it has too many texts."""
    stored = train.columns[name]
    if isinstance(stored, StoredColumn) and not stored.complete and name not in columns.columns:
        raise DataError(
            f"{train.origin}: column {name!r} has more than {MAX_TEXTS:,} different texts; set its "
            'encoder in data.columns, such as {"type": "hashed"}, or list it in \'exclude\''
        )


def _sampled_rows(rows: int, columns: int) -> Array:
    """Return all training rows, or if they are many, one of each of as many equal segments."""
    count = min(MAX_SAMPLED, max(MAX_SAMPLED_VALUES // columns, 1))
    if rows <= count:
        return np.arange(rows)
    places = np.arange(count) + np.random.default_rng(0).random(count)
    found: Array = (places * (rows / count)).astype(np.int64)
    return found


class _Part:
    """A column whose training rows are read in parts."""

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        learner: Learner,
        missing: Missing | None,
        sampled: int,
    ) -> None:
        self.name = name
        self.encoder = encoder
        self.learner = learner
        self.setting = missing
        self.rows = _Texts(name) if encoder.takes == "text" else _Numbers(encoder, sampled)

    def add(self, chunk: Table, sampled: Array) -> None:
        """Learn from more rows, of which those `sampled` are for the quantiles of the summary."""
        raw = raw_column(chunk, self.name, self.encoder)
        if self.setting in (None, "refuse"):
            raw.require_complete()
        absent = raw.missing
        known = raw.take(np.flatnonzero(~absent)) if absent.any() else raw
        self.learner.add(known)
        self.rows.missing += int(np.count_nonzero(absent))
        self.rows.add(known, raw, sampled)

    def found(self, integer: bool, *, whole: bool) -> InputColumn:
        """Return the column; the sample is `whole` if it is all rows."""
        self.rows.whole = whole
        return input_column(self.name, self.learner.encoder(), self.rows, self.setting, integer)


class _Texts:
    """What training rows of text are like; see `KnownRows`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing = self.known = 0
        self.whole = True
        self.counts = TextCounts()

    def add(self, known: RawColumn, raw: RawColumn, sampled: Array) -> None:
        """Count more rows."""
        self.known += len(known)
        self.counts.add(known.categories)

    def typical(self) -> str | None:
        """Return the most frequent text; None if there is none."""
        if self.counts.too_many and self.missing:
            raise DataError(
                f"column {self.name!r} has missing values, and more than {MAX_TEXTS:,} different "
                "texts, of which none is counted as the most frequent; set data.missing to "
                '"indicate"'
            )
        if not self.known or self.counts.too_many:
            return None
        return most_frequent(category_counts(self.counts.counted))[0]

    def repeats(self) -> bool:
        """Return whether a text is in several rows."""
        return bool((self.counts.rows > 1).any())

    def summary(self, encoder: Encoder) -> ColumnSummary:
        """Return what new rows are compared with."""
        return summarize_counts(self.counts.counted, encoder, self.known, self.missing)


class _Numbers:
    """What training rows of numbers, or of arrays of them, are like; see `KnownRows`."""

    def __init__(self, encoder: Encoder, sampled: int) -> None:
        self.arrays = encoder.takes == "arrays"
        self.missing = self.known = 0
        self.whole = True
        self.moments = Moments()
        self.sample = np.empty(0 if self.arrays else sampled)
        """Its first `in_sample` values are known; one array, as many small ones fragment memory."""
        self.in_sample = 0
        self.low, self.high = math.inf, -math.inf

    def add(self, known: RawColumn, raw: RawColumn, sampled: Array) -> None:
        """Look at more rows."""
        self.known += len(known)
        if self.arrays or not len(known):
            return
        values = known.values
        self.moments.add(values)
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        some = raw.values[sampled]
        some = some[~np.isnan(some)]
        self.sample[self.in_sample : self.in_sample + len(some)] = some
        self.in_sample += len(some)

    def typical(self) -> float | None:
        """Return the mean; None if there is none."""
        return float(self.moments.result()[0]) if self.moments.rows else None

    def repeats(self) -> bool:
        """Return False: it is asked of texts."""
        return False

    def summary(self, encoder: Encoder) -> ColumnSummary | None:
        """Return what new rows are compared with, with the quantiles of the sample."""
        if self.arrays:
            return None
        rows = self.known + self.missing
        if not self.known:
            return ColumnSummary(rows, self.missing)
        return summarize_numbers(
            np.append(self.sample[: self.in_sample], () if self.whole else (self.low, self.high)),
            rows,
            self.missing,
        )


class _Column:
    """Reads one column of training rows to memory."""

    def __init__(self, train: Table) -> None:
        self.train = train

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield the column; where its rows are, the table of all knows."""
        for chunk in stored_chunks(self.train, self.train.columns):
            yield Table(chunk.columns, missing_texts=chunk.missing_texts)


def _fit_in_memory(
    train: Table, name: str, encoder: Encoder, columns: Columns, integer: bool
) -> InputColumn:
    only = replace(train, columns={name: train.columns[name]})
    read = concat_chunks(_Column(only), Path(train.origin)).columns[name]
    column = raw_column(replace(train, columns={name: read}), name, encoder)
    return learn_column(encoder, column, missing_of(encoder, columns), integer=integer)
