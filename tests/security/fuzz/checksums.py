"""The checksums in HDF5 structures of later formats: Jenkins' lookup3, hashlittle with 0."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

SIGNATURES = re.compile(
    rb"\x89HDF|OHDR|OCHK|FRHP|FHDB|FHIB|FSHD|FSSE|BTHD|BTIN|BTLF|FAHD|FADB|EAHD|EAIB|EASB|EADB|SMTB"
)
"""What begins a structure with a checksum."""

Span = tuple[int, int, int]
"""Where a structure begins, its checksum is, and it ends: the checksum counts as zeros in it."""


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF


def lookup3(data: bytes) -> int:
    """Return the checksum of some bytes, of which there is at least one."""
    m = 0xFFFFFFFF
    a = b = c = (0xDEADBEEF + len(data)) & m
    words = struct.unpack(f"<{-(-len(data) // 12) * 3}I", data + bytes(-len(data) % 12))
    for i in range(0, len(words) - 3, 3):
        a, b, c = (a + words[i]) & m, (b + words[i + 1]) & m, (c + words[i + 2]) & m
        a = (a - c & m) ^ _rotated(c, 4)
        c = c + b & m
        b = (b - a & m) ^ _rotated(a, 6)
        a = a + c & m
        c = (c - b & m) ^ _rotated(b, 8)
        b = b + a & m
        a = (a - c & m) ^ _rotated(c, 16)
        c = c + b & m
        b = (b - a & m) ^ _rotated(a, 19)
        a = a + c & m
        c = (c - b & m) ^ _rotated(b, 4)
        b = b + a & m
    a, b, c = (a + words[-3]) & m, (b + words[-2]) & m, (c + words[-1]) & m
    c = (c ^ b) - _rotated(b, 14) & m
    a = (a ^ c) - _rotated(c, 11) & m
    b = (b ^ a) - _rotated(a, 25) & m
    c = (c ^ b) - _rotated(b, 16) & m
    a = (a ^ c) - _rotated(c, 4) & m
    b = (b ^ a) - _rotated(a, 14) & m
    return (c ^ b) - _rotated(b, 24) & m


def spans(data: bytes) -> list[Span]:
    """Return the structures with checksums in a valid file, which takes seconds."""
    return [span for match in SIGNATURES.finditer(data) for span in _span(data, match.start())]


def _span(data: bytes, start: int) -> Iterator[Span]:
    """Yield the structure that begins here, found by trying every length."""
    if data[start : start + 4] == b"FHDB":  # its checksum is not the last of it
        for at in range(start + 14, start + 22):
            for size in (512, 1024, 2048, 4096):
                span = start, at, start + size
                if start + size <= len(data) and stored(data, at) == computed(data, span):
                    yield span
                    return
    for at in range(start + 12, min(start + 1200, len(data) - 4)):
        if stored(data, at) == lookup3(data[start:at]):
            yield start, at, at
            return


def stored(data: bytes, at: int) -> int:
    """Return the checksum at an offset."""
    return struct.unpack_from("<I", data, at)[0]


def computed(data: bytes, span: Span) -> int:
    """Return the checksum of a structure."""
    start, at, end = span
    if end == at:
        return lookup3(data[start:at])
    return lookup3(data[start:at] + bytes(4) + data[at + 4 : end])


def restored(data: bytes, known: list[Span], original: bytes) -> bytes:
    """Return data with the checksums of its structures, which may have moved, corrected.

    A structure has the length that the one of its signature had in the original.
    """
    lengths: dict[bytes, list[Span]] = {}
    for span in known:
        lengths.setdefault(original[span[0] : span[0] + 4], []).append(span)
    result = bytearray(data)
    for match in SIGNATURES.finditer(data):
        of_kind = lengths.get(match.group(), [])
        if not of_kind:
            continue
        there = [span for span in of_kind if span[0] == match.start()]
        start, at, end = (there or of_kind)[0]
        move = match.start() - start
        span = start + move, at + move, end + move
        size = max(end, at + 4) - start
        if original[start : start + size] == data[span[0] : span[0] + size]:
            continue
        if span[0] + size <= len(result):
            struct.pack_into("<I", result, span[1], computed(bytes(result), span))
    return bytes(result)
