"""How a date or time is written: any form of ISO 8601, or by a format or a unit."""

from __future__ import annotations

import calendar
import functools
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias

from nnreg.tables.cells import INTEGER, parse_number, usual_date

UnixUnit: TypeAlias = Literal["s", "ms", "us", "ns"]

SECOND = 1_000_000
"""Microseconds in a second."""
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
FIRST_TIME = (datetime.min - _EPOCH) // _MICROSECOND
LAST_TIME = (datetime.max - _EPOCH) // _MICROSECOND
"""The microseconds of the first and the last moment of the years 1 to 9999."""
PER_UNIT = {"s": SECOND, "ms": 1000, "us": 1, "ns": 1 / 1000}

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
_MOMENT = f"{_DATE}(?:[T ](?:{_CLOCK})(?:{_ZONE})?)?"
_WHOLE_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME_OF_DAY = re.compile(r"T?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?", re.ASCII)


@functools.cache
def _moment() -> re.Pattern[str]:
    """Return the pattern of a date or time, compiled when it is first needed."""
    return re.compile(_MOMENT, re.ASCII)


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


class Moment(NamedTuple):
    """Microseconds since 1970, in UTC if `zoned`; since midnight for a time `of_day`."""

    time: int
    zoned: bool = False
    of_day: bool = False


def read(text: str, form: Form) -> Moment | None:
    """Return the moment of a text, or None if it is none.

    With a format or a unit, a date of ISO 8601 is read too: so are those of data frames written.
    """
    try:
        if form.unit is not None:
            return _of_unix(text, form.unit)
        if form.format is not None:
            return _of_format(text, form.format)
        if moment := usual_date(text):
            return _of_datetime(moment)
    except (ValueError, OverflowError):
        if form != Form() and not _WHOLE_DATE.match(text):
            return None
    try:
        return _of_parts(text)
    except ValueError:
        return None


def written(time: int, form: Form) -> str:
    """Return the text of microseconds since 1970 by the format or the unit of a form."""
    if form.unit is not None:
        return str(time * 1000 if form.unit == "ns" else time // int(PER_UNIT[form.unit]))
    return (_EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=time)).strftime(form.format or "%c")


def _of_unix(text: str, unit: UnixUnit) -> Moment | None:
    scale = PER_UNIT[unit]
    if unit == "ns":
        time = int(text) // 1000 if INTEGER.fullmatch(text) else math.floor(float(text) / 1000)
    else:
        exact = INTEGER.fullmatch(text) is not None
        time = round((int(text) if exact else parse_number(text)) * scale)
    return Moment(time, zoned=True) if FIRST_TIME <= time <= LAST_TIME else None


def _of_format(text: str, form: str) -> Moment:
    moment = datetime.strptime(text, form)
    if _has_date(form):
        return _of_datetime(moment)
    return Moment((moment - datetime(1900, 1, 1)) // _MICROSECOND, of_day=True)


def _of_datetime(moment: datetime) -> Moment:
    """Return the moment of a datetime, exactly, also beyond the years 1 to 9999 in UTC."""
    east = moment.utcoffset()
    if east is None:
        return Moment((moment - _EPOCH) // _MICROSECOND)
    local = moment.replace(tzinfo=None) - _EPOCH  # an aware one may be beyond year 1 in UTC
    return Moment(local // _MICROSECOND - east // _MICROSECOND, zoned=True)


def _of_parts(text: str) -> Moment | None:
    """Return the moment of a text by its parts. Raises ValueError for a part out of range."""
    of_day = _TIME_OF_DAY.fullmatch(text) is not None
    match = _moment().fullmatch(f"1970-01-01 {text.removeprefix('T')}" if of_day else text)
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
    return Moment(days * DAY + clock - east, bool(match["zone"]), of_day)


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


def expected(text: str, form: Form) -> str:
    """Return what is expected instead of a text, and the option that would read it."""
    if form.unit is not None:
        return f"a Unix time in {form.unit!r} between the years 1 and 9999"
    if form.format is not None:
        return f"a date of the format {form.format!r}"
    what = "a number or an ISO date such as 2024-07-31 or 2024-07-31T08:30"
    if formats := formats_of([text]):
        shown = " or ".join(f'"{one}"' for one in formats)
        return f'{what}; for this form set "format", as in {shown}'
    if INTEGER.fullmatch(text):
        return f'{what}; for Unix time set "unit", as in "s" or "ms"'
    if ":60" in text:
        return f"{what}; a leap second is not read, write second 59"
    return f'{what}; for another form set "format", as in "%d %b %Y"'


def formats_of(texts: Sequence[str]) -> list[str]:
    """Return the formats of strptime with numbers, such as "%d/%m/%Y", by which all are dates.

    There are several where day and month, or day and year, could be exchanged.
    """
    return [form for form in _common_formats() if all(_reads(form, text) for text in texts)]


def _common_formats() -> Iterable[str]:
    days = ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%d{0}%m{0}%y", "%m{0}%d{0}%y", "%Y{0}%m{0}%d", "")
    clocks = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
    for day, mark, clock in itertools.product(days, "/.-", clocks):
        form = f"{day.format(mark)} {clock}".strip()
        if form and (day or mark == "/"):
            yield form
            if day and clock:
                yield f"{form}%z"


def _reads(form: str, text: str) -> bool:
    with suppress(ValueError):
        return bool(datetime.strptime(text, form))
    return False
