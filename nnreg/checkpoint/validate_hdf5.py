"""Validation of a checkpoint's HDF5 image, which may contain plain arrays only.

The digest in the header detects accidental damage. An adversarial file can have a matching digest,
so its image is not trusted.
"""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array
from nnreg._utils.hdf5 import h5py, h5py_errors, objects
from nnreg.errors import FormatError

MAX_LINKS = 10_000
"""The maximum number of groups and datasets in a checkpoint."""

TYPES = {
    h5py.h5t.IEEE_F32LE: "<f4",
    h5py.h5t.IEEE_F64LE: "<f8",
    h5py.h5t.STD_I64LE: "<i8",
    h5py.h5t.STD_U8LE: "|u1",
}
"""The types of a checkpoint's arrays."""


def image_arrays(image: bytes) -> dict[str, Array]:
    """Return the arrays of a checkpoint's HDF5 image by path, in the order of their bytes.

    Raises `FormatError` for an image with anything that a checkpoint does not have. The library
    only parses the descriptions of the arrays; it never reads their values.
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
    end, in_order = 0, sorted(stored.values(), key=lambda array: array.start)
    for array in in_order:
        if array.start < end:
            raise FormatError(f"{array.path!r} overlaps another array")
        end = array.start + array.size
        if end > len(image):
            raise FormatError(f"{array.path!r} extends past the end of the file")
    return {array.path: array.values(image) for array in in_order}


def _is_array(path: str, item: h5py.Group | h5py.Dataset) -> bool:
    """Return True for an array, False for a group. Raises `FormatError` for an invalid one."""
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
        raise FormatError(f"{what} has attributes, which the format does not allow")


class _StoredArray:
    """The location of a plain dataset's values in the image; others raise `FormatError`."""

    def __init__(self, path: str, dataset: h5py.Dataset) -> None:
        _refuse_layout(path, dataset)  # first: reading the shape of others may open files
        with h5py_errors():
            kind, space = dataset.id.get_type(), dataset.id.get_space()
            dtype = next((name for known, name in TYPES.items() if kind.equal(known)), None)
            null = space.get_simple_extent_type() == h5py.h5s.NULL
        if dtype is None:
            raise FormatError(f"{path!r} has the type {_describe(kind)}")
        if null:
            raise FormatError(f"{path!r} has no shape")
        with h5py_errors():
            shape = space.get_simple_extent_dims()
            stored, start = dataset.id.get_storage_size(), dataset.id.get_offset()
        self.path = path
        self.dtype = np.dtype(dtype)
        self.shape = tuple(int(length) for length in shape)
        self.size = math.prod(self.shape) * self.dtype.itemsize
        if math.prod(filter(None, self.shape)) * self.dtype.itemsize >= 2**63:
            raise FormatError(
                f"{path!r} has the shape {self.shape}, which is too large for an array"
            )
        if stored != self.size:
            raise FormatError(f"{path!r} declares {self.size:,} bytes, but has {stored:,}")
        if self.size and start is None:
            raise FormatError(f"{path!r} declares values that the file does not have")
        self.start = int(start) if self.size else 0

    def values(self, image: bytes) -> Array:
        """Return a copy of the values."""
        count = self.size // self.dtype.itemsize
        return np.frombuffer(image, self.dtype, count, self.start).reshape(self.shape).copy()


def _refuse_layout(path: str, dataset: h5py.Dataset) -> None:
    """Raise `FormatError` unless a dataset is contiguous, unfiltered and in the file itself."""
    with h5py_errors():
        creation = dataset.id.get_create_plist()
        layout, filters = creation.get_layout(), creation.get_nfilters()
        external = creation.get_external_count() or layout == h5py.h5d.VIRTUAL
    if external:
        raise FormatError(f"{path!r} uses external storage")
    if layout != h5py.h5d.CONTIGUOUS or filters:
        raise FormatError(f"{path!r} is chunked, compressed or compact")


def _describe(kind: h5py.h5t.TypeID) -> str:
    """Return the name of a type without interpreting it."""
    names = {
        getattr(h5py.h5t, name): name.lower().replace("_", " ")
        for name in ("INTEGER", "FLOAT", "TIME", "STRING", "BITFIELD", "OPAQUE", "COMPOUND",
                     "REFERENCE", "ENUM", "VLEN", "ARRAY")
    }  # fmt: skip
    with h5py_errors():
        number, size = kind.get_class(), kind.get_size()
    return f"{names.get(number, 'unknown')} of {size} bytes"
