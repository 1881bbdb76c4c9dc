"""Sums of rows by index."""

from __future__ import annotations

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled


@compiled
def sum_by_index(rows: Array, index: Array, out: Array) -> None:
    """Write to out[i] the sum of all rows[n] with index[n] == i."""
    out[:] = 0
    for n in range(index.size):
        for k in range(rows.shape[1]):
            out[index[n], k] += rows[n, k]
