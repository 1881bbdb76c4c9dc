"""Encoders of dates and times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from annotated_types import Interval, Len

from nnreg._types import Array, Shape
from nnreg._utils.statistics import mean_and_deviation, scale_of, standardize
from nnreg.builtin.encoders.categories import require_distinct
from nnreg.builtin.encoders.date_texts import patterns_of
from nnreg.builtin.encoders.gregorian import (
    PARTS,
    days_and_seconds,
    moved,
    parts_of,
    whole_days,
)
from nnreg.builtin.encoders.time_zones import AFTER_LAST, LAST_YEAR, changes_of, local_times
from nnreg.errors import DataError
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, RawColumn, Takes, learned
from nnreg.tables.date_forms import (
    DAY,
    FIRST_TIME,
    HOUR,
    LAST_TIME,
    MINUTE,
    PER_UNIT,
    SECOND,
    Form,
    UnixUnit,
    expected,
    read,
    written,
)
from nnreg.tables.dates import Moments, moments

Part: TypeAlias = Literal[
    "time", "year", "quarter", "month", "week", "day", "day_of_year", "weekday", "weekend",
    "hour", "minute", "second",
]  # fmt: skip


@dataclass(frozen=True)
class Date(Encoder):
    """A date, a time or both, as parts such as the weekday and the hour.

    month, day_of_year, weekday, hour, minute, second: y = sin(2π x / n), cos(2π x / n), with x from
    0 and the number n of them, 366 days in a leap year;
    other parts: y = (x - mean) / std

    It reads every form of ISO 8601: dates such as 2024-07-31, 20240731, 2024-W31-3 and 2024-07,
    years, times such as 08:30, and both with T or a space between them, with a time zone or
    without. Times with a zone are converted to UTC. A missing value is 0 everywhere, or is imputed.

    Options:
        format: The form of other dates, as of Python's strptime: "%d/%m/%Y" for 31/07/2024. The
            dates of a data frame need not have it.
        unit: The unit of Unix times, which count from 1970 in UTC: "s", "ms", "us" or "ns".
        time_zone: The zone that times with a zone, and Unix times, are converted to, such as
            "Europe/Berlin"; null for UTC.
        parts: Which parts are encoded; null for those that differ in the training rows, of time,
            day_of_year, day, weekday, hour and minute, and month instead of the days if all are
            the same day of the month. "time" is the elapsed time; "week" is that of ISO 8601;
            "weekend" is 1 on Saturday and Sunday; the others are those of pandas' `dt`.

    Learned:
        chosen: The parts.
        origin: The first time of the training rows, in microseconds since 1970.
        mean: Subtracted from each part that is not a cycle.
        std: Divided by.
        zoned: Whether times have a zone.
        of_day: Whether times have no date.
    """

    takes = "text"
    takes_missing = True  # 0 everywhere

    format: str | None = None
    unit: UnixUnit | None = None
    time_zone: str | None = None
    parts: Annotated[tuple[Part, ...], Len(1)] | None = None
    chosen: tuple[Part, ...] = learned(())
    origin: Annotated[int, Interval(ge=-(2**62), le=2**62)] = learned(0)
    mean: tuple[float, ...] = learned(())
    std: tuple[Positive, ...] = learned(())
    zoned: bool = learned(False)
    of_day: bool = learned(False)

    def __post_init__(self) -> None:
        Form(self.format, self.unit)
        for field, parts in (("parts", self.parts or ()), ("chosen", self.chosen)):
            require_distinct(field, parts, parts)
        numbers = sum(part not in CYCLES for part in self.chosen)
        if not numbers == len(self.mean) == len(self.std):
            raise ValueError(
                f"{len(self.mean)} means and {len(self.std)} deviations do not fit the parts "
                f"{', '.join(self.chosen)}"
            )

    @property
    def shape(self) -> Shape:
        """Two numbers for each part that is a cycle, one for each other part."""
        return (sum(1 + (part in CYCLES) for part in self.chosen),)

    @property
    def form(self) -> Form:
        """How the dates are written."""
        return Form(self.format, self.unit)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the parts, and the mean and deviation of each that needs them."""
        found = moments(column.table, column.name, column.categories, self.form)
        self._refuse_options(column, found)
        local = self._local(found.times, column)
        origin = int(found.times.min()) if len(column) else 0
        raw = {part: _values(part, local, found.times, origin)[0] for part in self.parts or _KNOWN}
        chosen = self.parts or _varying(raw, found)
        numbers = [raw[part] for part in chosen if part not in CYCLES]
        mean, std = (0.0,) * len(numbers), (1.0,) * len(numbers)
        if len(column) and numbers:
            center, deviation = mean_and_deviation(np.stack(numbers, 1))
            mean = tuple(center.tolist())
            std = tuple(scale_of(center, deviation).tolist())
        return replace(
            self, chosen=chosen, origin=origin, mean=mean, std=std, zoned=found.zoned,
            of_day=found.of_day,
        )  # fmt: skip

    def encode(self, column: RawColumn) -> Array:
        """Return the parts."""
        found = moments(column.table, column.name, column.categories, self.form)
        missing = column.missing
        if not missing.all():
            self._refuse_other_form(column, found, int(np.argmin(missing)))
        local = self._local(found.times, column)
        encoded, scales = [], iter(zip(self.mean, self.std, strict=True))
        for part in self.chosen:
            values, count = _values(part, local, found.times, self.origin)
            if part in CYCLES:
                angles = 2 * np.pi * values / count
                encoded += [np.sin(angles), np.cos(angles)]
            else:
                encoded.append(standardize(values, *next(scales)))
        result = np.stack(encoded, axis=1)
        result[missing] = 0
        return result

    @property
    def example_texts(self) -> Sequence[str]:
        """Times of several years from the first one, or of a day, in the form of the dates."""
        form = self.form
        if self.of_day:
            return [f"{n % 24:02}:{n * 7 % 60:02}:{n * 13 % 60:02}" for n in range(100)]
        times = [self.origin + n * (37 * DAY + 5 * HOUR + 11 * MINUTE) for n in range(100)]
        if form != Form() and not (self.zoned and form.unit is None):
            return [written(time, form) for time in times]
        zone = "Z" if self.zoned else ""
        return [f"{time.astype('datetime64[s]')}{zone}" for time in np.array(times, "M8[us]")]

    @property
    def infer_takes(self) -> Takes:
        """Unix times are numbers to an export."""
        return "text" if self.unit is None else "numbers"

    def infer(self, column: Any) -> Any:
        """Return the parts."""
        utc = self._parts_of_texts(column) if self.unit is None else self._parts_of_unix(column)
        local = utc
        if self.time_zone:
            local = moved(utc, *changes_of(self.time_zone, f"column {column.name!r}"))
            known = whole_days(utc) < AFTER_LAST
            column.require(known | column.missing, f"a date before {LAST_YEAR + 1} in UTC")
        encoded, scales = list[Any](), iter(zip(self.mean, self.std, strict=True))
        for part in self.chosen:
            values, count = _inferred(part, utc if part == "time" else local, self.origin)
            if part in CYCLES:
                angles = 2 * np.pi * values / count
                encoded += [np.sin(angles), np.cos(angles)]
            else:
                encoded.append(standardize(values, *next(scales)))
        return np.where(column.missing[:, None], 0, np.stack(encoded, axis=1))

    def _parts_of_texts(self, column: Any) -> dict[str, Any]:
        """Return what an export finds in texts."""
        found = column.of_texts(
            "date_parts", self._date_parts,
            patterns=patterns_of(self.format, zoned=self.zoned, of_day=self.of_day),
        )  # fmt: skip
        valid = (found[:, len(PARTS)] == 1) | column.missing
        column.require(valid, "a date written as in training")
        return {name: found[:, n] for n, name in enumerate(PARTS)}

    def _parts_of_unix(self, column: Any) -> dict[str, Any]:
        """Return what an export finds in numbers, as `date_forms.read` does in their texts."""
        assert self.unit is not None
        if not self.zoned:
            raise NotImplementedError('the dates of training are not Unix times; remove "unit"')
        scaled = column.values * PER_UNIT[self.unit]
        times = np.floor(column.values / 1000) if self.unit == "ns" else np.rint(scaled)
        valid = (times >= FIRST_TIME) & (times < LAST_TIME + 1)
        column.require(valid | column.missing, expected("", self.form))
        found = parts_of(*days_and_seconds(times))
        return dict(zip(PARTS, found, strict=True))

    def _date_parts(self, texts: Sequence[str | None]) -> Array:
        """Return what an export finds in texts: `(rows, 9)`, 0 where one is not a date."""
        read_texts = [None if text is None else read(text, self.form) for text in texts]
        kind = self.zoned, self.of_day
        moments = [one if one and (one.zoned, one.of_day) == kind else None for one in read_texts]
        times = np.array([0 if one is None else one.time for one in moments], np.int64)
        length = _day_of_year(times)[1]
        parts = [
            times / DAY, times // SECOND % 86400, _year(times), _month(times),
            _since(_dates(times), "M") + 1, _since(_dates(times), "Y"), length, _week(times),
            np.array([one is not None for one in moments]),
        ]  # fmt: skip
        return np.stack(parts, axis=1).astype(np.float64)

    def _local(self, times: Array, column: RawColumn) -> Array:
        """Return times in the time zone, if there is one."""
        where = f"{column.table.origin}: column {column.name!r}"
        return local_times(times, self.time_zone, where) if self.time_zone else times

    def _refuse_options(self, column: RawColumn, found: Moments) -> None:
        """Raise `DataError` for an option that does not fit the dates of the training rows."""
        wrong = [part for part in self.parts or () if found.of_day and part not in _OF_DAY]
        if wrong and len(column):
            raise DataError(
                f"{column.location(0)}: found {column.values[0]!r}, which has no date, so no "
                f"{wrong[0]!r}; choose parts of {', '.join(_OF_DAY)}"
            )
        if self.time_zone and len(column) and not found.zoned:
            raise DataError(
                f"{column.location(0)}: found {column.values[0]!r}, which has no time zone to "
                'convert from; remove "time_zone", as such times are taken as they are'
            )

    def _refuse_other_form(self, column: RawColumn, found: Moments, row: int) -> None:
        """Raise `DataError` if times have a zone or a date and those of training had none."""
        for has, had, what in (
            (found.zoned, self.zoned, "time zone"),
            (not found.of_day, not self.of_day, "date"),
        ):
            if has != had:
                verbs = ("a", "had none") if has else ("no", "had one")
                raise DataError(
                    f"{column.location(row)}: {column.values[row]!r} has {verbs[0]} {what}, but "
                    f"the training rows {verbs[1]}; write it as they are"
                )


