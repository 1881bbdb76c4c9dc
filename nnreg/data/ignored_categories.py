"""Reports of categories that training did not have and encoding ignores."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from nnreg.data.input_columns import InputColumn
from nnreg.errors import NnregWarning
from nnreg.tables.cells import positions
from nnreg.tables.columns import categorical, first_marked
from nnreg.tables.table import Table


class IgnoredCategories:
    """The ignored categories of each column, of one table or of the parts of one."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._unknown: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()

    def add(self, column: InputColumn, table: Table) -> None:
        """Count those of a column."""
        name, encoder = column.name, column.encoder
        if getattr(encoder, "other", False) or not getattr(encoder, "ignore_unseen", False):
            return
        known = tuple(encoder.known_texts)
        cells = categorical(table, name, known)
        unknown = np.less(positions(cells.categories, known), 0)
        where, first = first_marked(table, name, cells, unknown)
        self._rows[name] += len(table)
        if first is not None:
            self._first.setdefault(name, f"{where}: unknown category {first!r}")
            self._unknown[name] += int(cells.each(unknown, False, bool).sum())

    def warn(self) -> None:
        """Warn once of each column that has any."""
        for name, first in self._first.items():
            warnings.warn(
                f"{first}, the first of {self._unknown[name]} in {self._rows[name]} rows; they are "
                'ignored, as data.unseen is "ignore"',
                NnregWarning,
                stacklevel=2,
            )


_of_all_parts: ContextVar[IgnoredCategories | None] = ContextVar("ignored", default=None)


@contextmanager
def reported_at_the_end() -> Iterator[None]:
    """Report the ignored categories of all tables that are encoded in this context together.

    They are the parts of one table, which is read in chunks.
    """
    found = IgnoredCategories()
    token = _of_all_parts.set(found)
    try:
        yield
    finally:
        _of_all_parts.reset(token)
    found.warn()


def report_ignored(columns: Iterable[InputColumn], table: Table) -> None:
    """Warn of the categories that these columns ignore in a table, once per column."""
    together = _of_all_parts.get()
    found = IgnoredCategories() if together is None else together
    for column in columns:
        found.add(column, table)
    if together is None:
        found.warn()
