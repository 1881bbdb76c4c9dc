"""Columns of text in bytes: the distinct texts of many cells, found in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nnreg._types import Array
from nnreg.builtin.sources.byte_cells import SPACE, ByteCells, equal_one
from nnreg.builtin.sources.byte_numbers import MARGIN, PAIR, TOPS, WORD
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.concat import MAX_CATEGORIES, TEXT

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


class TextColumn:
    """A column of text, with the distinct texts so far.

    `clean` returns the texts of cells without spaces around them as they count, None if missing.
    """

    def __init__(
        self, clean: Callable[[list[str]], list[str | None]], missing: Sequence[str], as_is: bool
    ) -> None:
        self.clean = clean
        self.missing = missing
        self.as_is = as_is
        """Whether `clean` changes only missing texts."""
        self.many = False
        """Whether most cells differ, or more than `MAX_CATEGORIES` do."""
        self.code_of = CategoryCodes()
        self.categories: tuple[str, ...] = ()
        self.known = _Known(2**8)

    def parse(self, cells: ByteCells, column: int) -> Array | Categorical:
        """Return the texts of a column."""
        starts = np.ascontiguousarray(cells.starts[:, column])
        ends = np.ascontiguousarray(cells.ends[:, column])
        parts = _parts(cells.data, starts, ends)
        if parts is not None and not self.many:
            codes = self._codes(cells, column, parts)
            if codes is not None:
                return self._categorical(codes)
            self.many, self.code_of, self.known = True, CategoryCodes(), _Known(0)
        if parts is not None and self.as_is and not cells.doubled:
            strings = _strings(cells.data, starts, ends, parts)
            if strings is not None:
                strings[equal_one(cells.data, starts, ends, self.missing)] = None
                return strings
        text = np.empty(len(starts), object)
        text[:] = self.clean(cells.texts(slice(None), column))
        return text

    def _codes(self, cells: ByteCells, column: int, parts: list[Array]) -> Array | None:
        """Return the codes of cells; None if there are too many distinct texts."""
        codes, unknown = self.known.codes(parts)
        if len(unknown):
            rest = [word[unknown] for word in parts]
            distinct = equal_cells(rest, max(len(codes) // 2, FEW))
            if distinct is None:
                return None
            firsts, each = distinct
            texts = self.clean(cells.texts(unknown[firsts], column))
            new = np.array([self.code_of[text] for text in texts], np.int32)
            codes[unknown] = new[each]
            if len(self.code_of) > MAX_CATEGORIES:
                return None
            self.known.add([word[firsts] for word in rest], new)
        return codes

    def _categorical(self, codes: Array) -> Categorical:
        """Return the cells with the categories so far; only with their own if those are many."""
        if len(self.categories) < len(self.code_of) - 1:
            self.categories = self.code_of.categories
        if len(self.categories) <= len(codes):
            return Categorical(self.categories, codes)
        used, each = np.unique(codes, return_inverse=True)
        used, each = (used[1:], each - 1) if used[0] < 0 else (used, each)
        return Categorical(tuple(self.categories[code] for code in used), each.astype(np.int32))


class _Known:
    """The codes of texts by their hashes: of several with the same place, only of one."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self._empty(size)

    def _empty(self, size: int) -> None:
        self.shift = np.uint64(65 - size.bit_length())
        self.parts = [np.full(size, NONE)]
        self.code = np.zeros(size, np.int32)

    def codes(self, parts: list[Array]) -> tuple[Array, Array]:
        """Return the codes of cells, and the positions of those that are not known."""
        self._widen(len(parts))
        place = _places(parts, self.shift)
        known = self.parts[0][place] == parts[0]
        for number, own in enumerate(self.parts[1:], 1):
            known &= own[place] == (parts[number] if number < len(parts) else 0)
        return self.code[place], np.flatnonzero(~known)

    def add(self, parts: list[Array], codes: Array) -> None:
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


def _strings(data: Array, starts: Array, ends: Array, parts: list[Array]) -> Array | None:
    """Return cells as strings; None if they are not ASCII, or have spaces around them."""
    if any(np.bitwise_or.reduce(word) & TOPS for word in parts):
        return None
    edges = SPACE[data[starts]] | SPACE[data[ends - 1]]
    if (edges & (starts < ends)).any():
        return None
    size = WORD.itemsize * len(parts)
    strings: Array = (
        np.stack(parts, 1).astype(WORD, copy=False).view(f"S{size}").reshape(-1).astype(TEXT)
    )
    return strings
