"""Layer normalization."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numpy.dense import DenseKernels
from nnreg.kernels.scratch import ScratchSpace


class NormalizationKernels(DenseKernels):
    """Loops over `(rows, features)` that are normalized row by row."""

    def layer_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        y: Array,
        normal: Array,
        scale: Array,
        epsilon: float,
        scratch: ScratchSpace,
    ) -> None:
        """Normalize each row of `(rows, features)`: y = gamma · normal + beta.

        normal = (x - mean) · scale, and scale `(rows,)` = 1 / √(variance + epsilon).
        """
        squares = scratch.empty(x.shape)
        np.subtract(x, _row_means(x, scratch), out=normal)
        np.multiply(normal, normal, out=squares)
        column = _row_means(squares, scratch)
        np.add(column, epsilon, out=column)
        np.sqrt(column, out=column)
        np.divide(1, column, out=column)
        scale[...] = column[:, 0]
        np.multiply(normal, column, out=normal)
        np.multiply(normal, gamma, out=y)
        np.add(y, beta, out=y)

    def layer_norm_backward(
        self,
        dy: Array,
        gamma: Array,
        normal: Array,
        scale: Array,
        dx: Array,
        dgamma: Array,
        dbeta: Array,
        scratch: ScratchSpace,
    ) -> None:
        """Write the gradients of the inputs of `layer_norm`."""
        part = scratch.empty(dy.shape)
        self.sum_rows(dy, dbeta, scratch)
        np.multiply(dy, normal, out=part)
        self.sum_rows(part, dgamma, scratch)
        np.multiply(part, gamma, out=part)
        across = _row_means(part, scratch)
        np.multiply(dy, gamma, out=dx)
        np.subtract(dx, _row_means(dx, scratch), out=dx)
        np.subtract(dx, np.multiply(normal, across, out=part), out=dx)
        np.multiply(dx, scale[:, None], out=dx)


def _row_means(x: Array, scratch: ScratchSpace) -> Array:
    """Return the mean of each row as `(rows, 1)`, by a matrix product: np.mean is slow here."""
    rows, features = x.shape
    mean = np.dot(x, scratch.ones(features), out=scratch.empty((rows,)))
    return np.divide(mean, features, out=mean)[:, None]
