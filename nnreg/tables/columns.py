"""Tables from what people pass in, and columns read as numbers or as words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from nnreg._types import Array
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, categorical_of
from nnreg.tables.column_types import COMMA, parse_number
from nnreg.tables.lazy import AnyColumn, materialize
from nnreg.tables.table import Table

ColumnT = TypeVar("ColumnT", Array, Categorical)


def column(table: Table, name: str) -> AnyColumn:
    """Return a column. Raises `DataError` with the nearest name where there is none."""
    try:
        return table.columns[name]
    except KeyError:
        known = suggest(name, table.columns)
        raise DataError(f"{table.origin}: no column {name!r}{known}") from None


def is_text(values: AnyColumn) -> bool:
    """Tell whether a column is kept as text; it may hold numbers nevertheless."""
    return values.dtype.kind in "OT"


def categorical(table: Table, name: str) -> Categorical:
    """Return a column as words; numbers are written as classes are named."""
    values = column(table, name)
    if isinstance(values, Categorical):
        return values
    values = materialize(values)
    if is_text(values):
        return categorical_of(values)
    distinct, codes = np.unique(values, return_inverse=True)
    words = tuple(label(value) for value in distinct.tolist() if value == value)
    codes = codes.reshape(values.shape)
    return Categorical(words, np.where(codes < len(words), codes, -1))


def numbers(table: Table, name: str) -> Array:
    """Return a column as float64, NaN where missing. Raises `DataError` at what is no number."""
    values = column(table, name)
    if not is_text(values):
        result = materialize(values).astype(np.float64)
        if np.isinf(result).any():
            row = int(np.argwhere(np.isinf(result))[0][0])
            raise DataError(f"{table.location(row, name)}: an infinite value; expected a number")
        return result
    cells = categorical(table, name)
    read = [parse_number(word) for word in cells.categories]
    where, found = first_marked(table, name, cells, np.isnan(read))
    if found is not None:
        raise DataError(f"{where}: found {found!r}, expected a number")
    return cells.each(read, np.nan, np.float64)


def first_marked(
    table: Table, name: str, cells: Categorical, marked: Array
) -> tuple[str, str | None]:
    """Return the place and the word of the first row whose category is marked, if there is one."""
    of_row = cells.each(marked, False, bool)
    if not of_row.any():
        return "", None
    index = tuple(np.argwhere(of_row)[0])
    return table.location(int(index[0]), name), cells.categories[cells.codes[index]]


def is_numeric(table: Table, name: str) -> bool:
    """Tell whether a column holds numbers. Raises `DataError` where it holds numbers and words."""
    values = column(table, name)
    if not is_text(values):
        if values.dtype.kind == "f" and values.ndim == 1 and np.isnan(materialize(values)).all():
            raise DataError(f"{table.origin}: column {name!r} has no values; list it in 'exclude'")
        return True
    cells = categorical(table, name)
    words = np.isnan([parse_number(word) for word in cells.categories])
    if not len(words):
        raise DataError(f"{table.origin}: column {name!r} has no values; list it in 'exclude'")
    if words.any() and not words.all():
        where, found = first_marked(table, name, cells, words)
        comma = COMMA.fullmatch(found or "") is not None
        fix = 'set "decimal": "," in the source' if comma else "fix the value"
        raise DataError(
            f"{where}: found {found!r} among numbers; {fix}, or set {name!r} to "
            '"category" in data.columns'
        )
    return not words.any()


def label(value: float) -> str:
    """Write a number as a class is named: whole numbers without a point."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def single(values: ColumnT, table: Table, name: str) -> ColumnT:
    """Return a column of single values, which may have come as `(rows, 1)`."""
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"{table.origin}: column {name!r} has shape {values.shape}; expected a value a row"
        )
    return values


def groups(table: Table, name: str) -> Array:
    """Return a number for each row, which rows with the same value in a column share."""
    cells = single(categorical(table, name), table, name)
    _require_all(table, name, cells.codes < 0)
    places = {word: place for place, word in enumerate(sorted(cells.categories))}
    return cells.each([places[word] for word in cells.categories], -1, np.intp)


def times(table: Table, name: str) -> Array:
    """Return when each row was, by a column of numbers or of ISO 8601 dates, as numbers."""
    if is_numeric(table, name):
        found = single(numbers(table, name), table, name)
        _require_all(table, name, np.isnan(found))
        return found
    cells = single(categorical(table, name), table, name)
    _require_all(table, name, cells.codes < 0)
    dates = [_date(word) for word in cells.categories]
    wrong = np.array([date is None for date in dates])
    where, word = first_marked(table, name, cells, wrong)
    if word is not None:
        raise DataError(
            f"{where}: found {word!r}, expected a number or an ISO date such as 2024-07-31 or "
            "2024-07-31T08:30"
        )
    moments = np.array(dates, "datetime64[us]").astype(np.int64)
    return cells.each(moments, 0, np.int64)


def _date(text: str) -> datetime | None:
    """Return the moment that an ISO date says, in UTC where it has a time zone."""
    try:
        date = datetime.fromisoformat(text)
        return date.astimezone(UTC).replace(tzinfo=None) if date.tzinfo else date
    except (ValueError, OverflowError):
        return None


def _require_all(table: Table, name: str, missing: Array) -> None:
    """Refuse a column that the split goes by where a row has no value in it."""
    if missing.any():
        row = int(np.argmax(missing))
        raise DataError(
            f"{table.location(row, name)}: the value is missing, and the split goes by it; fix it, "
            "or remove the row"
        )
