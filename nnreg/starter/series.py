"""Whether a table is a time series, and the windows and layers that a starter spec has for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.data.spacing import Spacing, spacing_of, spacing_of_numbers
from nnreg.errors import DataError
from nnreg.starter.column_facts import ColumnFacts
from nnreg.tables.columns import categorical
from nnreg.tables.dates import times
from nnreg.tables.table import Table

TIME = re.compile(r"(time|date|year|month|week|day|hour|period|step|t)s?$", re.I)
"""The names of columns of numbers that are times."""

MONTH = re.compile(r"\d{4}-\d\d")

MIN_ROWS = 40
"""The minimum number of rows of a typical series."""

MIN_REGULAR = 0.95
"""The minimum fraction of rows that follow the one before by one step."""

ROWS_PER_SEASON = 10
"""A season is predicted if a typical series has this many; otherwise the next row."""

MAX_HORIZON = 60
LENGTHS = (4, 24)
"""The least and the most rows of a window of a series without seasons."""


@dataclass(frozen=True)
class SeriesProposal:
    """`data.window` and `model.layers` of a starter spec, with comments by JSON path."""

    window: dict[str, Any]
    layers: list[dict[str, Any]]
    comments: dict[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that sort the rows, and tell series apart."""
        return tuple(self.window[key] for key in ("order", "group") if key in self.window)


def propose_series(
    table: Table, columns: Mapping[str, ColumnFacts], target: str
) -> SeriesProposal | None:
    """Return the windows for a table whose rows follow each other in time; None for another one.

    The target is numeric. The times are in a column of ISO dates, or of numbers that is called so,
    and come at one frequency, in the whole table or for each category of a column.
    """
    facts = columns[target]
    if facts.kind != "numbers" or facts.classification:
        return None
    for order in _time_columns(table, columns, target):
        with suppress(DataError):
            moments = times(table, order)
            for group, members in _groups(table, columns, {order, target}):
                found = _spacing(moments, members)
                if found is not None:
                    return _proposal(order, group, found, int(np.median(np.bincount(members))))
    return None


def _time_columns(table: Table, columns: Mapping[str, ColumnFacts], target: str) -> Iterator[str]:
    """Yield the columns that may be times, dates first."""
    others = [one for one in columns.values() if one.name not in ("", target) and not one.missing]
    for one in others:
        months = one.kind == "categories" and MONTH.fullmatch(
            categorical(table, one.name).categories[0]
        )
        if one.dates or months:
            yield one.name
    yield from (one.name for one in others if one.kind == "numbers" and TIME.match(one.name))


def _groups(
    table: Table, columns: Mapping[str, ColumnFacts], used: set[str]
) -> Iterator[tuple[str, Array]]:
    """Yield each column that may tell several series apart, with the number of that of each row.

    The first has no name: all rows are one series.
    """
    yield "", np.zeros(len(table), np.intp)
    for one in columns.values():
        repeated = one.kind in ("categories", "numbers") and (one.integers or one.kind != "numbers")
        few = 1 < one.distinct <= len(table) / MIN_ROWS
        if repeated and few and not one.missing and not one.dates and one.name not in {"", *used}:
            codes = categorical(table, one.name).codes
            yield one.name, np.unique(codes, return_inverse=True)[1]


def _spacing(moments: Array, members: Array) -> Spacing | None:
    """Return the spacing of the times of all series; None if there is none, or they are short."""
    order = np.lexsort((moments, members))
    moments, members = moments[order], members[order]
    sizes = np.bincount(members)
    if np.median(sizes) < MIN_ROWS:
        return None
    longest = moments[members == sizes.argmax()]
    dates = moments.dtype.kind == "i"
    found = spacing_of(longest) if dates else spacing_of_numbers(longest)
    within = np.diff(members) == 0
    if found is None or not within.any():
        return None
    steps = found.steps(moments[:-1][within], moments[1:][within])
    return found if np.mean(steps == 1) >= MIN_REGULAR else None


def _proposal(order: str, group: str, spacing: Spacing, rows: int) -> SeriesProposal:
    """Return the proposal for series of `rows` rows."""
    season = spacing.season or 0
    seasonal = 1 < season <= MAX_HORIZON and rows >= ROWS_PER_SEASON * season
    horizon = season if seasonal else 1
    length = max(2 * season, LENGTHS[0]) if seasonal else int(np.clip(rows // 10, *LENGTHS))
    window = {"length": length, "horizon": horizon, "order": order, "relative_to": "last"}
    if group:
        window["group"] = group
    layers: list[dict[str, Any]] = [
        {"type": "flatten", "name": "past"},
        {"type": "dense", "units": 32, "activation": "relu", "name": "hidden"},
        {"type": "dropout", "rate": 0.2, "name": "dropped"},
        {"type": "concat", "inputs": ["past", "dropped"]},
        {"type": "dense", "units": horizon},
    ]
    return SeriesProposal(window, layers, _comments(window, spacing))


def _comments(window: Mapping[str, Any], spacing: Spacing) -> dict[str, str]:
    each = f" for each {window['group']}" if "group" in window else ""
    ahead = "next row"
    if window["horizon"] > 1:
        ahead = f"{window['horizon']} rows after them, the season of this frequency,"
    return {
        "$.data.window": f"A time series: the rows are {spacing.name} by {window['order']}{each}. "
        f"{window['length']} rows in a row are an example, and the target in the {ahead} is "
        "predicted, as a difference from the last of these.\n"
        "Without `window`, the target is predicted from the other columns of its row.",
        "$.model": "The last layer reads the window itself beside the hidden layer, which adds to "
        "a linear forecast what this misses.",
    }
