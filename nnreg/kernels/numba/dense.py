"""The bias and the ReLU of dense layers."""

from __future__ import annotations

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled


@compiled
def add_bias(x: Array, bias: Array) -> None:
    """Add a bias to each row."""
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            x[row, k] += bias[k]


@compiled
def bias_relu(x: Array, bias: Array) -> None:
    """Replace x by max(x + bias, 0)."""
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            value = x[row, k] + bias[k]
            x[row, k] = x.dtype.type(0) if value < 0 else value


@compiled
def relu_backward(dy: Array, y: Array, dx: Array, dbias: Array) -> None:
    """Write dy · (y > 0) to dx, and its sum over the rows to dbias."""
    dbias[:] = 0
    for row in range(dy.shape[0]):
        for k in range(dy.shape[1]):
            value = dy[row, k] if y[row, k] > 0 else dy.dtype.type(0)
            dx[row, k] = value
            dbias[k] += value
