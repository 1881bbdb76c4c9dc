"""The Gregorian calendar as arithmetic with numbers, which programs in other languages have too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

PARTS = ("days", "second", "year", "month", "day", "day_of_year", "days_of_year", "week")
"""What an export finds in a date: the days since 1970 with the time, the second of the day, the
others as whole numbers; the month and the day of the year from 0."""


def parts_of(days: Any, second: Any, microsecond: Any) -> tuple[Any, ...]:
    """Return the `PARTS` of days since 1970, the second of the day, and the microsecond in it."""
    year, month, day = date_of(days)
    of_year = days - first_of_month(year, 1)
    length = first_of_month(year + 1, 1) - first_of_month(year, 1)
    thursday = days + 3 - _modulo(days + 3, 7)
    week = np.floor((thursday - first_of_month(date_of(thursday)[0], 1)) / 7) + 1
    time = (days * 86400 + second) * 1e6 + microsecond
    return time / 86400e6, second, year, month - 1, day, of_year, length, week


def whole_days(parts: Mapping[str, Any]) -> Any:
    """Return the days without the time, exactly also where that is close to midnight."""
    return np.rint(parts["days"] - parts["second"] / 86400)


def first_of_month(year: Any, month: Any) -> Any:
    """Return the days from 1970 to the first of a month.

    Years begin in March, so that a leap day is their last.
    """
    since_march = _modulo(month + 9, 12)
    year = year - np.floor(since_march / 10)
    leap_days = np.floor(year / 4) - np.floor(year / 100) + np.floor(year / 400)
    return 365 * year + leap_days + np.floor((153 * since_march + 2) / 5) - 719468


def date_of(days: Any) -> tuple[Any, Any, Any]:
    """Return the year, the month from 1 and the day from 1 of days since 1970."""
    since = days + 719468  # the first of March of year 0
    centuries = np.floor(since / 146097)  # 400 years each
    day = since - 146097 * centuries
    leap = np.floor(day / 1460) - np.floor(day / 36524) + np.floor(day / 146096)
    years = np.floor((day - leap) / 365)
    day = day - (365 * years + np.floor(years / 4) - np.floor(years / 100))
    since_march = np.floor((5 * day + 2) / 153)
    after = np.floor(since_march / 10)  # 1 in January and February
    month = since_march + 3 - 12 * after
    return years + 400 * centuries + after, month, day - np.floor((153 * since_march + 2) / 5) + 1


def days_and_seconds(microseconds: Any) -> tuple[Any, Any, Any]:
    """Return the days of microseconds since 1970, the second of the day, the microsecond in it."""
    days = np.floor(microseconds / 86400e6)
    of_day = microseconds - days * 86400e6
    second = np.floor(of_day / 1e6)
    return days, second, of_day - second * 1e6


def moved(parts: Mapping[str, Any], when: Any, change: Any) -> dict[str, Any]:
    """Return the `PARTS` of a time in UTC as those of a zone, whose offset has these changes."""
    seconds = whole_days(parts) * 86400 + parts["second"]
    passed = seconds[:, None] >= when[None]
    seconds = seconds + np.sum(np.where(passed, change[None], 0.0), axis=1)
    days = np.floor(seconds / 86400)
    return dict(zip(PARTS, parts_of(days, seconds - days * 86400, 0.0), strict=True))


def _modulo(x: Any, divisor: int) -> Any:
    return x - divisor * np.floor(x / divisor)
