"""Columns of cells that have types in their file: numbers, truth values, text, dates and None."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.cells import MAX_EXACT, cell_text
from nnreg.tables.column_types import plain_values


def column_of_cells(cells: Sequence[Any], where: str, text: bool) -> Array:
    """Return numbers, NaN if missing; or text, None if missing. Raises `DataError`.

    Cells are text if `text` is True, if one is, and if float64 would round one.
    """
    kinds = set(map(type, cells)) - {type(None)}
    if not text and kinds <= {int, float} and (kinds != {int} or None in cells):
        known = [cell for cell in cells if cell is not None]
        if all(abs(c) <= MAX_EXACT if type(c) is int else math.isfinite(c) for c in known):
            return np.array(cells, np.float64)
    objects = np.empty(len(cells), object)
    objects[:] = [cell_text(cell, where) for cell in cells] if text else cells
    column = plain_values(objects, where)
    if column.dtype == object:
        require_unicode(filter(None, column), where)
    return column


def require_unicode(texts: Any, where: str) -> None:
    """Raise `DataError` for half of a surrogate pair, which no file or terminal takes as text."""
    texts = list(texts)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        found = next(one for one in texts if error.object[error.start] in one)
        raise DataError(f"{where}: found {found!r}, which is not text; correct it") from error
