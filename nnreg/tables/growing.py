"""Arrays that grow, in memory for as many rows as are expected."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.tables.packed_texts import TEXT, PackedTexts

MIN_FRACTION, SPARE = 1 / 512, 1 / 8
"""What is read of a file tells how many rows it has: not if it is less than this fraction of it,
and then with spare memory of this fraction of the rows."""


class Growing:
    """A growing array of one dimension, which is seldom copied."""

    def __init__(self, dtype: Any) -> None:
        self.all = self._memory = np.empty(0, dtype)

    @property
    def nbytes(self) -> int:
        """The bytes of memory in use: the system has none for what was never written."""
        return self.all.nbytes

    def extend(self, values: Array, fraction: float) -> None:
        """Append values; those so far are about this fraction of all."""
        before, size = len(self.all), len(self.all) + len(values)
        if size > len(self._memory):
            memory = np.empty(_expected(size, fraction), self.all.dtype)
            memory[:before] = self.all
            self._memory = memory
        self._memory[before:size] = values
        self.all = self._memory[:size]


def _expected(rows: int, fraction: float) -> int:
    """Return about how many rows there are in all, if those so far are a fraction of them."""
    return max(int(rows / min(max(fraction, MIN_FRACTION), 1.0) * (1 + SPARE)), rows)


class GrowingText:
    """A growing array of text, which is not copied again, as that takes longer than to read it."""

    def __init__(self) -> None:
        self.nbytes = 0
        """The bytes of memory in use, without those of texts that are stored elsewhere."""
        self._rows = 0
        self._full: list[Array] = []
        self._memory, self._used = np.empty(0, TEXT), 0

    def extend(self, values: Array | PackedTexts, fraction: float) -> None:
        """Append values; those so far are about this fraction of all."""
        self._rows += len(values)
        stop = self._used + len(values)
        if stop > len(self._memory):
            self._full.append(self._memory[: self._used])
            before = self._rows - len(values)
            self._memory = np.empty(_expected(self._rows, fraction) - before, TEXT)
            self._used, stop = 0, len(values)
        part = self._memory[self._used : stop]
        if isinstance(values, PackedTexts):
            values.write(part)
        else:
            part[...] = values
        self._used = stop
        self.nbytes += part.nbytes

    def array(self) -> Array:
        """Return all values, which are then no longer here."""
        parts = [part for part in (*self._full, self._memory[: self._used]) if len(part)]
        self._full, self._memory = [], np.empty(0, TEXT)
        if len(parts) == 1:
            return parts[0]
        found = np.empty(self._rows, TEXT)
        end = len(found)
        while parts:  # each is freed once it is copied
            part = parts.pop()
            found[end - len(part) : end] = part
            end -= len(part)
        return found
