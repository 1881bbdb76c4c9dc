"""The softmax, and the cross-entropy of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numpy.dense import MAX_NARROW_FEATURES
from nnreg.kernels.scratch import ScratchSpace

MIN_TRANSPOSED_ROWS = 16
"""The fewest rows whose sums are faster as those of columns."""


class SoftmaxKernels:
    """Loops over `(rows, classes)`."""

    def softmax(self, x: Array, scratch: ScratchSpace) -> None:
        """Replace each row of `(rows, features)` by its softmax in place."""
        if len(x) < MIN_TRANSPOSED_ROWS:  # fewer calls
            np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), x)
            np.exp(x, x)
            np.divide(x, np.add.reduce(x, axis=1, keepdims=True), x)
            return
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
        return self._cross_entropy(z, labels, None, dz, scratch, smoothing)

    def weighted_softmax_cross_entropy(
        self,
        z: Array,
        labels: Array,
        weights: Array,
        dz: Array,
        scratch: ScratchSpace,
        *,
        smoothing: float = 0.0,
    ) -> float:
        """Do the same with the loss of each row times its weight, `(rows,)`."""
        return self._cross_entropy(z, labels, weights, dz, scratch, smoothing)

    def _cross_entropy(
        self,
        z: Array,
        labels: Array,
        weights: Array | None,
        dz: Array,
        scratch: ScratchSpace,
        smoothing: float,
    ) -> float:
        rows, classes = z.shape
        columns = self._shifted(z, dz, scratch)
        narrow = classes <= MAX_NARROW_FEATURES
        flat = (columns if narrow else dz).reshape(-1)
        numbers = np.arange(rows)
        index = labels * rows + numbers if narrow else numbers * classes + labels
        of_rows: Array = scratch.ones(rows) if weights is None else weights
        share: Any = 1 / rows if weights is None else weights * (1 / rows)
        at_label = np.dot(of_rows, flat[index])
        if smoothing:
            values = columns if weights is None else columns * weights
            everywhere = float(np.sum(values)) / classes
            at_label = (1 - smoothing) * float(at_label) + smoothing * everywhere
        np.exp(columns, columns)
        total = self._column_sums(columns, scratch)
        loss: float = (float(np.dot(of_rows, np.log(total))) - float(at_label)) * (1 / rows)
        np.divide(share, total, total)
        np.multiply(columns, total, columns)
        flat[index] -= (1 - smoothing) * share if smoothing else share
        if smoothing:
            np.subtract(columns, smoothing * share / classes, columns)
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
