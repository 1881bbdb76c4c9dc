"""Activations and their derivatives in float32, in one pass over memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.functions import erf, exp, tanh

Loop = Callable[..., Any]

ONE, HALF, TWO, FOUR = np.float32(1), np.float32(0.5), np.float32(2), np.float32(4)
SLOPE_OF_GELU = np.float32(math.sqrt(2 / math.pi))
CUBE_OF_GELU = np.float32(0.044715)
ROOT_OF_HALF = np.float32(math.sqrt(0.5))
NORMAL_DENSITY = np.float32(1 / math.sqrt(2 * math.pi))
LARGEST_OF_MISH = np.float32(20)


@compiled
def relu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        y[k] = np.float32(0) if x[k] < 0 else x[k]


@compiled
def relu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        dx[k] = dy[k] if x[k] > 0 else np.float32(0)


@compiled
def leaky_relu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    slope = np.float32(parameter)
    for k in range(x.size):
        y[k] = x[k] if x[k] > 0 else slope * x[k]


@compiled
def leaky_relu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    slope = np.float32(parameter)
    for k in range(x.size):
        dx[k] = dy[k] if x[k] > 0 else slope * dy[k]


@compiled
def gelu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        v = x[k]
        y[k] = v * (HALF + HALF * tanh(SLOPE_OF_GELU * v * (ONE + CUBE_OF_GELU * v * v)))


@compiled
def gelu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        v = x[k]
        t = tanh(SLOPE_OF_GELU * v * (ONE + CUBE_OF_GELU * v * v))
        inner = HALF * SLOPE_OF_GELU * v * (ONE + np.float32(3) * CUBE_OF_GELU * v * v)
        dx[k] = dy[k] * (ONE + t) * (HALF + inner * (ONE - t))


@compiled
def exact_gelu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        y[k] = x[k] * (HALF + HALF * erf(ROOT_OF_HALF * x[k]))


@compiled
def exact_gelu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        v = x[k]
        density = NORMAL_DENSITY * exp(-HALF * v * v)
        dx[k] = dy[k] * (HALF + HALF * erf(ROOT_OF_HALF * v) + v * density)


@compiled
def silu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        y[k] = x[k] * (HALF + HALF * tanh(HALF * x[k]))


@compiled
def silu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        s = HALF + HALF * tanh(HALF * x[k])
        dx[k] = dy[k] * s * (ONE + x[k] * (ONE - s))


@compiled
def mish(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        e = exp(LARGEST_OF_MISH if x[k] > LARGEST_OF_MISH else x[k])
        n = e * (e + TWO)
        y[k] = x[k] * (n / (n + TWO))


@compiled
def mish_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        e = exp(LARGEST_OF_MISH if x[k] > LARGEST_OF_MISH else x[k])
        n = e * (e + TWO)
        dx[k] = dy[k] * (n + x[k] * FOUR * e * (ONE + e) / (n + TWO)) / (n + TWO)


LOOPS: Mapping[str, tuple[Loop, Loop]] = {
    "relu": (relu, relu_backward),
    "leaky_relu": (leaky_relu, leaky_relu_backward),
    "gelu": (gelu, gelu_backward),
    "exact_gelu": (exact_gelu, exact_gelu_backward),
    "silu": (silu, silu_backward),
    "mish": (mish, mish_backward),
}
