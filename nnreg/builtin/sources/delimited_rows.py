"""The rows of delimited text, in blocks whose places in the file are remembered."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nnreg._types import Array
from nnreg._utils.file_state import FileState
from nnreg.builtin.sources.delimited_lines import lines_in
from nnreg.builtin.sources.delimited_options import Options
from nnreg.builtin.sources.delimited_reader import Reader
from nnreg.builtin.sources.text_file import is_compressed, open_text, undecodable
from nnreg.errors import DataError
from nnreg.tables.table import Table


@contextmanager
def decoding(options: Options, path: Path) -> Iterator[None]:
    """Raise the errors of text that cannot be decoded as `DataError`."""
    try:
        try:
            yield
        except UnicodeError as error:
            raise DataError(undecodable(path, options.encoding, options.changed)) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a complete gzip file: {error}") from error


def tables_of_text(
    options: Options, path: Path, text: Collection[str], found: list[Reader] | None = None
) -> Iterator[Table]:
    """Yield the blocks of a file as tables; the columns `text` are read as text.

    If a list `found` is given, it gets the reader, which can read the blocks again.
    """
    with decoding(options, path), open_text(path, options.encoding) as (raw, counted, file):
        size = path.stat().st_size
        lines = lines_in(file, counted, options.encoding)
        reader = Reader(options, path, lines, counted, text)
        if found is not None:
            reader.marks = []
            found.append(reader)
        for columns, numbers in reader.blocks():
            fraction = raw.tell() / size if size else 1.0  # a pipe has no size
            yield Table(columns, str(path), numbers, fraction_read=fraction)


class DelimitedRows:
    """Reads rows of delimited text by their numbers; see `RowReader`.

    A row may be several lines, so that only a pass over the file finds out where rows begin. What
    is remembered is where each block of them begins, a few numbers for a megabyte.
    """

    def __init__(self, options: Options, path: Path, *, required: bool) -> None:
        self.options = options
        self.path = path
        self.required = required
        self.state = FileState.of(path)
        self.size = self.state.size
        self.starts: Array = np.zeros(1, np.int64)
        self._reader: Reader | None = None
        if is_compressed(path):
            raise DataError(
                f"{path}: is compressed with gzip, so that its rows cannot be read on demand; "
                'decompress it, or set "stream" of the source to false'
            )

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield all rows, and find out where they are."""
        found: list[Reader] = []
        with self.state.unchanged():
            yield from tables_of_text(self.options, self.path, text, found)
        (self._reader,) = found
        self.starts = np.cumsum([0, *(mark.rows for mark in self._reader.marks or ())])

    def read(self, segments: Sequence[tuple[int, int]], names: Collection[str]) -> Iterator[Table]:
        """Yield the rows of each segment, from the blocks that have some of them."""
        options, path = self.options, self.path
        assert self._reader is not None  # all rows were read before
        with (
            self.state.unchanged(),
            decoding(options, path),
            open_text(path, options.encoding) as (_, counted, file),
        ):
            reader = self._reader.reopened(
                lines_in(file, counted, options.encoding), counted, names
            )
            for start, stop in segments:
                first = int(np.searchsorted(self.starts, start, "right")) - 1
                for number in range(first, int(np.searchsorted(self.starts, stop))):
                    columns, lines = reader.block(number)
                    table = Table(columns, str(path), lines)
                    before = int(self.starts[number])
                    yield table.slice_rows(slice(max(start - before, 0), stop - before))
