"""The objects of an HDF5 file: object headers of version 1, and the arrays that they describe."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.checkpoint.hdf5.image import UNDEFINED, Image

MAX_RANK = 32
"""The maximum number of dimensions of an HDF5 array."""

TYPES: dict[bytes, np.dtype[Any]] = {
    bytes.fromhex("11201f000400000000002000170800177f00000000000000"): np.dtype("<f4"),
    bytes.fromhex("11203f000800000000004000340b0034ff03000000000000"): np.dtype("<f8"),
    bytes.fromhex("10080000080000000000400000000000"): np.dtype("<i8"),
    bytes.fromhex("10000000010000000000080000000000"): np.dtype("u1"),
}
"""The types of a checkpoint's arrays by their datatype messages."""

FILL_VALUE = bytes.fromhex("0201010100000000")
"""The fill value message: version 2, allocated early, never written, the default value."""

MAX_MESSAGES = 16
"""The maximum number of messages in an object header; the library writes up to seven."""

NOTHING, SPACE, TYPE, FILL, LAYOUT, CONTINUATION, SYMBOLS = 0, 1, 3, 5, 8, 16, 17
"""The types of the messages in object headers."""

FLAGS: dict[int, tuple[int, ...]] = {
    NOTHING: (0,), SPACE: (0,), TYPE: (1,), FILL: (1,), LAYOUT: (0, 1), CONTINUATION: (0,),
    SYMBOLS: (0,),
}  # fmt: skip
"""The flags that each type of message may have: a type is always 1, constant."""

ELSEWHERE = {
    2: "links of a later format", 6: "links of a later format", 7: "external storage",
    10: "links of a later format", 11: "filters", 12: "attributes", 18: "a modification time",
    21: "attributes",
}  # fmt: skip
"""What other types of messages describe, for the errors."""

CLASSES = ("integers", "floats", "times", "text", "bit fields", "opaque values", "records",
           "references", "enumerations", "values of variable length", "arrays")  # fmt: skip
"""The classes of types, for the errors."""

HEADER = struct.Struct("<BBHIII")
MESSAGE = struct.Struct("<HHB3s")
ADDRESSES = struct.Struct("<QQ")
CONTIGUOUS = struct.Struct("<BBQQ6s")

Messages: TypeAlias = dict[int, tuple[int, bytes]]
"""The address and content of each message in an object header, by type."""


@dataclass(frozen=True)
class StoredArray:
    """The type and shape of an array, and the offset of its values in the file."""

    dtype: np.dtype[Any]
    shape: Shape
    start: int

    def values(self, data: bytes | memoryview) -> Array:
        """Return a copy of the values."""
        count = math.prod(self.shape)
        return np.frombuffer(data, self.dtype, count, self.start).reshape(self.shape).copy()


def check_group(image: Image, what: str, header: int, group: tuple[int, int]) -> None:
    """Refuse an object that is not the group with this B-tree and heap."""
    messages = _messages(image, header, what)
    if messages.keys() != {SYMBOLS} or messages[SYMBOLS][1] != ADDRESSES.pack(*group):
        image.refuse(what, header, "it is not the group that its link describes")


def locate_array(image: Image, what: str, header: int) -> StoredArray:
    """Return the location of a dataset's values."""
    messages = _messages(image, header, what)
    if messages.keys() != {SPACE, TYPE, FILL, LAYOUT}:
        image.refuse(what, header, "it is not an array")
    at, content = messages[LAYOUT]
    version, kind = content[:2]
    if len(content) != CONTIGUOUS.size or (version, kind) != (3, 1):
        image.refuse(what, at, "it is chunked, compressed, compact or virtual")
    _, _, address, stored, padding = CONTIGUOUS.unpack(content)
    dtype, shape = _dtype(image, what, *messages[TYPE]), _shape(image, what, *messages[SPACE])
    size = math.prod(shape) * dtype.itemsize
    if math.prod(filter(None, shape)) * dtype.itemsize >= 2**63:
        image.refuse(what, at, f"its shape {shape} is too large for an array")
    if stored != size:
        image.refuse(what, at, f"it declares {size:,} bytes, but has {stored:,}")
    if any(padding) or (not size and address != UNDEFINED):
        image.refuse(what, at, "its layout is damaged")
    if messages[FILL][1] != FILL_VALUE:
        image.refuse(what, messages[FILL][0], "it has a fill value")
    return StoredArray(dtype, shape, image.reserve(address, size, what) if size else 0)


def _dtype(image: Image, what: str, at: int, content: bytes) -> np.dtype[Any]:
    if content not in TYPES:
        number, size = content[0] & 15, int.from_bytes(content[4:8], "little")
        name = CLASSES[number] if number < len(CLASSES) else "something"
        image.refuse(what, at, f"its values are {name} of {size:,} bytes")
    return TYPES[content]


def _shape(image: Image, what: str, at: int, content: bytes) -> Shape:
    """Return the shape of a dataspace message, which repeats it as the largest shape."""
    rank = content[1]
    flags = 1 if rank else 0  # bit 0: with the largest shape
    if content[:8] != bytes((1, rank, flags, 0, 0, 0, 0, 0)) or rank > MAX_RANK:
        image.refuse(what, at, "it has no shape, or one of another version")
    lengths = content[8:]
    if len(lengths) != 16 * rank or lengths[: 8 * rank] != lengths[8 * rank :]:
        image.refuse(what, at, "its shape is not fixed")
    return struct.unpack_from(f"<{rank}Q", lengths)


def _messages(image: Image, header: int, what: str) -> Messages:
    """Return the messages in an object header, which may continue in one other block."""
    content = image.take(header, HEADER.size, what)
    version, reserved, count, references, size, padding = HEADER.unpack(content)
    if version != 1 or reserved or padding:
        image.refuse(what, header, "its object header is not of version 1")
    if count > MAX_MESSAGES:
        image.refuse(what, header, f"it has {count:,} messages")
    if references != 1:
        image.refuse(what, header, f"it has {references} links instead of one")
    blocks = [(header + HEADER.size, size)]
    found: Messages = {}
    for address, length in blocks:
        for at, kind, content in _block(image, address, length, what):
            count -= 1
            if count < 0:
                image.refuse(what, header, "its object header has another number of messages")
            if kind == CONTINUATION and len(content) == ADDRESSES.size and len(blocks) == 1:
                blocks.append(ADDRESSES.unpack(content))
            elif kind == CONTINUATION or kind in found:
                image.refuse(what, at, f"it has a second message of type {kind}")
            elif kind != NOTHING:
                found[kind] = at, content
            elif content.strip(b"\0"):
                image.refuse(what, at, "its padding is not zeros")
    if count:
        image.refuse(what, header, "its object header has another number of messages")
    return found


def _block(image: Image, address: int, size: int, what: str) -> Iterator[tuple[int, int, bytes]]:
    """Yield the address, type and content of each message in a block."""
    block = image.take(address, size, what)
    at = 0
    while at < size:
        begin = at + MESSAGE.size
        if begin > size:
            image.refuse(what, address + at, "its object header ends within a message")
        kind, length, flags, reserved = MESSAGE.unpack_from(block, at)
        if kind not in FLAGS:
            problem = f"it has {ELSEWHERE.get(kind, 'something else')}: a message of type {kind}"
            image.refuse(what, address + at, f"{problem}, which checkpoints do not have")
        damaged = flags not in FLAGS[kind] or any(reserved) or begin + length > size
        if damaged or length % 8 or (not length and kind != NOTHING):
            image.refuse(what, address + at, f"its message of type {kind} is damaged")
        yield address + at, kind, block[begin : begin + length]
        at = begin + length
