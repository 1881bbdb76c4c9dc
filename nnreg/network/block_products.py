"""Large matrix products in blocks, with the same bits on any number of threads."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.threads import ThreadPool, split_evenly

BLOCK = 256
"""The most columns or rows of a block. One thread of the BLAS computes it, with a result that does
not depend on other threads."""

TILE = 64
"""Blocks begin at multiples of this many columns or rows, where no vector of a result is cut."""

MIN_FLOPS = 2e8
"""The fewest floating-point operations of a product that is divided: handing a block to a thread
takes about as long as 10 million of them."""

USES_BEFORE_TRIAL = 32
"""After how many products of a shape it is tried whether blocks can be joined, which takes as long
as three of them."""


class BlockProducts:
    """Computes products in blocks of the longer side of the result, in the threads of a pool.

    Each block rearranges the other factor anew: with a batch of 192 rows, products of 1500 columns
    took 1.1 times as long in blocks as undivided. A thread therefore computes its blocks in one
    product, once a trial has shown that this gives the same bits as block by block.
    """

    def __init__(self, pool: ThreadPool, threads: int) -> None:
        self._pool, self._threads = pool, threads

    def dot(self, a: Array, b: Array, out: Array) -> Array:
        """Write `(rows, inner)` times `(inner, columns)` to `out` and return it."""
        rows, columns = out.shape
        if 2.0 * rows * columns * a.shape[1] < MIN_FLOPS:
            return a.dot(b, out)
        blocks = blocks_of(max(rows, columns))
        threads = min(self._threads, len(blocks))
        groups = [blocks[group] for group in split_evenly(len(blocks), threads)]
        if threads < len(blocks) and _trial(_layout(a), _layout(b), out.dtype, threads).joins():
            groups = [_joined(group) for group in groups]
        self._pool.run([functools.partial(_multiply, a, b, out, group) for group in groups])
        return out


def blocks_of(size: int) -> list[slice]:
    """Divide columns or rows into blocks; their number is a power of two, as that of threads is.

    The last one may end behind the last column.
    """
    count = 1 << ((size - 1) // BLOCK).bit_length()
    tiles = split_evenly(-(-size // TILE), count)
    return [slice(part.start * TILE, part.stop * TILE) for part in tiles]


def _joined(blocks: Sequence[slice]) -> list[slice]:
    return [slice(blocks[0].start, blocks[-1].stop)]


def _multiply(a: Array, b: Array, out: Array, blocks: Sequence[slice]) -> None:
    for block in blocks:
        if out.shape[0] > out.shape[1]:
            np.matmul(a[block], b, out=out[block])
        else:
            np.matmul(a, b[:, block], out=out[:, block])


_Layout = tuple[Shape, bool]
"""The shape of a matrix, and whether its columns are contiguous instead of its rows."""


def _layout(matrix: Array) -> _Layout:
    return matrix.shape, not matrix.flags.c_contiguous


@dataclass
class _Trial:
    """Finds out, for products of a shape, whether a thread may join its blocks.

    A BLAS usually adds the terms of each value in an order that does not depend on the columns
    beside it. Whether it does is seen in random numbers, whose sums differ with any other order.
    """

    a: _Layout
    b: _Layout
    dtype: np.dtype[Any]
    threads: int
    uses: int = 0
    same: bool | None = None

    def joins(self) -> bool:
        if self.same is None:
            self.uses += 1
            if self.uses <= USES_BEFORE_TRIAL:
                return False
            self.same = self._run()
        return self.same

    def _run(self) -> bool:
        numbers = np.random.default_rng(0).random(10_007, self.dtype) - self.dtype.type(0.5)
        a, b = (
            np.resize(numbers, shape[::-1] if turned else shape)
            for shape, turned in (self.a, self.b)
        )
        a, b = a.T if self.a[1] else a, b.T if self.b[1] else b
        single, joined = np.empty((2, len(a), b.shape[1]), self.dtype)
        blocks = blocks_of(max(single.shape))
        _multiply(a, b, single, blocks)
        for group in split_evenly(len(blocks), self.threads):
            _multiply(a, b, joined, _joined(blocks[group]))
        return np.array_equal(single, joined)


_trial = functools.lru_cache(maxsize=256)(_Trial)
