"""Sums of rows by index."""

from __future__ import annotations

import numpy as np

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


@compiled
def mean_by_index(table: Array, index: Array, y: Array) -> None:
    """Write to y[n] the mean of the rows table[index[n, k]] over all k."""
    for n in range(len(index)):
        mean = y[n]
        mean[:] = 0
        for k in range(index.shape[1]):
            row = table[index[n, k]]
            for j in range(row.size):
                mean[j] += row[j]
        for j in range(mean.size):
            mean[j] /= index.shape[1]


@compiled
def mean_by_index_backward(dy: Array, index: Array, dtable: Array) -> None:
    """Write the gradient of the table from that of y."""
    dtable[:] = 0
    part = np.empty_like(dy[0])
    for n in range(len(index)):
        part[:] = dy[n] / dy.dtype.type(index.shape[1])
        for k in range(index.shape[1]):
            row = dtable[index[n, k]]
            for j in range(row.size):
                row[j] += part[j]
