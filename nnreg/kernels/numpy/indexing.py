"""Sums of rows by index."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array

ROUNDS = 4
"""The rounds of `sum_by_index`; what remains after them is few indices that occur often."""


class IndexingKernels:
    """Loops over rows and their indices."""

    def sum_by_index(self, rows: Array, index: Array, out: Array) -> None:
        """Write to out[i] the sum of all rows[k], `(count, features)`, with index[k] == i.

        Each round adds one row to every out[i] that still has rows, in one call. np.add.at, which
        adds row by row, is several times as slow; it adds what remains after the rounds.
        """
        out[...] = 0
        remaining, targets = np.arange(len(index), like=index), index
        last = np.empty_like(remaining, shape=(len(out),))
        for number in range(ROUNDS):
            last[targets] = remaining
            chosen = np.equal(np.take(last, targets), remaining)
            here = np.compress(chosen, targets)
            some = np.take(rows, np.compress(chosen, remaining), axis=0)
            if number:
                np.add(some, np.take(out, here, axis=0), out=some)
            out[here] = some
            remaining = np.compress(~chosen, remaining)
            targets = np.take(index, remaining)
            if not len(remaining):
                return
        np.add.at(out, targets, np.take(rows, remaining, axis=0))
