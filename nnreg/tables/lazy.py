"""Arrays that stay in their file: rows are read ahead of use, in a thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg._utils.threads import CallerExecutor, start_threads
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical
from nnreg.tables.ragged import Ragged

Item = TypeVar("Item")
Result = TypeVar("Result")
Encode: TypeAlias = Callable[[Any, Array], Array]

BLOCK = 2**17
"""About how many values of consecutive rows are read at once: half a megabyte of float32."""

WINDOW = 2**22
"""About how many values are in memory at once; rows are shuffled among them."""

MIN_BLOCKS = 8
"""The fewest blocks of a window, also if large chunks make large blocks."""


class Dataset(Protocol):
    """An array in a file."""

    @property
    def shape(self) -> Shape:
        """The number of rows, and the shape of one row."""

    @property
    def dtype(self) -> npt.DTypeLike:
        """The type of its values."""

    @property
    def chunk(self) -> int:
        """How many rows are stored as one chunk, perhaps compressed."""

    @property
    def starts(self) -> Array | None:
        """The first row of each block and then the number of rows; None if all have one size."""

    def read(self, segments: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Yield the rows of each segment `(start, stop)`, at once or in several parts.

        Raises `DataError` naming the rows that cannot be read.
        """


def row_numbers(count: int) -> Array:
    """Return the numbers of all rows, of four bytes each if there are not too many rows."""
    return np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)


