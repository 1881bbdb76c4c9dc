"""Activations and losses of a chain of dense layers, for values `(features, batch)`.

The batch is next to each other in memory, so that LLVM vectorizes the loops over it, however few
features there are. `weights` `(batch,)` multiply the losses; they are 0 for what fills up a vector.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from nnreg._types import Array
from nnreg.kernels.numba import functions
from nnreg.kernels.numba.chain_codes import (
    ABSOLUTE_ERROR,
    LEAKY_RELU,
    RELU,
    SIGMOID,
    SQUARED_ERROR,
    TANH,
)
from nnreg.kernels.numba.compile import compiled_exactly, inlined, inlined_in_order


def _exp(x: Any) -> Any:
    """Return e^x for x <= 0, by the vectorized function of its type if there is one."""


def _tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""


def _sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^-x)."""


def _log(x: Any) -> Any:
    """Return log x for x >= 1."""


@inlined_in_order
def _log_float32(x: Any) -> Any:
    """Return log x in float32 within 1e-7 for 1 <= x < infinity, and otherwise infinity or NaN.

    With x = m 2^e, 1/√2 <= m < √2: a polynomial of m - 1, with the coefficients of the Cephes
    library, plus e log 2.
    """
    bits: Any = np.float32(x).view(np.int32)
    e: Any = (bits >> np.int32(23)) - np.int32(126)
    m: Any = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)
    low = m < np.float32(0.70710678118654752)
    e = np.float32(e - np.int32(1)) if low else np.float32(e)
    m = (m + m if low else m) - np.float32(1)
    p = np.float32(7.0376836292e-2) * m + np.float32(-1.1514610310e-1)
    p = p * m + np.float32(1.1676998740e-1)
    p = p * m + np.float32(-1.2420140846e-1)
    p = p * m + np.float32(1.4249322787e-1)
    p = p * m + np.float32(-1.6668057665e-1)
    p = p * m + np.float32(2.0000714765e-1)
    p = p * m + np.float32(-2.4999993993e-1)
    p = p * m + np.float32(3.3333331174e-1)
    square = m * m
    y = p * m * square + np.float32(-2.12194440e-4) * e - np.float32(0.5) * square
    y = m + y + np.float32(0.693359375) * e
    return y if x < np.float32(math.inf) else x


def _define(function: Any, of_float32: Any, of_float64: Any) -> None:
    """Let compiled functions call the one for the type of the argument in place of `function`."""

    @overload(function, jit_options={"forceinline": True})
    def choose(x: Any) -> Any:
        chosen = of_float32 if x == types.float32 else of_float64

        def call(x: Any) -> Any:
            return chosen(x)

        return call


@inlined
def _sigmoid_float64(x: Any) -> Any:
    e = math.exp(-abs(x))
    larger = 1 / (1 + e)
    return e * larger if x < 0 else larger


_define(_exp, functions.exp, math.exp)
_define(_sigmoid, functions.sigmoid, _sigmoid_float64)
_define(_tanh, functions.tanh, math.tanh)
_define(_log, _log_float32, math.log)


@inlined_in_order
def _log1p(x: Any) -> Any:
    """Return log(1 + x) for 0 <= x <= 1, precise for small x: Kahan's correction of the sum."""
    u = x + 1
    return _log(u) * (x / (u - 1)) if u > 1 else x


@inlined
def activate(z: Array, code: int, option: float) -> None:
    """Replace a vector by its activations."""
    kind = z.dtype.type
    zero, slope = kind(0), kind(option)
    if code == RELU:
        for k in range(z.size):
            z[k] = zero if z[k] < zero else z[k]
    elif code == LEAKY_RELU:
        for k in range(z.size):
            z[k] = z[k] if z[k] > zero else slope * z[k]
    elif code == TANH:
        for k in range(z.size):
            z[k] = _tanh(z[k])
    elif code == SIGMOID:
        for k in range(z.size):
            z[k] = _sigmoid(z[k])


