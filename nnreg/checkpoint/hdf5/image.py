"""The bytes of an HDF5 file, which are given out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from nnreg.errors import FormatError

UNDEFINED = 2**64 - 1
"""The address of what is not stored."""

Cut: TypeAlias = Callable[[int, int], Any]
"""Returns the bytes of a file from one offset to another, as a buffer."""


class Image:
    """The bytes of an HDF5 file, each of which belongs to one structure or array only.

    `start` and `stop` are the offsets of the HDF5 file; addresses in it count from `start`.
    """

    def __init__(self, cut: Cut, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self._cut = cut
        self._left = stop - start
        self._taken: dict[int, tuple[int, str]] = {}

    def reserve(self, address: int, size: int, what: str) -> int:
        """Return the offset of a structure in the file, after checking that it fits."""
        offset = self.start + address
        if offset + size > self.stop:
            self.refuse(what, address, "it extends past the end of the file")
        self._left -= size
        if self._left < 0:
            self.refuse(what, address, "it overlaps another structure")
        if offset in self._taken:
            self.refuse(what, address, f"it has the same bytes as {self._taken[offset][1]}")
        if size:
            self._taken[offset] = offset + size, what
        return offset

    def take(self, address: int, size: int, what: str) -> bytes:
        """Return the bytes of a structure."""
        offset = self.reserve(address, size, what)
        return bytes(self._cut(offset, offset + size))

    def check_overlaps(self) -> None:
        """Refuse overlaps; until then, the structures take no more bytes than the file has."""
        end, other = 0, ""
        for offset in sorted(self._taken):
            if offset < end:
                what = self._taken[offset][1]
                self.refuse(what, offset - self.start, f"it overlaps {other}")
            end, other = self._taken[offset]

    def refuse(self, what: str, address: int, problem: str) -> NoReturn:
        """Raise `FormatError` for what is at an address."""
        raise FormatError(f"{what}, byte {self.start + address:,}: {problem}")
