"""Sources of array files: NumPy's npz, and HDF5."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnreg._utils.memory import exceeds_memory
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.column_types import plain_values
from nnreg.tables.lazy import Column, LazyArray
from nnreg.tables.table import Table


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
                columns = {
                    name: plain_values(archive[name], f"{path}, {name!r}") for name in archive
                }
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not an npz archive of plain arrays: {error}") from error
        if not columns:
            raise DataError(f"{path}: the archive is empty")
        return Table(columns, str(path), missing_texts=MISSING_TEXTS)


@dataclass(frozen=True)
class Hdf5(Source):
    """An HDF5 file; each dataset is a column, named by its path.

    Compressed data are read if their filter is part of HDF5; no library is loaded for one.

    With `stream`, a dataset of arrays stays in the file, and its rows are read on demand. With
    "auto", that is a dataset that would take more than a fifth of the memory in float64. Rows are
    then shuffled in blocks, and within the blocks that are in memory at a time.

    Options:
        stream: leave arrays in the file and read rows as needed; "auto" decides by their size
    """

    suffixes = (".h5", ".hdf5")

    stream: Literal["auto"] | bool = "auto"

    def read(self, path: Path) -> Table:
        from nnreg._utils.hdf5 import h5py, plain_datasets

        try:
            with h5py.File(path, "r") as file:
                columns = {
                    name: self._column(path, name, dataset)
                    for name, dataset in plain_datasets(file).items()
                }
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: not an HDF5 file of plain datasets: {error}") from error
        if not columns:
            raise DataError(f"{path}: the file has no datasets")
        return Table(columns, str(path), missing_texts=MISSING_TEXTS)

    def _column(self, path: Path, name: str, dataset: Any) -> Column:
        if not self._stays(dataset):
            return plain_values(np.asarray(dataset[()]), f"{path}, {name!r}")
        from nnreg._utils.hdf5 import FileDataset

        stored = FileDataset(path, dataset)
        return LazyArray(stored, np.arange(len(dataset)), stored.shape[1:], stored.dtype)

    def _stays(self, dataset: Any) -> bool:
        """Return True if a dataset stays in its file."""
        if not dataset.size or dataset.ndim < 2 or dataset.dtype.kind not in "biuf":
            return False
        if self.stream == "auto":
            return exceeds_memory(8 * int(dataset.size), 1 / 5)
        return self.stream
