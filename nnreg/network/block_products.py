"""Large matrix products in blocks, with the same bits on any number of threads."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, split_evenly

BLOCK = 512
"""The most columns or rows of a block. One thread of the BLAS computes it, with a result that does
not depend on other threads. Each block rearranges the other factor anew: with 256 columns, products
with a batch of 192 rows took 1.1 times as long on one thread as undivided, with 512 1.01 times."""

TILE = 64
"""Blocks begin at multiples of this many columns or rows, where no vector of a result is cut."""

MIN_FLOPS = 2e8
"""The fewest floating-point operations of a product that is divided: handing a block to a thread
takes about as long as 10 million of them."""


class BlockProducts:
    """Computes products in blocks of the longer side of the result, in the threads of a pool."""

    def __init__(self, pool: ThreadPool, threads: int) -> None:
        self._pool, self._threads = pool, threads

    def dot(self, a: Array, b: Array, out: Array) -> Array:
        """Write `(rows, inner)` times `(inner, columns)` to `out` and return it."""
        rows, columns = out.shape
        if 2.0 * rows * columns * a.shape[1] < MIN_FLOPS:
            return a.dot(b, out)
        blocks = blocks_of(max(rows, columns))
        if rows > columns:
            jobs = [(a[block], b, out[block]) for block in blocks]
        else:
            jobs = [(a, b[:, block], out[:, block]) for block in blocks]
        groups = split_evenly(len(jobs), min(self._threads, len(jobs)))
        self._pool.run([functools.partial(_multiply, jobs[group]) for group in groups])
        return out


def blocks_of(size: int) -> list[slice]:
    """Divide columns or rows into blocks; their number is a power of two, as that of threads is.

    The last one may end behind the last column.
    """
    count = 1 << ((size - 1) // BLOCK).bit_length()
    tiles = split_evenly(-(-size // TILE), count)
    return [slice(part.start * TILE, part.stop * TILE) for part in tiles]


def _multiply(jobs: Sequence[tuple[Array, Array, Array]]) -> None:
    for a, b, out in jobs:
        np.matmul(a, b, out=out)
