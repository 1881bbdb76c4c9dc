"""How the rows of a time series follow each other: their frequency, and where it is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.interfaces.component import Configurable, Positive
from nnreg.tables.cells import number_text
from nnreg.tables.date_forms import DAY, HOUR, MINUTE
from nnreg.tables.dates import business_days, infer_frequency, months_and_days

SpacingUnit: TypeAlias = Literal["microseconds", "months", "business days", "numbers"]

TOLERANCE = 1e-6
"""By which fraction of a step the difference of two fractional times may be off."""

_SEASONS = {MINUTE: 60, HOUR: 24, DAY: 7, 7 * DAY: 52}


@dataclass(frozen=True)
class Spacing(Configurable):
    """The time from one row of a series to the next: every `step` units.

    The unit is that of numbers if times are these, otherwise one of dates. `day` is the latest day
    of the month in training: in a shorter month, its last day takes this place.
    """

    name: str
    unit: SpacingUnit
    step: Positive
    day: Annotated[int, Interval(ge=1, le=31)] = 1

    @property
    def season(self) -> int | None:
        """The number of rows after which a series usually repeats itself; None if none is usual.

        That is a year of months, weeks or quarters, a week of days, a day of hours or parts of it.
        """
        if self.unit == "business days":
            return 5
        if self.unit == "months":
            return {1: 12, 3: 4}.get(int(self.step))
        if self.unit == "numbers":
            return None
        step = int(self.step)
        parts = DAY // step if HOUR > step >= MINUTE and not DAY % step else None
        return _SEASONS.get(step, parts)

    def steps(self, before: Array, after: Array) -> Array:
        """Return the number of steps from each time to another; NaN if it is not whole."""
        if self.unit == "months":
            return self._months(before, after)
        if self.unit == "business days":
            (first, weekday), (last, other) = map(business_days, (before // DAY, after // DAY))
            workdays = (weekday < 5) & (other < 5) & (before % DAY == after % DAY)
            return np.where(workdays, last - first, np.nan)
        steps = np.asarray((after - before) / self.step, np.float64)
        whole = np.round(steps)
        near = np.abs(steps - whole) <= TOLERANCE * np.maximum(np.abs(whole), 1)
        return np.where(near, whole, np.nan)

    def after(self, times: Array, counts: Array) -> Array:
        """Return the times `counts` steps after each time, `(times, counts)`."""
        times = times[:, None]
        if self.unit == "months":
            months, day, length = months_and_days(times // DAY)
            months = months + counts * int(self.step)
            begin = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
            lengths = months_and_days(begin)[2]
            wanted = np.where(day == length, np.maximum(day, self.day), day)
            later: Array = (begin + np.minimum(wanted, lengths) - 1) * DAY + times % DAY
        elif self.unit == "business days":
            number, _ = business_days(times // DAY)
            weeks, weekday = np.divmod(number + counts, 5)
            later = (7 * weeks + weekday - 3) * DAY + times % DAY
        else:
            later = times + counts * (self.step if self.unit == "numbers" else int(self.step))
        return later

    def _months(self, before: Array, after: Array) -> Array:
        """Return the months from one time to another, on the same day, or on the last of each."""
        months, day, length = months_and_days(before // DAY)
        others, other_day, other_length = months_and_days(after // DAY)
        aligned = day == other_day
        aligned |= (other_day == other_length) & (day > other_day)
        aligned |= (day == length) & (other_day > day)
        aligned &= before % DAY == after % DAY
        counts = (others - months) / self.step
        return np.where(aligned & (counts == np.floor(counts)), counts, np.nan)


def spacing_of(times: Array) -> Spacing | None:
    """Return the spacing of ascending times, microseconds if they are integers of dates."""
    found = infer_frequency(times)
    if found is None:
        return None
    day = int(months_and_days(times // DAY)[1].max())
    return Spacing(found.name, found.unit, float(found.step), day)


def spacing_of_numbers(times: Array) -> Spacing | None:
    """Return the spacing of ascending numbers, or None if most do not follow at one distance."""
    differences = np.diff(np.unique(times))
    if not len(differences):
        return None
    step = float(np.median(differences))
    found = Spacing(f"every {number_text(step)}", "numbers", step)
    steps = found.steps(np.zeros_like(differences), differences)
    return found if np.mean(steps == 1) >= 1 / 2 else None
