"""Windows of the rows of a time series as examples, and their splits by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg._utils.memory import array_bytes, require_memory
from nnreg.builtin.encoders import Category
from nnreg.data.fitting import TargetColumns, one_class_ahead
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.sequences import as_learned
from nnreg.data.settings import INPUTS, Columns, Window
from nnreg.data.split import Rows
from nnreg.errors import DataError, Problem, SpecError
from nnreg.tables.columns import categorical, column, per_row, single
from nnreg.tables.dates import times
from nnreg.tables.lazy import AnyColumn, LazyArray, materialize
from nnreg.tables.table import Table
from nnreg.tables.window_table import WindowTable, step_names

HINT = "use fewer rows"


def as_windows(
    table: Table, window: Window, targets: Sequence[str], *, with_targets: bool = True
) -> WindowTable:
    """Return a table of the windows of rows, with the values of `targets` after each.

    Without targets, these rows need not exist. A table of windows stays as it is. Raises
    `DataError` if there are no windows.
    """
    if isinstance(table, WindowTable):
        return table
    series = _sorted(_in_memory(table), window)
    span = window.length + (window.gap + window.horizon if with_targets else 0)
    begins = np.flatnonzero(np.diff(series.groups, prepend=-1))
    lengths = np.diff(begins, append=len(series.groups))
    counts = np.maximum((lengths - span) // window.stride + 1, 0)
    if not counts.any():
        raise DataError(_too_short(table, window, span, int(lengths.max(initial=0))))
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.repeat(begins, counts) + window.stride * number
    found = WindowTable(
        {},
        table.origin,
        missing_texts=table.missing_texts,
        rows=series.rows,
        starts=starts,
        length=window.length,
        gap=window.gap,
        horizon=window.horizon,
        targets=tuple(targets),
        groups=series.groups,
        times=series.times,
    )
    return replace(found, columns=_targets(found)) if with_targets else found


def as_examples(
    table: Table, preprocessing: Preprocessing, columns: Columns, *, with_targets: bool = False
) -> Table:
    """Return a table of raw rows as training had them: as windows, or with its sequences."""
    window = columns.windows
    if preprocessing.window is None or window is None:
        return as_learned(table, preprocessing, columns)
    return as_windows(table, window, preprocessing.window.targets, with_targets=with_targets)


class _Series(NamedTuple):
    """Rows sorted by group and time, with the number of the group and the time of each."""

    rows: Table
    groups: Array
    times: Array


def _in_memory(table: Table) -> Table:
    """Return a table without columns that stay in their file, as rows are sorted."""
    read: dict[str, AnyColumn] = {}
    for name in table.columns:
        values = per_row(table, name)
        if isinstance(values, LazyArray):
            where = f"{table.origin}, column {name!r}, whose rows are read to memory"
            require_memory(array_bytes(values.shape, values.dtype), where, HINT)
            values = materialize(values)
        read[name] = values
    return replace(table, columns=read)


def _sorted(table: Table, window: Window) -> _Series:
    """Return the rows of a table sorted by group, in the order of their first rows, then by time.

    Without a column of times, the time of a row is its number in its group.
    """
    groups = np.zeros(len(table), np.intp)
    if window.group is not None:
        codes = single(categorical(table, window.group), table, window.group).codes
        _require(table, window.group, codes >= 0, "grouped")
        _, first, member = np.unique(codes, return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.intp)
        rank[np.argsort(first)] = np.arange(len(first))
        groups = rank[member]
    if window.order is None:
        order = np.argsort(groups, kind="stable")
        of_rows = None
    else:
        of_rows = times(table, window.order)
        order = np.lexsort((of_rows, groups))
    groups = groups[order]
    if of_rows is None:
        moments = np.arange(len(order)) - np.searchsorted(groups, groups)
    else:
        moments = of_rows[order]
    rows = table if np.array_equal(order, np.arange(len(order))) else table.take(order)
    return _Series(rows, groups, moments)


def _require(table: Table, name: str, known: Array, done: str) -> None:
    """Raise `DataError` for a missing value in a column by which rows are grouped or sorted."""
    if not known.all():
        where = table.location(int(np.argmin(known)), name)
        raise DataError(f"{where}: the value is missing, but rows are {done} by it; fix it")


def _too_short(table: Table, window: Window, span: int, longest: int) -> str:
    """Return why there are no windows."""
    parts = [f"length {window.length}"]
    if span > window.length:
        parts += [f"gap {window.gap}"] * (window.gap > 0) + [f"horizon {window.horizon}"]
    group = "" if window.group is None else f", the most of a value of {window.group!r}"
    return (
        f"{table.origin}: a window needs {span} consecutive rows ({', '.join(parts)}), but there "
        f"are {longest}{group}; shorten data.window, or give more rows"
    )


def _targets(table: WindowTable) -> Mapping[str, AnyColumn]:
    """Return a column of targets for each step and target column."""
    names = iter(step_names(table.targets, table.horizon))
    found: dict[str, AnyColumn] = {}
    for step in range(table.horizon):
        for target in table.targets:
            values = column(table.rows, target)
            if values.ndim > 1 and table.horizon > 1:
                raise DataError(
                    f"{table.origin}: column {target!r} holds arrays; a window with a horizon of "
                    "several rows predicts columns of one value per row"
                )
            found[next(names)] = values[table.first_targets + step]  # type: ignore[index]
    return found


def window_targets(
    targets: Sequence[TargetColumns], window: Window, columns: Columns
) -> list[TargetColumns]:
    """Return the targets of windows, whose columns are those of a table of them."""
    for one in targets:
        if one.columns == (INPUTS,):
            problem = "windows predict columns, not their own inputs; name the columns"
            raise SpecError([Problem("$.data.target", problem)])
        for name in one.columns if window.horizon > 1 else ():
            if one.numeric_classes != "none" or isinstance(columns.columns.get(name), Category):
                raise one_class_ahead(name)
    return [one._replace(columns=step_names(one.columns, window.horizon)) for one in targets]


def rows_by_time(table: WindowTable, window: Window) -> Rows:
    """Return the rows under the windows, to be split by time.

    Without a column of times, that is by the position in each group, as a fraction of its rows.
    """
    moments = table.times
    if window.order is None:
        sizes = np.bincount(table.groups)
        moments = (moments + 0.5) / sizes[table.groups]
    return Rows(len(moments), times=moments)


def windows_of_splits(table: WindowTable, rows: Mapping[str, Array]) -> dict[str, Array]:
    """Return the windows of each split of the rows: those whose target rows are all in it.

    A window whose targets are in two splits is in none. Raises `DataError` for a split of none.
    """
    split_of_row = np.full(len(table.rows), -1)
    for number, chosen in enumerate(rows.values()):
        split_of_row[chosen] = number
    first = split_of_row[table.first_targets]
    last = split_of_row[table.first_targets + (table.horizon - 1)]
    found = {}
    for number, (name, chosen) in enumerate(rows.items()):
        found[name] = np.flatnonzero((first == number) & (last == number))
        if not len(found[name]):
            raise DataError(
                f"{table.origin}: no window has its targets in the {name} split, which has "
                f"{len(chosen)} of {len(table.rows)} rows; change its fraction, or shorten "
                "data.window"
            )
    return found
