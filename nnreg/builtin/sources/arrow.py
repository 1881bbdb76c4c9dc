"""Arrow and Feather files, read with pyarrow."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._utils.extras import needed
from nnreg._utils.memory import require_memory
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.concat import concat_chunks
from nnreg.tables.dataframes import columns_of_arrow
from nnreg.tables.table import Table

ROWS = 2**14
"""The rows that are converted at once."""

MAGIC = b"ARROW1\0\0"
"""The beginning of a file; without it, it is a stream. The rest of a file begins as a stream."""

HINT = "write it in smaller batches, such as max_chunksize=100_000 of pyarrow"

DICTIONARY = 2
"""The kind of a message that has a dictionary, which has a batch of rows in it."""


@dataclass(frozen=True)
class Arrow(Source):
    """An Arrow file or stream, or a Feather file; needs `pip install 'nnreg[arrow]'`.

    Columns are as in `parquet`.
    """

    suffixes = (".feather", ".arrow", ".ipc", ".arrows")

    def read(self, path: Path) -> Table:
        return concat_chunks(self, path)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        with needed(path, "reading Arrow", "pyarrow", "arrow"):
            import pyarrow
        size, done = path.stat().st_size, 0
        try:
            with pyarrow.memory_map(str(path)) as file:
                _check_sizes(file, path)
                with pyarrow.ipc.open_stream(_start(file)) as reader:
                    for batch in reader:
                        batch.validate(full=True)  # as offsets of text may lead elsewhere
                        for start in range(0, len(batch), ROWS):
                            part = batch.slice(start, ROWS)
                            yield Table(
                                columns_of_arrow(part, str(path), text),
                                str(path),
                                row_numbers=np.arange(done, done + len(part)),
                                fraction_read=file.tell() / size,
                                missing_texts=MISSING_TEXTS,
                            )
                            done += len(part)
        except (pyarrow.ArrowException, ValueError, OSError, struct.error) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise DataError(f"{path}: not a readable Arrow file: {error}") from error
        if not done:
            raise DataError(f"{path}: there are no rows")


def _start(file: Any) -> Any:
    """Move to the beginning of the stream; the table of contents of a file is not used."""
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        file.seek(0)
    return file


def _check_sizes(file: Any, path: Path) -> None:
    """Raise `DataError` for a message whose values, perhaps compressed, do not fit into memory."""
    from pyarrow.ipc import MessageReader

    if not file.size():
        raise DataError(f"{path}: the file is empty")
    for message in MessageReader.open_stream(_start(file)):
        if message.type in ("record batch", "dictionary"):
            size = _decompressed(message.metadata.to_pybytes(), message.body)
            require_memory(size, f"{path}, a batch of rows", HINT)


def _decompressed(metadata: bytes, body: Any) -> int:
    """Return the bytes of the values of a message, from the FlatBuffers in its metadata."""
    message = _Struct(metadata, struct.unpack_from("<I", metadata)[0])
    batch = message.child(2)
    if batch is not None and metadata[message.position(1)] == DICTIONARY:
        batch = batch.child(1)
    if batch is None or not batch.position(2):
        return 0
    start = batch.position(2)
    start += struct.unpack_from("<I", metadata, start)[0]
    (count,) = struct.unpack_from("<I", metadata, start)
    size = 0
    for index in range(count):
        offset, length = struct.unpack_from("<qq", metadata, start + 4 + 16 * index)
        if length and batch.position(3):  # compressed; each begins with its size, or -1
            (declared,) = struct.unpack_from("<q", body, offset)
            length = max(declared, length)
        size += length
    return size


class _Struct:
    """A table of FlatBuffers: the positions of its fields, 0 if one is not there."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        self.start = start
        self.fields = start - struct.unpack_from("<i", data, start)[0]

    def position(self, field: int) -> int:
        """Return the position of a field in the data."""
        (size,) = struct.unpack_from("<H", self.data, self.fields)
        if 4 + 2 * field >= size:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, self.fields + 4 + 2 * field)
        return self.start + offset if offset else 0

    def child(self, field: int) -> _Struct | None:
        """Return the table in a field."""
        position = self.position(field)
        if not position:
            return None
        return _Struct(self.data, position + struct.unpack_from("<I", self.data, position)[0])
