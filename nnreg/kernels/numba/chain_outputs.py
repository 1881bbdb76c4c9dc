"""The outputs of a chain of dense layers for a few rows, compiled once for all chains."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.chain_functions import _exp, activate
from nnreg.kernels.numba.compile import compiled

FEATURES, UNITS, WEIGHT, BIAS, ACTIVATION = range(5)
"""The columns of the plan, see `outputs`."""


@compiled
def _layer(x: Array, parameters: Array, weight: int, bias: int, z: Array) -> None:
    """Write x · weight + bias to z. Four rows of the weight at a time: z is read less often."""
    units = z.size
    if bias < 0:
        z[:] = 0
    else:
        for k in range(units):
            z[k] = parameters[bias + k]
    whole = x.size // 4 * 4
    for f in range(0, whole, 4):
        a, b, c, d = x[f], x[f + 1], x[f + 2], x[f + 3]
        first = parameters[weight + f * units : weight + (f + 1) * units]
        second = parameters[weight + (f + 1) * units : weight + (f + 2) * units]
        third = parameters[weight + (f + 2) * units : weight + (f + 3) * units]
        fourth = parameters[weight + (f + 3) * units : weight + (f + 4) * units]
        for k in range(units):
            z[k] += a * first[k] + b * second[k] + c * third[k] + d * fourth[k]
    for f in range(whole, x.size):
        row = parameters[weight + f * units : weight + (f + 1) * units]
        for k in range(units):
            z[k] += x[f] * row[k]


@compiled
def _softmax(z: Array) -> None:
    top = z[0]
    for k in range(1, z.size):
        top = max(top, z[k])
    for k in range(z.size):
        z[k] = _exp(z[k] - top)
    total = z.dtype.type(0)
    for k in range(z.size):
        total += z[k]
    for k in range(z.size):
        z[k] /= total


@compiled
def outputs(
    plan: Array, options: Array, softmax: bool, parameters: Array, x: Array, out: Array
) -> bool:
    """Write the outputs `(rows, units)` for x `(rows, features)`; return whether all are finite.

    That is, the values of x too. Each row of the `plan` is a layer: its features and units, where
    its weight and its bias begin (-1 without), and the code of its activation. The last is that of
    the output, without the rest. `options` are those of the activations.
    """
    layers = plan.shape[0] - 1
    work = np.empty((2, plan[:, UNITS].max()), x.dtype)
    check = x.dtype.type(0)  # becomes NaN
    for row in range(x.shape[0]):
        read = x[row]
        for f in range(read.size):
            check += read[f] * x.dtype.type(0)
        for layer in range(layers):
            z = work[layer % 2, : plan[layer, UNITS]] if layer < layers - 1 else out[row]
            _layer(read, parameters, plan[layer, WEIGHT], plan[layer, BIAS], z)
            activate(z, plan[layer, ACTIVATION], options[layer])
            read = z
        if softmax:
            _softmax(read)
        else:
            activate(read, plan[layers, ACTIVATION], options[layers])
        for k in range(read.size):
            check += read[k] * x.dtype.type(0)
    return bool(check == 0)
