"""Cells of delimited text as columns: numbers, or text."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np

from nnreg._types import Array
from nnreg.builtin.sources.byte_cells import ByteCells, is_number
from nnreg.builtin.sources.text_column import TextColumn
from nnreg.tables.cells import parse_number
from nnreg.tables.packed_texts import PackedTexts, Stored

COMMA = str.maketrans({",": ".", ".": "?"})
"""Translates a decimal comma to a point; a number with a point becomes invalid."""


class CellColumn:
    """The type of a column so far: numeric until a cell is not a number, then text."""

    def __init__(self, missing: Sequence[str], decimal: str, wanted: bool) -> None:
        self.text = self.wanted = wanted
        self.comma = decimal == ","
        self.nan = dict.fromkeys(missing, "nan")
        self.none = dict.fromkeys(missing)
        self.strips = any(is_number(text, decimal) for text in missing)
        """Whether a missing value with spaces around it would be read as a number."""
        self.texts: TextColumn | None = None
        self.packs = True
        """Whether text may remain in bytes until a whole column is made of it."""

    def anew(self) -> CellColumn:
        """Return a column of the same type, without the texts so far."""
        found = copy.copy(self)
        found.texts, found.packs = None, False  # strings made at once take less time than later
        return found

    def parse(self, cells: Sequence[str]) -> Array:
        """Return cells as float64, NaN if missing; or as text, None if missing."""
        if not self.text:
            values = self.numbers(cells)
            if values is not None:
                return values
            self.text = True
        text = np.empty(len(cells), object)
        text[:] = self._clean(list(map(str.strip, cells)))
        return text

    def parse_texts(self, cells: ByteCells, number: int) -> Stored:
        """Return the cells of the column with this number as text."""
        if self.texts is None:
            as_is = self.wanted or not self.comma
            self.texts = TextColumn(self._clean, tuple(self.none), as_is=as_is)
        found = self.texts.parse(cells, number)
        return found.text() if isinstance(found, PackedTexts) and not self.packs else found

    def _clean(self, cells: Sequence[str]) -> list[str | None]:
        """Return texts without spaces around them as they count, None if missing."""
        if self.comma and not self.wanted:
            cells = list(map(with_point, cells))
        return list(map(self.none.get, cells, cells))

    def numbers(self, cells: Sequence[str]) -> Array | None:
        """Return cells as numbers, or None if one is not a number."""
        if self.strips:
            cells = list(map(str.strip, cells))
        if self.comma:
            cells = [c if c.strip() in self.nan else c.translate(COMMA) for c in cells]
        values = self._floats(cells)
        return self._floats(list(map(str.strip, cells))) if values is None else values

    def _floats(self, cells: Sequence[str]) -> Array | None:
        """Return cells as numbers; None if one is not, or a missing value has spaces around it."""
        try:
            values = np.fromiter(map(float, map(self.nan.get, cells, cells)), float, len(cells))
        except ValueError:
            return None
        not_finite = np.flatnonzero(~np.isfinite(values)).tolist()
        if "_" in "".join(cells) or not all(cells[row] in self.nan for row in not_finite):
            return None  # Python reads 1_000 and inf as numbers
        return values


def with_point(cell: str) -> str:
    """Return a number with a decimal comma as one with a point, other text unchanged."""
    translated = cell.translate(COMMA)
    return cell if math.isnan(parse_number(translated)) else translated


def parse_columns(columns: Mapping[int, CellColumn], cells: ByteCells) -> dict[int, Stored]:
    """Return columns of a block by their numbers, as `CellColumn.parse` would from its cells."""
    parsed: dict[int, Stored] = {}
    numeric = [number for number, column in columns.items() if not column.text]
    if numeric:
        one = columns[numeric[0]]
        point = "," if one.comma else "."
        matrix, unknown = cells.numbers(numeric, point, tuple(one.nan))
        for place in np.unique(unknown[:, 1]).tolist():
            rows = unknown[unknown[:, 1] == place, 0]
            values = columns[numeric[place]].numbers(cells.texts(rows, numeric[place]))
            if values is None:
                columns[numeric[place]].text = True
            else:
                matrix[place, rows] = values
        parsed = dict(zip(numeric, matrix, strict=True))
    for number, column in columns.items():
        if column.text:
            parsed[number] = column.parse_texts(cells, number)
    return parsed
