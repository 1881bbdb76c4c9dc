"""Types of columns: what is a number, and text that should not become categories."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.table import Table


def parse_number(text: str) -> float:
    """Return the text of a cell as a finite number, or NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in text else math.nan


MISSING = ("NoneType", "NAType", "NaTType")
"""The types of a missing value in Python and pandas, by name: pandas may not be installed."""


def plain_values(array: Array, where: str) -> Array:
    """Return numbers unchanged, and text as an object array of str. Raises `DataError`."""
    if array.ndim == 0:
        raise DataError(f"{where}: a single value; expected one value per row, also for one row")
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "M":
        dates = np.datetime_as_string(array).astype(object)
        dates[np.isnat(array)] = None
        array = dates
    if array.dtype.kind not in "USTO":
        raise DataError(f"{where}: values of type {array.dtype}; expected numbers or text")
    cells = array.reshape(-1).tolist()
    kinds = {type(cell).__name__ for cell in cells}
    if "bool" in kinds and kinds <= {"bool", *MISSING}:  # as NumPy does without missing ones
        known = [cell if isinstance(cell, bool) else np.nan for cell in cells]
        return np.array(known, np.float64).reshape(array.shape)
    text = np.empty(array.shape, object)
    text.reshape(-1)[:] = [
        cell if cell is None or isinstance(cell, str) else _text(cell, where) for cell in cells
    ]
    return text


def _text(value: object, where: str) -> str | None:
    """Return a cell as text: None if it is missing, whole numbers without a decimal point."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return None if np.isnan(value) else f"{value:.17g}"
    if isinstance(value, list | tuple | dict | set | np.ndarray):
        raise DataError(
            f"{where}: a cell holds a {type(value).__name__}; expected a number or text"
        )
    return None if type(value).__name__ in MISSING else str(value)


SAMPLE = 1000
"""The most distinct values that are checked."""

DAY = r"\d{4}(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)(?:\d{4}|\d{2})"
TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?"
DATE = re.compile(f"(?:{DAY})(?:[T ]{TIME})?|{TIME}")
COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")


def refuse_misread(table: Table, name: str, categories: Sequence[str]) -> None:
    """Raise `DataError` if all categories are dates, or numbers with a decimal comma.

    Each would otherwise become a category of its own.
    """
    some = categories[:SAMPLE]
    if all(map(DATE.fullmatch, some)):
        raise DataError(
            f"{table.origin}: column {name!r} holds dates or times, such as {some[0]!r}; derive "
            "numeric columns from it, such as year, month or weekday, and list it in 'exclude', "
            'or set it to "category" in data.columns'
        )
    if all(map(COMMA.fullmatch, some)):
        raise DataError(
            f"{table.origin}: column {name!r} has numbers with a decimal comma, such as "
            f'{some[0]!r}; write them with a point, or set "decimal": "," in the source, as in '
            '{"type": "csv", "decimal": ","}, or set it to "category" in data.columns'
        )
