"""The seasonal naive forecast: each value is that of one season before it."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.data.breaks import breaks_of
from nnreg.data.settings import Window
from nnreg.data.window_table import WindowTable
from nnreg.tables.columns import numbers


def season_of(table: WindowTable, window: Window) -> int:
    """Return the number of rows of a season; 1 if none is known, so that the last value is used."""
    usual = table.spacing.season if table.spacing else None
    return window.season or usual or 1


def seasonal_naive(table: WindowTable, window: Window, names: tuple[str, ...]) -> Array:
    """Return a forecast of these target columns of windows, `(windows, columns)`.

    A value is the one of the target column a season earlier; if that is after the inputs, two
    seasons, and so on. Where the series does not reach back so far, or the value is missing, it is
    the last of the inputs; where that is missing too, NaN.
    """
    season, segments = season_of(table, window), _segments(table, window)
    last, found = table.last_inputs, np.empty((len(table), len(names)))
    for index, name in enumerate(names):
        step, target = table.place_of(name)
        values = numbers(table.rows, target)
        ahead = table.gap + step + 1
        rows = last + ahead - season * -(-ahead // season)
        reached = (rows >= 0) & (segments[rows] == segments[last])
        chosen = np.where(reached, values[rows], values[last])
        found[:, index] = np.where(np.isnan(chosen), values[last], chosen)
    return found


def _segments(table: WindowTable, window: Window) -> Array:
    """Return for each row the number of its unbroken series."""
    begins = np.diff(table.groups, prepend=-1) != 0
    if window.irregular != "ignore":
        begins[breaks_of(table)] = True
    segments: Array = np.cumsum(begins)
    return segments
