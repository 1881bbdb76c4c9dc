"""MurmurHash3 of many texts at once, in its 32-bit form for x86, of Austin Appleby."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnreg._types import Array


def murmurhash(texts: Sequence[str], seed: int) -> Array:
    """Return the hash of the UTF-8 bytes of each text, as int32."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.array([len(one) for one in encoded], np.intp)
    found = np.empty(len(encoded), np.uint32)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        padding = bytes(-length % 4)
        joined = b"".join(encoded[row] + padding for row in rows.tolist())
        words = np.frombuffer(joined, "<u4").astype(np.uint32).reshape(len(rows), -1)
        found[rows] = _hash_words(words, length, seed)
    return found.view(np.int32)


def _hash_words(words: Array, length: int, seed: int) -> Array:
    """Return the hashes of bytes of one length, four in each word, zeros after their end."""
    state = np.full(len(words), seed, np.uint32)
    whole = length // 4
    for column in range(whole):
        state = _rotated(state ^ _mixed(words[:, column]), 13) * np.uint32(5)
        state += np.uint32(0xE6546B64)
    if length % 4:
        state ^= _mixed(words[:, whole])
    state ^= np.uint32(length)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ (state >> np.uint32(shift))) * np.uint32(factor)
    final: Array = state ^ (state >> np.uint32(16))
    return final


def _mixed(words: Array) -> Array:
    mixed: Array = _rotated(words * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    return mixed


def _rotated(words: Array, bits: int) -> Array:
    rotated: Array = (words << np.uint32(bits)) | (words >> np.uint32(32 - bits))
    return rotated
