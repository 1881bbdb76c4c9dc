"""Large matrix products in blocks, with the same bits on any number of threads."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, split_evenly
from nnreg.kernels.joined_blocks import USES_BEFORE_TRIAL, Layout, have_same_bits, joined

BLOCK = 256
"""The most columns or rows of a block. One thread of the BLAS computes it, with a result that does
not depend on other threads."""

TILE = 64
"""Blocks begin at multiples of this many columns or rows, where no vector of a result is cut."""

MIN_FLOPS = 2e8
"""The fewest floating-point operations of a product that is divided: handing a block to a thread
takes about as long as 10 million of them."""


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
            groups = [[joined(group)] for group in groups]
        self._pool.run([functools.partial(_multiply_blocks, a, b, out, group) for group in groups])
        return out


def blocks_of(size: int) -> list[slice]:
    """Divide columns or rows into blocks; their number is a power of two, as that of threads is.

    The last one may end behind the last column.
    """
    count = 1 << ((size - 1) // BLOCK).bit_length()
    tiles = split_evenly(-(-size // TILE), count)
    return [slice(part.start * TILE, part.stop * TILE) for part in tiles]


def _multiply_blocks(a: Array, b: Array, out: Array, blocks: Sequence[slice]) -> None:
    for block in blocks:
        _multiply(a, b, out, block)


def _multiply(a: Array, b: Array, out: Array, block: slice) -> None:
    if out.shape[0] > out.shape[1]:
        np.matmul(a[block], b, out=out[block])
    else:
        np.matmul(a, b[:, block], out=out[:, block])


def _layout(matrix: Array) -> Layout:
    return matrix.shape, not matrix.flags.c_contiguous


@dataclass
class _Trial:
    """Finds out, for products of a shape, whether a thread may join its blocks."""

    a: Layout
    b: Layout
    dtype: np.dtype[Any]
    threads: int
    uses: int = 0
    same: bool | None = None

    def joins(self) -> bool:
        if self.same is None:
            self.uses += 1
            if self.uses <= USES_BEFORE_TRIAL:
                return False
            blocks = blocks_of(max(self.a[0][0], self.b[0][1]))
            groups = [blocks[group] for group in split_evenly(len(blocks), self.threads)]
            self.same = have_same_bits(_multiply, self.a, self.b, self.dtype, groups)
        return self.same


_trial = functools.lru_cache(maxsize=256)(_Trial)