def _values(part: Part, local: Array, times: Array, origin: int) -> tuple[Array, Array | int]:
    """Return a part of each time, from 0 for a cycle, and the number of values in a cycle."""
    if part == "time":
        return (times - origin) / DAY, 0
    if part in CYCLES:
        return CYCLES[part](local)
    return _NUMBERS[part](local), 0


def _varying(raw: Mapping[Part, Array], found: Moments) -> tuple[Part, ...]:
    """Return the parts that differ between rows, without those that say the same; else the time."""
    differ = {part for part, values in raw.items() if len(values) and (values != values[0]).any()}
    if found.of_day:
        differ &= {"hour", "minute"} if differ & {"hour", "minute"} else {"time"}
    if "day" in differ:
        differ.discard("month")
    else:
        differ -= {"day_of_year", "weekday"}
    return tuple(part for part in _KNOWN if part in differ) or ("time",)


def _inferred(part: Part, known: Mapping[str, Any], origin: int) -> tuple[Any, Any]:
    """Do what `_values` does, with what an export finds in a text."""
    days, second = whole_days(known), known["second"]
    since_monday = days + 3 - 7 * np.floor((days + 3) / 7)
    minutes, hours = np.floor(second / 60), np.floor(second / 3600)
    found: dict[str, tuple[Any, Any]] = {
        "time": (known["days"] - origin / DAY, 0),
        "quarter": (np.floor(known["month"] / 3) + 1, 0),
        "month": (known["month"], 12),
        "day_of_year": (known["day_of_year"], known["days_of_year"]),
        "weekday": (since_monday, 7),
        "weekend": ((since_monday >= 5).astype(np.float64), 0),
        "hour": (hours, 24),
        "minute": (minutes - 60 * hours, 60),
        "second": (second - 60 * minutes, 60),
    }
    return found.get(part) or (known[part], 0)