@dataclass(frozen=True)
class LazyArray:
    """Rows of an array in a file, in ascending order, read on demand.

    `rows` are their row numbers in the file. `encode` converts values and their row numbers to an
    array whose rows have the shape `example_shape` and the type `dtype`.
    """

    dataset: Dataset
    rows: Array
    example_shape: Shape
    dtype: np.dtype[Any]
    encode: Encode | None = None

    @property
    def shape(self) -> Shape:
        """The shape of the whole array."""
        return (len(self.rows), *self.example_shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return 1 + len(self.example_shape)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def block_rows(self) -> int:
        """The most rows of the file that are read at once: a multiple of its chunks."""
        starts = self.dataset.starts
        if starts is not None:
            return int(np.diff(starts).max(initial=1))
        chunk = self.dataset.chunk
        return chunk * max(BLOCK // (chunk * self._width), 1)

    def chunk_rows(self, multiple: int = 1) -> int:
        """Return how many rows are in memory at once, rounded up to a multiple."""
        rows = max(WINDOW // self._width, MIN_BLOCKS * self.block_rows)
        return -(-rows // multiple) * multiple

    def _block_starts(self, rows: Array) -> Array:
        """Return the positions in `rows` where a block begins."""
        blocks = self.dataset.starts
        if blocks is None:
            blocks = np.arange(0, int(rows[-1]) + 1 if len(rows) else 0, self.block_rows)
        starts: Array = np.unique(np.searchsorted(rows, blocks))
        return starts[starts < len(rows)]

    @property
    def _width(self) -> int:
        return max(int(np.prod(self.dataset.shape[1:])), 1)

    def select(self, positions: Array) -> LazyArray:
        """Return the rows at these positions, which must ascend, without reading them."""
        return replace(self, rows=self.rows[positions])

    def encoded(self, encode: Encode, example: Shape, dtype: npt.DTypeLike) -> LazyArray:
        """Return the same rows with `encode` applied to the values in the file."""
        return replace(self, encode=encode, example_shape=example, dtype=np.dtype(dtype))

    def take(self, positions: Array, out: Array | None = None) -> Array:
        """Read the rows at these positions, which must ascend, into `out` if it is given."""
        rows = self.rows[positions]
        if out is None:
            out = np.empty((len(rows), *self.example_shape), self.dtype)
        if not len(rows):
            return out
        blocks = [slice(*ends) for ends in pairwise([*self._block_starts(rows), len(rows)])]
        segments = [(int(rows[block][0]), int(rows[block][-1]) + 1) for block in blocks]
        done = 0
        for start, values in self._parts(segments):
            stop = int(np.searchsorted(rows, start + len(values)))
            chosen = rows[done:stop]
            if len(values) > len(chosen):
                values = values[chosen - start]
            self._fill(out[done:stop], values, chosen)
            done = stop
        return out

    def _parts(self, segments: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Any]]:
        """Yield the values of each part that is read, and the number of its first row."""
        parts = self.dataset.read(segments)
        for start, stop in segments:
            while start < stop:
                values = next(parts)
                yield start, values
                start += len(values)
        next(parts, None)  # lets the file be checked at its end

    def _fill(self, out: Array, values: Any, rows: Array) -> None:
        """Encode values in chunks that fit the processor's cache."""
        if self.encode is None:
            out[...] = values
            return
        size = max(BLOCK // self._width, 1)
        for start in range(0, len(rows), size):
            chunk = slice(start, start + size)
            out[chunk] = self.encode(values[chunk], rows[chunk])

    def shuffled(
        self, rng: np.random.Generator, multiple: int, shards_of: Callable[[int], Array]
    ) -> Array:
        """Return the positions of all rows in a random order that is fast to read.

        Blocks of consecutive rows are shuffled, then the rows within each window of many blocks.
        `shards_of(count)` returns the shard of each row of a window of this number, in order: the
        rows of a shard are from blocks of its own, so that no two processes read the same ones.
        """
        starts = self._block_starts(self.rows)
        lengths = np.diff(starts, append=len(self))
        blocks = rng.permutation(len(starts))
        lengths, starts = lengths[blocks], starts[blocks]
        moves = starts - (np.cumsum(lengths) - lengths)
        order: Array = row_numbers(len(self))
        order += np.repeat(moves.astype(order.dtype), lengths)
        size = self.chunk_rows(multiple)
        for start in range(0, len(order), size):
            window = order[start : start + size]
            shards = shards_of(len(window))
            ends = np.cumsum(np.bincount(shards))
            for part in np.split(window, ends[:-1]):
                rng.shuffle(part)
            window[np.argsort(shards, kind="stable")] = window.copy()
        return order


@dataclass(frozen=True, eq=False)
class StoredColumn:
    """A column whose values stay in the files of its table, which `Table.reader` reads.

    `known` has each distinct text of the file once, in the first of its rows, which are
    `known_rows`; of numbers, a single value, which is NaN if all are missing. `dtype` is that of
    the values, and `example_shape` their shape.
    """

    count: int
    dtype: np.dtype[Any]
    example_shape: Shape
    known: Array | Categorical
    known_rows: Array
    complete: bool = True
    """Whether all distinct texts are known."""
    sequences: bool = False
    """Whether it has sequences, or several texts per row."""

    @property
    def shape(self) -> Shape:
        """The shape of the whole column."""
        return (self.count, *self.example_shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return 1 + len(self.example_shape)

    def __len__(self) -> int:
        return self.count

    def select(self, positions: Array) -> StoredColumn:
        """Return the column of as many rows; which ones, its table knows."""
        return replace(self, count=len(positions))


Column: TypeAlias = Array | LazyArray
AnyColumn: TypeAlias = Column | Categorical | Ragged | StoredColumn


@dataclass(frozen=True)
class Chunk:
    """Rows in memory: `values[i]` is row `positions[i]` of all, to be visited in `order`."""

    values: Any
    positions: Array | slice
    order: Array


def materialize(column: AnyColumn) -> Array:
    """Return a column as an array: read if it is lazy, as text if it is a `Categorical`."""
    if isinstance(column, Categorical):
        return column.text()
    if isinstance(column, Ragged):
        raise DataError("a column of sequences, where one value per row was expected")
    if isinstance(column, StoredColumn):
        raise DataError(
            "a column that stays in its file is needed in memory; set data.source.stream to false"
        )
    return column.take(np.arange(len(column))) if isinstance(column, LazyArray) else column


def iter_chunks(x: Any, size: int) -> Generator[Any, None, None]:
    """Yield the rows of a `Column` or `NamedArrays` in order, at most `size` at a time.

    If there are none, one empty chunk.
    """
    if not isinstance(x, LazyArray):
        for start in range(0, max(len(x), 1), size):
            yield x[start : start + size]
        return
    size = min(size, x.chunk_rows())
    with closing(chunks_in_order(x, np.arange(len(x)), size)) as windows:
        for window in windows:
            for chunk in iter_chunks(window.values, size):
                yield chunk.copy()  # the window's memory is reused


def chunks_in_order(
    x: Any, order: Array, multiple: int, needed: Array | None = None
) -> Generator[Chunk, None, None]:
    """Yield the rows of a `Column` or `NamedArrays` at the positions `order`, a window at a time.

    What is in memory is a single window. The windows of a lazy array share memory: each is valid
    until the next one. All but the last have a number of rows divisible by `multiple`. Of a lazy
    array, only the `needed` rows of the order are read, by default all; the others are arbitrary.
    """
    if not isinstance(x, LazyArray):
        yield Chunk(x, slice(None), order)
        return
    size = min(x.chunk_rows(multiple), len(order))
    # one in use, one being read
    buffers = [np.zeros((size, *x.example_shape), x.dtype) for _ in range(2)]

    def read(number: int) -> Chunk:
        window = slice(number * size, (number + 1) * size)
        segment = order[window]
        ascending = np.argsort(segment)
        rank = np.empty_like(ascending)
        rank[ascending] = np.arange(len(segment))
        positions, values = segment[ascending], buffers[number % 2][: len(segment)]
        if needed is None:
            x.take(positions, values)
        else:
            wanted = np.flatnonzero(needed[window][ascending])
            values[wanted] = x.take(positions[wanted])
        return Chunk(values, positions, rank)

    yield from read_ahead(read, range(-(-len(order) // max(size, 1)) or 1))


def read_ahead(
    read: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """Yield `read(item)` for each item; a thread reads the next one while one is in use.

    An exception of `read` is raised here. The thread ends with the generator, which must be closed
    if it is not exhausted.
    """
    reader = start_threads(1, "nnreg-reader") or CallerExecutor()
    try:
        reading: Future[Result] | None = None
        for item in items:
            following = reader.submit(copy_context().run, read, item)
            if reading:
                yield reading.result()
            reading = following
        if reading:
            yield reading.result()
    finally:
        reader.shutdown(cancel_futures=True)
