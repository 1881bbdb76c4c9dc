"""Windows of the rows of a time series as examples, and their splits by time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg._utils.memory import array_bytes, require_memory
from nnreg.builtin.encoders import Category
from nnreg.data.breaks import breaks_of, describe_breaks
from nnreg.data.fitting import date_form
from nnreg.data.preprocessing import LearnedWindow, Preprocessing
from nnreg.data.sequences import as_learned
from nnreg.data.settings import INPUTS, Columns
from nnreg.data.spacing import Spacing, spacing_of, spacing_of_numbers
from nnreg.data.split import Rows
from nnreg.data.target_fitting import TargetColumns, one_class_ahead
from nnreg.data.window_settings import Window
from nnreg.data.window_table import WindowTable, step_names
from nnreg.errors import DataError, NnregWarning, Problem, SpecError
from nnreg.tables.columns import categorical, column, per_row, single
from nnreg.tables.date_forms import Form
from nnreg.tables.dates import times
from nnreg.tables.lazy import AnyColumn, LazyArray, materialize
from nnreg.tables.table import Table

HINT = "use fewer rows"

MIN_TIMES = 2
"""How many times have no distance in common by more than chance."""


def as_windows(
    table: Table,
    window: Window,
    targets: Sequence[str],
    *,
    with_targets: bool = True,
    known: LearnedWindow | None = None,
    form: Form | None = None,
) -> WindowTable:
    """Return a table of the windows of rows, with the values of `targets` after each.

    Without targets, these rows need not exist. The spacing of the rows is inferred unless it is
    `known`; `form` is that of their dates. A table of windows stays as it is. Raises `DataError` if
    there are no windows.
    """
    if isinstance(table, WindowTable):
        return table
    found = _without_windows(table, window, targets, known, form)
    span = window.length + window.gap + window.horizon if with_targets else window.rows_to_predict
    begins = np.flatnonzero(np.diff(found.groups, prepend=-1))
    breaks = np.empty(0, np.intp) if window.irregular == "ignore" else breaks_of(found)
    whole = _starts(begins, len(found.rows), span, window.stride)
    starts = _starts(np.union1d(begins, breaks), len(found.rows), span, window.stride)
    if len(breaks) and len(whole):
        problem = describe_breaks(found, window, breaks)
        if window.irregular == "refuse":
            raise DataError(f"{problem}; correct the rows, or leave out data.window.irregular")
        if not len(starts):
            raise DataError(f"{problem}, so that no window has {span} rows; {_HOW_TO_IGNORE}")
        left_out = f"the {len(whole) - len(starts)} of {len(whole)} windows that would span these"
        _warn(f"{problem}; {left_out} are left out; {_HOW_TO_IGNORE}")
    if not len(starts):
        longest = int(np.diff(begins, append=len(found.rows)).max(initial=0))
        raise DataError(_too_short(table, window, span, longest))
    found = replace(found, starts=starts)
    return replace(found, columns=_targets(found)) if with_targets else found


def last_windows(
    table: Table, window: Window, known: LearnedWindow, form: Form | None = None
) -> WindowTable:
    """Return the window of the last rows of each group, without targets.

    A group that has too few rows, or a gap in the last ones, is left out with a warning.
    """
    found = _without_windows(table, window, known.targets, known, form)
    ends = np.flatnonzero(np.diff(found.groups, append=-1)) + 1
    starts = ends - window.rows_to_predict
    begins = np.flatnonzero(np.diff(found.groups, prepend=-1))
    whole = starts >= begins
    if window.irregular != "ignore":
        broken = np.zeros(len(found.rows) + 1, np.intp)
        broken[breaks_of(found) + 1] = 1
        before = np.cumsum(broken)
        whole &= before[ends] == before[np.maximum(starts, 0) + 1]
    if not whole.all():
        row = int(ends[np.argmin(whole)]) - 1
        group = ""
        if window.group is not None:
            cells = categorical(found.rows, window.group)
            group = f" of {window.group!r} {cells.categories[cells.codes[row]]!r}"
        text = (
            f"the rows up to {found.rows.row_label(row)}{group} are fewer than the "
            f"{window.rows_to_predict}"
        )
        text = f"{table.origin}: {text} of a window, or have a gap"
        if not whole.any():
            raise DataError(f"{text}; give more rows")
        _warn(f"{text}; {np.sum(~whole)} of {len(whole)} groups have no forecast")
    return replace(found, starts=starts[whole])


def _without_windows(
    table: Table,
    window: Window,
    targets: Sequence[str],
    known: LearnedWindow | None,
    form: Form | None,
) -> WindowTable:
    """Return the rows of a table in their order, with the windows to be chosen."""
    series = _sorted(_in_memory(table), window, form)
    spacing = _same_kind(series, window, known.spacing) if known else _spacing(series, window)
    return WindowTable(
        {},
        table.origin,
        missing_texts=table.missing_texts,
        rows=series.rows,
        length=window.length,
        gap=window.gap,
        horizon=window.horizon,
        targets=tuple(targets),
        groups=series.groups,
        times=series.times,
        spacing=spacing,
        relative=relative_rows(window, spacing),
    )


def relative_rows(window: Window, spacing: Spacing | None) -> int:
    """Return how many rows before a target the value is that it is relative to; 0 if to none."""
    if window.relative_to != "season":
        return int(window.relative_to == "last")
    season = window.season or (spacing.season if spacing else None)
    if season is None:
        problem = "these times have no usual season, which targets are relative to; set it"
        raise SpecError([Problem("$.data.window.season", problem)])
    if season > window.length:
        problem = (
            f"the season of {season} rows, which targets are relative to, is longer than the "
            'window; set at least this, or set relative_to to "last"'
        )
        raise SpecError([Problem("$.data.window.length", problem)])
    return season


_HOW_TO_IGNORE = (
    'fill them in, or set data.window.irregular to "ignore" if rows follow each other nevertheless'
)


def _starts(begins: Array, count: int, span: int, stride: int) -> Array:
    """Return where windows of `span` rows start in segments of rows that begin at `begins`."""
    counts = np.maximum((np.diff(begins, append=count) - span) // stride + 1, 0)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts: Array = np.repeat(begins, counts) + stride * number
    return starts


def _same_kind(series: _Series, window: Window, spacing: Spacing | None) -> Spacing | None:
    """Return the spacing of training. Raises `DataError` for numbers instead of dates."""
    kinds = ("numbers", "dates")
    dates = series.times.dtype.kind == "i"
    if spacing is not None and dates == (spacing.unit == "numbers"):
        raise DataError(
            f"{series.rows.origin}: column {window.order!r} has {kinds[dates]}, but "
            f"{kinds[not dates]} in training"
        )
    return spacing


def _spacing(series: _Series, window: Window) -> Spacing | None:
    """Return the spacing of the longest group. Warns if there is none, unless it is ignored."""
    if window.order is None:
        return None
    longest = series.times[series.groups == np.bincount(series.groups).argmax()]
    dates = longest.dtype.kind == "i"
    found = spacing_of(longest) if dates else spacing_of_numbers(longest)
    if found is None and len(longest) > MIN_TIMES and window.irregular != "ignore":
        problem = (
            f"{series.rows.origin}: the times of column {window.order!r} follow each other at no "
            "common distance"
        )
        if window.irregular == "refuse":
            raise DataError(f"{problem}; correct them")
        hint = "if they are right" if window.group else "if they are of several series, set 'group'"
        _warn(
            f"{problem}, so that windows have consecutive rows, whatever their distance; {hint}"
            + (', set data.window.irregular to "ignore"' if window.group else " in data.window")
        )
    return found


def _warn(text: str) -> None:
    warnings.warn(text, NnregWarning, stacklevel=4)


def as_examples(
    table: Table, preprocessing: Preprocessing, columns: Columns, *, with_targets: bool = False
) -> Table:
    """Return a table of raw rows as training had them: as windows, or with its sequences."""
    window = columns.windows
    if preprocessing.window is None or window is None:
        return as_learned(table, preprocessing, columns)
    known, form = preprocessing.window, date_form(window.order, columns)
    return as_windows(
        table, window, known.targets, with_targets=with_targets, known=known, form=form
    )


def fit_together(preprocessing: Preprocessing, columns: Columns) -> bool:
    """Return whether a preprocessing is of the windows of a spec."""
    window, known = columns.windows, preprocessing.window
    if window is None or known is None:
        return window is None and known is None
    names = preprocessing.target_names
    if len(names) != len(known.targets) * window.horizon or len(set(names)) < len(names):
        return False
    if {*known.known} != {*window.known} or (known.known and known.horizon != window.horizon):
        return False
    return known.length == window.length and {*names} == {
        *step_names(known.targets, window.horizon)
    }


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


def _sorted(table: Table, window: Window, form: Form | None) -> _Series:
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
        of_rows = times(table, window.order, form)
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
        if ahead := [n for key in window.known for n in columns.groups[key] if n in one.columns]:
            problem = f"{ahead[0]!r} is to be predicted, and not known in advance; leave it out"
            raise SpecError([Problem("$.data.window.known", problem)])
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
