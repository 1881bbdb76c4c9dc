"""Sparse matrices as columns of arrays, whose rows become dense as they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.memory import array_bytes, exceeds_memory, require_memory
from nnreg.errors import DataError
from nnreg.tables.lazy import Column, LazyArray

FIELDS = ("data", "indices", "indptr", "shape", "format")
"""The arrays of a matrix by compressed rows, as `scipy.sparse.save_npz` names them."""


def is_sparse(x: Any) -> bool:
    """Return True for a sparse matrix or array of scipy."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


def column_of_sparse(x: Any, where: str) -> Column:
    """Return a sparse matrix of scipy as a column. Raises `DataError`."""
    rows = x.tocsr()
    arrays = {name: np.asarray(getattr(rows, name)) for name in FIELDS}
    return column_of_rows(arrays, where)


def column_of_rows(arrays: Mapping[str, Array], where: str) -> Column:
    """Return a matrix by compressed rows as a column of arrays `(features,)`. Raises `DataError`.

    It is dense at once, unless that would take more than a fifth of the memory in float64.
    """
    _check(arrays, where)
    rows, width = map(int, arrays["shape"])
    dataset = SparseRows(arrays["data"], arrays["indices"], arrays["indptr"], width)
    lazy = LazyArray(dataset, np.arange(rows), (width,), dataset.dtype)
    if exceeds_memory(8 * rows * width, 1 / 5):
        window = array_bytes((2, min(lazy.chunk_rows(), rows), width), dataset.dtype)
        require_memory(window, f"{where}, some rows at a time", "use fewer columns")
        return lazy
    return lazy.take(np.arange(rows))


def _check(arrays: Mapping[str, Array], where: str) -> None:
    """Raise `DataError` for arrays that are no matrix by compressed rows."""
    form = str(np.asarray(arrays["format"]).astype(str))
    if form != "csr" or not {"indices", "indptr"} <= arrays.keys():
        raise DataError(f"{where}: a sparse matrix in the form {form!r}; save matrix.tocsr()")
    data, indices, indptr, shape = (arrays[name] for name in FIELDS[:4])
    whole = all(one.dtype.kind in "iu" for one in (indices, indptr, shape))
    valid = (
        whole
        and shape.shape == (2,)
        and shape.min() >= 0
        and math.prod(map(int, shape)) < 2**62
        and data.ndim == indices.ndim == 1
        and len(data) == len(indices)
        and data.dtype.kind in "biuf"
        and indptr.shape == (int(shape[0]) + 1,)
        and indptr[0] == 0
        and indptr[-1] == len(data)
        and bool(np.all(indptr[1:] >= indptr[:-1]))
        and bool(np.all((indices >= 0) & (indices < shape[1])))
    )
    if not valid:
        raise DataError(
            f"{where}: not a sparse matrix of numbers: its arrays do not fit together; save it "
            "again with scipy.sparse.save_npz"
        )


@dataclass(frozen=True, eq=False)
class SparseRows:
    """The rows of a sparse matrix: row i has the values `data[indptr[i] : indptr[i + 1]]`.

    `indices` are their columns; values of the same place are added.
    """

    data: Array
    indices: Array
    indptr: Array
    width: int
    chunk: int = 1
    starts: None = None

    @property
    def shape(self) -> Shape:
        """The number of rows, and the shape of one row."""
        return len(self.indptr) - 1, self.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its values."""
        return self.data.dtype

    def read(self, segments: Sequence[tuple[int, int]]) -> Iterator[Array]:
        """Yield the dense rows of each segment."""
        for start, stop in segments:
            ends = self.indptr[start : stop + 1].astype(np.int64)
            block = np.zeros((stop - start, self.width), self.dtype)
            row = np.repeat(np.arange(stop - start), np.diff(ends))
            used = slice(ends[0], ends[-1])
            np.add.at(block, (row, self.indices[used]), self.data[used])
            yield block
