"""The softmax, and the cross-entropy of it."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numpy.dense import MAX_NARROW_FEATURES
from nnreg.kernels.scratch import ScratchSpace


class SoftmaxKernels:
    """Loops over `(rows, classes)`."""

    def softmax(self, x: Array, scratch: ScratchSpace) -> None:
        """Replace each row of `(rows, features)` by its softmax in place."""
        columns = self._shifted(x, x, scratch)
        np.exp(columns, out=columns)
        np.divide(columns, self._column_sums(columns, scratch), out=x.T)

    def softmax_backward(self, dy: Array, y: Array, dx: Array, scratch: ScratchSpace) -> None:
        """Write y (dy - Σ dy y) to dx, row by row."""
        np.multiply(dy, y, out=dx)
        total = np.dot(dx, scratch.ones(dx.shape[1]), out=scratch.empty((len(dx),)))
        np.subtract(dy.T, total, out=dx.T)
        np.multiply(dx, y, out=dx)

    def softmax_cross_entropy(
        self, z: Array, labels: Array, dz: Array, scratch: ScratchSpace, *, smoothing: float = 0.0
    ) -> float:
        """Return mean(log Σ exp(z) - z[label]) over rows, and write its gradient to dz.

        With `smoothing` s, z[label] is replaced by (1 - s) z[label] + s mean(z).
        """
        rows, classes = z.shape
        columns = self._shifted(z, dz, scratch)
        narrow = classes <= MAX_NARROW_FEATURES
        flat = (columns if narrow else dz).reshape(-1)
        numbers = np.arange(rows)
        index = labels * rows + numbers if narrow else numbers * classes + labels
        ones, row_weight = scratch.ones(rows), 1 / rows
        at_label = np.dot(ones, flat[index])
        if smoothing:
            everywhere = float(np.sum(columns)) / classes
            at_label = (1 - smoothing) * float(at_label) + smoothing * everywhere
        np.exp(columns, columns)
        total = self._column_sums(columns, scratch)
        loss: float = (float(np.dot(ones, np.log(total))) - float(at_label)) * row_weight
        np.divide(row_weight, total, total)
        np.multiply(columns, total, columns)
        flat[index] -= (1 - smoothing) * row_weight
        if smoothing:
            np.subtract(columns, smoothing * row_weight / classes, columns)
        if narrow:
            dz.T[...] = columns
        return loss

    def _shifted(self, x: Array, out: Array, scratch: ScratchSpace) -> Array:
        """Return x - max(x) of each row as `(features, rows)`: in `out`, or a copy if narrow."""
        if x.shape[1] > MAX_NARROW_FEATURES:
            columns = out.T
            np.subtract(x.T, np.maximum.reduce(x, axis=1), out=columns)
            return columns
        columns = scratch.empty(x.T.shape)
        columns[...] = x.T
        top = np.maximum.reduce(columns, axis=0, out=scratch.empty((len(x),)))
        return np.subtract(columns, top, out=columns)

    def _column_sums(self, columns: Array, scratch: ScratchSpace) -> Array:
        return np.dot(scratch.ones(len(columns)), columns, out=scratch.empty(columns.shape[1:]))
