"""Sums of rows by index."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import sum_rows
from nnreg.kernels.scratch import ScratchSpace

ROUNDS = 4
"""The rounds of `sum_by_index`; what remains after them is few indices that occur often."""

MIN_SORTED_ROWS = 256
"""The fewest remaining rows that are faster sorted than one by one."""


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
        if len(remaining) < MIN_SORTED_ROWS:
            np.add.at(out, targets, np.take(rows, remaining, axis=0))
        else:
            _add_sorted(rows, remaining, targets, out)

    def mean_by_index(self, table: Array, index: Array, y: Array, scratch: ScratchSpace) -> None:
        """Write to y[n] the mean of the rows table[index[n, k]] over all k."""
        sum_rows(np.take(table, index, axis=0), scratch.ones, y)
        np.divide(y, index.shape[1], out=y)

    def mean_by_index_backward(
        self, dy: Array, index: Array, dtable: Array, scratch: ScratchSpace
    ) -> None:
        """Write the gradient of the table of `mean_by_index` from that of its y."""
        rows = scratch.empty((*index.shape, dy.shape[1]))
        rows[...] = np.expand_dims(dy / index.shape[1], 1)
        self.sum_by_index(rows.reshape(-1, dy.shape[1]), index.reshape(-1), dtable)


def _add_sorted(rows: Array, numbers: Array, targets: Array, out: Array) -> None:
    """Add rows[numbers[k]] to out[targets[k]], for all k.

    Each run of rows with the same target is halved by adding its end to its start, until it has one
    row: as many calls as the longest run has binary digits.
    """
    narrow = targets.astype(np.min_scalar_type(len(out)))  # up to 16 bits have a fast sort
    order = np.argsort(narrow, kind="stable")
    targets = np.take(targets, order)
    starts = np.flatnonzero(np.diff(targets, prepend=-1))
    lengths = np.diff(starts, append=len(targets))
    sums = np.take(rows, np.take(numbers, order), axis=0)
    while len(long := np.flatnonzero(lengths > 1)):
        added = lengths[long] // 2
        lengths[long] -= added
        ends = np.cumsum(added)
        first = np.repeat(starts[long] - ends + added, added) + np.arange(ends[-1], like=ends)
        second = first + np.repeat(lengths[long], added)
        some = np.take(sums, first, axis=0)
        sums[first] = np.add(some, np.take(sums, second, axis=0), out=some)
    here = np.take(targets, starts)
    out[here] = np.take(out, here, axis=0) + np.take(sums, starts, axis=0)
