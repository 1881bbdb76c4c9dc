"""Encoders of categories by a hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg._types import Array, Shape
from nnreg.builtin.encoders.murmurhash import murmurhash
from nnreg.interfaces.component import Count
from nnreg.interfaces.encoder import Encoder, RawColumn
from nnreg.tables.cells import canonical


@dataclass(frozen=True)
class Hashed(Encoder):
    """A category as one of a fixed number of columns, which its hash chooses.

    y[k] = 1 or -1 for k = |hash| mod size, 0 for the others

    Nothing is learned, so that it suits columns of very many categories, or of new ones in later
    data. Only the sign, that of the hash, distinguishes categories that share a column. A missing
    value is 0 everywhere where `data.missing` is "indicate". The hash is MurmurHash3 of the text in
    UTF-8, as in scikit-learn's FeatureHasher; a number is always written in the same way, so that
    1.0 is 1. Weinberger et al. 2009.

    Options:
        size: number of columns
        signed: whether the value is -1 where the hash is negative
        seed: seed of the hash, below 2³²
    """

    takes = "text"
    takes_missing = True

    size: Count = 32
    signed: bool = True
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0

    @property
    def shape(self) -> Shape:
        """One number per column."""
        return (self.size,)

    def encode(self, column: RawColumn) -> Array:
        """Return the hashed categories."""
        cells = column.categories
        hashes = murmurhash([canonical(text) for text in cells.categories], self.seed)
        places = np.abs(hashes.astype(np.int64)) % self.size  # |-2³¹| is no int32
        values = np.where((hashes < 0) & self.signed, -1.0, 1.0)
        chosen = cells.each(places.tolist(), 0, np.intp)
        encoded = np.zeros((len(chosen), self.size))
        encoded[np.arange(len(chosen)), chosen] = cells.each(values.tolist(), 0.0, np.float64)
        return encoded
