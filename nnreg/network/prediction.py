"""Passes over many examples: in chunks of rows, which several threads and ranks share."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Protocol

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, split_evenly
from nnreg.interfaces.context import Context
from nnreg.interfaces.kernels import Kernels
from nnreg.ranks.group import Purpose, Ranks
from nnreg.tables.lazy import LazyArray, iter_chunks
from nnreg.tables.named import Inputs

CACHED_VALUES = 600_000
"""The number of activations of a forward pass that fit into the processor's cache."""

MIN_CHUNK_ROWS, MAX_CHUNK_ROWS = 32, 1024
"""The minimum and maximum number of rows of a chunk."""

MIN_CHUNK_ACTIVATIONS = 250_000
"""The fewest activations of a chunk for which another thread pays off."""

MAX_KEPT_PASSES, MAX_KEPT_BYTES = 8, 2**25
"""How many passes are kept for later calls, and the most that the arrays of one may take."""


class HasPasses(Protocol):
    """A network."""

    kernels: Kernels

    def reused_context(self) -> Context:
        """Return a context of passes in inference mode, with arrays that are used again."""

    def forward(self, x: Any, context: Context) -> tuple[Array, Any]:
        """Run all layers."""


def chunk_rows(activations_per_example: int, count: int) -> int:
    """Return how many of `count` rows are passed at a time, so that they stay in cache.

    All chunks but the last have as many, and that one hardly fewer.
    """
    rows = CACHED_VALUES // max(activations_per_example, 1)
    most = min(max(rows, MIN_CHUNK_ROWS), MAX_CHUNK_ROWS)
    chunks = max(-(-count // most), 1)
    return max(-(-count // chunks), 1)


class Passes:
    """Forward passes of a network, whose arrays are kept for later calls, as new memory is slow.

    Each has a context of its own, and several threads may use them. Much memory is not kept.
    """

    def __init__(self) -> None:
        self._idle: list[Context] = []

    def write(
        self, network: HasPasses, scores: Array, chunks: Iterator[Inputs], threads: int
    ) -> None:
        """Write the scores of all chunks, which this many threads share."""
        pool = ThreadPool(threads)
        contexts = [self._take(network) for _ in range(pool.count)]

        def compute(context: Context, chunk: Inputs, out: Array) -> None:
            context.workspace.rewind()
            out[...] = network.forward(chunk, context)[0]

        start = 0
        with pool.open():
            while together := list(itertools.islice(chunks, pool.count)):
                jobs = list[Callable[[], None]]()
                for context, chunk in zip(contexts, together, strict=False):
                    out = scores[start : start + len(chunk)]
                    jobs.append(functools.partial(compute, context, chunk, out))
                    start += len(chunk)
                pool.run(jobs)
        kept = [one for one in contexts if one.workspace.nbytes <= MAX_KEPT_BYTES]
        self._idle.extend(kept[: MAX_KEPT_PASSES - len(self._idle)])

    def write_together(
        self, network: HasPasses, scores: Array, x: Inputs, size: int, threads: int, ranks: Ranks
    ) -> None:
        """Write the scores of all chunks of `size` rows, of which each rank computes some."""
        numbers = split_evenly(-(-len(x) // size), ranks.size)
        parts = [slice(one.start * size, min(one.stop * size, len(x))) for one in numbers]
        own = parts[ranks.rank]
        rows: Any = x.select(np.r_[own]) if isinstance(x, LazyArray) else x[own]
        if len(rows):
            with closing(iter_chunks(rows, size)) as chunks:
                self.write(network, scores[own], chunks, threads)
        found = ranks.gather(Purpose.OUTPUTS, scores[own].ravel())
        for part, values in zip(parts, found, strict=True):
            scores[part] = values.reshape(scores[part].shape)

    def _take(self, network: HasPasses) -> Context:
        """Return the context of a pass that no other call has."""
        while self._idle:
            try:
                context = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if context.workspace.kernels is network.kernels:
                return context
        return network.reused_context()
