"""Whether a thread may compute its blocks of a matrix product in one, with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array, Shape

USES_BEFORE_TRIAL = 32
"""After how many products of a shape it is tried whether blocks can be joined, which takes as long
as three of them."""

Layout: TypeAlias = tuple[Shape, bool]
"""The shape of a matrix, and whether its columns are contiguous instead of its rows."""

Multiply: TypeAlias = Callable[[Array, Array, Array, slice], object]
"""Writes a block of the product of two matrices to a third."""


def joined(blocks: Sequence[slice]) -> slice:
    """Return adjacent blocks as one."""
    return slice(blocks[0].start, blocks[-1].stop)


def have_same_bits(
    multiply: Multiply,
    left: Layout,
    right: Layout,
    dtype: np.dtype[Any],
    groups: Sequence[Sequence[slice]],
) -> bool:
    """Return whether the groups of blocks have the same bits as products of their own.

    A BLAS usually adds the terms of each value in an order that does not depend on the rows and
    columns beside it. Whether it does is seen in random numbers, whose sums differ with any other
    order.
    """
    numbers = np.random.default_rng(0).random(10_007, dtype) - dtype.type(0.5)
    a, b = _matrix(numbers, left), _matrix(numbers, right)
    single, together = np.empty((2, len(a), b.shape[1]), dtype)
    for group in groups:
        for block in group:
            multiply(a, b, single, block)
        multiply(a, b, together, joined(group))
    return np.array_equal(single, together)


def _matrix(numbers: Array, layout: Layout) -> Array:
    shape, turned = layout
    return np.resize(numbers, shape[::-1]).T if turned else np.resize(numbers, shape)
