"""Types of columns: what is a number, and text that should not become categories."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError, NnregWarning
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import cell_text, date_text, parse_number
from nnreg.tables.number_texts import advice, number_formats
from nnreg.tables.table import Table


def plain_values(array: Array, where: str) -> Array:
    """Return numbers unchanged, and text as an object array of str. Raises `DataError`."""
    if array.ndim == 0:
        raise DataError(f"{where}: a single value; expected one value per row, also for one row")
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind not in "USTOM":
        raise DataError(f"{where}: values of type {array.dtype}; expected numbers or text")
    if array.dtype.kind == "M":
        dates = np.datetime_as_string(array)
        cells = [
            None if missing else date_text(date)
            for date, missing in zip(dates.flat, np.isnat(array).flat, strict=True)
        ]
    else:
        if array.dtype == object and (typed := _typed(array)) is not None:
            return typed
        cells = [
            cell.strip() if type(cell) is str else cell_text(cell, where)  # most cells, fast
            for cell in array.reshape(-1).tolist()
        ]
    text = np.empty(array.shape, object)
    text.reshape(-1)[:] = cells
    return text


def _typed(array: Array) -> Array | None:
    """Return an array of objects that are all integers, or all truth values, as such an array."""
    kinds = set(map(type, array.reshape(-1).tolist()))
    if kinds in ({bool}, {np.bool_}):
        return array.astype(bool)
    if kinds and all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
        with suppress(OverflowError):
            return array.astype(np.int64)
    return None


SAMPLE = 1000
"""The most distinct values that are checked."""

DAY = r"\d{4}(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)(?:\d{4}|\d{2})"
TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?"
DATE = re.compile(f"(?:{DAY})(?:[T ]{TIME})?|{TIME}")
COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")


def refuse_misread(table: Table, name: str, categories: Sequence[str]) -> None:
    """Raise `DataError` if all categories are numbers that are not plain.

    Each would otherwise become a category of its own.
    """
    some = categories[:SAMPLE]
    if all(map(COMMA.fullmatch, some)) and len(number_formats(some)) < 2:
        raise DataError(
            f"{table.origin}: column {name!r} has numbers with a decimal comma, such as "
            f'{some[0]!r}; write them with a point, or set "decimal": "," in the source, as in '
            '{"type": "csv", "decimal": ","}, or set it to "category" in data.columns'
        )
    if number_formats(some) and (formats := number_formats(categories)):
        raise DataError(
            f"{table.origin}: column {name!r} has numbers as text, such as {some[0]!r}; "
            f'{advice(name, formats)}, or set it to "category"'
        )


MIN_TEXTS = 20
"""With fewer texts, they may be categories that happen to differ."""
MIN_WORDS = 5
"""Names of people and of things have fewer."""


def are_texts(texts: Sequence[str], rows: int) -> bool:
    """Return True for the distinct values of a column of sentences, not of categories.

    More than half of them differ in its rows, and half of them have `MIN_WORDS` or more.
    """
    if len(texts) < MIN_TEXTS or len(texts) * 2 <= rows:
        return False
    some = texts[:SAMPLE]
    return 2 * sum(len(text.split()) >= MIN_WORDS for text in some) >= len(some)


def warn_of_texts(table: Table, name: str, cells: Categorical) -> None:
    """Warn of a column of texts whose encoder is not chosen: each would become a category."""
    counts = cells.counts()
    used = [cells.categories[code] for code in np.flatnonzero(counts).tolist()]
    rows = int(counts.sum())
    if are_texts(used, rows):
        warnings.warn(
            f"{table.origin}: column {name!r} holds {len(used):,} different texts in {rows:,} "
            "rows, and each becomes a category, which says nothing about other texts; set it to "
            '{"type": "tf_idf"} in data.columns, or list it in \'exclude\', or set it to '
            '"category" if that is meant',
            NnregWarning,
            stacklevel=2,
        )


def values_among(names: Iterable[str]) -> list[str]:
    """Return the column names that look like values, as if the first line were a row.

    Increasing integers, such as years, count as names.
    """
    found = [
        name
        for name in names
        if DATE.fullmatch(name) or COMMA.fullmatch(name) or not math.isnan(parse_number(name))
    ]
    values = [parse_number(name) for name in found]
    increasing = all(a < b for a, b in pairwise(values))
    return [] if increasing and all(map(float.is_integer, values)) else found
