"""Activations and their derivatives in float32, in one pass over memory."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.functions import erf, exp, sigmoid
from nnreg.kernels.numpy.activations import LARGEST_OF_MISH, Backward, Forward

HALF, ONE, TWO, THREE, FOUR = map(np.float32, (0.5, 1, 2, 3, 4))
FACTOR, CUBE = np.float32(2 * math.sqrt(2 / math.pi)), np.float32(0.044715)
ROOT_OF_HALF = np.float32(math.sqrt(0.5))
NORMAL_DENSITY = np.float32(1 / math.sqrt(2 * math.pi))
LARGEST = np.float32(LARGEST_OF_MISH)


@compiled
def _relu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        y[k] = np.float32(0) if x[k] < 0 else x[k]


@compiled
def _relu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        dx[k] = dy[k] if x[k] > 0 else np.float32(0)


@compiled
def _leaky_relu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    slope = np.float32(parameter)
    for k in range(x.size):
        y[k] = x[k] if x[k] > 0 else slope * x[k]


@compiled
def _leaky_relu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    slope = np.float32(parameter)
    for k in range(x.size):
        dx[k] = dy[k] if x[k] > 0 else slope * dy[k]


@compiled
def _gelu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    """Write x / (1 + exp(-z)), with z = 2 c (x + k x³), which is x (1 + tanh(z/2)) / 2."""
    for k in range(x.size):
        v = x[k]
        y[k] = v * sigmoid(FACTOR * v * (ONE + CUBE * v * v))


@compiled
def _gelu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        v = x[k]
        z = FACTOR * v * (ONE + CUBE * v * v)
        s, rest = sigmoid(z), sigmoid(-z)
        dx[k] = dy[k] * (s + s * rest * FACTOR * v * (ONE + THREE * CUBE * v * v))


@compiled
def _exact_gelu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        y[k] = x[k] * (HALF + HALF * erf(ROOT_OF_HALF * x[k]))


@compiled
def _exact_gelu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        v = x[k]
        density = NORMAL_DENSITY * exp(-HALF * v * v)
        dx[k] = dy[k] * (HALF + HALF * erf(ROOT_OF_HALF * v) + v * density)


@compiled
def _silu(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        y[k] = x[k] * sigmoid(x[k])


@compiled
def _silu_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        s, rest = sigmoid(x[k]), sigmoid(-x[k])
        dx[k] = dy[k] * s * (ONE + x[k] * rest)


@compiled
def _mish(x: Array, y: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        e = exp(LARGEST if x[k] > LARGEST else x[k])
        n = e * (e + TWO)
        y[k] = x[k] * (n / (n + TWO))


@compiled
def _mish_backward(dy: Array, x: Array, dx: Array, parameter: float, spare: Array) -> None:
    for k in range(x.size):
        e = exp(LARGEST if x[k] > LARGEST else x[k])
        n = e * (e + TWO)
        dx[k] = dy[k] * (n + x[k] * FOUR * e * (ONE + e) / (n + TWO)) / (n + TWO)


LOOPS: Mapping[str, tuple[Forward, Backward]] = {
    "relu": (_relu, _relu_backward),
    "leaky_relu": (_leaky_relu, _leaky_relu_backward),
    "gelu": (_gelu, _gelu_backward),
    "exact_gelu": (_exact_gelu, _exact_gelu_backward),
    "silu": (_silu, _silu_backward),
    "mish": (_mish, _mish_backward),
}
