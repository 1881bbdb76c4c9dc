"""Tables from arrays, mappings, rows and data frames, whole or in chunks."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg.errors import DataError
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.dataframes import column_of, columns_of_frame, is_frame
from nnreg.tables.lazy import AnyColumn, LazyArray, materialize, read_ahead
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import Table

ARRAY = "x"
"""The name of the only column if the input is one array instead of a table."""


def table_of(
    x: Any, names: Iterable[str] = (), missing_texts: Sequence[str] = MISSING_TEXTS
) -> Table:
    """Return a data frame, a mapping, a list of mappings, a table or an array as a table.

    `missing_texts` are the texts of a missing value. If there are several `names`, a
    two-dimensional array has these columns, in this order; otherwise an array is one column.
    """
    if isinstance(x, Table):
        return x
    if isinstance(x, str | os.PathLike):
        raise DataError(f"{x}: expected rows, not a file name; for a file, use `nnreg predict`")
    columns = _columns(x, list(names))
    return Table(columns, missing_texts=missing_texts)


def _columns(x: Any, names: list[str]) -> Mapping[str, AnyColumn]:
    if isinstance(x, list | tuple) and x and all(isinstance(row, Mapping) for row in x):
        keys = list(dict.fromkeys(key for row in x for key in row))
        for key in keys:
            _require_in_all_rows(x, key, names)
        x = {key: [row.get(key) for row in x] for key in keys}
    if isinstance(x, Mapping):
        return {str(key): column_of(value, str(key)) for key, value in x.items()}
    if is_frame(x):
        return columns_of_frame(x)
    array = column_of(x, "the array")
    if len(names) <= 1:
        return {(names or [ARRAY])[0]: array}
    if isinstance(array, Ragged) and array.values.shape[1:] == (len(names),):
        steps = array.values
        return {n: replace(array, values=steps[:, index]) for index, n in enumerate(names)}
    if array.ndim != 2 or array.shape[1] != len(names):
        raise DataError(
            f"the array has shape {array.shape}; expected (rows, {len(names)}) with the columns "
            f"{', '.join(names)}"
        )
    values = materialize(array)
    return {name: values[:, index] for index, name in enumerate(names)}


def _require_in_all_rows(rows: Sequence[Mapping[str, Any]], key: str, names: list[str]) -> None:
    """Raise `DataError` if a row has no value of a column that is used."""
    absent = next((number for number, row in enumerate(rows) if key not in row), None)
    if absent is not None and (not names or key in names):
        raise DataError(
            f"the data, row {absent}: no {key!r}, which other rows have; give None if it is missing"
        )


def iter_chunks(table: Table, names: Iterable[str]) -> Generator[Table, None, None]:
    """Yield the rows of a table in chunks with the columns `names` in memory.

    If none of these columns stays in its file, the only chunk is the whole table.
    """
    used = {name: table.columns[name] for name in names if name in table.columns}
    blocks = [column.block_rows for column in used.values() if isinstance(column, LazyArray)]
    if not blocks:
        yield table
        return
    size, chosen = min(blocks), replace(table, columns=used)

    def read(start: int) -> Table:
        chunk = chosen.take(np.arange(start, min(start + size, len(chosen))))
        parts = chunk.columns.items()
        read = {name: materialize(c) if isinstance(c, LazyArray) else c for name, c in parts}
        return replace(chunk, columns=read)

    yield from read_ahead(read, range(0, len(chosen), size))


def columns_of(y: Any, names: tuple[str, ...]) -> Table:
    """Return numeric targets given as one array as a table of the target columns.

    Those of a data frame are found by their names, if it has all of them.
    """
    if is_frame(y) and set(names) <= (frame := columns_of_frame(y)).keys():
        return Table(frame)
    array = column_of(y, "the targets")
    if len(names) == 1 and isinstance(array, np.ndarray) and array.shape[1:] == (1,):
        array = array[:, 0]
    return table_of(array, names)
