"""What is known of each column of a table, and whether it can be an input or a target."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg.starter.network_plan import by_rows
from nnreg.starter.text_kinds import (
    are_label_lists,
    date_options,
    known_order,
    learned_date,
    separator_of,
)
from nnreg.tables.cells import parse_number
from nnreg.tables.column_types import COMMA, DATE, are_texts
from nnreg.tables.columns import categorical, column, is_text, numbers
from nnreg.tables.lists import is_lists
from nnreg.tables.number_texts import NumberFormat, NumberTexts, number_formats
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import Table

MISSING_MARKERS = frozenset(
    {"?", "-", "--", ".", "*", "n/a", "na", "#n/a", "null", "none", "nan", "nil", "missing"}
)
"""Common markers of a missing number, in any case."""

MAX_MARKERS = 3
"""The maximum number of distinct markers in a numeric column."""

THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""A number whose comma may separate thousands or decimals."""

IDENTIFIER = re.compile(r"(^|_| )(id|ids|uuid|guid|index|key|row|nr|no)$|^unnamed: \d+$|^$", re.I)
"""The names of columns that identify the rows."""

MIN_ROWS_FOR_IDENTIFIER = 10
"""With fewer rows, distinct values do not imply an identifier."""

MAX_ONE_HOT = 20
"""A category of more values has a trained vector for each, instead of an input of its own."""

MIN_CATEGORY_ROWS = {1_000: 10, 0: 5}
"""The least number of rows of a category with a vector of its own, by the number of rows."""

MIN_FREQUENT_ROWS = 0.1
"""A column with many categories is an input if those with as many rows have at least this fraction
of all rows."""

MIN_SKEWNESS = 2.0
"""That of amounts such as incomes, of which a few are far above the others."""

