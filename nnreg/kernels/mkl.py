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

from nnreg._types import Array
from nnreg.kernels.cblas import Cblas

MIN_FLOPS = 5e5
"""The fewest operations of a product for which MKL is called: a call through ctypes takes about
5 µs."""

# The constants of mkl.h.
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
    return loaded


@functools.cache
def cblas() -> Cblas:
    """Return its products. Raises `OSError` as `library` does."""
    found = Cblas.of(library())
    if found is None:
        raise OSError("the library of oneMKL has no cblas_sgemm")
    return found


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
    if 2.0 * rows * inner * columns < MIN_FLOPS:
        return None
    return out if cblas().matmul(a, b, out) else None
