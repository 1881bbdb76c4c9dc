"""Places where the rows of a time series do not follow each other at its frequency."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import number
from nnreg.data.spacing import Spacing
from nnreg.data.window_settings import Window
from nnreg.data.window_table import WindowTable
from nnreg.tables.columns import categorical
from nnreg.tables.date_forms import DAY


def breaks_of(table: WindowTable) -> Array:
    """Return the rows that do not follow the one before in their group by one step."""
    return np.flatnonzero(_steps(table) != 1) + 1


def _steps(table: WindowTable) -> Array:
    """Return the number of steps from each row to the next, NaN if not whole; 1 between groups."""
    if table.spacing is None:
        return np.ones(max(len(table.times) - 1, 0))
    steps = table.spacing.steps(table.times[:-1], table.times[1:])
    return np.where(np.diff(table.groups) != 0, 1.0, steps)


def describe_breaks(table: WindowTable, window: Window, breaks: Array) -> str:
    """Return how many breaks of each kind there are, and where the first is."""
    steps, spacing, first = _steps(table)[breaks - 1], table.spacing, int(breaks[0])
    assert spacing is not None  # otherwise there are no breaks
    gaps = steps[steps > 1]
    missing = int(np.sum(gaps - 1))
    counts = [
        (len(gaps), "gap", f" with {missing} missing row{'s' * (missing != 1)}"),
        (int(np.sum(steps == 0)), "row", " with the time of the one before"),
        (int(np.sum(np.isnan(steps))), "distance", " of another length"),
    ]
    found = " and ".join(
        f"{count} {what}{'s' * (count > 1)}{more}" for count, what, more in counts if count
    )
    times = " to ".join(time_text(time, spacing) for time in table.times[first - 1 : first + 1])
    group = ""
    if window.group is not None:
        cells = categorical(table.rows, window.group)
        group = f" of {window.group!r} {cells.categories[cells.codes[first]]!r}"
    elif (steps == 0).any():
        found += " (if the file has several series, set data.window.group)"
    where = table.rows.location(first, window.order or "")
    first_of = f"the first{group} from {times}"
    return f"{where}: rows should be {spacing.name}, found {found}, {first_of}"


def time_text(time: float, spacing: Spacing | None) -> str:
    """Return a time as in a file: a number, or an ISO date, with the time of day if it has one."""
    if spacing is not None and spacing.unit == "numbers":
        return number(float(time))
    moment = np.datetime64(int(time), "us")
    return str(moment.astype("datetime64[D]")) if int(time) % DAY == 0 else str(moment)[:19]
