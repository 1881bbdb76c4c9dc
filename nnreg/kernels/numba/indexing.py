"""Sums of rows by index."""

from __future__ import annotations

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled


@compiled
def sum_by_index(rows: Array, index: Array, out: Array) -> None:
    """Write to out[i] the sum of all rows[n] with index[n] == i."""
    out[:] = 0
    for n in range(index.size):
        total, row = out[index[n]], rows[n]  # read once, or LLVM vectorizes nothing
        for k in range(row.size):
            total[k] += row[k]
