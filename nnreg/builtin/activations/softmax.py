"""Activations over the last axis: probabilities, or their logarithms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.activation import Activation, Backward
from nnreg.interfaces.context import Context


@dataclass(frozen=True)
class Softmax(Activation):
    """Probabilities over the last axis.

    y_i = exp(x_i) / Σ_j exp(x_j)

    Bridle 1990.
    """

    range = (0.0, 1.0)
    sums_to_one = True

    def forward(self, x: Array) -> tuple[Array, Backward]:
        e = np.exp(x - np.max(x, axis=-1, keepdims=True))
        y = e / np.sum(e, axis=-1, keepdims=True)
        return y, lambda dy: y * (dy - np.sum(dy * y, axis=-1, keepdims=True))

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        rows = x.reshape(-1, x.shape[-1])
        context.kernels.softmax(rows, context.workspace)

        def backward(dy: Array) -> Array:
            dx = context.empty(rows.shape)
            context.kernels.softmax_backward(dy.reshape(rows.shape), rows, dx, context.workspace)
            return dx.reshape(x.shape)

        return x, backward


@dataclass(frozen=True)
class LogSoftmax(Activation):
    """Logarithms of probabilities over the last axis.

    y_i = x_i - log Σ_j exp(x_j)

    For the loss nll.
    """

    range = (-math.inf, 0.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        shifted = x - np.max(x, axis=-1, keepdims=True)
        y = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
        return y, lambda dy: dy - np.exp(y) * np.sum(dy, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Softmin(Activation):
    """Probabilities over the last axis, the largest for the smallest input.

    y_i = exp(-x_i) / Σ_j exp(-x_j)

    Keras does not have it.
    """

    range = (0.0, 1.0)
    sums_to_one = True

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y, backward = Softmax().forward(-x)
        return y, lambda dy: -backward(dy)


@dataclass(frozen=True)
class Sparsemax(Activation):
    """Probabilities over the last axis of which many are exactly 0.

    y_i = max(x_i - τ, 0), with the τ for which they sum to 1

    PyTorch does not have it, and Keras's is wrong up to 3.15. Martins and Astudillo 2016.
    """

    range = (0.0, 1.0)
    sums_to_one = True

    def forward(self, x: Array) -> tuple[Array, Backward]:
        shifted = x - np.max(x, axis=-1, keepdims=True)
        sums = np.cumsum(-np.sort(-shifted, axis=-1), axis=-1) - 1
        counts = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
        y: Array = np.maximum(shifted - np.max(sums / counts, axis=-1, keepdims=True), 0)
        positive = (y > 0).astype(x.dtype)

        def backward(dy: Array) -> Array:
            kept = dy * positive
            total = np.sum(positive, axis=-1, keepdims=True)
            dx: Array = kept - positive * (np.sum(kept, axis=-1, keepdims=True) / total)
            return dx

        return y, backward
