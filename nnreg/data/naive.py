"""The seasonal naive forecast: each value is that of one season before it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnreg._types import Array
from nnreg.data.breaks import breaks_of
from nnreg.data.last_values import last_known
from nnreg.data.window_settings import Window
from nnreg.data.window_table import WindowTable
from nnreg.errors import DataError
from nnreg.tables.columns import numbers
from nnreg.tables.number_texts import NumberTexts
from nnreg.tables.table import Table


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
        rows = _rows_before(table, step, season)
        reached = (rows >= 0) & (segments[rows] == segments[last])
        chosen = np.where(reached, values[rows], values[last])
        found[:, index] = np.where(np.isnan(chosen), values[last], chosen)
    return found


def values_before(
    table: Table, names: tuple[str, ...], texts: Mapping[str, NumberTexts]
) -> Array | None:
    """Return the values that these target columns of windows are relative to.

    They are `(windows, columns)`, or None if targets are not relative. A missing value is the last
    known one before it in the group. `texts` says how the numbers of a column are written.
    """
    if not isinstance(table, WindowTable) or not table.relative or not names:
        return None
    known = {one: _carried_forward(table, one, texts.get(one)) for one in table.targets}
    columns = []
    for name in names:
        step, target = table.place_of(name)
        rows = _rows_before(table, step, table.relative)
        columns.append(known[target][rows])
        missing = np.isnan(columns[-1])
        if missing.any():
            raise DataError(
                f"{table.rows.location(int(rows[np.argmax(missing)]), target)}: the value is "
                "missing, and there is none before it which targets could be relative to; remove "
                "the first rows"
            )
    return np.stack(columns, axis=1)


def _rows_before(table: WindowTable, step: int, season: int) -> Array:
    """Return the last rows up to the end of each window that are whole seasons before a step."""
    ahead = table.gap + step + 1
    rows: Array = table.last_inputs + (ahead - season * -(-ahead // season))
    return rows


def _carried_forward(table: WindowTable, name: str, texts: NumberTexts | None) -> Array:
    """Return a column of the rows, its missing values replaced by the last one in their group."""
    values = numbers(table.rows, name, texts)
    if values.ndim > 1:
        raise DataError(
            f"{table.origin}: column {name!r} holds arrays; targets of one value per row can be "
            "relative; leave out data.window.relative_to"
        )
    return values[last_known(np.isnan(values), table.groups)]


def _segments(table: WindowTable, window: Window) -> Array:
    """Return for each row the number of its unbroken series."""
    begins = np.diff(table.groups, prepend=-1) != 0
    if window.irregular != "ignore":
        begins[breaks_of(table)] = True
    segments: Array = np.cumsum(begins)
    return segments
