"""Encoders of categories by a hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

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

    @property
    def example_texts(self) -> Sequence[str]:
        """Some texts of all lengths, and numbers."""
        return ["a", "bc", "Käse", "1.0", "-2.50", "1e-5", "007", "a longer text", "1e21", "0.3"]

    def encode(self, column: RawColumn) -> Array:
        """Return the hashed categories."""
        cells = column.categories
        places, values = self._places(cells.categories)
        chosen = cells.each(places.tolist(), 0, np.intp)
        encoded = np.zeros((len(chosen), self.size))
        encoded[np.arange(len(chosen)), chosen] = cells.each(values.tolist(), 0.0, np.float64)
        return encoded

    def infer(self, column: Any) -> Any:
        """Return the hashed categories."""
        found = column.of_texts("hash", self._hashed, seed=self.seed, size=self.size)
        value = found[:, 1:] if self.signed else np.abs(found[:, 1:])
        return np.equal(found[:, :1], np.arange(self.size)[None]) * value

    def _places(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Return the column that each text is in, and its value there."""
        hashes = murmurhash([canonical(text) for text in texts], self.seed)
        places = np.abs(hashes.astype(np.int64)) % self.size  # |-2³¹| is no int32
        return places, np.where((hashes < 0) & self.signed, -1.0, 1.0)

    def _hashed(self, texts: Sequence[str | None]) -> Array:
        """Return the same side by side, 0 for a missing text: `(rows, 2)`."""
        found = np.stack(self._places([text or "" for text in texts]), axis=1)
        found[[text is None for text in texts]] = 0
        return found
