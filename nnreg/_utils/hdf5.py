"""Reading HDF5 data files. All other modules import h5py from here.

Structures that are damaged on purpose can crash the library, so it reads no checkpoint. A file can
also name a compression filter, which the library searches for on disk and loads when it reads data:
only data with filters that are part of the library, or already loaded, are read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.file_state import FileState
from nnreg._utils.hdf5_names import MAX_DEPTH, is_name
from nnreg.errors import DataError, FormatError

__all__ = ["FileDataset", "h5py", "h5py_errors", "plain_datasets"]


@contextmanager
def h5py_errors() -> Iterator[None]:
    """Raise the exceptions of h5py for data that it cannot read, of six types, as `FormatError`.

    Put only calls of h5py inside: an exception of other code is a bug.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise FormatError(str(error)) from error


def plain_datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the datasets of a file by path. Raises `FormatError` for anything but plain data.

    Plain data are hard links to groups, and to datasets whose bytes are in this file, with
    filters that need no plugin.
    """
    found = {}
    with _without_plugin_paths():  # the names in a group can be filtered too
        for path, item in _objects(file):
            if isinstance(item, h5py.Dataset):
                with h5py_errors():
                    external = item.external or item.is_virtual
                    missing = _missing_filters(item)
                if external:
                    raise FormatError(f"{path!r} uses external storage")
                if missing:
                    raise FormatError(
                        f"{path!r} uses the filter {missing[0]}, which is not part of HDF5; write "
                        "the file with gzip, or without compression"
                    )
                found[path] = item
    return found


def _missing_filters(dataset: h5py.Dataset) -> list[int]:
    """Return the numbers of the filters of a dataset for which a library would be loaded."""
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(index)[0] for index in range(settings.get_nfilters())]
    return [number for number in filters if not h5py.h5z.filter_avail(number)]


_plugin_paths = threading.Lock()


@contextmanager
def _without_plugin_paths() -> Iterator[None]:
    """Let the library search no directory for plugins while the context is open."""
    with _plugin_paths:
        paths = [h5py.h5pl.get(index) for index in range(h5py.h5pl.size())]
        for _ in paths:
            h5py.h5pl.remove(0)
        try:
            yield
        finally:
            for path in paths:
                h5py.h5pl.append(path)


def _objects(file: h5py.File) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield every object below the root by path, each reached by exactly one hard link.

    Raises `FormatError` for any other link, and if the library cannot read the file.
    """
    with h5py_errors():
        root = file["/"]
        seen = {h5py.h5o.get_info(root.id).addr}
    groups = [("", root)]
    while groups:
        prefix, group = groups.pop()
        with h5py_errors():
            names = list(group)
        for name in names:
            path = f"{prefix}{name}"
            item, address = _linked(group, name, path)
            if address in seen:
                raise FormatError(f"{path!r} is a second name of an object")
            seen.add(address)
            if isinstance(item, h5py.Group):
                if path.count("/") >= MAX_DEPTH:
                    raise FormatError(f"{path!r} is nested too deep")
                groups.append((f"{path}/", item))
            elif not isinstance(item, h5py.Dataset):
                raise FormatError(f"{path!r} is neither a group nor a dataset")
            yield path, item


def _linked(group: h5py.Group, name: str, path: str) -> tuple[Any, int]:
    """Return the object of a hard link, and its address; other links are not followed."""
    if not is_name(name):
        raise FormatError(f"{path!r} is not a name")
    with h5py_errors():
        link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise FormatError(f"{path!r} is not a hard link")
    with h5py_errors():
        item = group[name]
        return item, h5py.h5o.get_info(item.id).addr


class FileDataset:
    """A dataset that stays in its file, which is opened for each read and must not change."""

    starts = None

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        self.path = path
        self.name = dataset.name
        self.shape: Shape = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype
        self.chunk: int = dataset.chunks[0] if dataset.chunks else 1
        self._state = FileState.of(path)

    def read(self, segments: Sequence[tuple[int, int]]) -> Iterator[Array]:
        """Yield the rows of each segment `(start, stop)`.

        Raises `DataError` with the rows if they cannot be read or the file has changed: the HDF5
        library reads zeros past the end of a truncated file.
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
        if problem := self._state.problem:
            raise OSError(problem)
