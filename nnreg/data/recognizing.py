"""Columns of text that hold something better not taken for words: dates, and decimal commas."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnreg.errors import DataError
from nnreg.interfaces import Table

SAMPLE = 1000
"""How many different words are looked at."""

DAY = r"\d{4}(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)(?:\d{4}|\d{2})"
TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?"
DATE = re.compile(f"(?:{DAY})(?:[T ]{TIME})?|{TIME}")
COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")


def refuse_misread(table: Table, name: str, words: Sequence[str]) -> None:
    """Refuse a column of which all words are dates, or numbers with a decimal comma.

    Raises `DataError` with what to do instead of taking each for a category of its own.
    """
    some = words[:SAMPLE]
    if all(map(DATE.fullmatch, some)):
        raise DataError(
            f"{table.origin}: column {name!r} holds dates or times, such as {some[0]!r}; make "
            "columns of numbers of it, such as year, month or weekday, and list it in 'exclude', "
            'or say in data.columns that it holds "words"'
        )
    if all(map(COMMA.fullmatch, some)):
        raise DataError(
            f"{table.origin}: column {name!r} has numbers with a decimal comma, such as "
            f'{some[0]!r}; write them with a point, or set "decimal": "," in the source, as in '
            '{"type": "csv", "decimal": ","}, or say in data.columns that it holds "words"'
        )
