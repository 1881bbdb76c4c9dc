"""The cells of delimited text by their positions in its bytes, found in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nnreg._types import Array
from nnreg.builtin.sources.byte_numbers import MARGIN, SPACE, WORD, long_numbers, short_numbers
from nnreg.builtin.sources.byte_texts import NumpyTexts, ascii_texts
from nnreg.tables.cells import parse_number
from nnreg.tables.packed_texts import PackedTexts

QUOTE, NEWLINE, RETURN = b'"\n\r'
PADDING = b"\n" * MARGIN
MAX_SPACES = 64
"""The most spaces before or after a number that is read here."""


class KnownTexts(Protocol):
    """The codes of the distinct texts of a column so far."""

    def codes(self, cells: ByteCells, column: int, code: Callable[[Array], Array]) -> Array | None:
        """Return the codes of cells; None if too many are new. `code` returns those of rows."""


@dataclass(frozen=True)
class ByteCells:
    """The cells of some rows: that of row `i` and column `j` is `raw[starts[i, j]:ends[i, j]]`.

    `data` is `raw` as an array. Quotes around a cell are left out, and a quote within one is still
    doubled. `lines` has the number of lines before the last one of each row; None if each row is a
    line.
    """

    raw: bytes
    data: Array
    starts: Array
    ends: Array
    doubled: bool
    lines: Array | None

    def texts(self, rows: Array | slice, column: int) -> list[str]:
        """Return the text of some cells of a column, without spaces around it."""
        starts, ends = self.starts[rows, column].tolist(), self.ends[rows, column].tolist()
        cells = [self.raw[start:end] for start, end in zip(starts, ends, strict=True)]
        text = b"\0".join(cells).decode("utf-8", "surrogatepass")  # no cell has a zero byte
        if self.doubled:
            text = text.replace('""', '"')
        return list(map(str.strip, text.split("\0"))) if cells else []

    def known_texts(self) -> KnownTexts:
        """Return what finds equal texts, also between blocks; none are known yet."""
        return _NumpyTexts()

    def place(self, column: int) -> tuple[Array, Array]:
        """Return where the cells of a column begin and end."""
        starts, ends = self.starts[:, column], self.ends[:, column]
        return np.ascontiguousarray(starts), np.ascontiguousarray(ends)

    def packed_texts(self, column: int, missing: Sequence[str]) -> PackedTexts | None:
        """Return a column in bytes; None if it has long cells, others than ASCII, or spaces."""
        place = self.place(column)
        raw = ascii_texts(self.data, *place)
        return None if raw is None else PackedTexts(raw, equal_one(self.data, *place, missing))

    def numbers(
        self, columns: Sequence[int], point: str, missing: Sequence[str]
    ) -> tuple[Array, Array]:
        """Return the cells of columns as numbers, and the positions `(n, 2)` of unknown ones.

        The matrix is `(columns, rows)`. A missing value is NaN.
        """
        first, last = columns[0], columns[-1] + 1
        adjacent = len(columns) == last - first  # then they are selected faster
        chosen = slice(first, last) if adjacent else columns
        starts, ends = self.starts[:, chosen].reshape(-1), self.ends[:, chosen].reshape(-1)
        values, unknown = short_numbers(self.data, starts, ends, point)
        if numbers := [text for text in missing if is_number(text, point)]:
            is_missing = equal_one(self.data, starts, ends, numbers)
            values[is_missing] = np.nan
            unknown = unknown[~is_missing[unknown]]
        if len(unknown):
            unknown = self._rest(values, starts, ends, unknown, point, missing)
        shape = (len(self.starts), len(columns))
        matrix = np.ascontiguousarray(values.reshape(shape).T)
        return matrix, np.stack(np.unravel_index(unknown, shape), 1)

    def _rest(
        self,
        values: Array,
        starts: Array,
        ends: Array,
        unknown: Array,
        point: str,
        missing: Sequence[str],
    ) -> Array:
        """Fill in the values at positions where no short number is; return those still unknown."""
        start, end = _stripped(self.data, starts[unknown], ends[unknown])
        is_missing = equal_one(self.data, start, end, missing)
        values[unknown[is_missing]] = np.nan
        left = ~is_missing
        start, end, unknown = start[left], end[left], unknown[left]
        for read in (short_numbers, long_numbers):
            if not len(unknown):
                break
            values[unknown], left = read(self.data, start, end, point)
            start, end, unknown = start[left], end[left], unknown[left]
        return unknown


class _NumpyTexts(NumpyTexts):
    def codes(self, cells: ByteCells, column: int, code: Callable[[Array], Array]) -> Array | None:
        return self.codes_of(cells.data, *cells.place(column), code)


def byte_cells(text: str, delimiter: str, width: int) -> ByteCells | None:
    """Return the cells of rows of `width` cells; None unless `csv` would find the same ones.

    It is None for text that is not well-formed, that has blank lines or rows of other widths, and
    for what is rare: zero bytes, and lines that end with a carriage return alone.
    """
    raw = padded(text, delimiter)
    if raw is None or b"\0" in raw:
        return None
    data = np.frombuffer(raw, np.uint8)
    body = data[MARGIN:-MARGIN]
    newlines = body == NEWLINE
    returns = b"\r" in raw
    if returns and (body[np.flatnonzero(body == RETURN) + 1] != NEWLINE).any():
        return None
    separators = body == ord(delimiter)
    separators |= newlines
    quotes = body == QUOTE if b'"' in raw else None
    if quotes is not None:
        found = np.flatnonzero(quotes) + MARGIN
        if not _regular(data[found - 1], data[found + 1], ord(delimiter)):
            return None
        separators &= ~_within(quotes)
    ends: Array = np.flatnonzero(separators)
    rows = len(ends) // width
    if len(ends) % width or not newlines[ends[width - 1 :: width]].all():
        return None
    if np.count_nonzero(newlines & separators) != rows:
        return None
    ends = ends.reshape(rows, width)
    ends += MARGIN
    starts = np.empty_like(ends)
    starts.flat[0] = MARGIN
    np.add(ends.reshape(-1)[:-1], 1, out=starts.reshape(-1)[1:])
    lines = None
    if quotes is not None and np.count_nonzero(newlines) != rows:
        lines = np.cumsum(newlines)[ends[:, -1] - MARGIN] - 1
    if returns:
        ends[:, -1] -= data[ends[:, -1] - 1] == RETURN
    if width == 1 and (starts == ends).any():
        return None  # a blank line is not a row
    doubled = False
    if quotes is not None:
        quoted = data[starts] == QUOTE
        starts += quoted
        ends -= quoted
        doubled = bool((data[found[::2] - 1] == QUOTE).any())
    return ByteCells(raw, data, starts, ends, doubled, lines)


def padded(text: str, delimiter: str) -> bytes | None:
    """Return lines as bytes with a margin around them; None if they are none, or rare ones."""
    raw = encoded(text)
    if not raw or not delimiter.isascii():
        return None
    return b"".join([PADDING, raw, b"" if raw.endswith(b"\n") else b"\n", PADDING])


def _within(quotes: Array) -> Array:
    """Return for each byte whether the number of quotes up to it is odd."""
    packed = np.zeros(-(-len(quotes) // 64) * 8, np.uint8)
    bits = np.packbits(quotes, bitorder="little")
    packed[: len(bits)] = bits
    words = packed.view(WORD)
    for shift in (1, 2, 4, 8, 16, 32):
        words ^= words << np.uint64(shift)
    odd = (words >> np.uint64(63)).astype(bool)
    words[1:][np.bitwise_xor.accumulate(odd)[:-1]] ^= np.uint64(2**64 - 1)
    return np.unpackbits(packed, count=len(quotes), bitorder="little").view(bool)


def _regular(before: Array, after: Array, delimiter: int) -> bool:
    """Return True if every quote begins or ends a cell, or is doubled within one.

    `before` and `after` are the bytes around each quote.
    """
    if len(before) % 2:
        return False
    beside = np.zeros(256, bool)
    beside[[delimiter, QUOTE, NEWLINE]] = True
    begin = beside[before[::2]].all()
    beside[RETURN] = True
    return bool(begin and beside[after[1::2]].all())


def _stripped(data: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Return where cells begin and end without the spaces around them, of which few are removed."""
    starts, ends = starts.copy(), ends.copy()
    for _ in range(MAX_SPACES):
        before = SPACE[data[starts]] & (starts < ends)
        after = SPACE[data[ends - 1]] & (starts + before < ends)
        if not before.any() and not after.any():
            break
        starts += before
        ends -= after
    return starts, ends


