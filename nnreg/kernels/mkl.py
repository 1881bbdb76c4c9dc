"""Matrix products by Intel's oneMKL, called by ctypes from the wheel `mkl`.

The library is set by its functions, not by variables that child processes would inherit: one
thread, as nnreg divides products itself, and conditional numerical reproducibility, with which the
same product has the same bits in every run, whatever the alignment of its arrays.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
from typing import Any

import numpy as np

from nnreg._types import Array

MIN_FLOPS = 5e5
"""The fewest operations of a product for which MKL is called: a call through ctypes takes about
5 µs."""

# The constants of mkl.h.
ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112
SEQUENTIAL = 1
AUTO, STRICT = 2, 0x10000
AVX2 = 10


def find() -> str | None:
    """Return the path of the library of the installed wheel `mkl`; None without it."""
    try:
        files = importlib.metadata.files("mkl") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    names = ("libmkl_rt.", "mkl_rt.")
    return next((str(one.locate()) for one in files if one.name.startswith(names)), None)


@functools.cache
def library() -> Any:
    """Load MKL and set it up. Raises `OSError` if it is not installed or cannot be loaded."""
    path = find()
    if path is None:
        raise OSError("oneMKL is not installed")
    loaded = ctypes.CDLL(path)
    loaded.MKL_Set_Threading_Layer(SEQUENTIAL)
    loaded.MKL_CBWR_Set(AUTO | STRICT)
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    for name, number in (("cblas_sgemm", ctypes.c_float), ("cblas_dgemm", ctypes.c_double)):
        function = getattr(loaded, name)
        function.restype = None
        matrices = [number, pointer, integer, pointer, integer, number, pointer, integer]
        function.argtypes = [integer] * 6 + matrices
    return loaded


def knows_processor() -> bool:
    """Whether MKL has kernels of its own for this processor: on Intel's since 2013.

    On others it runs general ones, which took twice the time of OpenBLAS's on an AMD EPYC with
    AVX-512.
    """
    return int(library().MKL_CBWR_Get_Auto_Branch()) >= AVX2


def matmul(a: Array, b: Array, out: Array) -> Array | None:
    """Write the product of two matrices to `out`; return None if MKL cannot, or need not.

    Rows of `a` and `b`, or of their transposes, must be contiguous, and `out` C-contiguous.
    """
    (rows, inner), columns = a.shape, b.shape[1]
    left, right = _layout(a), _layout(b)
    if 2.0 * rows * inner * columns < MIN_FLOPS or left is None or right is None:
        return None
    if not (a.dtype == b.dtype == out.dtype and out.flags.c_contiguous):
        return None
    single = out.dtype == np.float32
    multiply = library().cblas_sgemm if single else library().cblas_dgemm
    shape = (rows, columns, inner)
    left_matrix, right_matrix = (a.ctypes.data, left[1]), (b.ctypes.data, right[1])
    target = (out.ctypes.data, columns)
    multiply(
        ROW_MAJOR, left[0], right[0], *shape, 1.0, *left_matrix, *right_matrix, 0.0, *target
    )  # fmt: skip
    return out


def _layout(matrix: Array) -> tuple[int, int] | None:
    """Return whether a matrix is transposed in memory, and the values from one row to the next."""
    size, (first, second) = matrix.itemsize, matrix.strides
    rows, columns = matrix.shape
    if second == size and first >= columns * size and first % size == 0:
        return AS_IS, first // size
    if first == size and second >= rows * size and second % size == 0:
        return TRANSPOSED, second // size
    return None
