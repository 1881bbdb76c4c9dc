"""The distinct texts of a column that is read in parts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.tables.categorical import Categorical, CategoryCodes

MAX_TEXTS = 2**18
"""The most distinct texts of a column that are known: about 25 MB of short ones."""


@dataclass(frozen=True, eq=False)
class Counted(Categorical):
    """Distinct texts, one per row, each of which stands for as many rows of a file."""

    rows: Array | tuple[int, ...] = ()

    def counts(self) -> Array:
        """Return the number of rows of each category."""
        return np.array(self.rows, np.int64)


class TextCounts:
    """The distinct texts of a column that is read in parts, and the number of rows of each."""

    def __init__(self) -> None:
        self.code_of = CategoryCodes()
        self.rows: Array = np.zeros(0, np.int64)
        self.first: Array = np.zeros(0, np.int64)
        """The first row of each text; that of one without rows is after all others."""
        self.done = 0
        self.too_many = False
        self.ordered = False
        self._last: tuple[tuple[str, ...], Array] = ((), np.zeros(0, np.int64))

    def add(self, cells: Categorical) -> None:
        """Count more rows."""
        if self.too_many:
            return
        if cells.categories is not self._last[0]:  # chunks of a file may share them
            own = [self.code_of[text] for text in cells.categories]
            self._last = cells.categories, np.array(own, np.int64)
            self._grow()
        codes = self._last[1]
        self.rows[codes] += cells.counts()
        new = codes[(self.first[codes] > self.done) & (self.rows[codes] > 0)]
        if len(new):
            of_row = np.append(codes, -1)[cells.codes]
            found, rows = np.unique(of_row, return_index=True)
            is_new = np.isin(found, new)
            self.first[found[is_new]] = self.done + rows[is_new]
        self.done += len(cells)
        self.ordered = cells.ordered
        self.too_many = len(self.code_of) > MAX_TEXTS

    def _grow(self) -> None:
        more = len(self.code_of) - 1 - len(self.rows)
        self.rows = np.append(self.rows, np.zeros(more, np.int64))
        self.first = np.append(self.first, np.full(more, np.iinfo(np.int64).max))

    @property
    def counted(self) -> Counted:
        """The texts with the number of rows of each."""
        return self.without(())[0]

    def without(self, missing: Collection[str]) -> tuple[Counted, Array]:
        """Return the texts with their counts, in the order of their first rows, and these rows.

        Those of a missing value are left out.
        """
        texts = self.code_of.categories
        kept = [n for n, text in enumerate(texts) if text not in missing]
        rows, first = self.rows[kept], self.first[kept]
        used = np.argsort(first, kind="stable")[: np.count_nonzero(rows)]
        codes = used.astype(np.int32)
        return Counted(tuple(texts[n] for n in kept), codes, self.ordered, rows), first[used]
