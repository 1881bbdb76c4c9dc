"""Arrays with a storage layout that the format does not allow."""

from __future__ import annotations

import h5py
import numpy as np

from nnreg.checkpoint.file_format import HEADER_BYTES
from tests.security.harness import altered, attack, image, signed, victim


@attack("'x', byte .*: it has external storage")
def external_storage(path):
    altered(
        path,
        lambda file: file.create_dataset(
            "x", shape=(4,), dtype="f8", external=[("/etc/passwd", 0, 32)]
        ),
    )


@attack("'x', byte .*: it has a modification time")
def virtual_storage(path):
    def change(file):
        layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
        file.create_virtual_dataset("x", layout)

    altered(path, change)


@attack("'x', byte .*: it extends past the end of the file")
def a_bomb_by_shape(path):
    body = image(*victim_with(np.zeros(12_345)))
    for old, new in ((12_345, 1 << 37), (8 * 12_345, 1 << 40)):
        body = body.replace(old.to_bytes(8, "little"), new.to_bytes(8, "little"))
    path.write_bytes(signed(body))


@attack("'x', byte .*: it declares 1,099,511,627,776 bytes, but has 98,760")
def a_shape_that_is_larger_than_the_values(path):
    body = image(*victim_with(np.zeros(12_345)))
    path.write_bytes(signed(body.replace(b"\x39\x30\0\0\0\0\0\0", (1 << 37).to_bytes(8, "little"))))


@attack("'x', byte .*: its shape .* is too large for an array")
def an_empty_array_of_a_large_shape(path):
    body = image(*victim_with(np.zeros((0, 12_345))))
    path.write_bytes(signed(body.replace(b"\x39\x30\0\0\0\0\0\0", (1 << 62).to_bytes(8, "little"))))


@attack("'x', byte .*: it is chunked, compressed, compact or virtual")
def a_bomb_by_chunks(path):
    altered(
        path, lambda file: file.create_dataset("x", shape=(1 << 37,), dtype="f8", chunks=(1024,))
    )


@attack("'x', byte .*: it has filters")
def a_bomb_by_compression(path):
    altered(
        path, lambda file: file.create_dataset("x", data=np.zeros(10_000_000), compression="gzip")
    )


@attack("'x', byte .*: it has filters")
def an_unknown_filter(path):
    def change(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, plist)

    altered(path, change)


@attack("'x', byte .*: it is chunked, compressed, compact or virtual")
def compact_storage(path):
    def change(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        plist.set_obj_track_times(False)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((4,)), plist)

    altered(path, change)


def victim_with(x: np.ndarray) -> tuple[dict, dict]:
    """Return the content of a valid checkpoint with one more array."""
    document, arrays = victim()
    return document, {**arrays, "x": x}


def address(array: h5py.Dataset) -> bytes:
    """Return the address of the values of an array as the file encodes it."""
    return int(array.id.get_offset() - HEADER_BYTES).to_bytes(8, "little")


@attack("it has the same bytes as '(optimizer/m|best/parameters)'")
def arrays_on_the_same_bytes(path):
    names = ("best/parameters", "optimizer/m")
    addresses: list[bytes] = []
    body = image(*victim(), lambda file: addresses.extend(address(file[name]) for name in names))
    path.write_bytes(signed(body.replace(addresses[1], addresses[0])))


@attack("'history', byte .*: it extends past the end of the file")
def an_array_beyond_the_end(path):
    addresses: list[bytes] = []
    body = image(*victim(), lambda file: addresses.append(address(file["history"])))
    path.write_bytes(signed(body.replace(addresses[0], (len(body) - 8).to_bytes(8, "little"))))
