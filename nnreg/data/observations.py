"""What is suspicious in raw rows that are encoded, of which one warning is given per table."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg.data.column_summary import ColumnSummary, differs, other_expected, unknown_texts
from nnreg.data.settings import Columns
from nnreg.errors import DataDriftWarning, NnregWarning
from nnreg.interfaces.encoder import Encoder, RawColumn
from nnreg.tables.columns import first_marked
from nnreg.tables.table import Steps

MAX_COLUMNS = 5
"""The most columns that one warning describes."""


class Learned(NamedTuple):
    """What a model learned of a column: an encoder, a replacement, and what training was like."""

    encoder: Encoder
    fill: float | str | None
    summary: ColumnSummary | None


class _Observed:
    """What was seen of a column."""

    def __init__(self, raw: RawColumn, learned: Learned) -> None:
        self.name = raw.name
        self.encoder, self.fill, self.summary = learned
        self.origin = raw.table.origin
        self.unit = "steps" if isinstance(raw.table, Steps) else "rows"
        self.rows = self.missing = self.unknown = 0
        self.first_unknown = ""
        self.far = _FarValues(self.summary) if self.summary else None

    def add(self, raw: RawColumn, missing: Array) -> None:
        """Count what is to be reported of more rows, whose values are `missing` or not."""
        self.rows += len(missing)
        self.missing += int(np.count_nonzero(missing))
        if raw.takes == "text":
            self._add_unknown(raw)
        elif self.far and raw.takes == "numbers":
            self.far.add(raw)

    def _add_unknown(self, raw: RawColumn) -> None:
        unknown = unknown_texts(raw.categories.categories, self.encoder)
        if not unknown.any():
            return
        cells = raw.categories
        self.unknown += int(np.count_nonzero(cells.each(unknown, False, bool)))
        if not self.first_unknown:
            where, text = first_marked(raw.table, raw.name, cells, unknown)
            self.first_unknown = f"{where}: unknown category {text!r}" if text is not None else ""

    @property
    def ignored(self) -> str:
        """The warning of ignored categories; empty if there are none."""
        if not self.encoder.ignores_unknown or not self.unknown:
            return ""
        return (
            f"{self.first_unknown}, the first of {self.unknown} in {self.rows} {self.unit}; they "
            'are ignored, as data.unseen is "ignore"'
        )

    def imputed(self, *, in_series: bool) -> str:
        """Return what was imputed in a column that was complete in training; empty if nothing.

        In a series, it is the value before.
        """
        fill = self.fill
        if not self.missing or fill is None:
            return ""
        if isinstance(fill, str):
            shown = f"the most frequent value {fill!r}" if fill else "an empty text"
        else:
            shown = f"the mean {fill:.6g}"
        if in_series:
            shown = f"the value before it, or by {shown}"
        have = "has" if self.missing == 1 else "have"
        return (
            f"{self.missing:,} of {self.rows:,} {self.unit} {have} a missing value in "
            f"{self.name!r}, which had none in training; replaced by {shown}"
        )

    def drift(self, *, without_missing: bool) -> str:
        """Return how the column differs from training; empty if it does not."""
        summary = self.summary
        if summary is None:
            return ""
        found = [self.far.text(self.rows, self.unit)] if self.far else []
        gaps = differs(self.missing, self.rows, summary.missing, summary.rows)
        if gaps and not without_missing:
            found.append(
                f"{_percent(self.missing, self.rows)} of {self.rows:,} {self.unit} have no value, "
                f"in training {_percent(summary.missing, summary.rows)}"
            )
        known = self.rows - self.missing
        expected = other_expected(summary, self.unknown / max(known, 1))
        if not self.ignored and differs(self.unknown, known, expected, summary.known):
            found.append(
                f"{_percent(self.unknown, known)} of {known:,} values are none of the categories "
                f"of the model, in training {_percent(summary.other, summary.known)}"
            )
        found = [text for text in found if text]
        return f"column {self.name!r}: {', and '.join(found)}" if found else ""


class _FarValues:
    """The numbers that are far outside the range of training."""

    def __init__(self, summary: ColumnSummary) -> None:
        self.summary = summary
        self.limits, self.extremes = summary.limits(), summary.limits(3)
        self.count = self.extreme = 0
        self.furthest, self.distance, self.where = 0.0, 0.0, ""

    def add(self, raw: RawColumn) -> None:
        """Count those of more rows."""
        values, (low, high) = raw.values, self.limits
        if not len(values) or (np.fmin.reduce(values) >= low and np.fmax.reduce(values) <= high):
            return  # as nearly always; NaN compares as False below
        rows = np.flatnonzero((values < low) | (values > high))
        if not len(rows):
            return
        far = values[rows]
        self.count += len(rows)
        self.extreme += int(np.sum((far < self.extremes[0]) | (far > self.extremes[1])))
        distances = np.maximum(low - far, far - high)
        furthest = int(np.argmax(distances))
        if distances[furthest] > self.distance:
            self.furthest, self.distance = float(far[furthest]), float(distances[furthest])
            self.where = raw.table.row_label(int(rows[furthest]))

    def text(self, rows: int, unit: str) -> str:
        """Return what is to be reported; empty if the values may be chance."""
        summary = self.summary
        if not self.count or not (
            summary.are_many(self.count, rows) or summary.are_extreme(self.extreme, rows)
        ):
            return ""
        to = "up to" if self.furthest > self.limits[1] else "down to"
        are = "is" if self.count == 1 else "are"
        return (
            f"{self.count:,} of {rows:,} {unit} {are} far outside the range "
            f"seen in training ({_number(summary.min)} to {_number(summary.max)}), "
            f"{to} {_number(self.furthest)} in {self.where}"
        )


class _Observations:
    """What was seen of each column of one table, or of the parts of one."""

    def __init__(self, columns: Columns | None) -> None:
        self._complete = columns is None or columns.missing is None
        self._in_series = columns is not None and columns.window is not None
        self._columns: dict[tuple[str, int], _Observed] = {}

    def add(self, raw: RawColumn, missing: Array, learned: Learned) -> None:
        """Count more rows of a column."""
        key = raw.name, id(learned.encoder)  # a column may be in two inputs
        if key not in self._columns:
            self._columns[key] = _Observed(raw, learned)
        self._columns[key].add(raw, missing)

    def warn(self) -> None:
        """Warn once of each kind of what is suspicious."""
        seen = list(self._columns.values())
        for one in seen:
            if one.ignored:
                warnings.warn(one.ignored, NnregWarning, stacklevel=4)
        imputed = _listed(
            [one.imputed(in_series=self._in_series) for one in seen if self._complete]
        )
        if imputed:
            warnings.warn(f"{seen[0].origin}: {imputed}", NnregWarning, stacklevel=4)
        drift = _listed([one.drift(without_missing=self._complete) for one in seen])
        if drift:
            text = f"{seen[0].origin}: {drift}; predictions may be wrong where data are others"
            warnings.warn(text, DataDriftWarning, stacklevel=4)


def _listed(texts: list[str]) -> str:
    found = list(dict.fromkeys(text for text in texts if text))  # a column may be in two inputs
    more = len(found) - MAX_COLUMNS
    return "; ".join(found[:MAX_COLUMNS]) + (f"; and {more} more columns" if more > 0 else "")


def _percent(count: int, rows: int) -> str:
    return f"{100 * count / rows:.3g} %"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    whole = value.is_integer() and abs(value) < 1e15
    return f"{value:,.0f}" if whole else f"{value:,.6g}"


_current: ContextVar[_Observations | None] = ContextVar("observations", default=None)


@contextmanager
def observed_together(columns: Columns | None) -> Iterator[None]:
    """Warn at the end of what is suspicious in all rows that are encoded in this context.

    They are those of one table, perhaps read in chunks, of a model with these settings. What is
    imputed is reported if the settings do not ask for it. Within another such context, the outer
    one warns; after an error, none does.
    """
    if _current.get() is not None:
        yield
        return
    found = _Observations(columns)
    token = _current.set(found)
    try:
        yield
    finally:
        _current.reset(token)
    found.warn()


def observe(raw: RawColumn, missing: Array, learned: Learned) -> None:
    """Count rows of a column that are encoded; without a context, nothing is reported."""
    found = _current.get()
    if found is not None and raw.takes != "arrays":
        found.add(raw, missing, learned)
