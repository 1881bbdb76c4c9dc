"""Random masks, such as those of dropout."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape

BITS = 24
"""The random bits of a float32 of NumPy's generators, the highest of 32."""

BLOCK = 1 << 16
"""The values that are drawn at a time, so that they stay in the cache."""

MIN_RAW = 1 << 12
"""The least size of a mask that is drawn from integers."""


def draw_mask(rng: np.random.Generator, rate: float, kept: float, out: Array) -> None:
    """Write 0 to `out` with probability `rate`, and `kept` otherwise.

    The draws are those of `rng.random(out.shape, np.float32) >= rate`, in half the time.
    """
    flat, value = out.reshape(-1), out.dtype.type(kept)
    for start in range(0, len(flat), BLOCK):
        part = flat[start : start + BLOCK]
        np.multiply(draw_kept(rng, rate, (len(part),)), value, out=part)


def draw_kept(rng: np.random.Generator, rate: float, shape: Shape) -> npt.NDArray[np.bool_]:
    """Return `rng.random(shape, np.float32) >= rate`; later draws are the same too.

    A float32 is the 24 highest of 32 bits, and a PCG64 generator makes 64 at once, of which it
    keeps the second half. Comparing these integers needs no floats.
    """
    count = math.prod(shape)
    if count % 2 or count < MIN_RAW or not _makes_pairs(rng):
        return rng.random(shape, dtype=np.float32) >= rate
    integers = rng.bit_generator.random_raw(count // 2).astype("<u8", copy=False).view("<u4")
    found: npt.NDArray[np.bool_] = np.greater_equal(integers, least_integer(rate))
    return found.reshape(shape)


def least_integer(rate: float) -> int:
    """Return the least of 32 bits whose float32 is not below a rate."""
    steps: int = math.ceil(float(np.float32(rate)) * 2**BITS)
    return steps << (32 - BITS)


def _makes_pairs(rng: np.random.Generator) -> bool:
    """Return whether the next 64 bits of a generator are its next two floats."""
    state = rng.bit_generator.state
    return bool(state["bit_generator"] == "PCG64" and not state["has_uint32"])
