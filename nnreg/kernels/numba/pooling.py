"""The largest values of windows."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled


@compiled
def max_pool(x: Array, y: Array, kh: int, kw: int, sh: int, sw: int) -> None:
    """Write the largest value of each window to y."""
    batch, oh, ow, channels = y.shape
    for b in range(batch):
        for r in range(oh):
            for s in range(ow):
                for c in range(channels):
                    y[b, r, s, c] = x[b, r * sh, s * sw, c]
                for i in range(kh):
                    for j in range(kw):
                        for c in range(channels):
                            value = x[b, r * sh + i, s * sw + j, c]
                            if value > y[b, r, s, c] or value != value:
                                y[b, r, s, c] = value


@compiled
def max_pool_backward(
    dy: Array, x: Array, y: Array, dx: Array, kh: int, kw: int, sh: int, sw: int
) -> None:
    """Assign the gradient of each window to the first of its largest values."""
    batch, oh, ow, channels = y.shape
    dx[:] = 0
    remaining = np.empty(channels, dy.dtype)
    for b in range(batch):
        for r in range(oh):
            for s in range(ow):
                for c in range(channels):
                    remaining[c] = dy[b, r, s, c]
                for i in range(kh):
                    for j in range(kw):
                        for c in range(channels):
                            is_max = x[b, r * sh + i, s * sw + j, c] == y[b, r, s, c]
                            assigned = remaining[c] if is_max else dy.dtype.type(0)
                            dx[b, r * sh + i, s * sw + j, c] += assigned
                            remaining[c] -= assigned
