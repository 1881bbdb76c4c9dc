"""Matrix products of a BLAS library, as functions of C that compiled loops and ctypes may call."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg._utils.threads import blas_libraries

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112
"""The constants of cblas.h."""

NAMES = (
    ("scipy_cblas_{}gemm64_", ctypes.c_int64),  # of the wheels of NumPy
    ("cblas_{}gemm64_", ctypes.c_int64),
    ("cblas_{}gemm", ctypes.c_int),
)
"""What the functions may be called in a library, and their type of sizes."""


@dataclass(frozen=True, eq=False)  # ctypes' functions have no hash
class Cblas:
    """The functions of a library for float32 and float64, and the type of their sizes."""

    single: Any
    double: Any
    integer: Any

    @classmethod
    def of(cls, library: Any) -> Cblas | None:
        """Return the functions of a library; None if it has none of the usual names."""
        for name, integer in NAMES:
            if hasattr(library, name.format("s")):
                single, double = (getattr(library, name.format(letter)) for letter in "sd")
                _declare(single, ctypes.c_float, integer)
                _declare(double, ctypes.c_double, integer)
                return cls(single, double, integer)
        return None

    def address(self, dtype: npt.DTypeLike) -> int:
        """Return where the function of a type is in memory."""
        return ctypes.cast(self._function(dtype), ctypes.c_void_p).value or 0

    @property
    def integer_bits(self) -> int:
        """How many bits a size has: 32 or 64."""
        return 8 * ctypes.sizeof(self.integer)

    def matmul(self, a: Array, b: Array, out: Array) -> bool:
        """Write the product of two matrices of one type to `out`; return False if it cannot.

        Rows of `a` and `b`, or of their transposes, must be contiguous, and `out` C-contiguous.
        """
        (rows, inner), columns = a.shape, b.shape[1]
        left, right = _layout(a), _layout(b)
        if left is None or right is None:
            return False
        if not (a.dtype == b.dtype == out.dtype and out.flags.c_contiguous):
            return False
        self._function(out.dtype)(
            ROW_MAJOR, left[0], right[0], rows, columns, inner, 1.0, a.ctypes.data, left[1],
            b.ctypes.data, right[1], 0.0, out.ctypes.data, columns,
        )  # fmt: skip
        return True

    def _function(self, dtype: npt.DTypeLike) -> Any:
        return self.single if np.dtype(dtype) == np.float32 else self.double


@functools.cache
def of_numpy() -> Cblas | None:
    """Return the functions of the BLAS that NumPy uses; None if that is unknown or has none."""
    paths = [library["filepath"] for library in blas_libraries()]
    own = [path for path in paths if "numpy" in path] or paths
    return Cblas.of(ctypes.CDLL(own[0])) if len(own) == 1 else None


def _declare(function: Any, number: Any, integer: Any) -> None:
    """Say which arguments a function takes: three constants, three sizes, numbers and matrices."""
    constants, sizes, matrix = [ctypes.c_int] * 3, [integer] * 3, [ctypes.c_void_p, integer]
    function.restype = None
    function.argtypes = [*constants, *sizes, number, *matrix, *matrix, number, *matrix]


def _layout(matrix: Array) -> tuple[int, int] | None:
    """Return whether a matrix is transposed in memory, and the values from one row to the next."""
    size, (first, second) = matrix.itemsize, matrix.strides
    rows, columns = matrix.shape
    if second == size and first >= columns * size and first % size == 0:
        return AS_IS, first // size
    if first == size and second >= rows * size and second % size == 0:
        return TRANSPOSED, second // size
    return None
