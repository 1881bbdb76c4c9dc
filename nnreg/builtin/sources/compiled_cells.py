"""The cells of delimited text by their positions in its bytes, found by compiled loops."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from nnreg._types import Array
from nnreg.builtin.sources.byte_cells import (
    ByteCells,
    KnownTexts,
    byte_cells,
    encoded,
    is_number,
    padded,
)
from nnreg.builtin.sources.byte_numbers import MARGIN, WORD, long_numbers
from nnreg.builtin.sources.byte_texts import FEW, MAX_BYTES, bytes_of_words
from nnreg.tables.packed_texts import PackedTexts

MIN_BYTES = 2**27
"""The size of a file from which the loops are loaded, which takes half a second; those that are
loaded already are used for any file."""

POSITION = np.dtype(np.int32)
"""The positions of the cells of a block take more memory than its text."""
MAX_POSITION = np.iinfo(POSITION).max

SLOTS, SHIFT = 2**17, 64 - 17
MAX_TEXTS = SLOTS // 2
"""The most distinct texts of a column that have a number."""


def finder(path: Path) -> Callable[[str, str, int], ByteCells | None]:
    """Return `byte_cells`, or what does the same by compiled loops where that is faster."""
    large = path.stat().st_size >= MIN_BYTES and importlib.util.find_spec("numba")
    return CompiledFinder().cells if large or _loops.cache_info().currsize else byte_cells


class CompiledFinder:
    """Finds the cells of one block after the other, in the same memory."""

    def __init__(self) -> None:
        self._positions = np.empty(0, POSITION)

    def cells(self, text: str, delimiter: str, width: int) -> ByteCells | None:
        """Return what `byte_cells` does; the cells of the block before are no longer valid."""
        raw = padded(text, delimiter)
        if raw is None or len(raw) > MAX_POSITION:
            return None
        data = np.frombuffer(raw, np.uint8)
        stop = len(data) - MARGIN
        newlines, rare, zeros = _loops().count_bytes(data, MARGIN, stop)
        if zeros:
            return None
        size = newlines * width
        if len(self._positions) < 2 * size:
            self._positions = np.empty(2 * size + size // 4, POSITION)
        starts, ends = self._positions[: 2 * size].reshape(2, newlines, width)
        lines = np.empty(newlines, np.int64)
        rows, doubled = _loops().find_cells(
            data, MARGIN, stop, ord(delimiter), rare, starts, ends, lines
        )
        if rows < 0:
            return None
        several = lines[:rows] if rows < newlines else None
        return CompiledCells(raw, data, starts[:rows], ends[:rows], doubled, several)


class CompiledCells(ByteCells):
    """Cells whose numbers and texts are found by compiled loops."""

    def known_texts(self) -> KnownTexts:
        return _CompiledTexts()

    def packed_texts(self, column: int, missing: Sequence[str]) -> PackedTexts | None:
        longest = _loops().longest_text(self.starts, self.ends, column)
        if longest > MAX_BYTES:
            return None
        rows = len(self.starts)
        words = np.empty((rows, max(-(-longest // WORD.itemsize), 1)), np.uint64)
        is_missing = np.empty(rows, bool)
        texts, lengths = _words(tuple(missing))
        if not _loops().copy_texts(
            self.data, self.starts, self.ends, column, texts, lengths, words, is_missing
        ):
            return None
        return PackedTexts(bytes_of_words(words), is_missing)

    def numbers(
        self, columns: Sequence[int], point: str, missing: Sequence[str]
    ) -> tuple[Array, Array]:
        matrix = np.empty((len(columns), len(self.starts)))
        unknown = np.empty((matrix.size, 2), np.int64)
        texts, lengths = _words(tuple(missing))
        first = any(is_number(text, point) for text in missing)
        count = _loops().find_numbers(
            self.data, self.starts, self.ends, np.array(columns), ord(point), texts, lengths, first,
            matrix, unknown,
        )  # fmt: skip
        unknown = unknown[:count].copy()
        if count:
            at = unknown[:, 1], np.array(columns)[unknown[:, 0]]
            values, left = long_numbers(self.data, self.starts[at], self.ends[at], point)
            matrix[unknown[:, 0], unknown[:, 1]] = values
            unknown = unknown[left]
        return matrix, unknown[:, ::-1]


class _CompiledTexts:
    """The codes of the distinct texts of a column so far."""

    def __init__(self) -> None:
        self.slots = np.full(SLOTS, -1, np.int32)
        self.texts = np.empty((MAX_TEXTS, MAX_BYTES // WORD.itemsize), np.uint64)
        self.lengths = np.empty(MAX_TEXTS, np.int64)
        self.code = np.empty(0, np.int32)
        self.in_order = True
        """Whether each text has its number as its code."""

    def codes(self, cells: ByteCells, column: int, code: Callable[[Array], Array]) -> Array | None:
        known, rows = len(self.code), len(cells.starts)
        numbers, new = np.empty(rows, np.int32), np.empty(rows, np.int64)
        most = min(known + max(rows // 2, FEW), MAX_TEXTS)
        count = _loops().find_texts(
            cells.data, cells.starts, cells.ends, column, self.slots, SHIFT, self.texts,
            self.lengths, known, most, numbers, new,
        )  # fmt: skip
        if count < 0:
            return None
        if count > known:
            self.code = np.concatenate([self.code, code(new[: count - known])])
            self.in_order = bool((self.code == np.arange(count)).all())
        return numbers if self.in_order else self.code[numbers]


@cache
def _words(texts: tuple[str, ...]) -> tuple[Array, Array]:
    """Return texts as rows of words, with zeros after them, and their lengths in bytes."""
    raw = list(map(encoded, texts))
    size = max(map(len, raw), default=0) // WORD.itemsize + 1
    padded_texts = b"".join(one.ljust(size * WORD.itemsize, b"\0") for one in raw)
    words = np.frombuffer(padded_texts, WORD).astype(np.uint64).reshape(len(raw), size)
    return words, np.array([len(one) for one in raw], np.int64)


@cache
def _loops() -> ModuleType:
    return importlib.import_module("nnreg.kernels.numba.delimited")
