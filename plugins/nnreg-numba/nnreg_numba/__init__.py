"""Compiled inner loops for nnreg. Numba is imported when the first of them runs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from nnreg import Array, Kernels, hookimpl
from nnreg.interfaces.kernels import Pair, ScratchSpace

MAX_COMPILED_LOGITS = 4096
"""Up to this many logits, a compiled loop is faster than NumPy's vectorized exp."""


@functools.cache
def _loops() -> ModuleType:
    from nnreg_numba import loops

    return loops


@dataclass(frozen=True)
class NumbaKernels(Kernels):
    """Loops compiled by Numba, each on one core, so that matrix products can use the others.

    NumPy's kernels are used where its vectorized exp and tanh are faster.
    """

    few_calls = True

    def relu(self, x: Array, bias: Array | None, scratch: ScratchSpace) -> None:
        if bias is None or x.ndim != 2:
            super().relu(x, bias, scratch)
        else:
            _loops().bias_relu(x, bias)

    def relu_backward(
        self, dy: Array, y: Array, dx: Array, dbias: Array | None, scratch: ScratchSpace
    ) -> None:
        if dbias is None or dy.ndim != 2:
            super().relu_backward(dy, y, dx, dbias, scratch)
        else:
            _loops().relu_backward(dy, y, dx, dbias)

    def softmax(self, x: Array, scratch: ScratchSpace) -> None:
        if x.dtype != np.float32:
            super().softmax(x, scratch)
        else:
            _loops().softmax(x)

    def softmax_backward(self, dy: Array, y: Array, dx: Array, scratch: ScratchSpace) -> None:
        _loops().softmax_backward(dy, y, dx)

    def softmax_cross_entropy(
        self, z: Array, labels: Array, dz: Array, scratch: ScratchSpace, *, smoothing: float = 0.0
    ) -> float:
        if z.dtype != np.float32 or z.size > MAX_COMPILED_LOGITS:
            return super().softmax_cross_entropy(z, labels, dz, scratch, smoothing=smoothing)
        return float(_loops().softmax_cross_entropy(z, labels, dz, smoothing))

    def layer_norm(self, x, gamma, beta, y, normal, scale, epsilon, scratch: ScratchSpace) -> None:
        _loops().layer_norm(x, gamma, beta, y, normal, scale, x.dtype.type(epsilon))

    def layer_norm_backward(
        self, dy, gamma, normal, scale, dx, dgamma, dbeta, scratch: ScratchSpace
    ) -> None:
        _loops().layer_norm_backward(dy, gamma, normal, scale, dx, dgamma, dbeta)

    def adam(self, parameters, gradient, m, v, scratch, *, rate, beta1, beta2, epsilon) -> None:
        factors = (beta1, 1 - beta1, beta2, math.sqrt(1 - beta2), epsilon, rate)
        _loops().adam(parameters, gradient, m, v, *map(parameters.dtype.type, factors))

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        _loops().im2col(images, columns, *stride)

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        _loops().col2im(columns, images, *stride)

    def max_pool(self, x: Array, y: Array, size: Pair, stride: Pair) -> None:
        _loops().max_pool(x, y, *size, *stride)

    def max_pool_backward(
        self, dy, x, y, dx, size: Pair, stride: Pair, scratch: ScratchSpace
    ) -> None:
        _loops().max_pool_backward(dy, x, y, dx, *size, *stride)

    def lstm_step(self, z: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
        if z.dtype != np.float32:
            super().lstm_step(z, c, c_next, tanh_c, h_next)
        else:
            _loops().lstm_step(z, c, c_next, tanh_c, h_next)

    def lstm_step_backward(
        self, dh, dc, gates, c, tanh_c, dz: Array, scratch: ScratchSpace
    ) -> None:
        _loops().lstm_step_backward(dh, dc, gates, c, tanh_c, dz)

    def sum_by_index(self, rows: Array, index: Array, out: Array) -> None:
        _loops().sum_by_index(rows, index, out)


@hookimpl
def nnreg_kernels() -> dict[str, type[Kernels]]:
    """Return the compiled kernels by name."""
    return {"numba": NumbaKernels}
