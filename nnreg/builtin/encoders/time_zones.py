"""Time zones: local times, and when the offset of a zone from UTC changes."""

from __future__ import annotations

import bisect
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from nnreg._types import Array
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError
from nnreg.tables.date_forms import DAY, FIRST_TIME, SECOND

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)

FIRST_CHANGE = (datetime(1800, 1, 1, tzinfo=UTC) - _EPOCH).days
"""A day before the first change of any zone, since 1970."""

LAST_YEAR = 2099
"""The last year whose changes an export has."""

AFTER_LAST = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH).days
"""The first day after that year, since 1970."""

DAY_SECONDS = DAY // SECOND


def local_times(times: Array, name: str, where: str) -> Array:
    """Return times in UTC as those of a zone, in microseconds since 1970 there."""
    zone = _zone(name, where)
    distinct, index = np.unique(times, return_inverse=True)
    east = [_utc_offset(time, zone) for time in distinct.tolist()]
    local: Array = (distinct + np.array(east, np.int64))[index]
    return local


def changes_of(name: str, where: str) -> tuple[Array, Array]:
    """Return when the offset of a zone changes, in seconds since 1970, and by how many seconds.

    The first change is that from UTC, before year 1; the others, until `LAST_YEAR`, are found by
    looking at each day.
    """
    return _changes(_zone(name, where))


@lru_cache(maxsize=16)
def _changes(zone: ZoneInfo) -> tuple[Array, Array]:
    before = _seconds_east(FIRST_CHANGE * DAY_SECONDS, zone)
    found = [(FIRST_TIME // SECOND - DAY_SECONDS, before)]
    for day in range(FIRST_CHANGE, AFTER_LAST):
        end = (day + 1) * DAY_SECONDS
        after = _seconds_east(end, zone)
        if after != before:
            times = range(day * DAY_SECONDS + 1, end + 1)
            found.append((_first_other(times, zone, before), after - before))
            before = after
    when, change = np.array(found, np.float64).T
    return when, change


def _first_other(times: range, zone: ZoneInfo, before: float) -> int:
    """Return the first time at which the offset is another one, which it then is at the others."""
    found = bisect.bisect_left(times, True, key=lambda one: _seconds_east(one, zone) != before)
    return times[found]


def _seconds_east(time: int, zone: ZoneInfo) -> float:
    east = (_EPOCH + timedelta(seconds=time)).astimezone(zone).utcoffset()
    return 0.0 if east is None else east.total_seconds()


def _zone(name: str, where: str) -> ZoneInfo:
    """Return a time zone by its name.

    It is looked up here and not when a spec or a checkpoint is read, which opens no other file.
    """
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        known = zoneinfo.available_timezones()
        hint = suggest(name, known, 'write it as "Europe/Berlin"')
        hint = hint if known else "; install the time zones by `pip install tzdata`"
        raise DataError(f"{where}: no time zone {name!r}{hint}") from None


def _utc_offset(time: int, zone: ZoneInfo) -> int:
    """Return how many microseconds a zone is ahead of UTC."""
    try:
        moment = min(max(_EPOCH + timedelta(microseconds=time), _FIRST), _LAST)
    except OverflowError:
        moment = _FIRST if time < 0 else _LAST
    offset = moment.astimezone(zone).utcoffset() or timedelta(0)
    return offset // timedelta(microseconds=1)
