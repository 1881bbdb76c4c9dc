"""The one place that imports h5py, and makes it safe to import.

An HDF5 file may name a compression filter that the library then searches the disk for and loads,
unless this variable is set before the first import.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import DataError

os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")

__all__ = ["StoredDataset", "h5py", "objects", "plain_datasets"]


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
