"""Cells of delimited text as columns: numbers, or text."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.tables.cells import parse_number

COMMA = str.maketrans({",": ".", ".": "?"})
"""Translates a decimal comma to a point; a number with a point becomes invalid."""


class CellColumn:
    """The type of a column so far: numeric until a cell is not a number, then text."""

    def __init__(self, missing: Sequence[str], decimal: str, wanted: bool) -> None:
        self.text = self.wanted = wanted
        self.comma = decimal == ","
        self.plain = not self.comma
        """Whether all cells so far are empty, or numbers that `numpy.loadtxt` reads."""
        self.nan = dict.fromkeys(missing, "nan")
        self.none = dict.fromkeys(missing)

    def parse(self, cells: Sequence[str] | Array) -> Array:
        """Return cells as float64, NaN if missing; or as text, None if missing."""
        if isinstance(cells, np.ndarray):
            return cells
        if not self.text:
            values = self._numbers(cells)
            if values is not None:
                missing = np.flatnonzero(np.isnan(values)).tolist()
                self.plain = self.plain and all(cells[row] == "" for row in missing)
                return values
            self.text = True
        cells = list(map(str.strip, cells))
        if self.comma and not self.wanted:
            cells = list(map(with_point, cells))
        text = np.empty(len(cells), object)
        text[:] = list(map(self.none.get, cells, cells))
        return text

    def _numbers(self, cells: Sequence[str]) -> Array | None:
        """Return cells as numbers, or None if one is not a number."""
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


class NumpyCells:
    """The cells of lines by `numpy.loadtxt`, where it is known to give the same result as `csv`."""

    def __init__(self, delimiter: str, missing: Sequence[str]) -> None:
        self.delimiter = delimiter
        self.fills = {"", "nan"} <= set(missing)  # empty cells may be filled with nan
        self.gaps = False
        self.kinds: list[str] = []
        self.dtype: np.dtype[Any] | None = None

    def plan(self, columns: Sequence[CellColumn]) -> None:
        """Set the type of the lines: a matrix if all columns are numeric."""
        kinds = ["O" if column.text or not column.plain else "f8" for column in columns]
        if kinds != self.kinds:
            self.kinds = kinds
            fields = [(f"f{index}", kind) for index, kind in enumerate(kinds)]
            self.dtype = np.dtype(fields if "O" in kinds else float)

    def read(self, lines: list[str]) -> list[Any] | None:
        """Return the cells of each column, numbers parsed; None if `numpy.loadtxt` cannot."""
        text = "".join(lines)
        if self.dtype is None or not text or text.isspace():
            return None
        if '"' in text and not _regular(text, self.delimiter):
            return None
        cells = None if self.gaps else self._loaded(lines, np.isfinite)
        if cells is None and self.fills and '"' not in text and "nan" not in text.lower():
            filled = io.StringIO(_filled(text, self.delimiter), newline="").readlines()
            cells = self._loaded(filled, lambda values: ~np.isinf(values))
            self.gaps = self.gaps or cells is not None
        return cells

    def _loaded(self, lines: list[str], valid: Callable[[Array], Array]) -> list[Any] | None:
        """Return lines as columns by `numpy.loadtxt`; None if it fails or a number is invalid."""
        mark = self.delimiter
        try:
            rows = np.loadtxt(
                lines, self.dtype, comments=None, delimiter=mark, quotechar='"', ndmin=2
            )
        except ValueError:
            return None
        if len(rows) < len(lines):  # blank lines, or rows of several lines
            return None
        if self.dtype == float:
            fits = rows.shape[1] == len(self.kinds) and valid(rows).all()
            return list(np.ascontiguousarray(rows.T)) if fits else None
        fields = [rows[name].reshape(-1) for name in rows.dtype.names or ()]
        if not all(valid(field).all() for field in fields if field.dtype == float):
            return None
        return [field.tolist() if field.dtype == object else field for field in fields]


def _regular(text: str, mark: str) -> bool:
    """Return True if every quote begins or ends a cell, or is doubled within one."""
    outside = '"'.join(text.replace('""', "").split('"')[::2])
    beside = re.escape(mark) + r"\r\n"
    return text.count('"') % 2 == 0 and not re.search(rf'[^{beside}]"|"[^{beside}]', outside)


def _filled(text: str, mark: str) -> str:
    """Write nan into empty cells."""
    for _ in range(2):  # of adjacent empty cells, each pass fills every second one
        text = text.replace(mark * 2, f"{mark}nan{mark}")
    for end in "\r\n":
        text = text.replace(end + mark, f"{end}nan{mark}").replace(mark + end, f"{mark}nan{end}")
    return f"{'nan' if text.startswith(mark) else ''}{text}{'nan' if text.endswith(mark) else ''}"
