"""What the HDF5 image of a checkpoint may have: nothing but plain arrays.

The digest in front of an image stops accidents. Whoever makes a file to attack its reader makes a
digest to match, and this stands behind it.
"""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array
from nnreg._utils.hdf5 import h5py, objects

MOST_LINKS = 10_000
"""The most groups and datasets in a checkpoint."""

TYPES = {
    h5py.h5t.IEEE_F32LE: "<f4",
    h5py.h5t.IEEE_F64LE: "<f8",
    h5py.h5t.STD_I64LE: "<i8",
    h5py.h5t.STD_U8LE: "|u1",
}
"""The types of a checkpoint's arrays."""


def image_arrays(image: bytes) -> dict[str, Array]:
    """Return the arrays of a checkpoint's HDF5 image by path, in their order in its bytes.

    Raises ValueError or OSError for an image with anything that a checkpoint does not have. The
    library reads what describes the arrays; it is never asked for their values.
    """
    with h5py.File.in_memory(image) as file:
        if h5py.h5a.get_num_attrs(file.id):
            raise ValueError("the file has attributes, which the format does not have")
        stored = {
            path: _Stored(path, item)
            for path, item in objects(file, MOST_LINKS)
            if _is_array(path, item)
        }
    end, placed = 0, sorted(stored.values(), key=lambda array: array.start)
    for array in placed:
        if array.start < end:
            raise ValueError(f"{array.path!r} lies on the bytes of another array")
        end = array.start + array.size
        if end > len(image):
            raise ValueError(f"{array.path!r} claims more bytes than the file has")
    return {array.path: array.values(image) for array in placed}


def _is_array(path: str, item: h5py.Group | h5py.Dataset) -> bool:
    """Tell an array from a group. Raises ValueError for what neither has in a checkpoint."""
    if h5py.h5a.get_num_attrs(item.id):
        raise ValueError(f"{path!r} has attributes, which the format does not have")
    if isinstance(item, h5py.Group):
        if not len(item):
            raise ValueError(f"{path!r} is an empty group")
        return False
    return True


class _Stored:
    """Where in the image the values of a dataset are. Raises ValueError for any but plain ones."""

    def __init__(self, path: str, dataset: h5py.Dataset) -> None:
        creation, kind = dataset.id.get_create_plist(), dataset.id.get_type()
        if creation.get_external_count() or creation.get_layout() == h5py.h5d.VIRTUAL:
            raise ValueError(f"{path!r} keeps its values in another file")
        if creation.get_layout() != h5py.h5d.CONTIGUOUS or creation.get_nfilters():
            raise ValueError(f"{path!r} is chunked, compressed or compact")
        dtype = next((name for known, name in TYPES.items() if kind.equal(known)), None)
        if dtype is None:
            raise ValueError(f"{path!r} has the type {_describe(kind)}")
        space = dataset.id.get_space()
        if space.get_simple_extent_type() == h5py.h5s.NULL:
            raise ValueError(f"{path!r} has no shape")
        self.path = path
        self.dtype = np.dtype(dtype)
        self.shape = tuple(int(length) for length in space.get_simple_extent_dims())
        self.size = math.prod(self.shape) * self.dtype.itemsize
        held = dataset.id.get_storage_size()
        if held != self.size:
            raise ValueError(f"{path!r} declares {self.size:,} bytes, but holds {held:,}")
        start = dataset.id.get_offset() if self.size else 0
        if start is None:
            raise ValueError(f"{path!r} declares values that the file does not hold")
        self.start = int(start)

    def values(self, image: bytes) -> Array:
        """Return a copy of the values."""
        count = self.size // self.dtype.itemsize
        return np.frombuffer(image, self.dtype, count, self.start).reshape(self.shape).copy()


def _describe(kind: h5py.h5t.TypeID) -> str:
    """Name a type without making anything of it."""
    names = {
        getattr(h5py.h5t, name): name.lower().replace("_", " ")
        for name in ("INTEGER", "FLOAT", "TIME", "STRING", "BITFIELD", "OPAQUE", "COMPOUND",
                     "REFERENCE", "ENUM", "VLEN", "ARRAY")
    }  # fmt: skip
    return f"{names.get(kind.get_class(), 'unknown')} of {kind.get_size()} bytes"
