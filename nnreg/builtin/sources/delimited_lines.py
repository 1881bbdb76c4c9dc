"""The lines of a text file, read one by one or many at once."""

from __future__ import annotations

import codecs
import re
from typing import Protocol, TextIO

from nnreg.builtin.sources.text_file import CountedFile

CHUNK = 2**13
"""How many bytes are read at least, and beyond those asked for, to find the end of a line."""

LINE_END = re.compile(rb"\r\n|\n|\r")


class Lines(Protocol):
    """Reads lines with their ends, which are newlines, carriage returns, or both."""

    def readline(self) -> str:
        """Return the next line, "" at the end of the file."""

    def many(self, size: int) -> str:
        """Return about `size` characters, and those up to the end of the line after them."""

    def tell(self) -> int:
        """Return where the next line begins, as `seek` takes it."""

    def seek(self, position: int) -> None:
        """Continue at a position."""


class TextLines:
    """Lines in any encoding."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.readline = file.readline
        self.tell = file.tell

    def many(self, size: int) -> str:
        return self.file.read(size) + self.file.readline()

    def seek(self, position: int) -> None:
        self.file.seek(position)


class Utf8Lines:
    """Lines in UTF-8, perhaps after a byte-order mark.

    `TextIOWrapper` returns the same, but looks at every character if there are carriage returns.
    """

    def __init__(self, file: CountedFile) -> None:
        self.file = file
        self._restart(0)

    def readline(self) -> str:
        return self.many(0)

    def many(self, size: int) -> str:
        start = size
        while (end := self._line_end(start)) is None:
            start = max(size, len(self._data) - 1)  # which may be a carriage return
            self._read(max(size + CHUNK - len(self._data), CHUNK))
        with memoryview(self._data) as data:
            text = str(data[:end], "utf-8")
        begins = self.tell() == 0
        del self._data[:end]
        return text.removeprefix("\ufeff") if begins else text

    def tell(self) -> int:
        return self._position - len(self._data)

    def seek(self, position: int) -> None:
        self.file.seek(position)
        self._restart(position)

    def _restart(self, position: int) -> None:
        self._data = bytearray()
        """Bytes that were read and not returned."""
        self._position = position
        """Of the file, after those bytes."""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ended = False

    def _line_end(self, start: int) -> int | None:
        """Return where the line ends that has the byte `start`; None if that was not read yet."""
        found = LINE_END.search(self._data, start)
        if found and (found.end() < len(self._data) or found[0] != b"\r"):
            return found.end()
        return len(self._data) if self._ended else None

    def _read(self, size: int) -> None:
        """Read about this number of bytes. Raises `UnicodeDecodeError`.

        Errors in what is read ahead are found now, as by `TextIOWrapper`: an error in the encoding
        says more than one that follows from it.
        """
        data = self.file.read1(size)
        self._ended = not data
        self._position += len(data)
        if not data.isascii():
            self._decoder.decode(data)
        self._data += data


def lines_in(file: TextIO, counted: CountedFile, encoding: str) -> Lines:
    """Return the lines of a file, which is open as text and as bytes."""
    utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    return Utf8Lines(counted) if utf8 else TextLines(file)
