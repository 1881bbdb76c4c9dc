"""The distinct texts of many cells in bytes, found in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnreg._types import Array
from nnreg.builtin.sources.byte_numbers import MARGIN, PAIR, SPACE, TOPS, WORD

MAX_BYTES = MARGIN
"""The most bytes of a cell that is compared here: longer ones are rarely equal."""

FIRST = np.array([2 ** (8 * count) - 1 for count in range(9)], np.uint64)
"""Words whose first `count` bytes are set."""

NONE = np.uint64(2**64 - 1)
"""A word that no text begins with."""

FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5,
     0x85EBCA77C2B2AE63, 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0x94D049BB133111EB],
    np.uint64,
)  # fmt: skip
"""Odd numbers by which the words of a cell are multiplied; the sum is its hash."""

FEW = 256
"""This number of distinct texts in a block is never too large, also if the block has few rows."""

TRIES = 3
"""How many hashes are tried, if one gives the same place to different cells."""


class NumpyTexts:
    """The codes of texts by their hashes: of several with the same place, only of one."""

    def __init__(self) -> None:
        self.count = 0
        self._empty(2**8)

    def codes_of(
        self, data: Array, starts: Array, ends: Array, code: Callable[[Array], Array]
    ) -> Array | None:
        """Return the codes of cells; None if too many are new. `code` returns those of rows."""
        parts = _parts(data, starts, ends)
        if parts is None:
            return None
        codes, unknown = self._known(parts)
        if len(unknown):
            rest = [word[unknown] for word in parts]
            distinct = equal_cells(rest, max(len(codes) // 2, FEW))
            if distinct is None:
                return None
            firsts, each = distinct
            new = code(unknown[firsts])
            codes[unknown] = new[each]
            self._add([word[firsts] for word in rest], new)
        return codes

    def _empty(self, size: int) -> None:
        self.shift = np.uint64(65 - size.bit_length())
        self.parts = [np.full(size, NONE)]
        self.code = np.zeros(size, np.int32)

    def _known(self, parts: list[Array]) -> tuple[Array, Array]:
        """Return the codes of cells, and the positions of those that are not known."""
        self._widen(len(parts))
        place = _places(parts, self.shift)
        known = self.parts[0][place] == parts[0]
        for number, own in enumerate(self.parts[1:], 1):
            known &= own[place] == (parts[number] if number < len(parts) else 0)
        return self.code[place], np.flatnonzero(~known)

    def _add(self, parts: list[Array], codes: Array) -> None:
        """Remember the codes of texts."""
        self.count += len(codes)
        if 4 * self.count > len(self.code):
            used = self.parts[0] != NONE
            kept, their = [own[used] for own in self.parts], self.code[used]
            self._empty(2 ** (8 * self.count).bit_length())
            self._widen(len(kept))
            self._put(kept, their)
        self._put(parts, codes)

    def _widen(self, count: int) -> None:
        """Have words of texts of this length."""
        while len(self.parts) < count:
            self.parts.append(np.zeros(len(self.code), np.uint64))

    def _put(self, parts: list[Array], codes: Array) -> None:
        place = _places(parts, self.shift)
        free = self.parts[0][place] == NONE
        place = place[free]
        for number, own in enumerate(self.parts):
            own[place] = parts[number][free] if number < len(parts) else 0
        self.code[place] = codes[free]


def _parts(data: Array, starts: Array, ends: Array) -> list[Array] | None:
    """Return the bytes of cells as words, with zeros after the end; None if there are too many."""
    length = ends - starts
    longest = int(length.max())
    if longest > MAX_BYTES:
        return None
    kind = WORD if longest <= WORD.itemsize else PAIR
    at_each = np.ndarray((len(data) - kind.itemsize + 1,), kind, data, strides=(1,))
    parts: list[Array] = []
    for at in range(0, max(longest, 1), kind.itemsize):
        parts.extend(at_each[starts + at].view(WORD).reshape(len(starts), -1).T)
    return [
        word & FIRST.take(length - WORD.itemsize * number, mode="clip")
        for number, word in enumerate(parts)
    ]


def _places(parts: list[Array], shift: np.uint64, turn: int = 0) -> Array:
    """Return the first bits of a hash of each cell; parts of zeros at the end do not change it."""
    total = parts[0] * FACTORS[turn]
    for number, word in enumerate(parts[1:], turn + 1):
        total += word * FACTORS[number % len(FACTORS)]
    places: Array = (total >> shift).view(np.intp)
    return places


def equal_cells(parts: list[Array], most: int) -> tuple[Array, Array] | None:
    """Return the first row of each distinct cell, ascending, and the position there of every row.

    None if there are more than `most` distinct ones, or cells share a place of each hash.
    """
    rows = len(parts[0])
    shift = np.uint64(64 - max(rows.bit_length(), 8))
    first_at = np.empty(2 ** (64 - int(shift)), np.intp)
    first_like = np.empty(rows, np.intp)
    left = np.arange(rows)
    for turn in range(TRIES):
        place = _places([word[left] for word in parts], shift, turn)
        first_at[place[::-1]] = left[::-1]  # of several rows, the first remains
        first_like[left] = found = first_at[place]
        same = np.ones(len(left), bool)
        for word in parts:
            same &= word[found] == word[left]
        left = left[~same]
        if not len(left):
            break
    else:
        return None
    is_first = np.zeros(rows, bool)
    is_first[first_like] = True
    firsts = np.flatnonzero(is_first)
    if len(firsts) > most:
        return None
    return firsts, (np.cumsum(is_first) - 1)[first_like]


def ascii_texts(data: Array, starts: Array, ends: Array) -> Array | None:
    """Return cells as bytes; None if some are long, not ASCII, or have spaces around them."""
    parts = _parts(data, starts, ends)
    if parts is None or any(np.bitwise_or.reduce(word) & TOPS for word in parts):
        return None
    edges = SPACE[data[starts]] | SPACE[data[ends - 1]]
    if (edges & (starts < ends)).any():
        return None
    return bytes_of_words(np.stack(parts, 1))


def bytes_of_words(words: Array) -> Array:
    """Return rows of words, with zeros after the text of each, as bytes."""
    size = WORD.itemsize * words.shape[1]
    found: Array = words.astype(WORD, copy=False).view(f"S{size}").reshape(-1)
    return found
