"""The steps of an LSTM, with their matrix products, in float32."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled, inlined
from nnreg.kernels.numba.functions import tanh
from nnreg.kernels.numba.tiles import product
from nnreg.kernels.numba.vectors import VECTOR_BYTES
from nnreg.kernels.numpy.recurrent import CLEARED_EVERY, vanished
from nnreg.kernels.scratch import ScratchSpace

MIN_BATCH = VECTOR_BYTES // 4
"""The least number of sequences whose products the tiles can compute."""

BLOCK = 2048
"""The values of each array that the loops of an LSTM process at a time, to fit into the cache."""


@inlined
def products(w: Array, depth: int, a: Array, a0: int, z: Array, z0: int, batch: int) -> None:
    """Write w · a for w `(rows, depth)`."""
    rows = w.size // depth
    product(
        z, z0, batch, w, 0, depth, 1, a, a0, batch, None, 0, rows, batch, depth, False
    )  # fmt: skip


@inlined
def tanh_of_row(x: Array) -> None:
    """Replace x by tanh(x)."""
    for k in range(x.size):
        x[k] = tanh(x[k])


@inlined
def sigmoid_of_row(x: Array) -> None:
    """Replace x by (1 + tanh(x)) / 2."""
    half = np.float32(0.5)
    for k in range(x.size):
        x[k] = half + half * tanh(x[k])


@compiled
def lstm_steps(transposed: Array, below: Array, states: Array, tanh_c: Array) -> None:
    """Make the steps of `Kernels.lstm_steps` for the weights of `halved`, without a projection.

    One loop per function, because a single loop over all arrays would not be vectorized.
    """
    time, units, batch = tanh_c.shape
    depth, size = transposed.shape[1], units * batch
    w, x, values, tanhs = (
        transposed.reshape(-1), below.reshape(-1), states.reshape(-1), tanh_c.reshape(-1)
    )  # fmt: skip
    for s in range(time):
        first = 5 * s * size
        products(w, depth, x, s * depth * batch, values, first, batch)
        gates, h_next = values[first : first + 5 * size], x[(s + 1) * depth * batch :]
        c_next = values[first + 9 * size : first + 10 * size]
        for start in range(0, size, BLOCK):
            stop = min(start + BLOCK, size)
            o, i = gates[start:stop], gates[size + start : size + stop]
            f, g = (
                gates[2 * size + start : 2 * size + stop],
                gates[3 * size + start : 3 * size + stop],
            )
            c, a = gates[4 * size + start : 4 * size + stop], c_next[start:stop]
            t, h = tanhs[s * size + start : s * size + stop], h_next[start:stop]
            sigmoid_of_row(o)
            sigmoid_of_row(i)
            sigmoid_of_row(f)
            tanh_of_row(g)
            for k in range(i.size):
                a[k] = f[k] * c[k] + i[k] * g[k]
            for k in range(i.size):
                t[k] = a[k]
            tanh_of_row(t)
            for k in range(i.size):
                h[k] = o[k] * t[k]


@compiled
def lstm_steps_backward(
    weights: Array,
    above: Array,
    dh: Array,
    dc: Array,
    states: Array,
    tanh_c: Array,
    dgates: Array,
    dz: Array,
) -> None:
    """Make steps of `Kernels.lstm_steps_backward`, without a projection, and clear no values.

    `above` may have no steps, and dz is `(4 · units, batch)`.
    """
    time, units, batch = tanh_c.shape
    size = units * batch
    w, all_dh, all_dc, all_dz, values, tanhs = (
        weights.reshape(-1), dh.reshape(-1), dc.reshape(-1), dz.reshape(-1), states.reshape(-1),
        tanh_c.reshape(-1),
    )  # fmt: skip
    one = np.float32(1)
    for s in range(time - 1, -1, -1):
        if len(above):
            all_dh += above[s].reshape(-1)
        gates = values[5 * s * size : 5 * (s + 1) * size]
        for start in range(0, size, BLOCK):
            stop = min(start + BLOCK, size)
            o, do = gates[start:stop], all_dz[start:stop]
            i, di = gates[size + start : size + stop], all_dz[size + start : size + stop]
            f, df = (
                gates[2 * size + start : 2 * size + stop],
                all_dz[2 * size + start : 2 * size + stop],
            )
            g, dg = (
                gates[3 * size + start : 3 * size + stop],
                all_dz[3 * size + start : 3 * size + stop],
            )
            c, t = (
                gates[4 * size + start : 4 * size + stop],
                tanhs[s * size + start : s * size + stop],
            )
            h, d = all_dh[start:stop], all_dc[start:stop]
            for k in range(d.size):
                d[k] += h[k] * o[k] * (one - t[k] * t[k])
            for k in range(d.size):
                di[k] = d[k] * g[k] * i[k] * (one - i[k])
            for k in range(d.size):
                df[k] = d[k] * c[k] * f[k] * (one - f[k])
            for k in range(d.size):
                dg[k] = d[k] * i[k] * (one - g[k] * g[k])
            for k in range(d.size):
                do[k] = h[k] * t[k] * o[k] * (one - o[k])
            for k in range(d.size):
                d[k] *= f[k]
        products(w, 4 * units, all_dz, 0, all_dh, 0, batch)
        for m in range(4 * units):
            for k in range(batch):
                dgates[m, s, k] = dz[m, k]


def backward(
    weights: Array,
    above: Array | None,
    dh: Array,
    dc: Array,
    states: Array,
    tanh_c: Array,
    dgates: Array,
    scratch: ScratchSpace,
) -> int:
    """Do what `Kernels.lstm_steps_backward` does, without a projection."""
    dz, spare = scratch.empty((len(dgates), dh.shape[1])), scratch.empty(dh.shape)
    added = states[:0] if above is None else above
    for start in reversed(range(0, len(tanh_c), CLEARED_EVERY)):
        steps = slice(start, start + CLEARED_EVERY)
        lstm_steps_backward(
            weights, added[steps], dh, dc, states[steps], tanh_c[steps], dgates[:, steps], dz
        )
        if vanished(start, above, (dh, spare), (dc, spare)):
            return start
    return 0
