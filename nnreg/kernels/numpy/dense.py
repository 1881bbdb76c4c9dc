"""The bias and the ReLU of dense layers, and sums over rows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import sum_rows
from nnreg.kernels.scratch import ScratchSpace

MAX_NARROW_FEATURES = 64
"""Rows up to this wide are processed in a transposed copy: NumPy is slow on short inner loops."""

MAX_MERGED_FEATURES, MIN_MERGED_ROWS = 1024, 256
"""If there are at least this many narrow rows, they are merged into rows up to this wide."""

ZEROS = 4096
"""The zeros of an array that stays in the processor's cache; it pays from as many values on."""


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
        if x.size < ZEROS or not (isinstance(x, np.ndarray) and x.flags.c_contiguous):
            np.maximum(x, 0, out=x)
        else:
            _maximum_with_zero(x.reshape(-1))

    def relu_backward(
        self, dy: Array, y: Array, dx: Array, dbias: Array | None, scratch: ScratchSpace
    ) -> None:
        """Write dy · (y > 0) to dx, and its sum over the rows to dbias."""
        np.greater(y, 0, dx)
        np.multiply(dx, dy, dx)
        if dbias is not None:
            self.sum_rows(dx, dbias, scratch)


def _maximum_with_zero(x: Array) -> None:
    """Replace the values of a vector by max(x, 0).

    NumPy compares two arrays with vector instructions, but an array and a number value by value.
    """
    zeros = _zeros(x.dtype)
    whole = x.size - x.size % ZEROS
    blocks, rest = x[:whole].reshape(-1, ZEROS), x[whole:]
    np.maximum(blocks, zeros, out=blocks)
    np.maximum(rest, zeros[: rest.size], out=rest)


@functools.cache
def _zeros(dtype: np.dtype[Any]) -> Array:
    """Return zeros that must not be modified."""
    zeros = np.zeros(ZEROS, dtype)
    zeros.flags.writeable = False
    return zeros


@functools.cache
def _rows_to_merge(rows: int, features: int) -> int:
    """Return how many rows to treat as one, because NumPy is slow on many short rows."""
    if rows < MIN_MERGED_ROWS or features >= MAX_NARROW_FEATURES:
        return 1
    return max(n for n in range(1, MAX_MERGED_FEATURES // features + 1) if rows % n == 0)