_KNOWN: tuple[Part, ...] = ("time", "month", "day_of_year", "day", "weekday", "hour", "minute")
_OF_DAY: tuple[Part, ...] = ("time", "hour", "minute", "second")


def _dates(local: Array) -> Array:
    return (local // DAY).astype("datetime64[D]")


def _since(dates: Array, unit: Literal["M", "Y"]) -> Array:
    """Return the days since the first of the month or the year."""
    start = dates.astype(f"datetime64[{unit}]").astype("datetime64[D]")
    days: Array = (dates - start).astype(np.int64)
    return days


def _year(local: Array) -> Array:
    years: Array = _dates(local).astype("datetime64[Y]").astype(np.int64) + 1970
    return years


def _month(local: Array) -> Array:
    """Return the month from 0."""
    months: Array = _dates(local).astype("datetime64[M]").astype(np.int64) % 12
    return months


def _day_of_year(local: Array) -> tuple[Array, Array]:
    years = _dates(local).astype("datetime64[Y]")
    ends = (years + np.timedelta64(1, "Y")).astype("datetime64[D]")
    length = (ends - years.astype("datetime64[D]")).astype(np.int64)
    return _since(_dates(local), "Y"), length


def _weekday(local: Array) -> Array:
    """Return the weekday, 0 for Monday; 1970 began on a Thursday."""
    weekday: Array = (local // DAY + 3) % 7
    return weekday


def _week(local: Array) -> Array:
    """Return the week of ISO 8601, which is in the year that its Thursday is in."""
    thursday = _dates(local) + (3 - _weekday(local)).astype("timedelta64[D]")
    weeks: Array = _since(thursday, "Y") // 7 + 1
    return weeks


CYCLES: Mapping[Part, Callable[[Array], tuple[Array, Array | int]]] = {
    "month": lambda local: (_month(local), 12),
    "day_of_year": _day_of_year,
    "weekday": lambda local: (_weekday(local), 7),
    "hour": lambda local: (local // HOUR % 24, 24),
    "minute": lambda local: (local // MINUTE % 60, 60),
    "second": lambda local: (local // SECOND % 60, 60),
}
"""The parts that begin again, with the number of their values."""

_NUMBERS: Mapping[Part, Callable[[Array], Array]] = {
    "year": _year,
    "quarter": lambda local: _month(local) // 3 + 1,
    "week": _week,
    "day": lambda local: _since(_dates(local), "M") + 1,
    "weekend": lambda local: (_weekday(local) >= 5).astype(np.int64),
}
