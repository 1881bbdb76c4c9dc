"""Blocks of arrays that stay in the cache while several of NumPy's functions run on them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

BLOCK_VALUES = 1 << 16
"""The values of a block. A few such arrays fit into the second-level cache, and a function on one
takes several times as long as the call of it."""


@functools.lru_cache
def row_blocks(rows: int, features: int) -> Sequence[slice]:
    """Return the slices of the blocks of `(rows, features)`, of which the first is the largest."""
    step = max(1, BLOCK_VALUES // max(1, features))
    return [slice(start, min(start + step, rows)) for start in range(0, max(1, rows), step)]
