"""The groups of an HDF5 file: superblock of version 0, B-trees of version 1, and local heaps."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from nnreg._utils.hdf5_names import is_name
from nnreg.checkpoint.hdf5.image import UNDEFINED, Image

CHILDREN, LINKS = 32, 8
"""The most children of a node of a B-tree, and the most links in a symbol table node."""

SUPERBLOCK = struct.Struct("<8s8BHHIQQQQ")
ENTRY = struct.Struct("<QQIIQQ")
HEAP = struct.Struct("<4sIQQQ")
NODE = struct.Struct("<4sBBHQQ")
LEAF = struct.Struct("<4sBBH")


@dataclass(frozen=True)
class Entry:
    """A link: the address of an object's header, and those of a group's B-tree and heap."""

    header: int
    is_group: bool
    addresses: tuple[int, int]


def root(image: Image) -> Entry:
    """Return the link to the root group in the superblock."""
    what = "the superblock"
    content = image.take(0, SUPERBLOCK.size + ENTRY.size, what)
    expected = SUPERBLOCK.pack(
        b"\x89HDF\r\n\x1a\n", 0, 0, 0, 0, 0, 8, 8, 0, LINKS // 2, CHILDREN // 2, 0,
        image.start, UNDEFINED, image.stop, UNDEFINED,
    )  # fmt: skip
    for at, (byte, right) in enumerate(zip(content, expected, strict=False)):
        if byte != right:
            image.refuse(what, at, f"it has {byte} where a checkpoint has {right}")
    name, entry = _entry(image, SUPERBLOCK.size, content[SUPERBLOCK.size :], what)
    if name or not entry.is_group:
        image.refuse(what, SUPERBLOCK.size, "it does not link to a group")
    return entry


def _entry(image: Image, address: int, content: bytes, what: str) -> tuple[int, Entry]:
    """Return the offset of an entry's name in the heap, and the entry."""
    name, header, kind, reserved, tree, heap = ENTRY.unpack(content)
    if kind == 2:
        image.refuse(what, address, "it has a link that is not a hard link")
    if kind > 2 or reserved or (kind == 0 and (tree or heap)):
        image.refuse(what, address, "it has an unknown kind of link")
    return name, Entry(header, kind == 1, (tree, heap))


def links(image: Image, what: str, group: tuple[int, int]) -> Iterator[tuple[str, Entry]]:
    """Yield the name and entry of each link of a group, whose names are in ascending order."""
    tree, address = group
    heap = _Heap(image, address, what)
    last = heap.name(0)
    if last:
        image.refuse(what, address, "its heap does not begin with an empty name")
    for right, node in _leaves(image, tree, what):
        content = image.take(node, LEAF.size + LINKS * ENTRY.size, what)
        signature, version, reserved, count = LEAF.unpack_from(content)
        if (signature, version, reserved) != (b"SNOD", 1, 0) or not 0 < count <= LINKS:
            image.refuse(what, node, "it has a damaged symbol table node")
        offset = 0
        for at in range(LEAF.size, LEAF.size + count * ENTRY.size, ENTRY.size):
            offset, entry = _entry(image, node + at, content[at : at + ENTRY.size], what)
            name = heap.name(offset)
            if name <= last:
                image.refuse(what, node + at, "its names are not in ascending order")
            last = name
            yield _text(image, name, node + at, what), entry
        if offset != right:
            image.refuse(what, node, "its B-tree has another name for a symbol table node")


def _text(image: Image, name: bytes, address: int, what: str) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    if not is_name(text):
        image.refuse(what, address, f"{name[:40]!r} is not a name")
    return text


class _Heap:
    """The local heap with the names of a group's links, which do not overlap."""

    def __init__(self, image: Image, address: int, what: str) -> None:
        self._refuse = functools.partial(image.refuse, what, address)
        signature, version, size, _, data = HEAP.unpack(image.take(address, HEAP.size, what))
        if signature != b"HEAP" or version:
            self._refuse("it has no local heap of version 0")
        self._data = image.take(data, size, what)
        self._left = size

    def name(self, offset: int) -> bytes:
        end = self._data.find(b"\0", offset, offset + self._left)
        if end < 0:
            self._refuse(f"it has no name at {offset:,} of its heap")
        self._left -= end + 1 - offset
        return self._data[offset:end]


def _leaves(image: Image, root: int, what: str) -> list[tuple[int, int]]:
    """Return the right key and address of each symbol table node below a B-tree of version 1.

    A key is the offset of a name in the heap: of the last name that is not to the right of it.
    """
    level: int | None = None
    nodes: list[tuple[int, int | None, int]] = [(0, None, root)]
    while level != 0:
        level = None if level is None else level - 1
        addresses = [UNDEFINED, *(address for _, _, address in nodes), UNDEFINED]
        children: list[tuple[int, int | None, int]] = []
        for index, (left, right, address) in enumerate(nodes):
            content = image.take(address, NODE.size + (2 * CHILDREN + 1) * 8, what)
            signature, kind, height, count, *siblings = NODE.unpack_from(content)
            level = height if level is None else level
            if (signature, kind, height) != (b"TREE", 0, level) or count > CHILDREN:
                image.refuse(what, address, "it has a damaged node of a B-tree")
            if siblings != [addresses[index], addresses[index + 2]]:
                image.refuse(what, address, "it has a node of a B-tree with other siblings")
            if not count:
                image.refuse(what, address, "it is an empty group")
            keys = struct.unpack_from(f"<{2 * count + 1}Q", content, NODE.size)
            if keys[0] != left or right not in (None, keys[-1]):
                image.refuse(what, address, "it has a node of a B-tree with other keys")
            children += zip(keys[:-1:2], keys[2::2], keys[1::2], strict=True)
        nodes = children
    return [(right or 0, address) for _, right, address in nodes]
