"""A step of an LSTM, without its matrix product."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.functions import tanh

BLOCK = 512
"""The values of each array that the loops of an LSTM process at a time, to fit into the cache."""


@compiled
def tanh_of_row(x: Array) -> None:
    """Replace x by tanh(x)."""
    for k in range(x.size):
        x[k] = tanh(x[k])


@compiled
def sigmoid_of_row(x: Array) -> None:
    """Replace x by (1 + tanh(x/2)) / 2."""
    half = np.float32(0.5)
    for k in range(x.size):
        x[k] = half + half * tanh(half * x[k])


@compiled
def lstm_step(z: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
    """Make a step of an LSTM after its matrix product, in float32, in blocks.

    One loop per function, because a single loop over all arrays would not be vectorized.
    """
    size = c.size
    gates, before, after = z.reshape(-1), c.reshape(-1), c_next.reshape(-1)
    tanhs, outputs = tanh_c.reshape(-1), h_next.reshape(-1)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        i, f = gates[start:stop], gates[size + start : size + stop]
        g, o = gates[2 * size + start : 2 * size + stop], gates[3 * size + start : 3 * size + stop]
        b, a, t, h = before[start:stop], after[start:stop], tanhs[start:stop], outputs[start:stop]
        sigmoid_of_row(i)
        sigmoid_of_row(f)
        tanh_of_row(g)
        sigmoid_of_row(o)
        for k in range(i.size):
            a[k] = f[k] * b[k] + i[k] * g[k]
        for k in range(i.size):
            t[k] = a[k]
        tanh_of_row(t)
        for k in range(i.size):
            h[k] = o[k] * t[k]


@compiled
def lstm_step_backward(
    dh: Array, dc: Array, gates: Array, c: Array, tanh_c: Array, dz: Array
) -> None:
    """Write ∂loss/∂z of a step to dz, and replace dc by that of the previous step."""
    size = c.size
    one = c.dtype.type(1)
    all_gates, all_dz, all_dh, all_dc = (
        gates.reshape(-1), dz.reshape(-1), dh.reshape(-1), dc.reshape(-1)
    )  # fmt: skip
    before, tanhs = c.reshape(-1), tanh_c.reshape(-1)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        i, di = all_gates[start:stop], all_dz[start:stop]
        f, df = all_gates[size + start : size + stop], all_dz[size + start : size + stop]
        g, dg = (
            all_gates[2 * size + start : 2 * size + stop],
            all_dz[2 * size + start : 2 * size + stop],
        )
        o, do = (
            all_gates[3 * size + start : 3 * size + stop],
            all_dz[3 * size + start : 3 * size + stop],
        )
        d, h, b, t = all_dc[start:stop], all_dh[start:stop], before[start:stop], tanhs[start:stop]
        for k in range(d.size):
            d[k] += h[k] * o[k] * (one - t[k] * t[k])
        for k in range(d.size):
            di[k] = d[k] * g[k] * i[k] * (one - i[k])
        for k in range(d.size):
            df[k] = d[k] * b[k] * f[k] * (one - f[k])
        for k in range(d.size):
            dg[k] = d[k] * i[k] * (one - g[k] * g[k])
        for k in range(d.size):
            do[k] = h[k] * t[k] * o[k] * (one - o[k])
        for k in range(d.size):
            d[k] *= f[k]