def equal_one(data: Array, starts: Array, ends: Array, texts: Sequence[str]) -> Array:
    """Return which cells are one of these texts."""
    found = np.zeros(len(starts), bool)
    lengths = ends - starts
    shortest = lengths.min(initial=MARGIN)
    words = np.ndarray((len(data) - 7,), WORD, data, strides=(1,))
    by_length: dict[int, list[bytes]] = {}
    for raw in map(encoded, texts):
        by_length.setdefault(len(raw), []).append(raw)
    for length, same_length in by_length.items():
        if length < shortest:
            continue
        some = np.flatnonzero(lengths == length)
        for raw in same_length if len(some) else ():
            left = some
            for first in range(0, length, WORD.itemsize):
                part = raw[first : first + WORD.itemsize]
                mask = np.uint64(2 ** (8 * len(part)) - 1)
                same = words[starts[left] + first] & mask == int.from_bytes(part, "little")
                left = left[same]
            found[left] = True
    return found


def is_number(text: str, point: str) -> bool:
    """Return True if a text that stands for a missing value could be read as a number."""
    return not math.isnan(parse_number(text.replace(point, ".")))


def encoded(text: str) -> bytes:
    """Return text in UTF-8, also with surrogates, which some encodings make."""
    return text.encode("utf-8", "surrogatepass")
