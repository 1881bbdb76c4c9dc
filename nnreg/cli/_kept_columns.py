"""Columns of the data that `nnreg predict --keep` copies to the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import numpy as np

from nnreg.builtin.sources.cell_columns import with_point
from nnreg.builtin.sources.delimited import Csv
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, categorical_of
from nnreg.tables.columns import categorical, categories_of, column, per_row, single
from nnreg.tables.lazy import materialize

if TYPE_CHECKING:
    from nnreg._types import Array
    from nnreg.interfaces.source import Source
    from nnreg.model.model import Model
    from nnreg.model.predicted_columns import Predictions
    from nnreg.tables.table import Table


def with_kept(
    table: Table, names: Sequence[str], predictions: Predictions, group: str | None
) -> Predictions:
    """Insert these columns of a table before its predictions, each value as its text.

    Where the first column is the `group` of sequences, there is one row for each of these.
    Raises `UsageError` for a column that the output has already, and `DataError` for one that is
    not in the table, or has several values in one row of the output.
    """
    head, rows = predictions
    own = [*head, *(["name"] if table.row_names is not None else [])]
    for name in names:
        if name in own:
            raise click.UsageError(
                f"the output has a column {name!r} already; leave out --keep {name}, or rename the "
                "column of the data"
            )
    grouped = group is not None and head[0] == group
    kept = [_texts(table, name) for name in names]
    if grouped and group is not None:
        kept = [_of_groups(table, n, one, group) for n, one in zip(names, kept, strict=True)]
    elif len(rows) != len(table):
        raise click.UsageError("there is not one prediction for each row; leave out --keep")
    columns = [one.tolist() for one in kept]
    start = int(grouped)
    inserted = zip(*columns, strict=True)
    return [*head[:start], *names, *head[start:]], [
        [*row[:start], *cells, *row[start:]] for row, cells in zip(rows, inserted, strict=True)
    ]


def _texts(table: Table, name: str) -> Array:
    """Return each value of a column as its text, None where missing."""
    column(table, name)  # raises `DataError`, with a similar name
    values = per_row(table, name)
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        return single(values, table, name)
    cells = values if isinstance(values, Categorical) else categories_of(materialize(values))
    return single(cells, table, name).text()


def _of_groups(table: Table, name: str, texts: Array, group: str) -> Array:
    """Return the value of each group of rows, in the order in which these begin."""
    codes = categorical(table, group).codes
    _, first, member = np.unique(codes, return_index=True, return_inverse=True)
    differ = texts[first][member] != texts
    if differ.any():
        row = int(np.argmax(differ))
        raise DataError(
            f"{table.location(row, name)}: another value than in "
            f"{table.row_label(int(first[member[row]]))}, which is of the same sequence by "
            f"{group!r}; --keep takes columns with one value for each"
        )
    return texts[np.sort(first)]


def as_read_for_model(table: Table, names: Sequence[str], model: Model, source: Source) -> Table:
    """Return a table whose kept columns, which were read as text, are read as the model does.

    Text is read as numbers with a decimal point.
    """
    if not isinstance(source, Csv) or source.decimal == ".":
        return table
    found = [name for name in names if name in table.columns]
    points = {}
    for name in set(found) - model.preprocessing.text:
        cells = categorical_of(_texts(table, name))
        as_points = tuple(map(with_point, cells.categories))
        points[name] = cells.each(as_points, None, object)
    return replace(table, columns={**table.columns, **points})
