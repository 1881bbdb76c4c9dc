"""The matrix products of a training step alone, and a large product: lower bounds of the time."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import Job
from benchmarks.workloads import LARGE_PRODUCT, STEPS, Workload


class Products:
    """Products with `np.matmul` into preallocated arrays."""

    def train(self, workload: Workload) -> Job:
        """Compute the products of `STEPS` steps of a dense network, like `nnreg`'s dense layer.

        Forward x · W; backward the gradient of the weight xᵀ · dy and, except in the first layer,
        that of the input dy · Wᵀ.
        """
        rng = np.random.default_rng(0)

        def draw(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape, dtype=np.float32)

        weights = [draw(*shape) for shape in workload.weights]
        gradients = [np.empty_like(weight) for weight in weights]
        values = [draw(workload.batch, len(weight)) for weight in weights]
        values.append(draw(workload.batch, workload.classes))
        inputs, outputs = values[:-1], values[1:]
        results = [np.empty_like(value) for value in values]
        layers = list(zip(weights, gradients, inputs, outputs, results, results[1:], strict=False))

        def job() -> None:
            for _ in range(STEPS):
                for weight, _, x, _, _, y in layers:
                    np.matmul(x, weight, out=y)
                for weight, gradient, x, dy, dx, _ in reversed(layers):
                    np.matmul(x.T, dy, out=gradient)
                    if x is not inputs[0]:
                        np.matmul(dy, weight.T, out=dx)

        return job

    def large_product(self) -> Job:
        """Compute one product of large square matrices."""
        a = np.random.default_rng(0).standard_normal(
            (LARGE_PRODUCT, LARGE_PRODUCT), dtype=np.float32
        )
        b = np.empty_like(a)
        return lambda: np.matmul(a, a, out=b)
