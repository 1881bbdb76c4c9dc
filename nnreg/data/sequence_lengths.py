"""Which columns are sequences, how long these are, and warnings of empty ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from nnreg._types import Array
from nnreg.data.input_columns import InputColumn
from nnreg.errors import DataError, NnregWarning
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import Table


def are_sequences(table: Table, names: Sequence[str]) -> bool:
    """Return True if all of these columns are sequences. Raises `DataError` if only some are."""
    found = [name for name in names if isinstance(table.columns.get(name), Ragged)]
    others = [name for name in names if name not in found]
    if found and others:
        raise DataError(
            f"{table.origin}: column {others[0]!r} has one value per row, but {found[0]!r} is "
            "sequences; give each an input or a target of its own (in Python, a mapping)"
        )
    return bool(found)


def longest_sequence(table: Table, names: Sequence[str]) -> int:
    """Return the length of the longest sequence in columns of sequences; 0 for other columns.

    Warns of sequences without steps, and raises `DataError` if all are.
    """
    if not are_sequences(table, names):
        return 0
    column = table.columns[names[0]]
    assert isinstance(column, Ragged)
    empty = column.lengths == 0
    if empty.all():
        raise DataError(f"{table.origin}: all sequences of column {names[0]!r} are empty")
    if empty.any():
        of = f", the first of {int(empty.sum())} in {len(table)} rows"
        _warn_of_empty(table, names[0], empty, of)
    return int(column.lengths.max())


def longest_made(column: InputColumn, train: Table) -> int:
    """Return the length of the longest sequence that the training values of a column become."""
    longest = int(column.encode_sequences(train)[1].max(initial=0))
    if not longest:
        raise DataError(
            f"{train.origin}: all sequences that column {column.name!r} becomes are empty; choose "
            "another encoder in data.columns"
        )
    return longest


def warned_of_empty(table: Table, names: Sequence[str]) -> bool:
    """Warn of the first sequence without steps in these columns, and return whether there is one.

    For the parts of a file, of which those that follow are not known.
    """
    for name in names:
        column = table.columns.get(name)
        if isinstance(column, Ragged) and not column.lengths.all():
            _warn_of_empty(table, name, column.lengths == 0)
            return True
    return False


def _warn_of_empty(table: Table, name: str, empty: Array, of: str = "") -> None:
    where = table.location(int(np.argmax(empty)), name)
    text = f"{where}: a sequence without steps{of}; remove these rows, unless they are meant"
    warnings.warn(text, NnregWarning, stacklevel=3)
