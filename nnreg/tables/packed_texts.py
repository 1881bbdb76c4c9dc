"""Text of a chunk in bytes, which becomes strings when it is needed, or in the whole column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.tables.categorical import Categorical

TEXT = np.dtypes.StringDType(na_object=None)
"""The type of a column of many texts: 16 bytes per row, more for text over 15 bytes."""


@dataclass(frozen=True, eq=False)
class PackedTexts:
    """ASCII texts `(rows,)` in bytes, of NumPy's type `S`, and which of them are missing.

    To make a string and to copy it later takes three times as long as to make it where it remains.
    """

    raw: Array
    missing: Array

    def __len__(self) -> int:
        return len(self.raw)

    def write(self, out: Array) -> None:
        """Write the texts to an array of strings, None where missing."""
        out[...] = self.raw
        if self.missing.any():
            out[self.missing] = None

    def text(self) -> Array:
        """Return an array of strings, None where missing."""
        found: Array = self.raw.astype(TEXT)  # which is faster than to write to a new array
        if self.missing.any():
            found[self.missing] = None
        return found


Stored: TypeAlias = Array | Categorical | PackedTexts


class PackedColumns(Mapping[str, Array | Categorical]):
    """Columns of a chunk by name; packed texts are strings once they are asked for."""

    def __init__(self, columns: Mapping[str, Stored]) -> None:
        self.stored = dict(columns)
        """The columns as they are in memory."""

    def __getitem__(self, name: str) -> Array | Categorical:
        column = self.stored[name]
        if isinstance(column, PackedTexts):
            self.stored[name] = column = column.text()
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)