@compiled_exactly
def activate_backward(dy: Array, y: Array, code: int, option: float) -> None:
    """Multiply dy by the derivative of the activation, which is a function of its value y."""
    kind = y.dtype.type
    zero, one, slope = kind(0), kind(1), kind(option)
    if code == RELU:
        for k in range(y.size):
            dy[k] = dy[k] if y[k] > zero else zero
    elif code == LEAKY_RELU:
        for k in range(y.size):
            dy[k] = dy[k] if y[k] > zero else slope * dy[k]
    elif code == TANH:
        for k in range(y.size):
            dy[k] *= one - y[k] * y[k]
    elif code == SIGMOID:
        for k in range(y.size):
            dy[k] *= y[k] * (one - y[k])


@inlined
def cross_entropy(
    z: Array, dz: Array, labels: Array, weights: Array, scratch: Array, smoothing: float, rows: int
) -> float:
    """Return the sum of weights · losses of logits z, and write its gradient to dz.

    `labels` are those of the first `rows` columns; `scratch` `(2, batch)` is overwritten.
    """
    classes, width = z.shape
    kind = z.dtype.type
    at_label, everywhere = kind(1 - smoothing), kind(smoothing / classes)
    top, total = scratch[0], scratch[1]
    for b in range(width):
        top[b], total[b] = z[0, b], 0
    for c in range(1, classes):
        values = z[c]
        for b in range(width):
            top[b] = values[b] if values[b] > top[b] else top[b]
    for c in range(classes):
        values, out = z[c], dz[c]
        for b in range(width):
            out[b] = _exp(values[b] - top[b])
        for b in range(width):
            total[b] += out[b]
    loss = 0.0
    for b in range(rows):
        loss += weights[b] * at_label * (top[b] - z[labels[b], b])
    for b in range(width):
        loss += weights[b] * _log(total[b])
    for b in range(width):
        total[b] = weights[b] / total[b]
    for c in range(classes):
        out = dz[c]
        for b in range(width):
            out[b] *= total[b]
    for b in range(rows):
        dz[labels[b], b] -= at_label * weights[b]
    if smoothing > 0:
        for c in range(classes):
            values, out = z[c], dz[c]
            for b in range(width):
                loss += weights[b] * everywhere * (top[b] - values[b])
                out[b] -= everywhere * weights[b]
    return loss


@inlined
def binary_cross_entropy(z: Array, dz: Array, t: Array, weights: Array, smoothing: float) -> float:
    """Return the sum of weights · losses of logits z, and write its gradient to dz."""
    kind = z.dtype.type
    zero, kept, added = kind(0), kind(1 - smoothing), kind(smoothing / 2)
    loss = 0.0
    for c in range(z.shape[0]):
        values, marks, out = z[c], t[c], dz[c]
        for b in range(values.size):
            mark = marks[b] * kept + added
            e = _exp(-abs(values[b]))
            top = values[b] if values[b] > zero else zero
            loss += weights[b] * (top - values[b] * mark + _log1p(e))
            out[b] = weights[b] * (_sigmoid(values[b]) - mark)
    return loss


@inlined
def error(z: Array, dz: Array, t: Array, weights: Array, code: int, option: float) -> float:
    """Return the sum of weights · losses of outputs z, and write its gradient to dz."""
    kind = z.dtype.type
    one, half, delta = kind(1), kind(0.5), kind(option)
    loss = 0.0
    for c in range(z.shape[0]):
        values, marks, out = z[c], t[c], dz[c]
        if code == SQUARED_ERROR:
            for b in range(values.size):
                d = values[b] - marks[b]
                loss += weights[b] * (d * d)
                out[b] = weights[b] * (d + d)
        elif code == ABSOLUTE_ERROR:
            for b in range(values.size):
                d = values[b] - marks[b]
                loss += weights[b] * abs(d)
                sign = one if d > 0 else (-one if d < 0 else d)
                out[b] = weights[b] * sign
        else:
            for b in range(values.size):
                d = values[b] - marks[b]
                clipped = delta if d > delta else (-delta if d < -delta else d)
                loss += weights[b] * (clipped * (d - half * clipped))
                out[b] = weights[b] * clipped
    return loss
