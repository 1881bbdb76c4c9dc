"""Bytes of text, eight at once as a word, of which the first byte is the lowest, or 64 at once.

How bytes of a word are marked is of D. E. Knuth, "The Art of Computer Programming", volume 4A,
section 7.1.3; 64 bytes at once are used as in G. Langdale and D. Lemire, "Parsing Gigabytes of JSON
per Second" (2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnreg._types import Array
from nnreg.kernels.numba.compile import inlined_exactly

BYTE, BIT, WORD = ir.IntType(8), ir.IntType(1), ir.IntType(64)
BLOCK = 64

ONES, TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
ALL, NONE = np.uint64(2**64 - 1), np.uint64(0)


def _load(context: Any, builder: Any, signature: Any, values: Any, kind: Any) -> Any:
    """Return a value whose bytes begin at a place of an array, wherever that is in memory."""
    array = context.make_array(signature.args[0])(context, builder, values[0])
    at = builder.bitcast(builder.gep(array.data, [values[1]]), kind.as_pointer())
    return builder.load(at, align=1)


@intrinsic
def byte_at(typing: Any, data: Array, place: int) -> Any:
    """Return a byte of `data`, whose place is not negative."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _load(context, builder, signature, values, BYTE)

    return types.uint8(data, types.int64), generate


@intrinsic
def word_at(typing: Any, data: Array, place: int) -> Any:
    """Return the eight bytes of `data` that begin at a place."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _load(context, builder, signature, values, WORD)

    return types.uint64(data, types.int64), generate


@intrinsic
def bytes_equal(typing: Any, data: Array, place: int, byte: int) -> Any:
    """Return a word with a bit for each of the 64 bytes from a place: 1 if it is `byte`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.VectorType(BYTE, BLOCK)
        found = _load(context, builder, signature, values, kind)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), values[2],
                                       ir.Constant(ir.IntType(32), 0))  # fmt: skip
        order = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
        every = builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), order)
        return builder.bitcast(builder.icmp_unsigned("==", found, every), WORD)

    return types.uint64(data, types.int64, types.uint8), generate


@intrinsic
def zeros_below(typing: Any, word: int) -> Any:
    """Return the number of bits below the lowest one that is set; the word is not 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(BIT, 1))

    return types.int64(types.uint64), generate


@intrinsic
def count_bits(typing: Any, word: int) -> Any:
    """Return the number of bits that are set."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return types.int64(types.uint64), generate


@inlined_exactly
def parity(bits: Any) -> Any:
    """Return for each bit whether the number of those up to it is odd."""
    bits ^= bits << np.uint64(1)
    bits ^= bits << np.uint64(2)
    bits ^= bits << np.uint64(4)
    bits ^= bits << np.uint64(8)
    bits ^= bits << np.uint64(16)
    bits ^= bits << np.uint64(32)
    return bits


@inlined_exactly
def zero_bytes(word: Any) -> Any:
    """Return a word in which the lowest byte that is zero is marked, and perhaps bytes above it."""
    return (word - ONES) & ~word & TOPS


@inlined_exactly
def first_bytes(count: int) -> Any:
    """Return a word in which the first bytes are set: none below 0, and all eight above 8."""
    if count >= 8:
        return ALL
    return (np.uint64(1) << np.uint64(8 * max(count, 0))) - np.uint64(1)
