"""An HDF5 image of arrays, laid out in memory without copying the arrays."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from nnreg._types import Array
from nnreg._utils.hdf5 import h5py

PAGE = 4096
"""Bytes of memory that are allocated together for what the library writes."""


def write_image(arrays: Mapping[str, Array], start: int) -> list[memoryview]:
    """Return an HDF5 file of plain contiguous arrays, in pieces, from the place `start` on.

    What comes before `start` is the caller's. The library decides what goes where and writes all
    but the arrays, into memory; the arrays' own memory stands for them here, without a copy.
    """
    skeleton = _SparseFile()
    places = []
    with h5py.File(
        "checkpoint", "w", driver="fileobj", fileobj=skeleton, userblock_size=start
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
            dataset = h5py.h5d.create(file.id, name.encode(), kind, space, options, links)
            if array.size:
                places.append((dataset.get_offset(), array))
    chunks = []
    for place, array in sorted(places, key=lambda item: item[0]):
        chunks += [skeleton.cut(start, place), array.reshape(-1).view(np.uint8).data]
        start = place + array.nbytes
    return [*chunks, skeleton.cut(start, skeleton.size)]


class _SparseFile:
    """A file in memory for the HDF5 library to write to, which takes no space where nothing is.

    It has the methods of a binary file that h5py calls.
    """

    def __init__(self) -> None:
        self.size = 0
        self._place = 0
        self._pages: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(PAGE))

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}
        self._place = starts[whence] + place
        return self._place

    def tell(self) -> int:
        return self._place

    def write(self, data: memoryview) -> int:
        done = 0
        while done < len(data):
            page, within = divmod(self._place + done, PAGE)
            part = data[done : done + PAGE - within]
            self._pages[page][within : within + len(part)] = part
            done += len(part)
        self._place += done
        self.size = max(self.size, self._place)
        return done

    def readinto(self, buffer: memoryview) -> int:
        buffer[:] = self.cut(self._place, self._place + len(buffer))
        self._place += len(buffer)
        return len(buffer)

    def truncate(self, size: int) -> None:
        self.size = size

    def flush(self) -> None:
        pass

    def cut(self, start: int, stop: int) -> memoryview:
        """Return the bytes of a stretch; zeros where nothing was written."""
        first, last = start // PAGE, -(-stop // PAGE)
        pages = b"".join(self._pages.get(page, bytes(PAGE)) for page in range(first, last))
        return memoryview(pages)[start - first * PAGE : stop - first * PAGE]
