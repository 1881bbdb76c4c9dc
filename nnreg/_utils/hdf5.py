"""The one place that imports h5py, and makes it safe to import.

An HDF5 file may name a compression filter that the library then searches the disk for and loads,
unless this variable is set before the first import.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import DataError, FormatError

os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")

import h5py  # after the line above

__all__ = ["FileDataset", "h5py", "h5py_errors", "objects", "plain_datasets"]


MAX_DEPTH = 64
"""The most groups within each other."""


@contextmanager
def h5py_errors() -> Iterator[None]:
    """Raise `FormatError` for what h5py raises, of five types, where the library cannot read.

    Nothing but calls of h5py belongs inside: what other code raises is not the file's fault.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FormatError(str(error)) from error


def plain_datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the datasets of a file, by path. Raises `FormatError` for anything but plain data.

    Plain is a hard link to a group, or to a dataset whose bytes are in this file.
    """
    found = {}
    for path, item in objects(file):
        if isinstance(item, h5py.Dataset):
            with h5py_errors():
                elsewhere = item.external or item.is_virtual
            if elsewhere:
                raise FormatError(f"{path!r} keeps its values in another file")
            found[path] = item
    return found


def objects(
    file: h5py.File, most: float = math.inf
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield every object below the root by path, each reached by one hard link and no other way.

    Raises `FormatError` for any other, and where the library cannot read.
    """
    with h5py_errors():
        root = file["/"]
        seen = {h5py.h5o.get_info(root.id).addr}
    groups = [("", root)]
    count = 0
    while groups:
        prefix, group = groups.pop()
        with h5py_errors():
            count += len(group)
        if count > most:
            raise FormatError(f"there are more than {most:,} groups and datasets")
        with h5py_errors():
            names = list(group)
        for name in names:
            path = f"{prefix}{name}"
            item, address = _linked(group, name, path)
            if address in seen:
                raise FormatError(f"{path!r} is an object that another name already has")
            seen.add(address)
            if isinstance(item, h5py.Group):
                if path.count("/") >= MAX_DEPTH:
                    raise FormatError(f"{path!r} is nested too deep")
                groups.append((f"{path}/", item))
            elif not isinstance(item, h5py.Dataset):
                raise FormatError(f"{path!r} is neither a group nor a dataset")
            yield path, item


def _linked(group: h5py.Group, name: str, path: str) -> tuple[Any, int]:
    """Return the object behind a hard link, and its address; no other link is followed."""
    if not _is_name(name):
        raise FormatError(f"{path!r} is not a name")
    with h5py_errors():
        link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise FormatError(f"{path!r} is a link to somewhere else")
    with h5py_errors():
        item = group[name]
        return item, h5py.h5o.get_info(item.id).addr


def _is_name(name: str | bytes) -> bool:
    """Tell a name from what only looks like one: h5py gives bytes for what is not UTF-8."""
    return (
        isinstance(name, str) and name.isprintable() and "/" not in name and name not in (".", "..")
    )


class FileDataset:
    """A dataset that stays in its file, which is opened for each read and must stay as it is."""

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        self.path = path
        self.name = dataset.name
        self.shape: Shape = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype
        self.chunk: int = dataset.chunks[0] if dataset.chunks else 1
        self._version = self._file_state()

    def read(self, segments: Sequence[tuple[int, int]]) -> Iterator[Array]:
        """Yield the rows of each stretch, from one up to another.

        Raises `DataError` naming the rows, where they cannot be read or the file has changed: the
        HDF5 library takes what is missing at the end of an open file for zeros.
        """
        first, last = segments[0][0], segments[-1][1] - 1
        try:
            self._check()
            with h5py.File(self.path, "r") as file:
                dataset = file[self.name]
                for first, last in ((start, stop - 1) for start, stop in segments):
                    yield dataset[first : last + 1]
            self._check()
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{self.path}, rows {first} to {last} of {self.name!r}: cannot read: {error}"
            ) from error

    def _check(self) -> None:
        if self._file_state() != self._version:
            raise OSError("the file has changed since it was opened; put the old one back")

    def _file_state(self) -> tuple[int, int]:
        state = self.path.stat()
        return state.st_size, state.st_mtime_ns
