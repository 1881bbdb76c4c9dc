"""The softmax, and the cross-entropy of it, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled, inlined, inlined_without_nan
from nnreg.kernels.numba.functions import exp


@inlined_without_nan
def largest_of_rows(x: Array, tops: Array) -> None:
    """Write the largest value of each row; it is arbitrary for NaN, which remains in x itself.

    A separate pass: in one loop with the exponentials, neither would be vectorized.
    """
    for row in range(x.shape[0]):
        top = x[row, 0]
        for k in range(1, x.shape[1]):
            top = max(top, x[row, k])
        tops[row] = top


@inlined
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


@inlined
def cross_entropy_of_row(
    z: Array, top: float, label: int, dz: Array, share: float, smoothing: float
) -> Any:
    """Return the loss of a row, and replace its logits in dz by the gradient times share."""
    total = exp_of_row(dz, top)
    at_label, everywhere = 1 - smoothing, smoothing / z.size
    loss = np.log(total) - at_label * (z[label] - top)
    factor = share / total
    for k in range(z.size):
        dz[k] *= factor
    dz[label] -= np.float32(at_label) * share
    if smoothing > 0:
        for k in range(z.size):
            loss -= everywhere * (z[k] - top)
            dz[k] -= np.float32(everywhere) * share
    return loss


@compiled
def softmax_cross_entropy(z: Array, labels: Array, dz: Array, smoothing: float) -> float:
    """Return the mean loss and write its gradient to dz, row by row, in float32."""
    rows, loss, share = len(z), 0.0, np.float32(1 / len(z))
    tops = np.empty(rows, np.float32)
    largest_of_rows(z, tops)
    dz[:] = z
    for row in range(rows):
        loss += cross_entropy_of_row(z[row], tops[row], labels[row], dz[row], share, smoothing)
    return float(loss / rows)


@compiled
def weighted_softmax_cross_entropy(
    z: Array, labels: Array, weights: Array, dz: Array, smoothing: float
) -> float:
    """Do the same with the loss of each row times its weight."""
    rows, loss, part = len(z), 0.0, np.float32(1 / len(z))
    tops = np.empty(rows, np.float32)
    largest_of_rows(z, tops)
    dz[:] = z
    for row in range(rows):
        share = weights[row] * part
        loss += weights[row] * cross_entropy_of_row(
            z[row], tops[row], labels[row], dz[row], share, smoothing
        )
    return float(loss / rows)
