"""Columns of a table read as numbers, categories or groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import all_finite
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, categorical_of
from nnreg.tables.cells import TRUTH, number_text, parse_number
from nnreg.tables.column_types import COMMA
from nnreg.tables.lazy import AnyColumn, LazyArray, StoredColumn, materialize
from nnreg.tables.number_texts import NumberTexts, advice, number_and_unit, number_formats
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import Table

ColumnT = TypeVar("ColumnT", Array, Categorical)


def column(table: Table, name: str) -> AnyColumn:
    """Return a column. Raises `DataError`, with a similar name, if there is none."""
    try:
        return table.columns[name]
    except KeyError:
        known = suggest(name, table.columns)
        raise DataError(f"{table.origin}: no column {name!r}{known}") from None


def per_row(table: Table, name: str) -> Array | Categorical | LazyArray:
    """Return a column that is not of sequences. Raises `DataError` if it is."""
    values = column(table, name)
    if isinstance(values, Ragged):
        raise DataError(
            f"{table.origin}: column {name!r} holds sequences; expected one value per row"
        )
    if isinstance(values, StoredColumn):
        raise DataError(
            f"{table.origin}: column {name!r} stays in its file, but is needed in memory; set "
            '"stream" of the source to false'
        )
    return values


def is_text(values: AnyColumn) -> bool:
    """Return True if a column is text, even if all of it can be read as numbers.

    Truth values are, as in a CSV file.
    """
    return values.dtype.kind in "OT" or (values.dtype.kind == "b" and values.ndim == 1)


def categorical(table: Table, name: str, known: Sequence[str] = ()) -> Categorical:
    """Return a column as categories; numbers become text as `number_text` writes them.

    The missing texts of the table are missing, unless they are among the categories `known`.
    """
    values = per_row(table, name)
    if not isinstance(values, Categorical):
        values = categories_of(materialize(values))
    return values.without([text for text in table.missing_texts or () if text not in known])


def categories_of(values: Array) -> Categorical:
    """Return an array as categories; see `categorical`."""
    if values.dtype.kind == "b":
        return Categorical(TRUTH, values.astype(np.int8))
    if is_text(values):
        return categorical_of(values)
    distinct, codes = np.unique(values, return_inverse=True)
    categories = tuple(number_text(value) for value in distinct.tolist() if value == value)
    codes = codes.reshape(values.shape)
    return Categorical(categories, np.where(codes < len(categories), codes, -1))


def numbers(table: Table, name: str, texts: NumberTexts | None = None) -> Array:
    """Return a column as float64, NaN where missing. Raises `DataError` if it is not numeric.

    Numbers in text are written as `texts` says, or plainly.
    """
    values = per_row(table, name)
    if not is_text(values):
        result = materialize(values).astype(np.float64)
        if not all_finite(result) and np.isinf(result).any():
            row = int(np.argwhere(np.isinf(result))[0][0])
            raise DataError(f"{table.location(row, name)}: an infinite value; expected a number")
        return result
    cells = categorical(table, name)
    if texts is None and set(cells.categories) <= set(TRUTH):
        return cells.each(map(TRUTH.index, cells.categories), np.nan, np.float64)
    read = list(map(texts.parse if texts else parse_number, cells.categories))
    where, found = first_marked(table, name, cells, np.isnan(read))
    if found is not None:
        expected = texts.expected if texts else "a number"
        raise DataError(f"{where}: found {found!r}, expected {expected}")
    return cells.each(read, np.nan, np.float64)


def common_unit(table: Table, name: str, texts: NumberTexts) -> str | None:
    """Return the unit of the numbers in a column of text; None if there is no text.

    Raises `DataError` for a number in another unit than that of the first row.
    """
    if not is_text(per_row(table, name)):
        return None
    cells = categorical(table, name)
    read = [number_and_unit(text, texts.written) for text in cells.categories]
    units = [None if one is None else one[1] for one in read]
    _, first = first_marked(table, name, cells, np.array([unit is not None for unit in units]))
    if first is None:
        return None
    unit = units[cells.categories.index(first)]
    where, other = first_marked(table, name, cells, np.array([one != unit for one in units]))
    if other is not None:
        raise DataError(
            f"{where}: found {other!r}, expected {replace(texts, unit=unit).expected} as in "
            f'{first!r}; write it so, or set {name!r} to "category" in data.columns'
        )
    return unit


def first_marked(
    table: Table, name: str, cells: Categorical, marked: Array
) -> tuple[str, str | None]:
    """Return the location and category of the first row whose category is marked, if any."""
    of_row = cells.each(marked, False, bool)
    if not of_row.any():
        return "", None
    index = tuple(np.argwhere(of_row)[0])
    return table.location(int(index[0]), name), cells.categories[cells.codes[index]]


def missing_rows(table: Table, name: str) -> Array:
    """Return for each row whether a value of a column is missing."""
    values = column(table, name)
    if isinstance(values, Ragged):
        missing = missing_rows(table.steps([name]), name)
        of_step = np.repeat(np.arange(len(table)), values.lengths)
        return np.bincount(of_step[missing], minlength=len(table)) > 0
    text = is_text(values)
    missing = categorical(table, name).codes < 0 if text else np.isnan(materialize(values))
    rows: Array = np.any(missing, axis=tuple(range(1, values.ndim)))
    return rows


def is_numeric(table: Table, name: str) -> bool:
    """Return True if a column is numeric. Raises `DataError` if it mixes numbers and text."""
    values = per_row(table, name)
    if not is_text(values):
        if values.dtype.kind == "f" and values.ndim == 1 and np.isnan(materialize(values)).all():
            raise DataError(f"{table.origin}: column {name!r} has no values; list it in 'exclude'")
        return True
    cells = categorical(table, name)
    not_number = np.isnan([parse_number(category) for category in cells.categories])
    if not len(not_number):
        raise DataError(f"{table.origin}: column {name!r} has no values; list it in 'exclude'")
    if not_number.any() and not not_number.all():
        where, found = first_marked(table, name, cells, not_number)
        comma = COMMA.fullmatch(found or "") is not None
        fix = 'set "decimal": "," in the source' if comma else "fix the value"
        if formats := number_formats(cells.categories):
            fix = advice(name, formats)
        raise DataError(
            f"{where}: found {found!r} among numbers; {fix}, or set {name!r} to "
            '"category" in data.columns'
        )
    return not not_number.any()


def single(values: ColumnT, table: Table, name: str) -> ColumnT:
    """Return a column with one value per row, which may have the shape `(rows, 1)`."""
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"{table.origin}: column {name!r} has shape {values.shape}; expected one value per row"
        )
    return values


def groups(table: Table, name: str) -> Array:
    """Return a group number per row; rows with the same value in the column have the same."""
    cells = single(categorical(table, name), table, name)
    require_all(table, name, cells.codes < 0)
    number_of = {category: number for number, category in enumerate(sorted(cells.categories))}
    return cells.each([number_of[category] for category in cells.categories], -1, np.intp)


def require_all(table: Table, name: str, missing: Array) -> None:
    """Raise `DataError` if a column that the split depends on has a missing value."""
    if missing.any():
        row = int(np.argmax(missing))
        raise DataError(
            f"{table.location(row, name)}: the value is missing, but the split needs it; fix it, "
            "or remove the row"
        )
