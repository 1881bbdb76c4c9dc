"""Writing an HDF5 image of arrays to memory without copying the arrays."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from nnreg._types import Array
from nnreg._utils.hdf5 import h5py
from nnreg.checkpoint.hdf5.reading import locate_arrays

LIBVER = ("earliest", "v110")
"""The structures of the file: the oldest. The library's own choice depends on its version."""

PAGE_BYTES = 4096
"""The bytes of memory that are allocated at a time for what the library writes."""


def write_image(arrays: Mapping[str, Array], start: int) -> list[memoryview]:
    """Return an HDF5 file of plain contiguous arrays, in chunks, from the offset `start` on.

    The bytes before `start` are the caller's. The library chooses the offsets and writes everything
    but the arrays, to memory; the chunks of the arrays are views of their own memory. Raises
    `FormatError` if the library wrote anything that the reader would refuse.
    """
    skeleton = _SparseFile()
    with h5py.File(
        "checkpoint", "w", driver="fileobj", fileobj=skeleton, userblock_size=start, libver=LIBVER
    ) as file:
        options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        options.set_obj_track_times(False)
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        for name, array in arrays.items():
            space = h5py.h5s.create_simple(array.shape) if array.ndim else h5py.h5s.create(0)
            kind = h5py.h5t.py_create(array.dtype)
            h5py.h5d.create(file.id, name.encode(), kind, space, options, links)
    located = locate_arrays(skeleton.cut, start, skeleton.size)
    chunks = []
    for name, stored in sorted(located.items(), key=lambda item: item[1].start):
        array = arrays[name]
        if array.size:
            chunks += [skeleton.cut(start, stored.start), array.reshape(-1).view(np.uint8).data]
            start = stored.start + array.nbytes
    return [*chunks, skeleton.cut(start, skeleton.size)]


class _SparseFile:
    """A sparse file in memory, with the methods of a binary file that h5py calls."""

    def __init__(self) -> None:
        self.size = 0
        self._position = 0
        self._pages: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(PAGE_BYTES))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        self._position = starts[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, data: memoryview) -> int:
        done = 0
        while done < len(data):
            page, within = divmod(self._position + done, PAGE_BYTES)
            part = data[done : done + PAGE_BYTES - within]
            self._pages[page][within : within + len(part)] = part
            done += len(part)
        self._position += done
        self.size = max(self.size, self._position)
        return done

    def readinto(self, buffer: memoryview) -> int:
        buffer[:] = self.cut(self._position, self._position + len(buffer))
        self._position += len(buffer)
        return len(buffer)

    def truncate(self, size: int) -> None:
        self.size = size

    def flush(self) -> None:
        pass

    def cut(self, start: int, stop: int) -> memoryview:
        """Return the bytes of a range; zeros where nothing was written."""
        first, last = start // PAGE_BYTES, -(-stop // PAGE_BYTES)
        pages = b"".join(self._pages.get(page, bytes(PAGE_BYTES)) for page in range(first, last))
        return memoryview(pages)[start - first * PAGE_BYTES : stop - first * PAGE_BYTES]
