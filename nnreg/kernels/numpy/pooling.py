"""The largest values of windows."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.scratch import ScratchSpace
from nnreg.kernels.windows import Pair, windows_of


class PoolingKernels:
    """Loops over the windows of images `(batch, height, width, channels)`."""

    def max_pool(self, x: Array, y: Array, size: Pair, stride: Pair) -> None:
        """Write the largest value of each window of `(batch, height, width, channels)`."""
        first, *others = windows_of(y, size, stride)
        y[...] = x[first]
        for window in others:
            np.maximum(y, x[window], out=y)

    def max_pool_backward(
        self,
        dy: Array,
        x: Array,
        y: Array,
        dx: Array,
        size: Pair,
        stride: Pair,
        scratch: ScratchSpace,
    ) -> None:
        """Assign the gradient of each window to the first of its largest values."""
        dx[...] = 0
        disjoint = size[0] <= stride[0] and size[1] <= stride[1]
        largest, unassigned = scratch.empty(y.shape, bool), scratch.empty(y.shape, bool)
        unassigned[...] = True
        part = None if disjoint else scratch.empty(y.shape)
        for window in windows_of(y, size, stride):
            np.equal(x[window], y, out=largest)
            np.logical_and(largest, unassigned, out=largest)
            np.greater(unassigned, largest, out=unassigned)
            if part is None:
                np.multiply(largest, dy, out=dx[window])
            else:
                np.multiply(largest, dy, out=part)
                np.add(dx[window], part, out=dx[window])
