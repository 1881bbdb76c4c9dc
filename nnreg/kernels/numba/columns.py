"""Statistics of channels over positions, and normalization by them.

Sums of up to `BLOCK_ROWS` rows are in the type of the values, and their totals in float64.
"""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import BLOCK_ROWS
from nnreg.kernels.numba.compile import compiled


@compiled
def column_moments(x: Array, mean: Array, squares: Array) -> None:
    """Write the mean of each channel over the positions, and the sum of (x - mean)²."""
    examples, positions, channels = x.shape
    part, total = np.empty(channels, x.dtype), np.empty(channels, np.float64)
    for n in range(examples):
        total[:] = 0
        for start in range(0, positions, BLOCK_ROWS):
            part[:] = 0
            for row in range(start, min(start + BLOCK_ROWS, positions)):
                for k in range(channels):
                    part[k] += x[n, row, k]
            for k in range(channels):
                total[k] += part[k]
        for k in range(channels):
            mean[n, k] = total[k] / max(positions, 1)
        total[:] = 0
        for start in range(0, positions, BLOCK_ROWS):
            part[:] = 0
            for row in range(start, min(start + BLOCK_ROWS, positions)):
                for k in range(channels):
                    part[k] += (x[n, row, k] - mean[n, k]) * (x[n, row, k] - mean[n, k])
            for k in range(channels):
                total[k] += part[k]
        for k in range(channels):
            squares[n, k] = total[k]


@compiled
def normalize_columns(x: Array, mean: Array, slope: Array, shift: Array, y: Array) -> None:
    """Write (x - mean) · slope + shift to y."""
    examples, positions, channels = x.shape
    for n in range(examples):
        for row in range(positions):
            for k in range(channels):
                y[n, row, k] = (x[n, row, k] - mean[n, k]) * slope[n, k] + shift[n, k]


@compiled
def column_products(dy: Array, x: Array, mean: Array, total: Array, products: Array) -> None:
    """Write the sums over the positions of dy, and of dy · (x - mean)."""
    examples, positions, channels = x.shape
    part, part_of_products = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    sums, sums_of_products = np.empty(channels, np.float64), np.empty(channels, np.float64)
    for n in range(examples):
        sums[:] = 0
        sums_of_products[:] = 0
        for start in range(0, positions, BLOCK_ROWS):
            part[:] = 0
            part_of_products[:] = 0
            for row in range(start, min(start + BLOCK_ROWS, positions)):
                for k in range(channels):
                    part[k] += dy[n, row, k]
                for k in range(channels):
                    part_of_products[k] += dy[n, row, k] * (x[n, row, k] - mean[n, k])
            for k in range(channels):
                sums[k] += part[k]
                sums_of_products[k] += part_of_products[k]
        for k in range(channels):
            total[n, k] = sums[k]
            products[n, k] = sums_of_products[k]


@compiled
def normalize_columns_backward(
    dy: Array, x: Array, mean: Array, slope: Array, change: Array, shift: Array, dx: Array
) -> None:
    """Write dy · slope - (x - mean) · change - shift to dx."""
    examples, positions, channels = x.shape
    for n in range(examples):
        for row in range(positions):
            for k in range(channels):
                centered = x[n, row, k] - mean[n, k]
                dx[n, row, k] = dy[n, row, k] * slope[n, k] - centered * change[n, k] - shift[n, k]
