"""Passes over many examples: in chunks of rows, which several threads share."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.tables.named import Inputs

CACHED_VALUES = 600_000
"""The number of activations of a forward pass that fit into the processor's cache."""

MIN_CHUNK_ROWS, MAX_CHUNK_ROWS = 32, 1024
"""The minimum and maximum number of rows of a chunk."""

MIN_CHUNK_ACTIVATIONS = 250_000
"""The fewest activations of a chunk for which another thread pays off."""


def chunk_rows(activations_per_example: int) -> int:
    """Return how many rows are passed through a network at a time, so that they stay in cache."""
    rows = CACHED_VALUES // max(activations_per_example, 1)
    return min(max(rows, MIN_CHUNK_ROWS), MAX_CHUNK_ROWS)


def write_scores(
    scores: Array,
    chunks: Iterator[Inputs],
    passes: Sequence[Callable[[Inputs], Array]],
    pool: ThreadPool,
) -> None:
    """Write the scores of all chunks; each thread of the pool has one of the `passes`."""

    def compute(forward: Callable[[Inputs], Array], chunk: Inputs, out: Array) -> None:
        out[...] = forward(chunk)

    start = 0
    while together := list(itertools.islice(chunks, len(passes))):
        jobs = []
        for forward, chunk in zip(passes, together, strict=False):
            out = scores[start : start + len(chunk)]
            jobs.append(functools.partial(compute, forward, chunk, out))
            start += len(chunk)
        pool.run(jobs)
