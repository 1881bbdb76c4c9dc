"""Files of arrays: NumPy's npz, and HDF5."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnreg.errors import DataError
from nnreg.interfaces import Array, Source, Table
from nnreg.memory import memory_limit
from nnreg.stored import Column, Stored

MISSING = ("NoneType", "NAType", "NaTType")
"""The types of what stands for a missing value, in Python and pandas, which need not be there."""


@dataclass(frozen=True)
class Npz(Source):
    """NumPy's archive of arrays, as `numpy.savez` writes it; each array is a column."""

    suffixes = (".npz",)

    def read(self, path: Path) -> Table:
        try:
            with path.open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise DataError(f"{path}: a single array; save named arrays with numpy.savez")
                columns = {name: plain(archive[name], f"{path}, {name!r}") for name in archive}
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not an npz archive of plain arrays: {error}") from error
        if not columns:
            raise DataError(f"{path}: the archive is empty")
        return Table(columns, str(path))


@dataclass(frozen=True)
class Hdf5(Source):
    """An HDF5 file; each dataset is a column, named by its path.

    With `stream`, a dataset of arrays stays in the file, and its rows are read as they are needed.
    By default that is one whose values would take, in float64, more than a fifth of the memory.
    Rows are then shuffled in blocks, and again among those that are in memory at a time.
    """

    suffixes = (".h5", ".hdf5")

    stream: Literal["auto"] | bool = "auto"

    def read(self, path: Path) -> Table:
        from nnreg.hdf5 import h5py, plain_datasets

        try:
            with h5py.File(path, "r") as file:
                columns = {
                    name: self._column(path, name, dataset)
                    for name, dataset in plain_datasets(file).items()
                }
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: not an HDF5 file of plain datasets: {error}") from error
        if not columns:
            raise DataError(f"{path}: the file holds no datasets")
        return Table(columns, str(path))

    def _column(self, path: Path, name: str, dataset: Any) -> Column:
        if not self._stays(dataset):
            return plain(np.asarray(dataset[()]), f"{path}, {name!r}")
        from nnreg.hdf5 import StoredDataset

        stored = StoredDataset(path, dataset)
        return Stored(stored, np.arange(len(dataset)), stored.shape[1:], stored.dtype)

    def _stays(self, dataset: Any) -> bool:
        """Tell whether a dataset is left in its file."""
        if not dataset.size or dataset.ndim < 2 or dataset.dtype.kind not in "biuf":
            return False
        if self.stream == "auto":
            limit = memory_limit()
            return limit is not None and bool(dataset.size * 8 > limit / 5)
        return self.stream


def plain(array: Array, where: str) -> Array:
    """Return numbers as they are and text as an object array of str. Raises `DataError`."""
    if array.ndim == 0:
        raise DataError(f"{where}: a single value; expected one entry a row, also for one row")
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "M":
        dates = np.datetime_as_string(array).astype(object)
        dates[np.isnat(array)] = None
        array = dates
    if array.dtype.kind not in "USTO":
        raise DataError(f"{where}: values of type {array.dtype}; expected numbers or text")
    cells = array.reshape(-1).tolist()
    kinds = {type(cell).__name__ for cell in cells}
    if "bool" in kinds and kinds <= {"bool", *MISSING}:  # as an array without a missing one is
        known = [cell if isinstance(cell, bool) else np.nan for cell in cells]
        return np.array(known, np.float64).reshape(array.shape)
    words = np.empty(array.shape, object)
    words.reshape(-1)[:] = [
        cell if cell is None or isinstance(cell, str) else _text(cell, where) for cell in cells
    ]
    return words


def _text(value: object, where: str) -> str | None:
    """Return a cell as text: None for what is missing, whole numbers without a point."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return None if np.isnan(value) else f"{value:.17g}"
    if isinstance(value, list | tuple | dict | set | np.ndarray):
        raise DataError(
            f"{where}: a cell holds a {type(value).__name__}; expected a number or text"
        )
    return None if type(value).__name__ in MISSING else str(value)
