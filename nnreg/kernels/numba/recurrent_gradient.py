"""The gradient of the weights of a recurrent layer, from all its steps."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled, compiled_exactly
from nnreg.kernels.numba.tiles import TILE_ROWS, narrow_tile, whole_tile
from nnreg.kernels.numba.vectors import VECTOR_BYTES
from nnreg.kernels.scratch import ScratchSpace

DEPTH = 256
"""The sequences times steps of a block, whose values of two vectors of inputs fit into the cache
next to those of the rows of a tile."""


@compiled_exactly
def transpose(x: Array, step: int, out: Array, place: int) -> None:
    """Write a step of x, `(time, inputs, batch)`, to a place of out, without its last input."""
    for n in range(out.shape[1]):
        for m in range(out.shape[2]):
            out[place, n, m] = x[step, m, n]


@compiled_exactly
def add_products(
    c: Array, a: Array, first: int, step: int, b: Array, rows: int, columns: int, depth: int
) -> None:
    """Add Σ_k a[first + m step + k] b[k columns + n] to each c[m columns + n].

    The last tile repeats the last row.
    """
    vector = VECTOR_BYTES // c.itemsize
    of, to = np.empty(TILE_ROWS, np.int64), np.empty(TILE_ROWS, np.int64)
    n = 0
    while n < columns:
        whole = n + 2 * vector <= columns
        count = 2 * vector if whole else min(columns - n, vector)
        for start in range(0, rows, TILE_ROWS):
            for k in range(TILE_ROWS):
                m = min(start + k, rows - 1)
                of[k], to[k] = first + m * step, m * columns + n
            if whole:
                whole_tile(
                    c, to, a, of, None, depth, 1, b, n, None, columns, count, None, 0, True, False
                )
            else:
                narrow_tile(
                    c, to, a, of, None, depth, 1, b, n, None, columns, count, None, 0, True, False
                )
        n += count


@compiled
def add_steps(below: Array, d: Array, rows: Array, c: Array) -> None:
    """Add the products of all steps to c, as many at a time as there is place in rows."""
    (time, inputs, batch), together, flat = below.shape, len(rows), rows.reshape(-1)
    sums = d.size // (time * batch)
    for start in range(0, time, together):
        count = min(together, time - start)
        for place in range(count):
            transpose(below, start + place, rows, place)
        add_products(
            c, d, start * batch, time * batch, flat, sums, inputs - 1, count * batch
        )  # fmt: skip


def steps_gradient(below: Array, dsums: Array, gradient: Array, scratch: ScratchSpace) -> None:
    """Do what `Kernels.steps_gradient` does; the ones of below are not multiplied."""
    sums, (time, inputs, batch) = len(dsums), below.shape
    flat = dsums.reshape(sums, time * batch)
    together = max(1, min(time, DEPTH // batch))
    rows, c = scratch.empty((together, batch, inputs - 1)), scratch.empty((sums, inputs - 1))
    c.fill(0)
    add_steps(below, flat.reshape(-1), rows, c.reshape(-1))
    gradient[:, :-1] = c
    gradient[:, -1] = np.dot(flat, scratch.ones(time * batch), out=scratch.empty((sums,)))
