"""The meaning of a cell: the same from every source as in a CSV file of the same table."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from datetime import datetime
from functools import lru_cache

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError

MISSING_TEXTS = ("", "NA", "N/A", "NaN", "nan", "null")
"""The texts of a missing value, unless the source has its own."""

MISSING_TYPES = ("NoneType", "NAType", "NaTType", "MaskedConstant")
"""The types of a missing value in Python, pandas and NumPy, by name: pandas may be absent."""

TRUTH = ("False", "True")
"""The texts of truth values."""

MAX_EXACT = 2**53
"""The largest integer up to which float64 has all."""

MAX_DIGITS = 300
"""The most digits of an integer that is compared exactly: longer ones are not floats either."""

LEADING_ZERO = re.compile(r"[+-]?0\d")

INTEGER = re.compile(rf"[+-]?\d{{1,{MAX_DIGITS}}}")


def parse_number(text: str) -> float:
    """Return the text of a cell as a finite number, or NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in text else math.nan


def number_text(value: float) -> str:
    """Return a number as text: whole numbers without a decimal point."""
    return str(int(value)) if value == value // 1 else repr(value)


def beyond_float(values: Array) -> bool:
    """Return True for integers that float64 would round."""
    if values.dtype.kind not in "iu" or not values.size:
        return False
    return int(values.max()) > MAX_EXACT or int(values.min()) < -MAX_EXACT


def date_text(text: str) -> str:
    """Return a date or time as text: without a time at midnight, or a fraction of zeros."""
    text = re.sub(r"(\.\d*?)0+$", r"\1", re.sub(r"(?<=\d)T", " ", text)).removesuffix(".")
    return text.removesuffix(" 00:00:00")


def cell_text(value: object, where: str) -> str | None:
    """Return any cell as the text that it has in a CSV file, None if missing. Raises `DataError`.

    Text that marks a missing value is returned as it is: which text does depends on the table.
    """
    if isinstance(value, str):
        return value.strip()
    if type(value).__name__ in MISSING_TYPES:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        try:
            return value.decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{where}: found {value!r}, which is not UTF-8; decode it with the right encoding"
            ) from error
    if isinstance(value, float):
        return None if math.isnan(value) else number_text(value) if math.isfinite(value) else "inf"
    if isinstance(value, datetime):
        return date_text(str(value))
    if isinstance(value, list | tuple | dict | set | np.ndarray):
        raise DataError(
            f"{where}: a cell holds a {type(value).__name__}; expected a number or text"
        )
    return str(value)


def canonical(text: str) -> str:
    """Return a number as `number_text` writes it; other text, and codes such as 007, unchanged."""
    value = value_of(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or LEADING_ZERO.match(text):
        return text
    return number_text(value)


def value_of(text: str) -> Hashable:
    """Return what a text stands for: equal for "1", "1.0" and "01", for "True" and "true"."""
    text = text.strip()
    if text.title() in TRUTH:
        return text.title() == "True"
    if INTEGER.fullmatch(text):
        return int(text)  # exact, also where a float is not
    number = parse_number(text)
    if not math.isnan(number):
        return number
    try:
        return usual_date(text) or text
    except ValueError:
        return text


USUAL_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[-+]\d\d:[0-5]\d)?)?", re.ASCII
)


def usual_date(text: str) -> datetime | None:
    """Return a date or time in a usual form of ISO 8601, None for other texts.

    Python's parser alone reads others too, such as 2024-07-31T083+02, and not the same ones in each
    version. Raises ValueError for a day or a time that does not exist.
    """
    return datetime.fromisoformat(text) if USUAL_DATE.fullmatch(text) else None


@lru_cache(maxsize=16)  # a table is encoded in chunks, which have the same categories
def positions(cells: tuple[str, ...], known: tuple[str, ...]) -> tuple[int, ...]:
    """Return for each cell the position of the known category that it means, -1 for none.

    A cell that is none of them means the one that is the same number or has the same value, if
    there is only one.
    """
    position_of = {category: position for position, category in enumerate(known)}
    found = [position_of.get(cell, -1) for cell in cells]
    for meaning in (canonical, value_of):
        if -1 not in found:
            break
        of_meaning: dict[Hashable, int] = {}
        for position, category in enumerate(known):
            key = meaning(category)
            of_meaning[key] = -1 if key in of_meaning else position
        found = [
            of_meaning.get(meaning(cell), -1) if position < 0 else position
            for cell, position in zip(cells, found, strict=True)
        ]
    return tuple(found)
