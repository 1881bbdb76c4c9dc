"""Matrix products by Intel's oneMKL."""

from __future__ import annotations

from dataclasses import dataclass

from nnreg._types import Array
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels import mkl
from nnreg.kernels.cblas import Cblas


@dataclass(frozen=True)
class MklKernels(Kernels):
    """Large matrix products by Intel's oneMKL, with the same bits on any number of threads.

    By default they are used on processors for which MKL has kernels of its own. They need
    `pip install 'nnreg[mkl]'`, 220 MB under the Intel Simplified Software License.
    """

    @classmethod
    def missing(cls) -> str:
        return "" if mkl.find() else "oneMKL; pip install 'nnreg[mkl]'"

    @classmethod
    def pays(cls) -> bool:
        return not cls.missing() and mkl.knows_processor()

    def matmul(self, a: Array, b: Array, out: Array) -> Array:
        product = mkl.matmul(a, b, out)
        return super().matmul(a, b, out) if product is None else product

    def cblas(self) -> Cblas | None:
        return mkl.cblas()
