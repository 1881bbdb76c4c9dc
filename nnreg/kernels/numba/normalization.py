"""Layer normalization."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled


@compiled
def layer_norm(
    x: Array, gamma: Array, beta: Array, y: Array, normal: Array, scale: Array, epsilon: float
) -> None:
    """Normalize each row while it is in the cache."""
    rows, features = x.shape
    for row in range(rows):
        mean = x.dtype.type(0)
        for k in range(features):
            mean += x[row, k]
        mean /= features
        variance = x.dtype.type(0)
        for k in range(features):
            centered = x[row, k] - mean
            variance += centered * centered
        factor = x.dtype.type(1) / np.sqrt(x.dtype.type(variance / features + epsilon))
        scale[row] = factor
        for k in range(features):
            normal[row, k] = (x[row, k] - mean) * factor
        for k in range(features):
            y[row, k] = normal[row, k] * gamma[k] + beta[k]


@compiled
def layer_norm_backward(
    dy: Array, gamma: Array, normal: Array, scale: Array, dx: Array, dgamma: Array, dbeta: Array
) -> None:
    """Write the gradients of the inputs of `layer_norm`."""
    rows, features = dy.shape
    dgamma[:] = 0
    dbeta[:] = 0
    for row in range(rows):
        mean = dy.dtype.type(0)
        across = dy.dtype.type(0)
        for k in range(features):
            mean += dy[row, k] * gamma[k]
            across += dy[row, k] * gamma[k] * normal[row, k]
        mean /= features
        across /= features
        for k in range(features):
            dx[row, k] = (dy[row, k] * gamma[k] - mean - normal[row, k] * across) * scale[row]
        for k in range(features):
            dbeta[k] += dy[row, k]
        for k in range(features):
            dgamma[k] += dy[row, k] * normal[row, k]
