"""What the HDF5 image of a checkpoint may have: nothing but plain arrays.

The digest in front of an image stops accidents. Whoever makes a file to attack its reader makes a
digest to match, and this stands behind it.
"""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array
from nnreg._utils.hdf5 import h5py, h5py_errors, objects
from nnreg.errors import FormatError

MAX_LINKS = 10_000
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

    Raises `FormatError` for an image with anything that a checkpoint does not have. The
    library reads what describes the arrays; it is never asked for their values.
    """
    with h5py_errors():
        opened = h5py.File.in_memory(image)
    with opened as file:
        _refuse_attributes(file, "the file")
        stored = {
            path: _StoredArray(path, item)
            for path, item in objects(file, MAX_LINKS)
            if _is_array(path, item)
        }
    end, placed = 0, sorted(stored.values(), key=lambda array: array.start)
    for array in placed:
        if array.start < end:
            raise FormatError(f"{array.path!r} lies on the bytes of another array")
        end = array.start + array.size
        if end > len(image):
            raise FormatError(f"{array.path!r} claims more bytes than the file has")
    return {array.path: array.values(image) for array in placed}


def _is_array(path: str, item: h5py.Group | h5py.Dataset) -> bool:
    """Tell an array from a group. Raises `FormatError` for what neither has in a checkpoint."""
    _refuse_attributes(item, repr(path))
    if not isinstance(item, h5py.Group):
        return True
    with h5py_errors():
        count = len(item)
    if not count:
        raise FormatError(f"{path!r} is an empty group")
    return False


def _refuse_attributes(item: h5py.Group | h5py.Dataset, what: str) -> None:
    with h5py_errors():
        count = h5py.h5a.get_num_attrs(item.id)
    if count:
        raise FormatError(f"{what} has attributes, which the format does not have")


class _StoredArray:
    """Where in the image the values of a plain dataset are; others raise `FormatError`."""

    def __init__(self, path: str, dataset: h5py.Dataset) -> None:
        _refuse_layout(path, dataset)  # first: to ask for the shape of others may open files
        with h5py_errors():
            kind, space = dataset.id.get_type(), dataset.id.get_space()
            dtype = next((name for known, name in TYPES.items() if kind.equal(known)), None)
            bare = space.get_simple_extent_type() == h5py.h5s.NULL
        if dtype is None:
            raise FormatError(f"{path!r} has the type {_describe(kind)}")
        if bare:
            raise FormatError(f"{path!r} has no shape")
        with h5py_errors():
            shape = space.get_simple_extent_dims()
            held, start = dataset.id.get_storage_size(), dataset.id.get_offset()
        self.path = path
        self.dtype = np.dtype(dtype)
        self.shape = tuple(int(length) for length in shape)
        self.size = math.prod(self.shape) * self.dtype.itemsize
        if math.prod(filter(None, self.shape)) * self.dtype.itemsize >= 2**63:
            raise FormatError(f"{path!r} has the shape {self.shape}, beyond what an array may have")
        if held != self.size:
            raise FormatError(f"{path!r} declares {self.size:,} bytes, but holds {held:,}")
        if self.size and start is None:
            raise FormatError(f"{path!r} declares values that the file does not hold")
        self.start = int(start) if self.size else 0

    def values(self, image: bytes) -> Array:
        """Return a copy of the values."""
        count = self.size // self.dtype.itemsize
        return np.frombuffer(image, self.dtype, count, self.start).reshape(self.shape).copy()


def _refuse_layout(path: str, dataset: h5py.Dataset) -> None:
    """Raise `FormatError` unless a dataset's bytes are in the file as they are, contiguous."""
    with h5py_errors():
        creation = dataset.id.get_create_plist()
        layout, filters = creation.get_layout(), creation.get_nfilters()
        elsewhere = creation.get_external_count() or layout == h5py.h5d.VIRTUAL
    if elsewhere:
        raise FormatError(f"{path!r} keeps its values in another file")
    if layout != h5py.h5d.CONTIGUOUS or filters:
        raise FormatError(f"{path!r} is chunked, compressed or compact")


def _describe(kind: h5py.h5t.TypeID) -> str:
    """Name a type without making anything of it."""
    names = {
        getattr(h5py.h5t, name): name.lower().replace("_", " ")
        for name in ("INTEGER", "FLOAT", "TIME", "STRING", "BITFIELD", "OPAQUE", "COMPOUND",
                     "REFERENCE", "ENUM", "VLEN", "ARRAY")
    }  # fmt: skip
    with h5py_errors():
        number, size = kind.get_class(), kind.get_size()
    return f"{names.get(number, 'unknown')} of {size} bytes"