Kind = Literal[
    "arrays", "sequences", "numbers", "categories", "ordered", "labels", "dates", "texts", "mixed",
    "empty",
]  # fmt: skip


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of a column of `rows` values.

    `mixed` is text among numbers, and `markers` are these texts. `distinct` is the number of
    distinct values, `missing` the number of missing ones, `smallest` the count of the rarest value;
    `frequent` is the number of rows of categories that have at least `least`.
    `integers` is True if all are integers. `comma` is set if numbers have one, and whether it is a
    decimal comma; `format` is how numbers with a currency or a unit are written. For arrays, only
    the `shape` of one is known.

    `dates` look like dates; those that can be read in one way have that kind, and `formats` are
    those of others. `entry` is that in `data.columns` of dates, labels and ordered categories, and
    `encoded` the number of inputs that it makes.
    """

    name: str
    kind: Kind
    rows: int
    missing: int = 0
    distinct: int = 0
    smallest: int = 0
    frequent: int = 0
    integers: bool = False
    skewed: bool = False
    counts_up: bool = False
    dates: bool = False
    formats: tuple[str, ...] = ()
    entry: Mapping[str, Any] | None = None
    encoded: int = 1
    comma: Literal["", "decimal", "unclear"] = ""
    markers: tuple[str, ...] = ()
    format: NumberFormat | None = None
    shape: Shape = ()

    @property
    def why_not_input(self) -> str:
        """Why the column cannot be an input; empty if it can."""
        known = self.rows - self.missing
        if self.kind == "empty":
            return "has no values"
        if self.kind == "arrays":
            return ""
        if self.kind == "sequences":
            return "holds lists, the steps of sequences, for which a spec is written by hand"
        if self.dates and self.kind != "dates":
            return self._why_no_dates
        if self.comma:
            return "has numbers with a comma; remove it, or write a decimal point"
        if self.kind == "mixed":
            return f"holds text such as {self.markers[0]!r} among numbers"
        if self.rows > 1 and self.distinct == 1:
            return "always has the same value" if not self.missing else "has only one value"
        if known < MIN_ROWS_FOR_IDENTIFIER:
            return ""
        if self.distinct == known and self.kind == "categories":
            return "differs in each row, so it only identifies the row"
        if self.counts_up or (self.distinct == known and self._named_as_identifier):
            return "numbers the rows"
        if self.kind == "categories" and self._few_frequent:
            return f"holds {self.distinct:,} categories in {known:,} rows, few of them frequent"
        return ""

    @property
    def _why_no_dates(self) -> str:
        if len(self.formats) > 1:
            first, second = self.formats[:2]
            return (
                f'holds dates whose form is unclear, "{first}" or "{second}"; give the encoder '
                '"date" the right "format" in data.columns'
            )
        return "holds dates or times of different forms; write them like 2024-07-31 or 08:30"

    @property
    def least(self) -> int:
        """How many rows a category must have for a vector of its own."""
        return by_rows(MIN_CATEGORY_ROWS, self.rows)

    @property
    def _few_frequent(self) -> bool:
        known = self.rows - self.missing
        if self.many_categories:
            return self.frequent < MIN_FREQUENT_ROWS * known
        return self.distinct > known / 2

    @property
    def many_categories(self) -> bool:
        """Whether each category has a trained vector, instead of an input."""
        return self.kind == "categories" and self.distinct > MAX_ONE_HOT

    @property
    def refuses_unseen(self) -> bool:
        """Whether its encoder refuses categories that are not in the training rows by default."""
        one_hot = self.kind == "categories" and not self.many_categories
        return one_hot or self.kind in ("ordered", "labels")

    @property
    def encoder(self) -> Any:
        """Its entry in `data.columns`; None if it needs none."""
        if self.kind == "texts":
            return "tf_idf"
        if self.format:
            return {"type": "number", "format": self.format}
        if self.entry is not None:
            return dict(self.entry)
        if self.many_categories:
            return {"type": "index", "min_rows": self.least}
        return None

    @property
    def width(self) -> int:
        """The number of inputs that the column becomes, without bins and words of texts."""
        if self.kind == "texts":
            return 0
        one_hot = self.kind == "categories" and not self.many_categories
        width = self.distinct if one_hot else self.encoded
        return width + (self.missing > 0)

    @property
    def why_not_target(self) -> str:
        """Why the column cannot be a target; empty if it can."""
        if self.kind in ("arrays", "texts", "dates", "labels"):
            return f"holds {self.kind}"
        if self.kind == "categories" and self.distinct == 1:
            return "has only one class"
        if self.kind == "categories" and 2 < self.distinct * 2 <= self.rows - self.missing:
            return self.why_not_input if self.dates or self.comma else ""
        return self.why_not_input

    @property
    def _named_as_identifier(self) -> bool:
        return self.integers and IDENTIFIER.search(self.name) is not None

    @property
    def classification(self) -> bool:
        """Whether the column holds classes, if it is the target."""
        if self.kind in ("categories", "ordered"):
            return True
        few = self.distinct <= 20 and self.distinct * 5 <= self.rows - self.missing
        return self.kind == "numbers" and self.integers and (few or self.distinct == 2)


def facts_of_columns(table: Table) -> dict[str, ColumnFacts]:
    """Return what is known of each column of a table. Raises `DataError` for an infinite number."""
    return {name: _facts(table, name) for name in table.columns}


def markers(columns: dict[str, ColumnFacts]) -> list[str]:
    """Return the texts that mark missing numbers in numeric columns."""
    found = {
        marker
        for one in columns.values()
        if len(one.markers) <= MAX_MARKERS
        and all(text.lower() in MISSING_MARKERS for text in one.markers)
        for marker in one.markers
    }
    return sorted(found)


def _facts(table: Table, name: str) -> ColumnFacts:
    values = column(table, name)
    if isinstance(values, Ragged):
        return ColumnFacts(name, "sequences", len(values))
    if values.ndim > 1:
        return ColumnFacts(name, "arrays", len(values), shape=tuple(values.shape[1:]))
    if not is_text(values):
        return _numeric_facts(name, numbers(table, name))
    cells = categorical(table, name)
    known = cells.codes[cells.codes >= 0]
    counts = np.bincount(known, minlength=len(cells.categories))
    present = {
        text: int(count) for text, count in zip(cells.categories, counts, strict=True) if count
    }
    if is_lists(values) and not are_label_lists(present):
        return ColumnFacts(name, "sequences", len(values))
    not_numbers = tuple(text for text in present if math.isnan(parse_number(text)))
    mixed = len(not_numbers) < len(present)
    if present and not not_numbers:
        return _numeric_facts(name, numbers(table, name))
    found = ColumnFacts(
        name,
        "mixed" if mixed else "categories" if present else "empty",
        len(values),
        len(values) - len(known),
        len(present),
        min(present.values(), default=0),
        sum(n for n in present.values() if n >= by_rows(MIN_CATEGORY_ROWS, len(values))),
        markers=not_numbers if mixed else (),
    )
    comma = _comma([text for text in not_numbers if text.lower() not in MISSING_MARKERS])
    if not present or mixed or comma:
        written = () if comma else number_formats(present)
        return _in_format(found, table, written) if written else replace(found, comma=comma)
    return _facts_of_texts(found, table, present)


def _facts_of_texts(found: ColumnFacts, table: Table, present: Mapping[str, int]) -> ColumnFacts:
    """Return what is known of a column of texts, none of which is a plain number."""
    texts = list(present)
    if options := date_options(texts):
        encoder = learned_date(table, found.name, options[0]) if len(options) == 1 else None
        if encoder is not None:
            entry = {"type": "date", **options[0]}
            width = encoder.shape[0]
            return replace(found, kind="dates", dates=True, entry=entry, encoded=width)
        formats = tuple(one["format"] for one in options if one)
        if formats or all(map(DATE.fullmatch, texts)):
            return replace(found, dates=True, formats=formats)
    if all(map(DATE.fullmatch, texts)):
        return replace(found, dates=True)
    if are_texts(texts, sum(present.values())):
        return ColumnFacts(found.name, "texts", found.rows, found.missing, len(texts))
    if written := number_formats(texts):
        return _in_format(found, table, written)
    if order := known_order(texts):
        entry = {"type": "ordered", "order": list(order), "code": "thermometer"}
        return replace(found, kind="ordered", entry=entry, encoded=len(order) - 1)
    if are_label_lists(present):
        return replace(found, kind="labels", entry={"type": "labels"}, encoded=len(texts))
    if separator := separator_of(present):
        entry = {"type": "labels", "separator": separator}
        return replace(found, kind="labels", entry=entry, encoded=len(texts))
    return found


def _in_format(found: ColumnFacts, table: Table, formats: Sequence[NumberFormat]) -> ColumnFacts:
    """Return what is known of numbers that are written in a format, if there is only one."""
    if len(formats) > 1:
        return found
    texts = NumberTexts(formats[0])
    facts = _numeric_facts(found.name, numbers(table, found.name, texts))
    return replace(facts, format=formats[0])


def _comma(texts: list[str]) -> Literal["", "decimal", "unclear"]:
    """Return whether all texts are numbers with a comma, and whether it must be a decimal comma."""
    if not texts or not all(map(COMMA.fullmatch, texts)):
        return ""
    return "unclear" if all(map(THOUSANDS.fullmatch, texts)) else "decimal"


def _numeric_facts(name: str, values: Array) -> ColumnFacts:
    known = values[~np.isnan(values)]
    if not len(known):
        return ColumnFacts(name, "empty", len(values), len(values))
    distinct, counts = np.unique(known, return_counts=True)
    steps = np.diff(known)
    return ColumnFacts(
        name,
        "numbers",
        len(values),
        len(values) - len(known),
        len(distinct),
        int(counts.min()),
        integers=bool((known == np.floor(known)).all()),
        skewed=_skewness(known) > MIN_SKEWNESS and bool(known.min() > 0),
        counts_up=len(steps) > 0 and bool((steps == 1).all()),
    )


def _skewness(values: Array) -> float:
    """Return the mean cube of the standardized values."""
    centered = values - values.mean()
    deviation = float(centered.std())
    return float(np.mean((centered / deviation) ** 3)) if deviation else 0.0
