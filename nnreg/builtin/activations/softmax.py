"""Activations over the last axis: probabilities, or their logarithms."""

from __future__ import annotations

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
