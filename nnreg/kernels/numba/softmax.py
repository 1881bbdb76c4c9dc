"""The softmax, and the cross-entropy of it, in float32."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.functions import exp


@numba.njit(cache=True, fastmath=True, nogil=True)
def largest_of_rows(x: Array, tops: Array) -> None:
    """Write the largest value of each row; it is arbitrary for NaN, which remains in x itself.

    A separate pass: in one loop with the exponentials, neither would be vectorized.
    """
    for row in range(x.shape[0]):
        top = x[row, 0]
        for k in range(1, x.shape[1]):
            top = max(top, x[row, k])
        tops[row] = top


@compiled
def exp_of_row(x: Array, top: float) -> Any:
    """Replace x by exp(x - top) and return the sum. In place, so that LLVM needs no alias check."""
    for k in range(x.size):
        x[k] = exp(x[k] - top)
    total = np.float32(0)
    for k in range(x.size):
        total += x[k]
    return total


@compiled
def softmax(x: Array) -> None:
    """Replace each row by its softmax, in float32."""
    tops = np.empty(x.shape[0], np.float32)
    largest_of_rows(x, tops)
    for row in range(x.shape[0]):
        values = x[row]
        factor = np.float32(1) / exp_of_row(values, tops[row])
        for k in range(values.size):
            values[k] *= factor


@compiled
def softmax_backward(dy: Array, y: Array, dx: Array) -> None:
    """Write y (dy - Σ dy y) to dx, row by row."""
    for row in range(y.shape[0]):
        total = y.dtype.type(0)
        for k in range(y.shape[1]):
            total += dy[row, k] * y[row, k]
        for k in range(y.shape[1]):
            dx[row, k] = y[row, k] * (dy[row, k] - total)


@compiled
def softmax_cross_entropy(z: Array, labels: Array, dz: Array, smoothing: float) -> float:
    """Return the mean loss and write its gradient to dz, row by row, in float32."""
    rows, classes = z.shape
    tops = np.empty(rows, np.float32)
    largest_of_rows(z, tops)
    row_weight = np.float32(1 / rows)
    at_label, everywhere = 1 - smoothing, smoothing / classes
    loss = 0.0
    dz[:] = z
    for row in range(rows):
        total = exp_of_row(dz[row], tops[row])
        label = labels[row]
        loss += np.log(total) - at_label * (z[row, label] - tops[row])
        factor = row_weight / total
        for k in range(classes):
            dz[row, k] *= factor
        dz[row, label] -= np.float32(at_label) * row_weight
        if smoothing > 0:
            for k in range(classes):
                loss -= everywhere * (z[row, k] - tops[row])
                dz[row, k] -= np.float32(everywhere) * row_weight
    return float(loss / rows)
