"""Arrays that begin where the processor reads and writes whole lines of its cache."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape

LINE = 64
"""The bytes of a line of the cache, and of the widest vector registers. NumPy's large arrays begin
16 bytes behind the start of a line, so that every wide store crosses from one line to the next."""


def aligned_empty(shape: Shape, dtype: npt.DTypeLike) -> Array:
    """Return an array of arbitrary values that begins at a line of the cache."""
    kind = np.dtype(dtype)
    return _from_line(np.empty(_spare(shape, kind), np.uint8), shape, kind)


def aligned_zeros(shape: Shape, dtype: npt.DTypeLike) -> Array:
    """Return zeros that begin at a line of the cache."""
    kind = np.dtype(dtype)
    return _from_line(np.zeros(_spare(shape, kind), np.uint8), shape, kind)


def aligned(array: Array) -> Array:
    """Return an array that begins at a line of the cache: the same one, or a copy."""
    if array.ctypes.data % LINE == 0:
        return array
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def _spare(shape: Shape, dtype: np.dtype[np.generic]) -> int:
    return math.prod(shape) * dtype.itemsize + LINE


def _from_line(memory: Array, shape: Shape, dtype: np.dtype[np.generic]) -> Array:
    start = -memory.ctypes.data % LINE
    size = len(memory) - LINE
    return memory[start : start + size].view(dtype).reshape(shape)
