"""The networks that are timed, described as layers of nnreg."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Layer = dict[str, Any]

STEPS = 16
"""Steps in one pass over the examples of a workload, the shortest job that is timed."""


def dense(units: int, activation: str = "relu") -> Layer:
    """Return a dense layer."""
    return {"type": "dense", "units": units, "activation": activation}


def residual(*layers: Layer) -> Layer:
    """Return layers with a skip connection."""
    return {"type": "residual", "layers": list(layers)}


@dataclass(frozen=True)
class Workload:
    """A classifier of inputs of `shape`, which are integers below `vocabulary` if that is given."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    classes: int
    batch: int
    vocabulary: int = 0

    def examples(self, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return `count` inputs and class indices, by default those of `STEPS` batches."""
        import numpy as np  # not at the top: the process that starts the others must stay small

        rng = np.random.default_rng(0)
        count = count or STEPS * self.batch
        y = rng.permutation(count) % self.classes  # every class occurs
        if self.vocabulary:
            return rng.integers(0, self.vocabulary, (count, *self.shape)), y
        return rng.standard_normal((count, *self.shape), dtype=np.float32), y

    @property
    def dense(self) -> bool:
        """Whether all layers are dense."""
        return all(layer["type"] == "dense" for layer in self.layers)

    @property
    def weights(self) -> list[tuple[int, int]]:
        """The shapes of the weights of a dense network, from the input to the output."""
        units = [layer["units"] for layer in self.layers]
        return list(pairwise([self.shape[0], *units, self.classes]))

    @property
    def flops(self) -> float:
        """Floating-point operations of the matrix products of a dense network's training step.

        There are three products per weight, except that the gradient of the input is not needed.
        """
        sizes = [rows * columns for rows, columns in self.weights]
        return 2.0 * self.batch * (3 * sum(sizes) - sizes[0])

    def chunks(self, x: Any, images: int) -> list[Any]:
        """Return inputs in chunks that a library predicts at once: all, or `images` images.

        Ten thousand images at once would need arrays of a gigabyte.
        """
        size = images if len(self.shape) == 3 else len(x)
        return [x[start : start + size] for start in range(0, len(x), size)]


IMAGE = (
    {"type": "conv2d", "filters": 32, "activation": "relu"},
    {"type": "max_pool2d"},
    {"type": "conv2d", "filters": 64, "activation": "relu"},
    {"type": "max_pool2d"},
    {"type": "flatten"},
    dense(128),
)
BLOCK = (
    residual({"type": "layer_norm"}, {"type": "multi_head_attention", "heads": 4}),
    residual({"type": "layer_norm"}, dense(512), dense(128, "identity")),
    {"type": "global_average_pool"},
)
TOKENS = ({"type": "embedding", "vocabulary": 20_000, "units": 64}, {"type": "global_average_pool"})

WORKLOADS = (
    Workload("4-16-8-3", (4,), (dense(16), dense(8)), 3, 150),
    Workload("64-128-64-10", (64,), (dense(128), dense(64)), 10, 32),
    Workload("784-512-256-10", (784,), (dense(512), dense(256)), 10, 128),
    Workload("1024-2048-2048-1000", (1024,), (dense(2048), dense(2048)), 1000, 256),
    Workload("cnn 28x28", (28, 28, 1), IMAGE, 10, 64),
    Workload("lstm 128 over 50x32", (50, 32), ({"type": "lstm", "units": 128},), 10, 64),
    Workload("transformer block", (64, 128), BLOCK, 10, 32),
    Workload("embedding 20,000x64", (50,), TOKENS, 10, 256, vocabulary=20_000),
)
LARGE_PRODUCT = 1500
"""Rows and columns of the square matrices whose product determines the limit."""

PREDICTED = WORKLOADS[:5]
SMALL = Workload("64-40-10", (64,), (dense(40),), 10, 32)
LARGE = Workload("1024-2048-2048-10", (1024,), (dense(2048), dense(2048)), 10, 32)
"""Networks whose checkpoints have about 60 kB and 100 MB: weights, best weights, and the two
vectors of Adam."""

DROPOUT = Workload(
    "64-128-64-10 with dropout", (64,), (dense(128), {"type": "dropout", "rate": 0.2}, dense(64)),
    10, 32,
)  # fmt: skip
"""Its random numbers are part of the state of training."""

NAMED = {workload.name: workload for workload in (*WORKLOADS, SMALL, LARGE, DROPOUT)}
