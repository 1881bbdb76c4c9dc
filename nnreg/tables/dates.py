"""Columns of dates and times, read as microseconds, and how often sorted times come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical
from nnreg.tables.column_types import DATE, SAMPLE
from nnreg.tables.columns import categorical, first_marked, is_numeric, numbers, require_all, single
from nnreg.tables.date_forms import DAY, HOUR, MINUTE, SECOND, Form, expected, formats_of, read
from nnreg.tables.table import Table


class Moments(NamedTuple):
    """The moment of each row: microseconds since 1970, in UTC if `zoned`; 0 where it is missing.

    A time `of_day` has no date; its microseconds are since midnight.
    """

    times: Array
    zoned: bool
    of_day: bool


def times(table: Table, name: str, form: Form | None = None) -> Array:
    """Return the time of each row: a number as it is, a date as int64 microseconds since 1970."""
    if form is None and is_numeric(table, name):
        values = single(numbers(table, name), table, name)
        require_all(table, name, np.isnan(values))
        return values
    cells = single(categorical(table, name), table, name)
    require_all(table, name, cells.codes < 0)
    found = moments(table, name, cells, form or Form())
    if found.of_day:
        raise DataError(
            f"{table.location(0, name)}: found {cells.categories[cells.codes[0]]!r}, a time "
            "without a date, which does not order rows of several days; give a column with both"
        )
    return found.times


def moments(table: Table, name: str, cells: Categorical, form: Form) -> Moments:
    """Return the moment of each row of a column of dates.

    Raises `DataError` with the location of a cell that is not a date, or that differs from others
    in having a time zone or a date.
    """
    found = _read_all(cells.categories, form)
    if found["wrong"].any():  # a category may be in no row
        where, wrong = first_marked(table, name, cells, found["wrong"])
        if wrong is not None:
            raise DataError(f"{where}: found {wrong!r}, expected {expected(wrong, form)}")
    return Moments(
        np.append(found["time"], 0)[cells.codes],
        zoned=_same_in_all(table, name, cells, found["zoned"], "time zone"),
        of_day=not _same_in_all(table, name, cells, ~found["of_day"], "date"),
    )


def _same_in_all(table: Table, name: str, cells: Categorical, has: Array, what: str) -> bool:
    """Return whether all values have a date or a zone, or none. Raises `DataError` for a mixture.

    Without values, they have.
    """
    rows = np.flatnonzero(cells.codes >= 0)
    if not len(rows):
        return True
    of_row = has[cells.codes[rows]]
    first = bool(of_row[0])
    if not (of_row == first).all():
        other = int(rows[np.argmax(of_row != first)])
        found, begun = (cells.categories[cells.codes[row]] for row in (other, rows[0]))
        has_it, had_it = ("no", "one") if first else ("a", "none")
        raise DataError(
            f"{table.location(other, name)}: {found!r} has {has_it} {what}, but {begun!r} before "
            f"it has {had_it}; write all in one form"
        )
    return first


_READ = np.dtype([("time", np.int64), ("zoned", bool), ("of_day", bool), ("wrong", bool)])


@lru_cache(maxsize=16)  # a table is encoded in chunks, which have the same categories
def _read_all(categories: Sequence[str], form: Form) -> Array:
    """Return the moment of each category, and whether it is `wrong`."""
    found = (read(text, form) for text in categories)
    rows = [(0, False, False, True) if one is None else (*one, False) for one in found]
    return np.array(rows, _READ)


def refuse_dates(table: Table, name: str, categories: Sequence[str]) -> None:
    """Raise `DataError` if all categories are dates, with the encoder that reads them.

    Each would otherwise become a category of its own.
    """
    some = categories[:SAMPLE]
    if not all(map(DATE.fullmatch, some)):
        return
    entry = '{"type": "date"}'
    if any(read(text, Form()) is None for text in some) and (formats := formats_of(some)):
        entries = (f'{{"type": "date", "format": "{form}"}}' for form in formats)
        entry = f"{' or '.join(entries)}, whichever is right" if formats[1:] else next(entries)
    raise DataError(
        f"{table.origin}: column {name!r} holds dates or times, such as {some[0]!r}; set it to "
        f"{entry} in data.columns, or to \"category\", or list it in 'exclude'"
    )


Unit: TypeAlias = Literal["microseconds", "months", "business days"]


@dataclass(frozen=True, eq=False)
class Frequency:
    """How often times come: every `step` units."""

    name: str
    unit: Unit = "microseconds"
    step: int = 1


_NAMES = {
    SECOND: "every second", MINUTE: "every minute", HOUR: "hourly", DAY: "daily",
    7 * DAY: "weekly",
}  # fmt: skip
_UNITS = ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes"), (SECOND, "seconds"))
_MONTHS = {1: "monthly", 3: "quarterly", 12: "yearly"}


def infer_frequency(times: Array) -> Frequency | None:
    """Return how often these ascending times in microseconds come, or None if irregularly.

    Months are those of the calendar: on the same day of each, or on the last where it is shorter.
    A frequency needs three distinct times, of which at least every second follows the one before
    without a gap.
    """
    if len(np.unique(times)) < 3:
        return None
    days = times // DAY
    return _months(times, days) or _business_days(times, days) or _steps(times)


def _regular(counts: Array) -> int | None:
    """Return the step of whole numbers, or None if they do not follow one."""
    differences = np.diff(np.unique(counts))
    step = int(differences.min(initial=np.iinfo(np.int64).max))
    follow = np.mean(differences == step) >= 1 / 2 if len(differences) else False
    return step if follow and not (differences % step).any() else None


def _same_clock(times: Array) -> bool:
    clock = times % DAY
    return bool((clock == clock[0]).all())


def _months(times: Array, days: Array) -> Frequency | None:
    if not _same_clock(times):
        return None
    counts, day, length = months_and_days(days)
    step = _regular(counts)
    if step is None or (day != np.minimum(day.max(), length)).any():
        return None
    name = _MONTHS.get(step, f"every {step} months")
    return Frequency(name, "months", step)


def months_and_days(days: Array) -> tuple[Array, Array, Array]:
    """Return the month of each day since 1970, its number in the month, and the month's length."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day = (dates - months).astype(np.int64) + 1
    ends = (months + np.timedelta64(1, "M")).astype("datetime64[D]")
    length = (ends - months).astype(np.int64)
    return months.astype(np.int64), day, length


def _business_days(times: Array, days: Array) -> Frequency | None:
    counts, weekday = business_days(days)
    one_week = counts[0] // 5 == counts[-1] // 5
    if one_week or not _same_clock(times) or (weekday > 4).any() or _regular(counts) != 1:
        return None
    return Frequency("business days", "business days")


def business_days(days: Array) -> tuple[Array, Array]:
    """Return the number of each business day, and its weekday, of days since 1970."""
    weekday = (days + 3) % 7  # 1970 began on a Thursday
    return (days + 3) // 7 * 5 + weekday, weekday


def _steps(times: Array) -> Frequency | None:
    step = _regular(times)
    if step is None:
        return None
    name = _NAMES.get(step, f"every {step} microseconds")
    if step not in _NAMES:
        unit = next(((size, unit) for size, unit in _UNITS if not step % size), None)
        name = f"every {step // unit[0]} {unit[1]}" if unit else name
    return Frequency(name, "microseconds", step)
