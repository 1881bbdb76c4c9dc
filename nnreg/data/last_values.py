"""Missing values of time series become the last known ones before them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnreg._types import Array
from nnreg.data.input_columns import InputColumn
from nnreg.data.window_table import WindowTable
from nnreg.tables.table import Table


def last_known(missing: Array, groups: Array) -> Array:
    """Return for each row the last row up to it in its group that is not missing, or else itself.

    The numbers of `groups` ascend.
    """
    rows = np.arange(len(missing))
    last = np.maximum.accumulate(np.where(missing, -1, rows))
    found: Array = np.where((last >= 0) & (groups[last] == groups), last, rows)
    return found


def rows_to_encode(table: WindowTable, inputs: Sequence[InputColumn]) -> Array:
    """Return the numbers of the rows of windows, and of those whose values are carried into them.

    A value before a window is known when the window is, so that a gap at its beginning is filled
    in the same way whichever other windows are in the table.
    """
    used = table.used_rows
    if len(used) == len(table.rows):
        return used
    found, rows = [used], table.rows.take(used)
    for one in inputs:
        if one.replaces_missing and (gaps := one.raw(rows).missing).any():
            last = last_known(one.raw(table.rows).missing, table.groups)
            found.append(last[used[gaps]])
    return np.unique(np.concatenate(found))


def carry_forward(values: Array, rows: Table, groups: Array, inputs: Sequence[InputColumn]) -> None:
    """Give replaced values in encoded rows that of the last row before in the group which has one.

    Where there is none, they stay what they are.
    """
    start = 0
    for one in inputs:
        own = slice(start, start + math.prod(one.encoder.shape[-1:]))
        start += math.prod(one.shape[-1:])
        if one.replaces_missing:
            missing = one.raw(rows).missing
            gaps = np.flatnonzero(missing)
            values[gaps, own] = values[last_known(missing, groups)[gaps], own]
