"""Writing the subset of HDF5 that checkpoints use, without the HDF5 library.

`docs/file-format.md` describes the structures. A file is written as a whole, so all nodes of a
group but the last are full.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.checkpoint.hdf5 import objects
from nnreg.checkpoint.hdf5.groups import (
    CHILDREN,
    ENTRY,
    HEAP,
    LEAF,
    LINKS,
    NODE,
    NODE_BYTES,
    superblock,
)
from nnreg.checkpoint.hdf5.image import UNDEFINED
from nnreg.checkpoint.hdf5.objects import ADDRESSES, CONTIGUOUS, HEADER, MESSAGE
from nnreg.errors import FormatError

ALIGNMENT = 8
"""Names and arrays begin at multiples of this number of bytes."""

NO_FREE_BYTES = 1
"""The free list of a heap that has no free bytes."""

TYPE_MESSAGES = {dtype: content for content, dtype in objects.TYPES.items()}

Group: TypeAlias = "dict[bytes, str | Group]"
"""The links of a group by name, each to the path of an array or to a group."""


def write_image(arrays: Mapping[str, Array], start: int) -> list[memoryview]:
    """Return an HDF5 file of plain contiguous arrays, in chunks, from the offset `start` on.

    The bytes before `start` are the caller's. The structures come first, then the arrays in their
    order, whose chunks are views of their own memory. Raises `FormatError` for an array that would
    also be a group.
    """
    structures = _Structures(arrays)
    header, tree, heap = structures.add_group(_root(arrays))
    content, chunks = structures.content, []
    stop = len(content)
    for path, array in arrays.items():
        if array.size:
            struct.pack_into("<Q", content, structures.addresses[path], stop)
            padding = bytes(-array.nbytes % ALIGNMENT)
            chunks += [array.reshape(-1).view(np.uint8).data, memoryview(padding)]
            stop += array.nbytes + len(padding)
    begin = superblock(start, start + stop) + ENTRY.pack(0, header, 1, 0, tree, heap)
    content[: len(begin)] = begin
    return [memoryview(content), *chunks]


def _root(paths: Mapping[str, Array]) -> Group:
    """Return the root group."""
    root: Group = {}
    for path in paths:
        *parents, name = path.encode().split(b"/")
        group = root
        for parent in parents:
            inner = group.setdefault(parent, {})
            if isinstance(inner, str):
                raise FormatError(f"{inner!r} is an array, and a group of {path!r}")
            group = inner
        if name in group:
            raise FormatError(f"{path!r} is an array, and a group of others")
        group[name] = path
    return root


class _Structures:
    """The structures of a file: each is added at the end, after those to which it refers."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays
        self.content = bytearray(len(superblock(0, 0)) + ENTRY.size)
        self.addresses: dict[str, int] = {}
        """The offset of the address of each array."""

    def add_group(self, group: Group) -> tuple[int, int, int]:
        """Add a group, and return the addresses of its header, its B-tree and its heap."""
        names, links = bytearray(ALIGNMENT), []  # the name at 0 is empty
        for name, item in sorted(group.items(), key=lambda link: link[0]):
            if isinstance(item, str):
                entry = ENTRY.pack(len(names), self._add_array(item), 0, 0, 0, 0)
            else:
                header, tree, heap = self.add_group(item)
                entry = ENTRY.pack(len(names), header, 1, 0, tree, heap)
            links.append((len(names), entry))
            names += name + bytes(ALIGNMENT - len(name) % ALIGNMENT)
        nodes = []
        for index in range(0, len(links), LINKS):
            some = links[index : index + LINKS]
            entries = b"".join(entry for _, entry in some)
            leaf = LEAF.pack(b"SNOD", 1, 0, len(some)) + entries.ljust(LINKS * ENTRY.size, b"\0")
            nodes.append((some[-1][0], self._add(leaf)))
        tree = self._add_tree(nodes)
        data = len(self.content) + HEAP.size
        heap = self._add(HEAP.pack(b"HEAP", 0, len(names), NO_FREE_BYTES, data) + names)
        return self._add_object({objects.SYMBOLS: ADDRESSES.pack(tree, heap)}), tree, heap

    def _add_tree(self, children: list[tuple[int, int]]) -> int:
        """Add a B-tree over the last name and address of each child; return that of its root."""
        level = 0
        while True:
            some = [children[at : at + CHILDREN] for at in range(0, len(children), CHILDREN)]
            first, last, left = len(self.content), 0, UNDEFINED
            parents = []
            for index, nodes in enumerate(some):
                address = first + index * NODE_BYTES
                right = address + NODE_BYTES if index + 1 < len(some) else UNDEFINED
                keys = [last, *(number for name, child in nodes for number in (child, name))]
                node = NODE.pack(b"TREE", 0, level, len(nodes), left, right)
                node += struct.pack(f"<{len(keys)}Q", *keys)
                parents.append((nodes[-1][0], self._add(node.ljust(NODE_BYTES, b"\0"))))
                last, left = nodes[-1][0], address
            if len(parents) == 1:
                return parents[0][1]
            children, level = parents, level + 1

    def _add_array(self, path: str) -> int:
        """Add the header of an array, whose address is stored later."""
        array = self._arrays[path]
        lengths = struct.pack(f"<{array.ndim}Q", *array.shape)
        shape = bytes((1, array.ndim, bool(array.ndim), 0, 0, 0, 0, 0)) + 2 * lengths
        layout = CONTIGUOUS.pack(3, 1, UNDEFINED, array.nbytes, bytes(6))
        header = self._add_object({
            objects.SPACE: shape,
            objects.TYPE: TYPE_MESSAGES[array.dtype],
            objects.FILL: objects.FILL_VALUE,
            objects.LAYOUT: layout,
        })  # fmt: skip
        self.addresses[path] = len(self.content) - CONTIGUOUS.size + 2
        return header

    def _add_object(self, messages: Mapping[int, bytes]) -> int:
        """Add an object header."""
        content = b"".join(
            MESSAGE.pack(kind, len(message), objects.FLAGS[kind][0], bytes(3)) + message
            for kind, message in messages.items()
        )
        return self._add(HEADER.pack(1, 0, len(messages), 1, len(content), 0) + content)

    def _add(self, structure: bytes) -> int:
        """Add a structure and return its address."""
        address = len(self.content)
        self.content += structure
        return address
