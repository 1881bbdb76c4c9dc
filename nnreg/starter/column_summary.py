"""What the columns of a table hold, as far as it shows what to do with them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg.tables.column_types import COMMA, DATE, parse_number
from nnreg.tables.columns import categorical, column, is_text, numbers
from nnreg.tables.table import Table

MARKERS = frozenset(
    {"?", "-", "--", ".", "*", "n/a", "na", "#n/a", "null", "none", "nan", "nil", "missing"}
)
"""What people write, in capitals or not, where a number is missing."""

MAX_MARKERS = 3
"""The most different ones in a column that is taken to hold numbers otherwise."""

THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""A number that would be another one, were its comma no decimal comma."""

IDENTIFIER = re.compile(r"(^|_| )(id|ids|uuid|guid|index|key|row|nr|no)$|^unnamed: \d+$|^$", re.I)
"""The names of columns that number or name the rows."""

FEW_ROWS = 10
"""With fewer, values that all differ say nothing."""

MAX_CATEGORIES = 50
"""The most different words, each of which becomes an input."""

Kind = Literal["arrays", "numbers", "words", "mixed", "empty"]


@dataclass(frozen=True)
class ColumnFacts:
    """What a column of `rows` values holds.

    `mixed` is words among numbers, of which `markers` are the words. `distinct` counts the
    different values, `missing` those that are not there; `integers` says that all are whole
    numbers, `smallest` is how often the rarest value is there. `comma` says that numbers have one:
    for decimals, or it is unclear what for. Of arrays only the `shape` of one is known.
    """

    name: str
    kind: Kind
    rows: int
    missing: int = 0
    distinct: int = 0
    smallest: int = 0
    integers: bool = False
    counts_up: bool = False
    dates: bool = False
    comma: Literal["", "decimal", "unclear"] = ""
    markers: tuple[str, ...] = ()
    shape: Shape = ()

    @property
    def why_not_input(self) -> str:
        """Why the column is no input, in words; empty where it may be one."""
        known = self.rows - self.missing
        if self.kind == "empty":
            return "has no values"
        if self.kind == "arrays":
            return ""
        if self.dates:
            return "holds dates or times; derive columns of numbers from it, such as the month"
        if self.comma:
            return "has numbers with a comma; write them with a point, or without"
        if self.kind == "mixed":
            return f"holds words such as {self.markers[0]!r} among numbers"
        if self.rows > 1 and self.distinct == 1:
            return "always has the same value" if not self.missing else "has but one value"
        if known < FEW_ROWS:
            return ""
        if self.distinct == known and self.kind == "words":
            return "differs in each row, so that it tells the row and nothing else"
        if self.counts_up or (self.distinct == known and self._named_as_identifier):
            return "numbers the rows"
        if self.kind == "words" and self.distinct > min(MAX_CATEGORIES, known / 2):
            return f"holds {self.distinct:,} different words in {known:,} rows"
        return ""

    @property
    def why_not_target(self) -> str:
        """Why the column is no target, in words; empty where it may be one."""
        if self.kind == "arrays":
            return "holds arrays"
        if self.kind == "words" and self.distinct == 1:
            return "has but one class"
        if self.kind == "words" and 2 < self.distinct * 2 <= self.rows - self.missing:
            return self.why_not_input if self.dates or self.comma else ""
        return self.why_not_input

    @property
    def _named_as_identifier(self) -> bool:
        return self.integers and IDENTIFIER.search(self.name) is not None

    @property
    def classification(self) -> bool:
        """Whether it names classes, if it is what is to be predicted."""
        if self.kind == "words":
            return True
        few = self.distinct <= 20 and self.distinct * 5 <= self.rows - self.missing
        return self.kind == "numbers" and self.integers and (few or self.distinct == 2)


def summarize_columns(table: Table) -> dict[str, ColumnFacts]:
    """Return what each column of a table holds. Raises `DataError` for an infinite number."""
    return {name: _summarize(table, name) for name in table.columns}


def markers(columns: dict[str, ColumnFacts]) -> list[str]:
    """Return the words that stand for missing numbers in columns that are mixed otherwise."""
    found = {
        word
        for one in columns.values()
        if len(one.markers) <= MAX_MARKERS and all(word.lower() in MARKERS for word in one.markers)
        for word in one.markers
    }
    return sorted(found)


def values_among(names: Iterable[str]) -> list[str]:
    """Return the names of columns that look like values: the first line may be a row.

    Whole numbers that go up are names of their own, such as years.
    """
    found = [
        n
        for n in names
        if DATE.fullmatch(n) or COMMA.fullmatch(n) or parse_number(n) == parse_number(n)
    ]
    counted = [parse_number(name) for name in found]
    steps_up = all(a < b for a, b in pairwise(counted))
    return [] if steps_up and all(map(float.is_integer, counted)) else found


def _summarize(table: Table, name: str) -> ColumnFacts:
    values = column(table, name)
    if values.ndim > 1:
        return ColumnFacts(name, "arrays", len(values), shape=tuple(values.shape[1:]))
    if not is_text(values):
        return _numeric_facts(name, numbers(table, name))
    cells = categorical(table, name)
    known = cells.codes[cells.codes >= 0]
    counts = np.bincount(known, minlength=len(cells.categories))
    there = {
        word: int(count) for word, count in zip(cells.categories, counts, strict=True) if count
    }
    odd = tuple(word for word in there if math.isnan(parse_number(word)))
    if there and not odd:
        return _numeric_facts(name, numbers(table, name))
    return ColumnFacts(
        name,
        "mixed" if len(odd) < len(there) else "words" if there else "empty",
        len(values),
        len(values) - len(known),
        len(there),
        min(there.values(), default=0),
        dates=bool(there) and all(map(DATE.fullmatch, there)),
        comma=_comma([word for word in odd if word.lower() not in MARKERS]),
        markers=odd if len(odd) < len(there) else (),
    )


def _comma(words: list[str]) -> Literal["", "decimal", "unclear"]:
    """Tell whether all words are numbers with a comma, and whether it can but be a decimal one."""
    if not words or not all(map(COMMA.fullmatch, words)):
        return ""
    return "unclear" if all(map(THOUSANDS.fullmatch, words)) else "decimal"


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
        counts_up=len(steps) > 0 and bool((steps == 1).all()),
    )
