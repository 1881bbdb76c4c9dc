"""The largest values of windows."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled, compiled_exactly


@compiled_exactly
def _larger(a: float, b: float) -> float:
    """Return the larger of two values, or the first NaN."""
    return b if b > a or b != b else a


@compiled_exactly
def max_pool(x: Array, y: Array, kh: int, kw: int, sh: int, sw: int) -> None:
    """Write the largest value of each window to y: first over rows of pixels, which are long."""
    batch, oh, ow, channels = y.shape
    rows = x.reshape(batch, x.shape[1], -1)
    used = ((ow - 1) * sw + kw) * channels
    top = np.empty(used, x.dtype)
    for b in range(batch):
        for r in range(oh):
            one, other = rows[b, r * sh], rows[b, r * sh + min(1, kh - 1)]
            for k in range(used):
                top[k] = _larger(one[k], other[k])
            for i in range(2, kh):
                other = rows[b, r * sh + i]
                for k in range(used):
                    top[k] = _larger(top[k], other[k])
            for s in range(ow):
                out, at = y[b, r, s], s * sw * channels
                one, other = top[at:], top[at + min(1, kw - 1) * channels :]
                for c in range(channels):
                    out[c] = _larger(one[c], other[c])
                for j in range(2, kw):
                    other = top[at + j * channels :]
                    for c in range(channels):
                        out[c] = _larger(out[c], other[c])


@compiled
def max_pool_backward(
    dy: Array, x: Array, y: Array, dx: Array, kh: int, kw: int, sh: int, sw: int
) -> None:
    """Assign the gradient of each window to the first of its largest values."""
    batch, oh, ow, channels = y.shape
    disjoint = kh <= sh and kw <= sw
    if not (kh == sh and kw == sw and oh * kh == x.shape[1] and ow * kw == x.shape[2]):
        dx[:] = 0
    remaining = np.empty(channels, dy.dtype)
    for b in range(batch):
        for r in range(oh):
            for s in range(ow):
                largest = y[b, r, s]
                for c in range(channels):
                    remaining[c] = dy[b, r, s, c]
                for i in range(kh):
                    for j in range(kw):
                        one, to = x[b, r * sh + i, s * sw + j], dx[b, r * sh + i, s * sw + j]
                        if disjoint:
                            for c in range(channels):
                                assigned = (
                                    remaining[c] if one[c] == largest[c] else dy.dtype.type(0)
                                )
                                to[c] = assigned
                                remaining[c] -= assigned
                        else:
                            for c in range(channels):
                                assigned = (
                                    remaining[c] if one[c] == largest[c] else dy.dtype.type(0)
                                )
                                to[c] += assigned
                                remaining[c] -= assigned
