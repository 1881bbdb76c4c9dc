"""Normalization of each row by its own mean and size."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.blocks import row_blocks
from nnreg.kernels.numpy.dense import DenseKernels
from nnreg.kernels.scratch import ScratchSpace


class NormalizationKernels(DenseKernels):
    """Loops over `(rows, features)` that are normalized row by row, in blocks of rows."""

    def layer_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array | None,
        y: Array,
        mean: Array | None,
        scale: Array,
        epsilon: float,
        scratch: ScratchSpace,
    ) -> None:
        """Normalize each row of `(rows, features)`: y = gamma · (x - mean) · scale + beta.

        scale `(rows,)` = 1 / √(variance + epsilon). Without `mean` and `beta`, both are 0, and the
        variance is the mean square.
        """
        rows, features = x.shape
        ones = scratch.ones(features)
        blocks = row_blocks(rows, features)
        squares = scratch.empty((blocks[0].stop, features))
        for block in blocks:
            values, normal, column = x[block], y[block], scale[block]
            part = squares[: len(values)]
            if mean is not None:
                _row_means(values, ones, mean[block])
                values = np.subtract(values, mean[block, None], out=normal)
            np.multiply(values, values, out=part)
            _row_means(part, ones, column)
            np.add(column, epsilon, out=column)
            np.sqrt(column, out=column)
            np.divide(1, column, out=column)
            np.multiply(values, column[:, None], out=normal)
            np.multiply(normal, gamma, out=normal)
            if beta is not None:
                np.add(normal, beta, out=normal)

    def layer_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array | None,
        scale: Array,
        dx: Array,
        dgamma: Array,
        dbeta: Array | None,
        scratch: ScratchSpace,
    ) -> None:
        """Write the gradients of the inputs of `layer_norm`."""
        rows, features = dy.shape
        blocks = row_blocks(rows, features)
        height = blocks[0].stop
        spare, columns = scratch.empty((2, height, features)), scratch.empty((height,))
        sums = scratch.empty((2, len(blocks), features))
        for block, gammas, betas in zip(blocks, *sums, strict=True):
            g, own, column = dy[block], dx[block], scale[block, None]
            normal, part = spare[:, : len(g)]
            values, across = x[block], columns[: len(g)]
            if mean is not None:
                self.sum_rows(g, betas, scratch)
                values = np.subtract(values, mean[block, None], out=normal)
            np.multiply(values, column, out=normal)
            np.multiply(g, normal, out=part)
            self.sum_rows(part, gammas, scratch)
            _row_means(part, gamma, across)
            np.multiply(normal, across[:, None], out=normal)
            if mean is not None:
                _row_means(g, gamma, across)
                np.add(normal, across[:, None], out=normal)
            np.multiply(g, gamma, out=own)
            np.subtract(own, normal, out=own)
            np.multiply(own, column, out=own)
        self.sum_rows(sums[0], dgamma, scratch)
        if dbeta is not None:
            self.sum_rows(sums[1], dbeta, scratch)


def _row_means(x: Array, weights: Array, out: Array) -> None:
    """Write the mean of x · weights of each row, by a matrix product: np.mean is slow here."""
    np.dot(x, weights, out=out)
    np.divide(out, len(weights), out=out)
