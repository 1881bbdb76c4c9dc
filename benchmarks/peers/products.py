"""The matrix products of a training step alone: a lower bound of its time."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import Job
from benchmarks.workloads import Workload
from nnreg.builtin.kernels.mkl import MklKernels


class Products:
    """Products with `np.matmul`, or with oneMKL, into preallocated arrays."""

    def __init__(self, *, mkl: bool = False) -> None:
        self.mkl = mkl

    def train(self, workload: Workload) -> Job:
        """Compute the products of a pass, in the shapes in which nnreg's layers compute them."""
        if workload.products is None:
            raise NotImplementedError("its layers compute more than matrix products")
        product = np.matmul
        if self.mkl:
            if missing := MklKernels.missing():
                raise ImportError(f"there is no {missing}")
            product = MklKernels().matmul
        rng = np.random.default_rng(0)

        def draw(rows: int, columns: int, transposed: bool) -> np.ndarray:
            shape = (columns, rows) if transposed else (rows, columns)
            drawn = rng.standard_normal(shape, dtype=np.float32)
            return drawn.T if transposed else drawn

        products = [
            (
                product.count,
                draw(product.m, product.k, product.transposed == "first"),
                draw(product.k, product.n, product.transposed == "second"),
                np.empty((product.m, product.n), np.float32),
            )
            for product in workload.products
        ]

        def job() -> None:
            for _ in range(workload.steps):
                for count, a, b, out in products:
                    for _ in range(count):
                        product(a, b, out)

        return job
