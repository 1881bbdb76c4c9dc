"""What the texts of a column are: dates, several labels in a cell, or categories in an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from nnreg.builtin.encoders import Date
from nnreg.errors import DataError
from nnreg.interfaces.encoder import RawColumn
from nnreg.tables.column_types import SAMPLE
from nnreg.tables.date_forms import DAY, Form, formats_of, read
from nnreg.tables.label_cells import labels_of
from nnreg.tables.table import Table

FEW = 50
"""The distinct texts by which the format of dates is found, before all are read."""

YEARS = 1700, 2200
"""The years of real dates. Others are codes that look like dates, such as 4711-123."""

NAMED_FORMATS = (
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y",
    "%d-%b-%y", "%d. %B %Y", "%b %Y", "%B %Y", "%b-%y", "%a, %d %b %Y %H:%M:%S %z",
)  # fmt: skip
"""Those of dates with the name of the month."""

SEPARATORS = ";|,"

MAX_LABELS, MIN_LABEL_ROWS = 200, 5
"""The most labels of a column, and the least rows per label on average."""

ORDERS = (
    ("january", "february", "march", "april", "may", "june", "july", "august", "september",
     "october", "november", "december"),
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("very small", "small", "medium", "large", "very large"),
    ("very low", "low", "medium", "high", "very high"),
    ("low", "moderate", "high"),
    ("mild", "moderate", "severe"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("very poor", "poor", "fair", "good", "very good", "excellent"),
    ("terrible", "bad", "average", "good", "excellent"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("beginner", "intermediate", "advanced", "expert"),
    ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"),
)  # fmt: skip
"""Categories whose order everyone knows, from low to high."""

CASES: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.title, str.capitalize)


def date_options(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the options by which the encoder `date` may read texts; several if it is unclear."""
    some = texts[:SAMPLE]
    if all(read(text, Form()) is not None for text in some):
        return [{}]
    if not all(any(mark.isdigit() for mark in text) and len(text) < 40 for text in some):
        return []
    named = [form for form in NAMED_FORMATS if all(_reads(form, text) for text in some[:FEW])]
    formats = named[:1] or formats_of(some[:FEW])
    if len(formats) > 1:
        formats = [form for form in formats if all(_reads(form, text) for text in some)]
    return [{"format": form} for form in formats]


def _reads(form: str, text: str) -> bool:
    with suppress(ValueError):
        return bool(datetime.strptime(text, form))
    return False


def learned_date(table: Table, name: str, options: Mapping[str, Any]) -> Date | None:
    """Return the encoder of a column of dates; None if it cannot read all, or they are codes."""
    column = RawColumn(name, table, Date.takes)
    with suppress(DataError):
        found = Date(**options).learn(column.take((~column.missing).nonzero()[0]))
        year = 1970 + found.origin / (DAY * 365.25)
        if found.of_day or YEARS[0] <= year <= YEARS[1]:
            return found
    return None


def separator_of(counts: Mapping[str, int]) -> str:
    """Return what separates the labels in cells; empty if they do not have several.

    There are fewer labels than different cells, since these combine them.
    """
    if not counts or any(text.startswith("[") for text in counts):
        return ""
    for separator in SEPARATORS:
        if any(separator in text for text in counts) and _are_labels(counts, separator):
            return separator
    return ""


def are_label_lists(counts: Mapping[str, int]) -> bool:
    """Return whether cells are JSON lists of labels, in each cell once, and not sequences."""
    return all(text.startswith('["') or text == "[]" for text in counts) and _are_labels(
        counts, ";"
    )


def _are_labels(counts: Mapping[str, int], separator: str) -> bool:
    rows: dict[str, int] = {}
    for text, count in counts.items():
        labels = labels_of(text, separator) or ()
        if len(set(labels)) < len(labels):
            return False
        for label in labels:
            rows[label] = rows.get(label, 0) + count
    fewer = len(rows) * (2 if separator == "," else 1) < len(counts)
    enough = sum(rows.values()) >= MIN_LABEL_ROWS * len(rows)
    return 1 < len(rows) <= MAX_LABELS and fewer and enough


def known_order(texts: Sequence[str]) -> tuple[str, ...]:
    """Return all categories of a well-known order, written as the texts; empty if it is none.

    If they are not written in one way, only those that occur are returned.
    """
    place = {text.lower(): text for text in texts}
    if len(texts) < 3 or len(place) < len(texts):
        return ()
    for order in ORDERS:
        if place.keys() <= set(order):
            for case in CASES:
                written = tuple(map(case, order))
                if set(texts) <= set(written):
                    return written
            return tuple(place[one] for one in order if one in place)
    return ()
