"""Columns of text whose cells are positions in bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from nnreg._types import Array
from nnreg.builtin.sources.byte_cells import ByteCells, KnownTexts
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.concat import MAX_CATEGORIES
from nnreg.tables.packed_texts import Stored


class TextColumn:
    """A column of text, with the distinct texts so far.

    `clean` returns the texts of cells without spaces around them as they count, None if missing.
    """

    def __init__(
        self, clean: Callable[[list[str]], list[str | None]], missing: Sequence[str], as_is: bool
    ) -> None:
        self.clean = clean
        self.missing = missing
        self.as_is = as_is
        """Whether `clean` changes only missing texts."""
        self.many = False
        """Whether most cells differ, or more than `MAX_CATEGORIES` do, or some are long."""
        self.code_of = CategoryCodes()
        self.categories: tuple[str, ...] = ()
        self.known: KnownTexts | None = None

    def parse(self, cells: ByteCells, column: int) -> Stored:
        """Return the texts of a column."""
        if not self.many:
            self.known = self.known or cells.known_texts()
            code = partial(self._code, cells, column)
            codes = self.known.codes(cells, column, code)
            if codes is not None and len(self.code_of) <= MAX_CATEGORIES:
                return self._categorical(codes)
            self.many, self.code_of, self.known = True, CategoryCodes(), None
        if self.as_is and not cells.doubled:
            packed = cells.packed_texts(column, self.missing)
            if packed is not None:
                return packed
        text = np.empty(len(cells.starts), object)
        text[:] = self.clean(cells.texts(slice(None), column))
        return text

    def _code(self, cells: ByteCells, column: int, rows: Array) -> Array:
        """Return the codes of cells that were not there before."""
        texts = self.clean(cells.texts(rows, column))
        return np.array([self.code_of[text] for text in texts], np.int32)

    def _categorical(self, codes: Array) -> Categorical:
        """Return the cells with the categories so far; only with their own if those are many."""
        if len(self.categories) < len(self.code_of) - 1:
            self.categories = self.code_of.categories
        if len(self.categories) <= len(codes):
            return Categorical(self.categories, codes)
        used, each = np.unique(codes, return_inverse=True)
        used, each = (used[1:], each - 1) if used[0] < 0 else (used, each)
        return Categorical(tuple(self.categories[code] for code in used), each.astype(np.int32))
