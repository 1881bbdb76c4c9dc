"""Activations in place, in blocks that stay in the cache.

The results are those of the components, bit-identical.

Each is two functions of vectors: one of x writes y, and one of ∂loss/∂y and x writes ∂loss/∂x.
`parameter` is the option of those that have one, `spare` three vectors for temporary values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg.kernels.blocks import BLOCK_VALUES, row_blocks
from nnreg.kernels.numpy.dense import DenseKernels
from nnreg.kernels.scratch import ScratchSpace

Forward: TypeAlias = Callable[[Array, Array, float, Array], Any]
Backward: TypeAlias = Callable[[Array, Array, Array, float, Array], Any]

LARGEST_OF_MISH = 20.0
"""mish(x) is x from here on; the fourth power of its exponential is finite in float32."""


class ActivationKernels(DenseKernels):
    """The activations whose derivative is computed from the input again, which costs no memory."""

    min_activated_values: ClassVar[int] = 1 << 15
    """The size from which on this is faster than the formula of the activation, which makes new
    arrays in fewer calls."""

    def activate(
        self,
        name: str,
        parameter: float,
        x: Array,
        bias: Array | None,
        y: Array,
        scratch: ScratchSpace,
    ) -> None:
        """Add `bias`, if any, to each row of x `(rows, features)`, and write its activation to y.

        `name` is one of `ACTIVATIONS`.
        """
        forward, _ = self._activation(name, x.dtype)
        if x.size <= BLOCK_VALUES:
            if bias is not None:
                self.add_bias(x, bias, scratch)
            forward(x.reshape(-1), y.reshape(-1), parameter, scratch.empty((3, x.size)))
            return
        blocks = row_blocks(*x.shape)
        spare = scratch.empty((3, blocks[0].stop * x.shape[1]))
        for block in blocks:
            if bias is not None:
                self.add_bias(x[block], bias, scratch)
            values = x[block].reshape(-1)
            forward(values, y[block].reshape(-1), parameter, spare[:, : len(values)])

    def activate_backward(
        self,
        name: str,
        parameter: float,
        dy: Array,
        x: Array,
        dx: Array,
        dbias: Array | None,
        scratch: ScratchSpace,
    ) -> None:
        """Write ∂loss/∂x to dx, and its sum over the rows to dbias."""
        _, backward = self._activation(name, x.dtype)
        if x.size <= BLOCK_VALUES:
            vectors = dy.reshape(-1), x.reshape(-1), dx.reshape(-1)
            backward(*vectors, parameter, scratch.empty((3, x.size)))
            if dbias is not None:
                self.sum_rows(dx, dbias, scratch)
            return
        blocks = row_blocks(*x.shape)
        spare = scratch.empty((3, blocks[0].stop * x.shape[1]))
        sums = scratch.empty((len(blocks), x.shape[1]))
        for block, total in zip(blocks, sums, strict=True):
            values = x[block].reshape(-1)
            part = spare[:, : len(values)]
            backward(dy[block].reshape(-1), values, dx[block].reshape(-1), parameter, part)
            if dbias is not None:
                self.sum_rows(dx[block], total, scratch)
        if dbias is not None:
            self.sum_rows(sums, dbias, scratch)

    def _activation(self, name: str, dtype: npt.DTypeLike) -> tuple[Forward, Backward]:
        """Return the two functions; a set with loops for some of them overrides this."""
        return ACTIVATIONS[name]


def _relu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    np.maximum(x, 0, out=y)


def _relu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    np.greater(x, 0, out=dx)
    np.multiply(dx, dy, out=dx)


def _leaky_relu(x: Array, y: Array, slope: float, spare: Array) -> None:
    np.multiply(x, slope, out=y)
    np.maximum(y, x, out=y)


def _leaky_relu_backward(dy: Array, x: Array, dx: Array, slope: float, spare: Array) -> None:
    positive, part, _ = spare
    np.greater(x, 0, out=positive)
    np.subtract(1, positive, out=part)
    np.multiply(part, slope, out=part)
    np.add(part, positive, out=part)
    np.multiply(part, dy, out=dx)


def _elu(x: Array, y: Array, alpha: float, spare: Array) -> None:
    (part, *_) = spare
    np.minimum(x, 0, out=part)
    np.expm1(part, out=part)
    np.multiply(part, alpha, out=part)
    np.maximum(x, 0, out=y)
    np.add(y, part, out=y)


def _elu_backward(dy: Array, x: Array, dx: Array, alpha: float, spare: Array) -> None:
    part, positive, negative = spare
    np.minimum(x, 0, out=part)
    np.exp(part, out=part)
    np.multiply(part, alpha, out=part)
    if alpha != 1:
        np.greater(x, 0, out=positive)
        np.subtract(1, positive, out=negative)
        np.multiply(part, negative, out=part)
        np.add(part, positive, out=part)
    np.multiply(part, dy, out=dx)


def _sigmoid(x: Array, out: Array) -> None:
    """Write 1 / (1 + exp(-x)), which cannot overflow as (1 + tanh(x/2)) / 2."""
    np.multiply(x, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    np.add(out, 0.5, out=out)


def _silu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    _sigmoid(x, y)
    np.multiply(y, x, out=y)


def _silu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    s, part, _ = spare
    _sigmoid(x, s)
    np.multiply(x, s, out=part)
    np.subtract(1, s, out=dx)
    np.multiply(part, dx, out=part)
    np.add(part, s, out=part)
    np.multiply(part, dy, out=dx)


GELU_FACTOR, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def _gelu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    """Write x (1 + tanh(c (x + k x³))) / 2."""
    np.multiply(x, x, out=y)
    np.multiply(y, GELU_FACTOR * GELU_CUBE, out=y)
    np.add(y, GELU_FACTOR, out=y)
    np.multiply(y, x, out=y)
    np.tanh(y, out=y)
    np.multiply(y, 0.5, out=y)
    np.add(y, 0.5, out=y)
    np.multiply(y, x, out=y)


def _gelu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    """With t = tanh(…), write dy (1 + t + (1 - t²) c (x + 3 k x³)) / 2."""
    squares, t, part = spare
    np.multiply(x, x, out=squares)
    np.multiply(squares, GELU_FACTOR * GELU_CUBE, out=t)
    np.add(t, GELU_FACTOR, out=t)
    np.multiply(t, x, out=t)
    np.tanh(t, out=t)
    np.multiply(squares, 1.5 * GELU_FACTOR * GELU_CUBE, out=squares)
    np.add(squares, 0.5 * GELU_FACTOR, out=squares)
    np.multiply(squares, x, out=squares)
    np.multiply(t, t, out=part)
    np.subtract(1, part, out=part)
    np.multiply(part, squares, out=part)
    np.multiply(t, 0.5, out=t)
    np.add(t, 0.5, out=t)
    np.add(part, t, out=part)
    np.multiply(part, dy, out=dx)


def _exact_gelu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    """Write x (1 + erf(x / √2)) / 2."""
    cdf, *others = spare
    normal_cdf(x, cdf, others)
    np.multiply(cdf, x, out=y)


def _exact_gelu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    """With the distribution function and the density of the normal, write dy (Φ(x) + x φ(x))."""
    cdf, *others = spare
    normal_cdf(x, cdf, others)
    part = others[0]
    np.clip(x, -40, 40, out=part)  # whose squares do not overflow
    np.multiply(part, part, out=part)
    np.multiply(part, -0.5, out=part)
    np.exp(part, out=part)
    np.multiply(part, 1 / math.sqrt(2 * math.pi), out=part)
    np.multiply(part, x, out=part)
    np.add(part, cdf, out=part)
    np.multiply(part, dy, out=dx)


ERF_NUMERATOR = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
ERF_DENOMINATOR = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip
"""The coefficients of erf in float32 of the Eigen library, within 4e-7."""


def normal_cdf(x: Array, out: Array, spare: Sequence[Array]) -> None:
    """Write (1 + erf(x / √2)) / 2: in float32 by a rational function, otherwise by math.erf."""
    np.multiply(x, math.sqrt(0.5), out=out)
    if out.dtype == np.float32:
        squares, numerator = spare
        np.clip(out, -4, 4, out=out)
        np.multiply(out, out, out=squares)
        _polynomial(squares, ERF_NUMERATOR, numerator)
        np.multiply(numerator, out, out=numerator)
        _polynomial(squares, ERF_DENOMINATOR, out)
        np.divide(numerator, out, out=out)
    else:
        out[...] = np.frompyfunc(math.erf, 1, 1)(out)
    np.multiply(out, 0.5, out=out)
    np.add(out, 0.5, out=out)


def _polynomial(x: Array, coefficients: Sequence[float], out: Array) -> None:
    """Write a polynomial, whose coefficients are from the highest power to the lowest."""
    first, *others, last = coefficients
    np.multiply(x, first, out=out)
    for coefficient in others:
        np.add(out, coefficient, out=out)
        np.multiply(out, x, out=out)
    np.add(out, last, out=out)


def _mish(x: Array, y: Array, parameter: float, spare: Array) -> None:
    """With n = e^x (e^x + 2), write x n / (n + 2), which is x tanh(log(1 + e^x))."""
    n, part, _ = spare
    np.minimum(x, LARGEST_OF_MISH, out=part)
    np.exp(part, out=part)
    np.add(part, 2, out=n)
    np.multiply(n, part, out=n)
    np.add(n, 2, out=part)
    np.divide(n, part, out=n)
    np.multiply(n, x, out=y)


def _mish_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    """Write dy (n + 4 x e^x (e^x + 1) / (n + 2)) / (n + 2)."""
    e, product, n = spare
    np.minimum(x, LARGEST_OF_MISH, out=e)
    np.exp(e, out=e)
    np.add(e, 1, out=product)
    np.multiply(product, e, out=product)
    np.add(e, 2, out=n)
    np.multiply(n, e, out=n)
    np.add(n, 2, out=e)
    np.multiply(product, 4, out=product)
    np.multiply(product, x, out=product)
    np.divide(product, e, out=product)
    np.add(product, n, out=product)
    np.divide(product, e, out=product)
    np.multiply(product, dy, out=dx)


def _softplus(x: Array, y: Array, parameter: float, spare: Array) -> None:
    """Write max(x, 0) + log(1 + exp(-|x|))."""
    (part, *_) = spare
    np.abs(x, out=part)
    np.negative(part, out=part)
    np.exp(part, out=part)
    np.log1p(part, out=part)
    np.maximum(x, 0, out=y)
    np.add(y, part, out=y)


def _softplus_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    _sigmoid(x, dx)
    np.multiply(dx, dy, out=dx)


ACTIVATIONS: Mapping[str, tuple[Forward, Backward]] = {
    "relu": (_relu, _relu_backward),
    "leaky_relu": (_leaky_relu, _leaky_relu_backward),
    "elu": (_elu, _elu_backward),
    "silu": (_silu, _silu_backward),
    "gelu": (_gelu, _gelu_backward),
    "exact_gelu": (_exact_gelu, _exact_gelu_backward),
    "mish": (_mish, _mish_backward),
    "softplus": (_softplus, _softplus_backward),
}
"""The functions of each activation by its name."""
