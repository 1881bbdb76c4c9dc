"""Kernels compiled by Numba, which is imported when the first of them runs."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.kernels import Kernels, Pair, ScratchSpace

MAX_COMPILED_LOGITS = 4096
"""Up to this many logits, a compiled loop is faster than NumPy's vectorized exp."""


@cache
def _loops(subject: str) -> ModuleType:
    return importlib.import_module(f"nnreg.kernels.numba.{subject}")


@dataclass(frozen=True)
class NumbaKernels(Kernels):
    """Loops compiled by Numba, each on one core, so that matrix products can use the others.

    NumPy's kernels are used where its vectorized exp and tanh are faster. They need
    `pip install 'nnreg[fast]'`, and are compiled once for each machine, which takes seconds.
    """

    few_calls = True

    @classmethod
    def missing(cls) -> str:
        return "" if importlib.util.find_spec("numba") else "Numba; pip install 'nnreg[fast]'"

    def relu(self, x: Array, bias: Array | None, scratch: ScratchSpace) -> None:
        if bias is None or x.ndim != 2:
            super().relu(x, bias, scratch)
        else:
            _loops("dense").bias_relu(x, bias)

    def relu_backward(
        self, dy: Array, y: Array, dx: Array, dbias: Array | None, scratch: ScratchSpace
    ) -> None:
        if dbias is None or dy.ndim != 2:
            super().relu_backward(dy, y, dx, dbias, scratch)
        else:
            _loops("dense").relu_backward(dy, y, dx, dbias)

    def softmax(self, x: Array, scratch: ScratchSpace) -> None:
        if x.dtype != np.float32:
            super().softmax(x, scratch)
        else:
            _loops("softmax").softmax(x)

    def softmax_backward(self, dy: Array, y: Array, dx: Array, scratch: ScratchSpace) -> None:
        _loops("softmax").softmax_backward(dy, y, dx)

    def softmax_cross_entropy(
        self, z: Array, labels: Array, dz: Array, scratch: ScratchSpace, *, smoothing: float = 0.0
    ) -> float:
        if z.dtype != np.float32 or z.size > MAX_COMPILED_LOGITS:
            return super().softmax_cross_entropy(z, labels, dz, scratch, smoothing=smoothing)
        return float(_loops("softmax").softmax_cross_entropy(z, labels, dz, smoothing))

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
        _loops("normalization").layer_norm(x, gamma, beta, y, normal, scale, x.dtype.type(epsilon))

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
        _loops("normalization").layer_norm_backward(dy, gamma, normal, scale, dx, dgamma, dbeta)

    def adam(
        self,
        parameters: Array,
        gradient: Array,
        m: Array,
        v: Array,
        scratch: ScratchSpace,
        *,
        rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        factors = (beta1, 1 - beta1, beta2, math.sqrt(1 - beta2), epsilon, rate)
        _loops("optimizers").adam(parameters, gradient, m, v, *map(parameters.dtype.type, factors))

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        _loops("convolution").im2col(images, columns, *stride)

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        _loops("convolution").col2im(columns, images, *stride)

    def max_pool(self, x: Array, y: Array, size: Pair, stride: Pair) -> None:
        _loops("pooling").max_pool(x, y, *size, *stride)

    def max_pool_backward(
        self,
        dy: Array,
        x: Array,
        y: Array,
        dx: Array,
        size: Pair,
        stride: Pair,
        scratch: ScratchSpace,
    ) -> None:
        _loops("pooling").max_pool_backward(dy, x, y, dx, *size, *stride)

    def lstm_step(self, z: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
        if z.dtype != np.float32:
            super().lstm_step(z, c, c_next, tanh_c, h_next)
        else:
            _loops("recurrent").lstm_step(z, c, c_next, tanh_c, h_next)

    def lstm_step_backward(
        self,
        dh: Array,
        dc: Array,
        gates: Array,
        c: Array,
        tanh_c: Array,
        dz: Array,
        scratch: ScratchSpace,
    ) -> None:
        _loops("recurrent").lstm_step_backward(dh, dc, gates, c, tanh_c, dz)

    def sum_by_index(self, rows: Array, index: Array, out: Array) -> None:
        _loops("indexing").sum_by_index(rows, index, out)
