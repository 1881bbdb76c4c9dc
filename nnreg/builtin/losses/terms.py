"""What losses have in common: their targets as rows of probabilities, and blocks of outputs."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array


def rows_of(t: Array, y: Array) -> Array:
    """Return targets as rows of probabilities, one-hot if they are class numbers."""
    if t.ndim == y.ndim:
        return t
    rows: Array = np.equal(np.expand_dims(t, -1), np.arange(y.shape[-1])).astype(y.dtype)
    return rows


def smooth(t: Array, smoothing: float, classes: int) -> Array:
    """Return probabilities with the fraction `smoothing` spread over all classes."""
    return t * (1 - smoothing) + smoothing / classes if smoothing else t


def blocks(y: Array, count: int) -> list[Array]:
    """Return views of outputs divided into `count` parts along the last axis."""
    size = y.shape[-1] // count
    return [y[..., k * size : (k + 1) * size] for k in range(count)]
