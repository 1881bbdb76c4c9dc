"""Text files, perhaps compressed with gzip, read in bounded memory."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO, cast

from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import data_limit, require_memory

BYTES_PER_BYTE = 32
"""The most bytes of memory that a byte of text takes while it is parsed: cells of two characters
are objects of 51 bytes, each in two lists."""


GZIP = b"\x1f\x8b"
"""The first bytes of a compressed file."""


class CountedFile(io.BufferedIOBase):
    """A file, perhaps decompressed, that refuses to be read without end before a `restart`.

    A line has no maximum length, and its cells as objects take up to `BYTES_PER_BYTE` times its
    bytes.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file = file
        self.path = path
        self.limit = data_limit() / BYTES_PER_BYTE
        self.content = "a line"
        self.restart()

    def restart(self) -> None:
        """Set the count of bytes to 0, as the lines that were read are no longer in memory."""
        self.count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.file.seekable()

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read1(self, size: int = -1) -> bytes:
        data: bytes = self.file.read1(size)  # type: ignore[attr-defined]
        self.count += len(data)
        if self.count > self.limit:
            where = f"{self.path}, {self.content} of more than {byte_size(self.limit)}"
            require_memory(BYTES_PER_BYTE * self.count, where)
        return data

    def read(self, size: int | None = -1) -> bytes:
        return self.read1(-1 if size is None else size)


def is_compressed(path: Path) -> bool:
    """Return whether a file is compressed with gzip."""
    with path.open("rb") as file:
        return file.read(2) == GZIP


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[tuple[IO[bytes], CountedFile, TextIO]]:
    """Open a text file, which may be compressed: the raw file, for its position, and the text."""
    if codecs.lookup(encoding).name == "utf-8":
        encoding = "utf-8-sig"
    with path.open("rb") as raw:
        compressed = raw.peek(2)[:2] == GZIP
        binary = gzip.GzipFile(fileobj=raw) if compressed else raw
        counted = CountedFile(cast(IO[bytes], binary), path)
        with io.TextIOWrapper(cast(IO[bytes], counted), encoding, newline="") as text:
            yield raw, counted, text


def lines_of(text: str) -> list[str]:
    """Return the lines of a text as a file has them."""
    return io.StringIO(text, newline="").readlines()


def undecodable(path: Path, encoding: str, source_with: Callable[..., str]) -> str:
    """Return the line of a file that is not in its encoding, and the encoding it may be in.

    `source_with(encoding=…)` returns the source as a spec has it with another encoding.
    """

    def advice(likely: str) -> str:
        return (
            f"is not text in {encoding}; save the file as UTF-8, or set the source to "
            f"{source_with(encoding=likely)}"
        )

    with open_text(path, "latin-1") as (_, counted, file):  # any byte is a character in it
        for line, text in enumerate(file, 1):
            counted.restart()
            data = text.encode("latin-1")
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and line == 1:
                return f"{path}: {advice('utf-16')}"
            if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
                break
            if "\0" in text:
                return f"{path}: not a text file; set the source for its format, such as npz"
            try:
                data.decode(encoding)
            except UnicodeDecodeError as error:
                byte = f"byte 0x{data[error.start]:02x}"
                return f"{path}, line {line}: {byte} {advice('cp1252')}"
    return f"{path}: {advice('utf-8')}"
