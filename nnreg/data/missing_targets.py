"""Rows whose target is missing, which `data.missing_target` may drop."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

import numpy as np

from nnreg._types import Array
from nnreg.data.settings import Columns
from nnreg.errors import DataError, NnregWarning
from nnreg.tables.columns import missing_rows
from nnreg.tables.table import Table


def rows_with_target(table: Table, targets: tuple[str, ...], columns: Columns) -> Array | None:
    """Return the numbers of the rows to keep; None if those are all."""
    if (
        columns.missing_target != "drop"
        or not targets
        or any(name not in table.columns for name in targets)
    ):
        return None
    missing = np.any([missing_rows(table, name) for name in targets], axis=0)
    return np.flatnonzero(~missing) if missing.any() else None


def parts_with_target(
    tables: Iterable[Table], targets: tuple[str, ...], columns: Columns
) -> Iterator[Table]:
    """Yield the parts of a table without the rows to drop, and warn of these at the end."""
    origin, kept, count = "the data", 0, 0
    for table in tables:
        rows = rows_with_target(table, targets, columns)
        part = table if rows is None else table.take(rows)
        origin, kept, count = table.origin, kept + len(part), count + len(table)
        if rows is None or len(part):
            yield part
    if kept < count:
        warn_dropped(origin, kept, count)


def warn_dropped(origin: str, kept: int, count: int) -> None:
    """Warn of how many rows were dropped. Raises `DataError` if none are left."""
    warnings.warn(
        f"{origin}: dropped {count - kept} of {count} rows, whose target is missing",
        NnregWarning,
        stacklevel=2,
    )
    if not kept:
        raise DataError(f"{origin}: the target is missing in every row")
