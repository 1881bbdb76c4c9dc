"""Chains of wide dense layers by Numba's loops, whose steps several threads share."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, split_evenly
from nnreg.builtin.kernels.numba_chain import Steps, has_loops
from nnreg.interfaces.dense_chain import ChainArrays, ChainTraining, DenseChain
from nnreg.kernels.cblas import Cblas
from nnreg.kernels.joined_blocks import USES_BEFORE_TRIAL, Layout, have_same_bits, joined

TILE, MIN_BLOCK_ROWS, MAX_BLOCKS = 32, 64, 16
"""The rows of a product are divided into up to 16 blocks, at multiples of 32 rows, each of which
has at least 64, or about as many."""

MIN_FLOPS_PER_THREAD = 4e6
"""The fewest operations of the largest product for each thread that shares it."""


def has_threaded_loops(
    chain: DenseChain, training: ChainTraining, x: Array, targets: Array
) -> bool:
    """Return whether there are loops for a chain, which limit no norm: it is known too late."""
    return training.clip_norm is None and has_loops(chain, training, x, targets)


class ThreadedSteps(Steps):
    """The steps of a chain by the threads of a pool, on the products of a BLAS."""

    def __init__(
        self,
        chain: DenseChain,
        training: ChainTraining,
        arrays: ChainArrays,
        pool: ThreadPool,
        cblas: Cblas,
    ) -> None:
        super().__init__(chain, training, arrays)
        self._chain, self._pool, self._cblas = chain, pool, cblas
        self._batch = training.batch_size
        self._blas = np.array([cblas.address(arrays.x.dtype), cblas.integer_bits])
        weights = max(layer.features * layer.units for layer in chain.layers)
        largest = 2.0 * weights * min(self._batch, len(arrays.x))
        self._most_threads = max(int(min(largest / MIN_FLOPS_PER_THREAD, MAX_BLOCKS)), 1)
        self._made = 0
        self._parts = functools.cache(self._divide)

    def __call__(
        self, order: Array, draws: Array, rates: Array, count: int, losses: Array, scores: Array
    ) -> int:
        whole = len(order) // self._batch
        if whole < len(losses):  # the last batch is a smaller one
            last = whole * self._batch
            drawn = len(draws) // len(order) * last
            if whole:
                first = draws[:drawn], rates[:whole], count, losses[:whole], scores[:last]
                done = self._run(order[:last], *first)
                if done < whole:
                    return done
            rest = draws[drawn:], rates[whole:], count + whole, losses[whole:], scores[last:]
            return whole + self._run(order[last:], *rest)
        return self._run(order, draws, rates, count, losses, scores)

    def _run(
        self, order: Array, draws: Array, rates: Array, count: int, losses: Array, scores: Array
    ) -> int:
        """Make steps on batches of one size."""
        from nnreg.kernels.numba.barrier import Barrier, yield_address
        from nnreg.kernels.numba.threaded_chain import steps

        threads = min(self._pool.count, self._most_threads) if self._pool.is_open else 1
        width = self._width(min(self._batch, len(order)))
        parts = self._parts(threads, width, self._made >= USES_BEFORE_TRIAL)
        barrier = Barrier(threads)
        jobs = [
            functools.partial(
                steps, index, barrier.reached, yield_address(), own, self._blas, *self._examples,
                order, draws, *self._vectors, rates, count, losses, scores,
                self._work[: self._rows * width],
            )
            for index, own in enumerate(parts)
        ]  # fmt: skip
        try:
            done: int = self._pool.run(jobs)[0]
        except BaseException:  # Ctrl-C before the first job: the others would wait for it
            barrier.give_up()
            raise
        self._made += done
        return done

    def _divide(self, threads: int, width: int, joins: bool) -> Array:
        """Return what each thread computes of each product of each layer, see `steps`."""
        parts = np.zeros((threads, len(self._chain.layers), 3, MAX_BLOCKS + 2), np.int64)
        for number, layer in enumerate(self._chain.layers):
            inputs = layer.features + (layer.bias is not None)
            weight, outputs = (inputs, layer.units), (layer.units, width)
            products: tuple[tuple[Layout, Layout], ...] = (
                ((weight[::-1], True), ((inputs, width), False)),
                (((layer.features, layer.units), False), (outputs, False)),
                (((inputs, width), False), (outputs[::-1], True)),
            )
            for product, (left, right) in enumerate(products):
                groups = _groups(left, threads)
                if joins and _joinable(self._cblas, left, right, self._work.dtype, threads):
                    groups = [[joined(group)] if group else [] for group in groups]
                for index, group in enumerate(groups):
                    parts[index, number, product, : len(group) + 2] = _described(group)
        return parts


def blocks_of(rows: int) -> list[slice]:
    """Divide the rows of a product into blocks, whose number is a power of two."""
    count = 1
    while count < MAX_BLOCKS and rows >= 2 * count * MIN_BLOCK_ROWS:
        count *= 2
    tiles = split_evenly(-(-rows // TILE), count)
    return [slice(part.start * TILE, min(part.stop * TILE, rows)) for part in tiles]


def _groups(left: Layout, threads: int) -> list[list[slice]]:
    """Return the blocks of each thread, for a product whose left factor has this layout."""
    blocks = blocks_of(left[0][0])
    return [blocks[one] for one in split_evenly(len(blocks), threads)]


def _described(blocks: Sequence[slice]) -> list[int]:
    """Return the number of blocks, where each begins, and where the last one ends."""
    ends = [blocks[-1].stop] if blocks else [0]
    return [len(blocks), *(block.start for block in blocks), *ends]


@functools.lru_cache(maxsize=256)
def _joinable(
    cblas: Cblas, left: Layout, right: Layout, dtype: np.dtype[Any], threads: int
) -> bool:
    """Return whether threads may join their blocks of a product."""

    def multiply(a: Array, b: Array, out: Array, block: slice) -> Any:
        return cblas.matmul(a[block], b, out[block])

    groups = [group for group in _groups(left, threads) if group]
    return have_same_bits(multiply, left, right, dtype, groups)
