"""The bias and the ReLU of dense layers, and sums over rows."""

from __future__ import annotations

import functools

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import sum_rows
from nnreg.kernels.scratch import ScratchSpace

MAX_NARROW_FEATURES = 64
"""Rows up to this wide are processed in a transposed copy: NumPy is slow on short inner loops."""

MAX_MERGED_FEATURES, MIN_MERGED_ROWS = 1024, 256
"""If there are at least this many narrow rows, they are merged into rows up to this wide."""


class DenseKernels:
    """Loops over `(rows, features)` that a dense layer needs besides its products."""

    def sum_rows(self, x: Array, out: Array, scratch: ScratchSpace) -> None:
        """Sum `(rows, features)` over the rows by matrix products, much faster than np.sum."""
        sum_rows(x, scratch.ones, out)

    def add_bias(self, x: Array, bias: Array, scratch: ScratchSpace) -> None:
        """Add bias `(features,)` to each row of x in place."""
        rows, features = x.shape
        merged = _rows_to_merge(rows, features)
        if merged == 1:
            np.add(x, bias, x)
            return
        repeated = scratch.empty((merged, features))
        repeated[...] = bias
        wide = x.reshape(rows // merged, merged * features)
        np.add(wide, repeated.reshape(-1), out=wide)

    def relu(self, x: Array, bias: Array | None, scratch: ScratchSpace) -> None:
        """Replace x by max(x + bias, 0) in place."""
        if bias is not None:
            self.add_bias(x, bias, scratch)
        np.maximum(x, 0, out=x)

    def relu_backward(
        self, dy: Array, y: Array, dx: Array, dbias: Array | None, scratch: ScratchSpace
    ) -> None:
        """Write dy · (y > 0) to dx, and its sum over the rows to dbias."""
        np.greater(y, 0, dx)
        np.multiply(dx, dy, dx)
        if dbias is not None:
            self.sum_rows(dx, dbias, scratch)


@functools.cache
def _rows_to_merge(rows: int, features: int) -> int:
    """Return how many rows to treat as one, because NumPy is slow on many short rows."""
    if rows < MIN_MERGED_ROWS or features >= MAX_NARROW_FEATURES:
        return 1
    return max(n for n in range(1, MAX_MERGED_FEATURES // features + 1) if rows % n == 0)
