"""A few rows as a program gets them, in mappings and data frames, encoded cell by cell.

Arrays of one value take microseconds in each of many steps; numbers and dictionaries of Python do
not. The results have the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import all_finite
from nnreg.builtin.encoders import Category, Number
from nnreg.data.column_summary import MIN_ROWS
from nnreg.data.input_columns import InputColumn
from nnreg.model.plain_rows import is_linear, limits_of
from nnreg.tables.cells import MAX_EXACT
from nnreg.tables.dataframes import is_frame

SIMPLE = frozenset((bool, float, int, str, type(None), np.float64))
"""The types of cells of which every list is a column."""

NUMBERS = frozenset((float, int, np.float64))
"""Those with which Python computes as NumPy does with float64."""


class _Cell(NamedTuple):
    """What becomes of the cells of a column: the numbers of a category, or one that is scaled.

    A number must be between the limits.
    """

    categories: dict[str, tuple[float, ...]] | None
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    std: float = 1.0
    indicator: tuple[float, ...] = ()


@dataclass(frozen=True)
class PlainRecords:
    """Numbers that are shifted and divided, and categories that are one-hot encoded."""

    names: tuple[str, ...]
    cells: tuple[_Cell, ...]
    dtype: np.dtype[Any]

    def encode(self, x: Any) -> Array | None:
        """Return the input of the network for less than `MIN_ROWS` rows.

        None if they are to be read in the general way, as those with missing, unknown or suspicious
        values are. To be called with NumPy's warnings of overflow switched off.
        """
        columns = self._columns(x)
        if columns is None or len(set(map(len, columns))) != 1:
            return None
        flat = list[float]()
        for row in zip(*columns, strict=True):
            for cell, (categories, low, high, mean, std, indicator) in zip(
                row, self.cells, strict=True
            ):
                if categories is not None:
                    found = categories.get(cell.strip()) if type(cell) is str else None
                    if found is None:
                        return None
                    flat += found
                elif type(cell) in NUMBERS and low <= cell <= high:
                    flat.append((cell - mean) / std)
                    flat += indicator
                else:
                    return None
        if not flat:
            return None
        encoded = np.array(flat).reshape(len(columns[0]), -1).astype(self.dtype)
        return encoded if all_finite(encoded) else None

    def _columns(self, x: Any) -> list[Sequence[Any]] | None:
        """Return the cells of each column; None if they are not known to be cells."""
        if type(x) is dict:
            return self._of_columns(x, x.__getitem__)
        if type(x) is list:
            return self._of_rows(x) if 0 < len(x) < MIN_ROWS else None
        if is_frame(x) and getattr(x.columns, "is_unique", False) and len(x) < MIN_ROWS:
            return self._of_columns(x.columns, x.__getitem__)
        return None

    def _of_columns(
        self, names: Iterable[Any], values_of: Callable[[str], Any]
    ) -> list[Sequence[Any]] | None:
        columns = dict[str, Sequence[Any]]()
        for name in names:
            cells = _cells(values_of(name))
            if type(name) is not str or cells is None or len(cells) >= MIN_ROWS:
                return None
            if name not in self.names and not all(type(cell) in SIMPLE for cell in cells):
                return None
            columns[name] = cells
        if not all(name in columns for name in self.names):
            return None
        return [columns[name] for name in self.names]

    def _of_rows(self, rows: list[Any]) -> list[Sequence[Any]] | None:
        for row in rows:
            if type(row) is not dict or not all(type(name) is str for name in row):
                return None
            if not all(type(cell) in SIMPLE for cell in row.values()):
                return None
            if not all(name in row for name in self.names):
                return None
        return [[row[name] for row in rows] for name in self.names]


def _cells(values: Any) -> Sequence[Any] | None:
    """Return the cells of a column; None if it may be more than a cell in each row."""
    if type(values) is list:
        return values
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if kind not in tuple("fiuUO") or values.ndim != 1:
        return None
    cells: list[Any] = values.tolist()
    return cells if kind != "O" or all(type(cell) is str for cell in cells) else None


def plain_records(inputs: Sequence[InputColumn], dtype: np.dtype[Any]) -> PlainRecords | None:
    """Return how cells become the input of a model; None if a column has another encoder."""
    cells = [_cell(one) for one in inputs]
    known = tuple(one for one in cells if one is not None)
    if len(known) < len(cells):
        return None
    return PlainRecords(tuple(one.name for one in inputs), known, dtype)


def _cell(column: InputColumn) -> _Cell | None:
    encoder, indicator = column.encoder, (0.0,) * column.indicator
    if type(encoder) is Category:
        (width,) = encoder.shape
        rows = np.eye(width)[: len(encoder.categories)].tolist()
        values = (tuple(row) + indicator for row in rows)
        return _Cell(dict(zip(encoder.categories, values, strict=True)))
    if type(encoder) is not Number or not is_linear(column):
        return None
    low, high = limits_of(column)
    low, high = max(low, -MAX_EXACT), min(high, MAX_EXACT)
    return _Cell(None, low, high, encoder.mean, encoder.std, indicator)
