"""The outputs of a chain of dense layers, compiled once for all chains."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.chain_codes import RELU
from nnreg.kernels.numba.chain_functions import _exp, activate
from nnreg.kernels.numba.compile import compiled, inlined
from nnreg.kernels.numba.softmax import largest_of_rows
from nnreg.kernels.numba.tiles import product

FEATURES, UNITS, WEIGHT, BIAS, ACTIVATION = range(5)
"""The columns of the plan, see `outputs`."""

BLOCK_ROWS = 48
"""How many rows pass all layers together, so that their values stay in the cache: whole tiles."""


@inlined
def _softmax(z: Array, tops: Array) -> None:
    """Replace each row by its softmax; the exponentials of all rows are one vectorized loop."""
    one, (rows, units) = z.dtype.type(1), z.shape
    largest_of_rows(z, tops)
    for row in range(rows):
        for k in range(units):
            z[row, k] -= tops[row]
    values = z.reshape(-1)
    for k in range(values.size):
        values[k] = _exp(values[k])
    for row in range(rows):
        total = z.dtype.type(0)
        for k in range(units):
            total += z[row, k]
        factor = one / total
        for k in range(units):
            z[row, k] *= factor


@compiled
def outputs(
    plan: Array, options: Array, softmax: bool, parameters: Array, x: Array, out: Array
) -> bool:
    """Write the outputs `(rows, units)` for x `(rows, features)`; return whether all are finite.

    That is, the values of x too. Each row of the `plan` is a layer: its features and units, where
    its weight and its bias begin (-1 without), and the code of its activation. The last is that of
    the output, without the rest. `options` are those of the activations.
    """
    layers, zero = plan.shape[0] - 1, x.dtype.type(0)
    widest = plan[:, UNITS].max()
    work = np.empty((2, min(x.shape[0], BLOCK_ROWS) * widest), x.dtype)
    no_bias, check = np.zeros(widest, x.dtype), zero  # the latter becomes NaN
    for start in range(0, x.shape[0], BLOCK_ROWS):
        rows = min(x.shape[0] - start, BLOCK_ROWS)
        read = x[start : start + rows].reshape(-1)
        for k in range(read.size):
            check += read[k] * zero
        for layer in range(layers):
            features, units, bias = plan[layer, FEATURES], plan[layer, UNITS], plan[layer, BIAS]
            if layer < layers - 1:
                z = work[layer % 2, : rows * units]
            else:
                z = out[start : start + rows].reshape(-1)
            relu = plan[layer, ACTIVATION] == RELU
            product(
                z, 0, units, read, 0, features, 1, parameters, plan[layer, WEIGHT], units,
                no_bias if bias < 0 else parameters, max(bias, 0), rows, units, features, relu,
            )  # fmt: skip
            if not relu:
                activate(z, plan[layer, ACTIVATION], options[layer])
            read = z
        if softmax:
            _softmax(out[start : start + rows], work[(layers - 1) % 2])
        else:
            activate(read, plan[layers, ACTIVATION], options[layers])
        for k in range(read.size):
            check += read[k] * zero
    return bool(check == 0)
