"""The one place that imports h5py, and makes it safe to import.

An HDF5 file may name a compression filter that the library then searches the disk for and loads,
unless this variable is set before the first import.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnreg.errors import DataError
from nnreg.interfaces import Array, Shape

os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")

import h5py  # after the line above

__all__ = ["StoredDataset", "h5py", "layout", "objects", "plain_datasets"]

PAGE = 4096

DEEPEST = 64
"""The most groups within each other."""


def plain_datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the datasets of a file, by path. Raises ValueError for anything but plain data.

    Plain is a hard link to a group, or to a dataset whose bytes are in this file.
    """
    found = {}
    for path, item in objects(file):
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{path!r} keeps its values in another file")
            found[path] = item
    return found


def objects(
    file: h5py.File, most: float = math.inf
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield every object below the root by path, each reached by one hard link and no other way."""
    root = file["/"]
    seen = {h5py.h5o.get_info(root.id).addr}
    folders = [("", root)]
    count = 0
    while folders:
        prefix, group = folders.pop()
        count += len(group)
        if count > most:
            raise ValueError(f"there are more than {most:,} groups and datasets")
        for name in group:
            path = f"{prefix}{name}"
            if not _is_name(name):
                raise ValueError(f"{path!r} is not a name")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path!r} is a link to somewhere else")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ValueError(f"{path!r} is an object that another name already has")
            seen.add(address)
            if isinstance(item, h5py.Group):
                if path.count("/") >= DEEPEST:
                    raise ValueError(f"{path!r} is nested too deep")
                folders.append((f"{path}/", item))
            elif not isinstance(item, h5py.Dataset):
                raise ValueError(f"{path!r} is neither a group nor a dataset")
            yield path, item


def _is_name(name: str | bytes) -> bool:
    """Tell a name from what only looks like one: h5py gives bytes for what is not UTF-8."""
    return (
        isinstance(name, str) and name.isprintable() and "/" not in name and name not in (".", "..")
    )


class StoredDataset:
    """A dataset that stays in its file, which is opened for each read and must stay as it is."""

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        self.path = path
        self.name = dataset.name
        self.shape: Shape = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype
        self.chunk: int = dataset.chunks[0] if dataset.chunks else 1
        self._version = self._look()

    def read(self, stretches: Sequence[tuple[int, int]]) -> Iterator[Array]:
        """Yield the rows of each stretch, from one up to another.

        Raises `DataError` naming the rows, where they cannot be read or the file has changed: the
        HDF5 library takes what is missing at the end of an open file for zeros.
        """
        first, last = stretches[0][0], stretches[-1][1] - 1
        try:
            self._check()
            with h5py.File(self.path, "r") as file:
                dataset = file[self.name]
                for first, last in ((start, stop - 1) for start, stop in stretches):
                    yield dataset[first : last + 1]
            self._check()
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{self.path}, rows {first} to {last} of {self.name!r}: cannot read: {error}"
            ) from error

    def _check(self) -> None:
        if self._look() != self._version:
            raise OSError("the file has changed since it was opened; put the old one back")

    def _look(self) -> tuple[int, int]:
        state = self.path.stat()
        return state.st_size, state.st_mtime_ns


def layout(arrays: Mapping[str, Array], start: int) -> list[memoryview]:
    """Return an HDF5 file of plain contiguous arrays, in pieces, from the place `start` on.

    What comes before `start` is the caller's. The library decides what goes where and writes all
    but the arrays, into memory; the arrays' own memory stands for them here, without a copy.
    """
    skeleton = _Skeleton()
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
    pieces = []
    for place, array in sorted(places, key=lambda item: item[0]):
        pieces += [skeleton.cut(start, place), array.reshape(-1).view(np.uint8).data]
        start = place + array.nbytes
    return [*pieces, skeleton.cut(start, skeleton.size)]


class _Skeleton:
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
