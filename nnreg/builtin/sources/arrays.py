"""Sources of array files: NumPy's npz, and HDF5."""

from __future__ import annotations

import errno
import math
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.memory import array_bytes, data_limit, exceeds_memory, require_memory
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.column_types import plain_values
from nnreg.tables.convert import ARRAY
from nnreg.tables.lazy import Column, LazyArray
from nnreg.tables.sparse import FIELDS as SPARSE_FIELDS
from nnreg.tables.sparse import column_of_rows
from nnreg.tables.table import Table

UNREADABLE = (ValueError, EOFError, OverflowError, RuntimeError)

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that NumPy writes; other decoders may allocate what a file asks for."""


@dataclass(frozen=True)
class Npz(Source):
    """NumPy's archive of arrays, as `numpy.savez` writes it; each array is a column.

    The sparse matrix that `scipy.sparse.save_npz` writes is a column `x`, beside columns of other
    arrays. It must be stored by rows (CSR), and rows of a large one become dense as they are read.
    """

    suffixes = (".npz",)

    def read(self, path: Path) -> Table:
        try:
            with path.open("rb") as file:
                if file.read(6) == b"\x93NUMPY":
                    raise DataError(f"{path}: a single array; save named arrays with numpy.savez")
                with zipfile.ZipFile(file) as archive:
                    _check_archive(archive, path)
                    arrays = {_name(one): _member(archive, one) for one in archive.infolist()}
                    columns = _columns(arrays, path)
        except (*UNREADABLE, zipfile.BadZipFile, zlib.error, struct.error) as error:
            raise DataError(f"{path}: not an npz archive of plain arrays: {error}") from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # that is an offset before the start of the file
                raise
            raise DataError(f"{path}: not an npz archive of plain arrays: {error}") from error
        if not columns:
            raise DataError(f"{path}: the archive is empty")
        return Table(columns, str(path), missing_texts=MISSING_TEXTS)


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _columns(arrays: Mapping[str, Array], path: Path) -> dict[str, Column]:
    """Return each array as a column, and those of a sparse matrix as one."""
    columns: dict[str, Column] = {}
    matrix = {"data", "shape", "format"} <= arrays.keys() and arrays["format"].ndim == 0
    for name, array in arrays.items():
        if not (matrix and name in (*SPARSE_FIELDS, "_is_array")):
            columns[name] = plain_values(array, f"{path}, {name!r}")
    if matrix:
        if ARRAY in columns:
            raise DataError(f"{path}: an array {ARRAY!r} beside a sparse matrix; rename it")
        columns = {ARRAY: column_of_rows(arrays, str(path)), **columns}
    return columns


def _where(path: Path, entry: zipfile.ZipInfo) -> str:
    return f"{path}, {_name(entry)!r}"


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        codes = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).view(np.uint32)
        if codes.max() > sys.maxunicode:
            raise ValueError(f"{entry.filename} has text with an invalid character")
    return array


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise `DataError` for an archive whose arrays are not plain, or too large together.

    Only the header of each array is read.
    """
    names, size = set(), 0
    for entry in archive.infolist():
        where = _where(path, entry)
        if entry.compress_type not in COMPRESSIONS or entry.flag_bits & 1:
            raise DataError(f"{where}: encrypted or compressed in a way that NumPy does not use")
        if _name(entry) in names:
            raise DataError(f"{where}: two arrays have this name; rename one")
        names.add(_name(entry))
        with archive.open(entry) as file:
            shape, dtype = _header(file, where)
        size += array_bytes(shape, dtype)
        require_memory(size, f"{where} and the arrays before it")


def _header(file: IO[bytes], where: str) -> tuple[Shape, np.dtype[Any]]:
    """Return the shape and type in the header of an array. Raises `DataError`."""
    try:
        first = np.lib.format.read_magic(file) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except Exception as error:  # NumPy's parser raises any exception, some of which advise to trust
        raise DataError(f"{where}: not an array of numbers or text: invalid header") from error
    if dtype.hasobject:
        raise DataError(
            f"{where}: Python objects, which can run code when they are read; save numbers, or "
            "text as an array of str"
        )
    if min(shape, default=0) < 0:
        raise DataError(f"{where}: its shape {shape} is negative")
    return shape, dtype


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
                datasets = plain_datasets(file)
                self._check_sizes(path, datasets)
                columns = {
                    name: self._column(path, name, dataset) for name, dataset in datasets.items()
                }
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: not an HDF5 file of plain datasets: {error}") from error
        if not columns:
            raise DataError(f"{path}: the file has no datasets")
        return Table(columns, str(path), missing_texts=MISSING_TEXTS)

    def _check_sizes(self, path: Path, datasets: dict[str, Any]) -> None:
        """Raise `DataError` if what is read to memory, or what is in it at a time, is too large.

        The shapes count that the file declares, whether or not it has the values.
        """
        size = 0
        for name, dataset in datasets.items():
            where = f"{path}, {name!r}"
            if dataset.shape is None:
                raise DataError(f"{where}: no values; remove the dataset")
            chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
            if self._stays(dataset):
                lazy = _lazy(path, dataset, np.empty(0, np.intp))
                rows = min(lazy.chunk_rows(), len(dataset))
                window = array_bytes((2, rows, *dataset.shape[1:]), dataset.dtype)
                size += array_bytes((len(dataset),), np.dtype(np.intp))
                require_memory(
                    size + window + chunk,
                    f"{where}, {rows:,} rows at a time",
                    "store it in smaller chunks, such as chunks=(64, ...) in h5py",
                )
            else:
                size += array_bytes(dataset.shape, dataset.dtype)
                require_memory(size + chunk, f"{where} and the datasets before it")

    def _column(self, path: Path, name: str, dataset: Any) -> Column:
        if self._stays(dataset):
            return _lazy(path, dataset, np.arange(len(dataset)))
        where = f"{path}, {name!r}"
        if dataset.dtype.hasobject and dataset.ndim:
            return plain_values(_objects(dataset, where, path.stat().st_size), where)
        return plain_values(np.asarray(dataset[()]), where)

    def _stays(self, dataset: Any) -> bool:
        """Return True if a dataset stays in its file."""
        if not dataset.size or dataset.ndim < 2 or dataset.dtype.kind not in "biuf":
            return False
        if self.stream == "auto":
            return exceeds_memory(8 * int(dataset.size), 1 / 5)
        return self.stream


def _lazy(path: Path, dataset: Any, rows: Array) -> LazyArray:
    from nnreg._utils.hdf5 import FileDataset

    stored = FileDataset(path, dataset)
    return LazyArray(stored, rows, stored.shape[1:], stored.dtype)


def _objects(dataset: Any, where: str, file_size: int) -> Array:
    """Return values of variable length, read in chunks that fit into memory.

    Any of them may be as long as the file, which needs to have it only once.
    """
    values, size, limit = np.empty(dataset.shape, object), 0, data_limit()
    *outer, last = dataset.shape
    count = int(min(max(limit / 4 / file_size, 1), max(last, 1)))
    for index in np.ndindex(*outer):
        for start in range(0, last, count):
            part = (*index, slice(start, start + count))
            values[part] = dataset[part]
            size += sum(map(sys.getsizeof, values[part]))
            if size > limit:
                require_memory(size, f"{where}, its first values")
    return values
