"""Structures of HDF5 that no library would write: each attack replaces bytes of a valid image."""

from __future__ import annotations

import json
import struct

import numpy as np

from nnreg.checkpoint.file_format import HEADER_BYTES
from nnreg.checkpoint.hdf5.writing import write_image
from tests.security.harness import attack, image, signed, victim

GARBAGE = b"\xa5" * 8


def structure(name: str, signature: bytes, offset: int, new: bytes | int, message: str) -> None:
    """Register an attack that replaces bytes of the first structure with this signature.

    A number is a distance to the structure, as an address of 8 bytes.
    """

    def make(path):
        body = bytearray(image(*victim()))
        start = body.index(signature)
        value = struct.pack("<Q", start + new) if isinstance(new, int) else new
        assert body[start + offset : start + offset + len(value)] != value, "nothing changed"
        body[start + offset : start + offset + len(value)] = value
        path.write_bytes(signed(bytes(body)))

    make.__name__ = name
    attack(message)(make)


SUPERBLOCK = b"\x89HDF"
for version in (1, 2, 3):
    structure(f"a_superblock_of_version_{version}", SUPERBLOCK, 8, bytes([version]),
              r"the superblock, byte 520: it has \d where a checkpoint has 0")  # fmt: skip
structure("addresses_of_four_bytes", SUPERBLOCK, 13, b"\4", "the superblock, byte 525")
structure("another_base_address", SUPERBLOCK, 24, b"\0\0", "the superblock, byte 537")
structure("an_end_before_the_end", SUPERBLOCK, 40, b"\0\2", "the superblock, byte 55")
structure("information_of_a_driver", SUPERBLOCK, 48, bytes(8), "the superblock, byte 560")
structure("a_root_that_is_no_group", SUPERBLOCK, 72, bytes(24), "it does not link to a group")
structure("a_root_with_another_heap", SUPERBLOCK, 88, 9, "it is not the group that its link")
structure("a_root_beyond_the_end", SUPERBLOCK, 64, GARBAGE, "extends past the end of the file")
structure("a_root_in_the_superblock", SUPERBLOCK, 64, 8, "object header is not of version 1")

structure("a_tree_of_chunks", b"TREE", 4, b"\1", "damaged node of a B-tree")
structure("a_tree_of_a_higher_level", b"TREE", 5, b"\1", "damaged node of a B-tree")
structure("a_tree_of_the_highest_level", b"TREE", 5, b"\xff", "damaged node of a B-tree")
structure("a_tree_without_children", b"TREE", 6, b"\0\0", "it is an empty group")
structure("a_tree_of_too_many_children", b"TREE", 6, b"\x21\0", "damaged node of a B-tree")
structure("a_tree_with_a_child_more", b"TREE", 6, b"\2\0", "same bytes as the superblock")
structure("a_tree_with_a_sibling", b"TREE", 8, 0, "a B-tree with other siblings")
structure("a_tree_with_another_first_key", b"TREE", 24, b"\x08", "a B-tree with other keys")
structure("a_tree_with_another_last_key", b"TREE", 40, GARBAGE, "another name for a symbol table")
structure("a_tree_that_is_its_own_child", b"TREE", 32, 0, "same bytes as|damaged symbol table node")

structure("a_heap_of_another_version", b"HEAP", 4, b"\1", "no local heap of version 0")
structure("a_heap_beyond_the_end", b"HEAP", 8, GARBAGE, "extends past the end of the file")
structure("a_heap_without_bytes", b"HEAP", 8, bytes(8), "it has no name at 0 of its heap")
structure("a_heap_in_itself", b"HEAP", 24, 0, "it has the same bytes as the root")
structure("a_heap_over_its_header", b"HEAP", 24, 5, "names are not in ascending order")

structure("a_node_of_another_version", b"SNOD", 4, b"\2", "damaged symbol table node")
structure("a_node_without_links", b"SNOD", 6, b"\0\0", "damaged symbol table node")
structure("a_node_of_too_many_links", b"SNOD", 6, b"\x09\0", "damaged symbol table node")
structure("a_node_with_a_link_less", b"SNOD", 6, b"\1\0", "another name for a symbol table node")
structure("a_name_beyond_the_heap", b"SNOD", 8, GARBAGE, "it has no name at .* of its heap")
structure("names_that_descend", b"SNOD", 48, bytes(8), "not in ascending order|no name at")
structure("an_unknown_kind_of_link", b"SNOD", 24, b"\3", "it has an unknown kind of link")
structure("a_dataset_as_a_group", b"SNOD", 64, b"\1", "not the group that its link describes")
structure("a_group_as_a_dataset", b"SNOD", 24, bytes(24), "'best', byte .*: it is not an array")
structure("a_group_with_another_tree", b"SNOD", 32, 0, "not the group that its link describes")
structure("an_object_beyond_the_end", b"SNOD", 16, GARBAGE, "extends past the end of the file")
structure("an_object_in_a_node", b"SNOD", 16, 8, "object header is not of version 1|overlaps")

DATASET = bytes.fromhex("01000500 01000000 00010000 00000000")
structure("a_header_of_version_2", DATASET, 0, b"\2", "object header is not of version 1")
structure("a_header_with_fewer_messages", DATASET, 2, b"\4", "another number of messages")
structure("a_header_with_more_messages", DATASET, 2, b"\6", "another number of messages")
structure("a_header_of_many_messages", DATASET, 2, b"\x11\0", "it has 17 messages")
structure("a_header_beyond_the_end", DATASET, 8, b"\0\0\0\x7f", "extends past the end of the file")
structure("a_header_that_ends_early", DATASET, 8, b"\4\0\0\0", "ends within a message")
structure("a_header_of_nothing", DATASET, 8, bytes(4), "another number of messages")
structure("a_shared_message", DATASET, 16 + 4, b"\2", "message of type 1 is damaged")
structure("an_unknown_message", DATASET, 16, b"\x1f", "it has something else: a message of type 31")
structure("a_message_of_odd_length", DATASET, 18, b"\x17", "its message of type 1 is damaged")
structure("a_message_beyond_its_header", DATASET, 18, b"\xf8\xff", "message of type 1 is damaged")
structure("a_message_twice", DATASET, 48, b"\1\0\x10\0\0", "it has a second message of type 1")
structure("an_array_without_a_layout", DATASET, 88, b"\0", "its padding is not zeros|is damaged")
structure("a_shape_that_grows", DATASET, 32 + 8, GARBAGE, "its shape is not fixed")
structure("a_shape_of_version_2", DATASET, 24, b"\2", "one of another version")
structure("a_shape_of_too_many_dimensions", DATASET, 25, b"\x21", "it has no shape|not fixed")
structure("a_layout_of_version_4", DATASET, 16 + 32 + 24 + 16 + 8, b"\4", "compact or virtual")


@attack("'x', byte .*: it has the same bytes as 'x'")
def a_continuation_in_its_own_header(path):
    document, arrays = victim()
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    chunks = write_image({"document": text, **arrays, "x": np.zeros((1,) * 12)}, HEADER_BYTES)
    body = b"".join(map(bytes, chunks))
    message = body.index(b"\x10\0\x10\0\0\0\0\0")  # after the header and the shape
    header = message - 16 - (8 + 8 + 2 * 8 * 12)
    address = struct.pack("<Q", header)
    path.write_bytes(signed(body[: message + 8] + address + body[message + 16 :]))
