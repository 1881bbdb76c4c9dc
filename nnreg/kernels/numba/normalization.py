"""Normalization of each row while it is in the cache."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import BLOCK_ROWS
from nnreg.kernels.numba.compile import compiled


@compiled
def layer_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    y: Array,
    mean: Array,
    scale: Array,
    epsilon: float,
    centered: bool,
) -> None:
    """Normalize each row: y = gamma · (x - mean) · scale + beta; mean 0 if it is not centered."""
    rows, features = x.shape
    zero, share = x.dtype.type(0), x.dtype.type(1 / features)
    for row in range(rows):
        center = zero
        if centered:
            for k in range(features):
                center += x[row, k]
            center *= share
            mean[row] = center
        variance = zero
        for k in range(features):
            variance += (x[row, k] - center) * (x[row, k] - center)
        factor = x.dtype.type(1) / np.sqrt(variance * share + epsilon)
        scale[row] = factor
        for k in range(features):
            y[row, k] = (x[row, k] - center) * factor * gamma[k] + beta[k]


@compiled
def layer_norm_backward(
    dy: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    scale: Array,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
    centered: bool,
) -> None:
    """Write the gradients of the inputs of `layer_norm`."""
    rows, features = dy.shape
    zero, share = dy.dtype.type(0), dy.dtype.type(1 / features)
    gammas, betas = np.zeros(features, np.float64), np.zeros(features, np.float64)
    for start in range(0, rows, BLOCK_ROWS):
        dgamma[:] = 0
        dbeta[:] = 0
        for row in range(start, min(start + BLOCK_ROWS, rows)):
            center, factor = mean[row] if centered else zero, scale[row]
            total, across = zero, zero
            for k in range(features):
                total += dy[row, k] * gamma[k]
                across += dy[row, k] * gamma[k] * (x[row, k] - center)
            total = total * share if centered else zero
            across *= share * factor * factor
            for k in range(features):
                change = total + (x[row, k] - center) * across
                dx[row, k] = (dy[row, k] * gamma[k] - change) * factor
            for k in range(features):
                dbeta[k] += dy[row, k]
            for k in range(features):
                dgamma[k] += dy[row, k] * (x[row, k] - center) * factor
        for k in range(features):
            gammas[k] += dgamma[k]
            betas[k] += dbeta[k]
    for k in range(features):
        dgamma[k] = gammas[k]
        dbeta[k] = betas[k]
