"""The networks that are timed, described as layers of nnreg."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Layer = dict[str, Any]


class Product(NamedTuple):
    """A product of matrices (m, k) · (k, n), computed `count` times; `transposed` one is a view."""

    m: int
    k: int
    n: int
    transposed: str = ""
    count: int = 1


def dense(units: int, activation: str = "relu") -> Layer:
    """Return a dense layer."""
    return {"type": "dense", "units": units, "activation": activation}


def residual(*layers: Layer) -> Layer:
    """Return layers with a skip connection."""
    return {"type": "residual", "layers": list(layers)}


@dataclass(frozen=True)
class Workload:
    """A classifier of inputs of `shape`, which are integers below `vocabulary` if that is given.

    A pass over its examples has `steps` batches; it is the shortest job that is timed. `members` is
    the number of networks of an ensemble, each of which gets every batch. With `zipf`, integers
    have frequencies of rank to the power of minus `zipf`, as words have; otherwise equal ones.
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    classes: int
    batch: int
    steps: int = 16
    vocabulary: int = 0
    members: int = 1
    zipf: float = 0.0

    @property
    def title(self) -> str:
        """The name and the batch."""
        return f"{self.name}, {self.batch}"

    def examples(self, count: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return `count` inputs and class indices, by default those of a pass."""
        import numpy as np  # not at the top: the process that starts the others must stay small

        rng = np.random.default_rng(seed)
        count = count or self.steps * self.batch
        y = rng.permutation(count) % self.classes  # every class occurs
        if self.vocabulary:
            ranks = np.arange(1.0, self.vocabulary + 1) ** -self.zipf
            ends = np.cumsum(ranks / ranks.sum())[:-1]
            return np.searchsorted(ends, rng.random((count, *self.shape))), y
        return rng.standard_normal((count, *self.shape), dtype=np.float32), y

    @property
    def dense(self) -> bool:
        """Whether it is one network in which all layers are dense."""
        return self.members == 1 and all(layer["type"] == "dense" for layer in self.layers)

    @property
    def weights(self) -> list[tuple[int, int]]:
        """The shapes of the weights of a dense network, from the input to the output."""
        units = [layer["units"] for layer in self.layers]
        return list(pairwise([self.shape[0], *units, self.classes]))

    @property
    def products(self) -> list[Product] | None:
        """The matrix products of a training step; None for layers other than these.

        For each weight there are y = x · W and the gradients xᵀ · dy and, except of the network's
        input, dy · Wᵀ. A recurrent weight is multiplied at each step, its gradient in one product.
        """
        found: list[Product] = []
        features, time = self.shape[-1], prod(self.shape[:-1])

        def weight(inputs: int, units: int) -> None:
            rows = self.batch * time
            of_input = not found and self.layers[0]["type"] in ("dense", "lstm")
            found.extend([Product(rows, inputs, units), Product(inputs, rows, units, "first")])
            if not of_input:
                found.append(Product(rows, units, inputs, "second"))

        def add(layer: Layer) -> None:
            nonlocal features, time
            units = layer.get("units", 0)
            match layer["type"]:
                case "dense":
                    weight(features, units)
                    features = units
                case "residual":
                    for inner in layer["layers"]:
                        add(inner)
                case "multi_head_attention":
                    weight(features, 3 * features)
                    pairs, size = 3 * self.batch * layer["heads"], features // layer["heads"]
                    found.append(Product(time, size, time, "second", pairs))
                    found.append(Product(time, time, size, "", pairs))
                    weight(features, features)
                case "lstm":
                    weight(features, 4 * units)
                    found.append(Product(self.batch, units, 4 * units, "", time))
                    found.append(Product(self.batch, 4 * units, units, "second", time))
                    found.append(Product(units, self.batch * time, 4 * units, "first"))
                    features, time = units, 1
                case "global_average_pool":
                    time = 1
                case "layer_norm":
                    pass
                case other:
                    raise NotImplementedError(other)

        try:
            for layer in (*self.layers, dense(self.classes)):
                add(layer)
        except NotImplementedError:
            return None
        return found if self.members == 1 else None

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


def normalized_block(filters: int) -> tuple[Layer, ...]:
    """Return a convolution with batch norm, relu and pooling."""
    return (
        {"type": "conv2d", "filters": filters, "padding": "same", "bias": False},
        {"type": "batch_norm"},
        {"type": "activation", "activation": "relu"},
        {"type": "max_pool2d"},
    )


def transformer_block(features: int, heads: int) -> tuple[Layer, ...]:
    """Return a block of a transformer that normalizes first."""
    attention = {"type": "multi_head_attention", "heads": heads}
    hidden = dense(4 * features, "gelu")
    return (
        residual({"type": "layer_norm"}, attention),
        residual({"type": "layer_norm"}, hidden, dense(features, "identity")),
    )


POOL = {"type": "global_average_pool"}
TOKENS = ({"type": "embedding", "vocabulary": 20_000, "units": 64}, POOL)
LSTM = ({"type": "lstm", "units": 64},)

TINY = Workload("4-16-8-3", (4,), (dense(16), dense(8)), 3, 150, 512)
SMALL_DENSE = Workload("64-128-64-10", (64,), (dense(128), dense(64)), 10, 32, 512)
DIGITS = Workload("784-512-256-10", (784,), (dense(512), dense(256)), 10, 128, 128)
LONG = Workload("lstm 64 over 800x16", (800, 16), LSTM, 10, 32, 4)
CNN = Workload("cnn 28x28", (28, 28, 1), IMAGE, 10, 64, 16)

WORKLOADS = (
    TINY,
    Workload("10-24-2", (10,), (dense(24),), 2, 20, 512),
    Workload("300-200-100-7", (300,), (dense(200), dense(100)), 7, 64, 512),
    Workload("twelve layers of 64", (64,), (dense(64),) * 12, 10, 256, 256),
    DIGITS,
    Workload("1024-2048-2048-1000", (1024,), (dense(2048), dense(2048)), 1000, 256, 8),
    Workload("900-1500-700-50", (900,), (dense(1500), dense(700)), 50, 192, 32),
    Workload("cnn 32x32x3, batch norm", (32, 32, 3),
             (*normalized_block(32), *normalized_block(64), *normalized_block(128),
              {"type": "flatten"}), 10, 128, 4),
    CNN,
    Workload("lstm 128 over 50x32", (50, 32), ({"type": "lstm", "units": 128},), 10, 64, 16),
    LONG,
    Workload("transformer 256, two blocks", (128, 256),
             (*transformer_block(256, 8), *transformer_block(256, 8), POOL), 10, 16, 2),
    Workload("embedding 20,000x64", (50,), TOKENS, 10, 256, 128, vocabulary=20_000),
    Workload("64-128-64-10, eight members", (64,), SMALL_DENSE.layers, 10, 32, 512, members=8),
)  # fmt: skip
"""The networks whose training step is timed."""

SHORTER = Workload("lstm 64 over 100x16", (100, 16), LSTM, 10, 32, 32)
"""An eighth of the length of the long one."""

ZIPF = Workload(
    "embedding 20,000x64, Zipf", (10,), TOKENS, 10, 256, 100, vocabulary=20_000, zipf=1.5
)
"""In 2,000 steps most tokens come a few times, so that Adam's mean of their gradient decays."""

SMALL = Workload("64-40-10", (64,), (dense(40),), 10, 32)
LARGE = Workload("1024-2048-2048-10", (1024,), (dense(2048), dense(2048)), 10, 32)
"""Networks whose checkpoints have about 50 kB and 75 MB: weights and the two
vectors of Adam."""

DROPOUT = Workload(
    "64-128-64-10 with dropout", (64,), (dense(128), {"type": "dropout", "rate": 0.2}, dense(64)),
    10, 32,
)  # fmt: skip
"""Its random numbers are part of the state of training."""

NAMED = {
    workload.name: workload
    for workload in (*WORKLOADS, SMALL_DENSE, SHORTER, ZIPF, SMALL, LARGE, DROPOUT)
}
