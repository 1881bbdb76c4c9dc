"""Arrays with a storage layout that the format does not allow."""

from __future__ import annotations

import h5py
import numpy as np

from nnreg.checkpoint.file_format import HEADER_BYTES
from tests.security.harness import altered, attack, image, signed, victim


@attack("'x' uses external storage")
def external_storage(path):
    altered(
        path,
        lambda file: file.create_dataset(
            "x", shape=(4,), dtype="f8", external=[("/etc/passwd", 0, 32)]
        ),
    )


@attack("'x' uses external storage")
def virtual_storage(path):
    def change(file):
        layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
        file.create_virtual_dataset("x", layout)

    altered(path, change)


@attack("'x' declares 1,099,511,627,776 bytes, but has 0")
def a_bomb_by_shape(path):
    altered(path, lambda file: file.create_dataset("x", shape=(1 << 37,), dtype="f8"))


@attack("'x' is chunked, compressed or compact")
def a_bomb_by_chunks(path):
    altered(
        path, lambda file: file.create_dataset("x", shape=(1 << 37,), dtype="f8", chunks=(1024,))
    )


@attack("'x' is chunked, compressed or compact")
def a_bomb_by_compression(path):
    altered(
        path, lambda file: file.create_dataset("x", data=np.zeros(10_000_000), compression="gzip")
    )


@attack("'x' is chunked, compressed or compact")
def an_unknown_filter(path):
    def change(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, plist)

    altered(path, change)


@attack("'x' is chunked, compressed or compact")
def compact_storage(path):
    def change(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((4,)), plist)

    altered(path, change)


def address(array: h5py.Dataset) -> bytes:
    """Return the address of the values of an array as the file encodes it."""
    return int(array.id.get_offset() - HEADER_BYTES).to_bytes(8, "little")


@attack("overlaps another array")
def arrays_on_the_same_bytes(path):
    names = ("best/parameters", "optimizer/m")
    addresses: list[bytes] = []
    body = image(*victim(), lambda file: addresses.extend(address(file[name]) for name in names))
    path.write_bytes(signed(body.replace(addresses[1], addresses[0])))


@attack("more bytes than the file has|not a well-formed checkpoint")
def an_array_beyond_the_end(path):
    addresses: list[bytes] = []
    body = image(*victim(), lambda file: addresses.append(address(file["history"])))
    path.write_bytes(signed(body.replace(addresses[0], (len(body) - 8).to_bytes(8, "little"))))
