"""Dates and times: text and Unix time read as microseconds, and how often sorted times come."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import INTEGER, parse_number
from nnreg.tables.columns import categorical, first_marked, is_numeric, numbers, require_all, single
from nnreg.tables.table import Table

UnixUnit: TypeAlias = Literal["s", "ms", "us", "ns"]

SECOND = 1_000_000
"""Microseconds in a second."""
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND

_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = (
    (moment - _EPOCH) // timedelta(microseconds=1) for moment in (datetime.min, datetime.max)
)
_PER_UNIT = {"s": SECOND, "ms": 1000, "us": 1, "ns": 1 / 1000}

_DATE = (
    r"(?P<year>\d{4})(?:"
    r"(?P<sep>[-/.])(?P<month>\d{1,2})(?:(?P=sep)(?P<day>\d{1,2}))?|(?P<monthday>\d{4})"
    r"|-?(?P<ordinal>\d{3})|-?W(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?|-?Q(?P<quarter>[1-4]))?"
)
_CLOCK = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"|(?P<basic>\d{4}|\d{6})(?:[.,](?P<basic_fraction>\d+))?"
)
_ZONE = r" ?(?P<zone>Z|UTC|GMT|(?P<sign>[-+])(?P<east>\d{2})(?::?(?P<minutes>\d{2}))?)"
_MOMENT = re.compile(f"{_DATE}(?:[T ](?:{_CLOCK})(?:{_ZONE})?)?")
_TIME_OF_DAY = re.compile(r"T?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?")
_DAY_OR_MONTH = re.compile(r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4}|\d{2})(?!\d)(.*)")


@dataclass(frozen=True)
class Form:
    """How dates are written: by default any ISO 8601 form, a date with / or ., or a time of day.

    Otherwise by a `format` of strptime, or as the Unix time in a `unit`.
    """

    format: str | None = None
    unit: UnixUnit | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.unit is not None:
            raise ValueError("'format' is of text and 'unit' of Unix time; remove one of them")
        if self.format is not None:
            _check_format(self.format)


class Moments(NamedTuple):
    """The moment of each category: microseconds since 1970, in UTC if `zoned`.

    A time `of_day` has no date; its microseconds are since midnight.
    """

    times: Array
    zoned: bool = False
    of_day: bool = False


class _Moment(NamedTuple):
    time: int
    zoned: bool = False
    of_day: bool = False


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
    return cells.each(found.times.tolist(), 0, np.int64)


def moments(table: Table, name: str, cells: Categorical, form: Form) -> Moments:
    """Return the moment of each category of a column of dates, 0 of one that no row has.

    Raises `DataError` with the location of a cell that is not a date, or that differs from others
    in having a time zone or a date.
    """
    read = _read_all(cells.categories, form)
    where, wrong = first_marked(table, name, cells, np.array([one is None for one in read], bool))
    if wrong is not None:
        raise DataError(f"{where}: found {wrong!r}, expected {_expected(wrong, form)}")
    some = [one or _Moment(0) for one in read]
    dated = np.array([not one.of_day for one in some], bool)
    zoned = np.array([one.zoned for one in some], bool)
    return Moments(
        np.array([one.time for one in some], np.int64),
        zoned=_same_in_all(table, name, cells, zoned, "time zone"),
        of_day=not _same_in_all(table, name, cells, dated, "date"),
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


def _expected(text: str, form: Form) -> str:
    """Return what is expected instead of a text, and the option that would read it."""
    if form.unit is not None:
        return f"a Unix time in {form.unit!r} between the years 1 and 9999"
    if form.format is not None:
        return f"a date of the format {form.format!r}"
    what = "a number or an ISO date such as 2024-07-31 or 2024-07-31T08:30"
    if match := _DAY_OR_MONTH.fullmatch(text):
        first, mark, second, year, _ = match.groups()
        end = f"{mark}%Y" if len(year) == 4 else f"{mark}%y"
        both = [f'"%d{mark}%m{end}"', f'"%m{mark}%d{end}"']
        known = both[:1] if int(first) > 12 else both[1:] if int(second) > 12 else both
        return f'{what}; for this form set "format", as in {" or ".join(known)}'
    if INTEGER.fullmatch(text):
        return f'{what}; for Unix time set "unit", as in "s" or "ms"'
    if ":60" in text:
        return f"{what}; a leap second is not read, write second 59"
    return f'{what}; for another form set "format", as in "%d %b %Y"'


@lru_cache(maxsize=16)  # a table is encoded in chunks, which have the same categories
def _read_all(categories: Sequence[str], form: Form) -> tuple[_Moment | None, ...]:
    return tuple(_read(text, form) for text in categories)


def _read(text: str, form: Form) -> _Moment | None:
    """Return the moment of a text, or None if it is none."""
    try:
        if form.unit is not None:
            return _of_unix(text, form.unit)
        if form.format is not None:
            return _of_format(text, form.format)
        if text[10:11] in ("", "T", " ") and len(text) > 8:  # much faster than by its parts
            return _of_datetime(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        if form != Form():
            return None
    try:
        return _of_parts(text)
    except ValueError:
        return None


def _of_unix(text: str, unit: UnixUnit) -> _Moment | None:
    scale = _PER_UNIT[unit]
    if unit == "ns":
        time = int(text) // 1000 if INTEGER.fullmatch(text) else round(float(text) / 1000)
    else:
        exact = INTEGER.fullmatch(text) is not None
        time = round((int(text) if exact else parse_number(text)) * scale)
    return _Moment(time, zoned=True) if _FIRST <= time <= _LAST else None


def _of_format(text: str, form: str) -> _Moment:
    moment = datetime.strptime(text, form)
    if _has_date(form):
        return _of_datetime(moment)
    return _Moment((moment - datetime(1900, 1, 1)) // timedelta(microseconds=1), of_day=True)


def _of_datetime(moment: datetime) -> _Moment:
    """Return the moment of a datetime, exactly, also beyond the years 1 to 9999 in UTC."""
    local = (moment.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)
    east = moment.utcoffset()
    if east is None:
        return _Moment(local)
    return _Moment(local - east // timedelta(microseconds=1), zoned=True)


def _of_parts(text: str) -> _Moment | None:
    """Return the moment of a text by its parts. Raises ValueError for a part out of range."""
    of_day = _TIME_OF_DAY.fullmatch(text) is not None
    match = _MOMENT.fullmatch(f"1970-01-01 {text.removeprefix('T')}" if of_day else text)
    if match is None:
        return None
    day, clock = _day(match), _clock(match)
    if of_day and clock == DAY:
        return None  # 24:00 of no day
    east = 0
    if match["sign"]:
        minutes = int(match["minutes"] or 0)
        if minutes > 59 or int(match["east"]) > 23:
            return None
        east = int(f"{match['sign']}1") * (int(match["east"]) * HOUR + minutes * MINUTE)
    days = day.toordinal() - _EPOCH.toordinal()
    return _Moment(days * DAY + clock - east, bool(match["zone"]), of_day)


def _day(match: re.Match[str]) -> date:
    year = int(match["year"])
    if match["week"]:
        return date.fromisocalendar(year, int(match["week"]), int(match["weekday"] or 1))
    if match["ordinal"]:
        day = int(match["ordinal"])
        if not 1 <= day <= 365 + calendar.isleap(year):
            raise ValueError(f"no day {day} in {year}")
        return date(year, 1, 1) + timedelta(days=day - 1)
    if match["quarter"]:
        return date(year, 3 * int(match["quarter"]) - 2, 1)
    if match["monthday"]:
        return date(year, int(match["monthday"][:2]), int(match["monthday"][2:]))
    return date(year, int(match["month"] or 1), int(match["day"] or 1))


def _clock(match: re.Match[str]) -> int:
    """Return the microseconds since midnight; those of 24:00 are a whole day."""
    parts = [match["hour"], match["minute"], match["second"]]
    fraction = match["fraction"] or match["basic_fraction"]
    if basic := match["basic"]:
        parts = [basic[:2], basic[2:4], basic[4:]]
    hour, minute, second = (int(part or 0) for part in parts)
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    time = hour * HOUR + minute * MINUTE + second * SECOND + micro
    if minute > 59 or second > 59 or time > DAY or (fraction and not parts[2]):
        raise ValueError(f"no time {hour}:{minute}:{second}")
    return time


_YEARS = ("%Y", "%y", "%G", "%c", "%x")
_DAYS = (*_YEARS, "%d", "%m", "%b", "%B", "%j", "%U", "%W", "%V", "%u", "%w", "%a", "%A")


def _has_date(form: str) -> bool:
    return any(part in form.replace("%%", "") for part in _DAYS)


def _check_format(form: str) -> None:
    """Raise ValueError for a format that strptime does not know, or whose dates have no year."""
    plain = form.replace("%%", "")
    if "%Z" in plain:
        raise ValueError('format: "%Z" does not say how far a zone is from UTC; use "%z"')
    if _has_date(form) and not any(part in plain for part in _YEARS):
        raise ValueError(f'format: {form!r} has no year, such as "%Y"; add it, or exclude the day')
    try:
        datetime.strptime(datetime(2024, 7, 31, tzinfo=UTC).strftime(form), form)
    except ValueError as error:
        raise ValueError(f"format: {form!r} is not one of strptime: {error}") from error


Unit: TypeAlias = Literal["microseconds", "months", "business days"]


@dataclass(frozen=True, eq=False)
class Frequency:
    """How often times come, and the place of each in an unbroken series.

    They come every `step` units. The difference of two `places` is 1 where nothing is missing
    between the times, more at a gap, and 0 for a duplicate.
    """

    name: str
    places: Array
    unit: Unit = "microseconds"
    step: int = 1

    @property
    def gaps(self) -> Array:
        """The positions of the times before which others are missing."""
        return np.flatnonzero(np.diff(self.places) > 1) + 1

    @property
    def missing(self) -> int:
        """The number of missing times."""
        return int(np.sum(np.maximum(np.diff(self.places) - 1, 0)))

    @property
    def duplicates(self) -> Array:
        """The positions of the times that equal the one before."""
        return np.flatnonzero(np.diff(self.places) == 0) + 1


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


def _placed(counts: Array, step: int) -> Array:
    placed: Array = (counts - counts[0]) // step
    return placed


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
    return Frequency(name, _placed(counts, step), "months", step)


def months_and_days(days: Array) -> tuple[Array, Array, Array]:
    """Return the month of each day since 1970, its number in the month, and the month's length."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day = (dates - months).astype(np.int64) + 1
    length = ((months + 1).astype("datetime64[D]") - months).astype(np.int64)
    return months.astype(np.int64), day, length


def _business_days(times: Array, days: Array) -> Frequency | None:
    counts, weekday = business_days(days)
    one_week = counts[0] // 5 == counts[-1] // 5
    if one_week or not _same_clock(times) or (weekday > 4).any() or _regular(counts) != 1:
        return None
    return Frequency("business days", _placed(counts, 1), "business days")


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
    return Frequency(name, _placed(times, step), "microseconds", step)
