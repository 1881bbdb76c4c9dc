"""nnreg: `build`, `fit`, `save`, `load`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import nnreg  # before NumPy, as its command line does
from benchmarks.peers import RATE
from benchmarks.workloads import Workload

if TYPE_CHECKING:
    import numpy as np


def train(
    workload: Workload,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    checkpoint: Path | None,
    on_epoch: Callable[[], None],
) -> list[np.ndarray]:
    """Train with `fit`; the checkpoint is nnreg's own."""
    path = checkpoint / "model.h5" if checkpoint else None
    model = nnreg.load(path) if path and path.exists() else nnreg.build(spec(workload), data=(x, y))
    model.fit(x, y, epochs=epochs - len(model.history), on_epoch=lambda record: on_epoch())
    if path:
        nnreg.save(model, path)
    return list(model.parameters.values())


def spec(workload: Workload) -> dict[str, object]:
    """Return the spec of a workload."""
    output = {"type": "dense", "units": workload.classes, "activation": "softmax"}
    return {
        "seed": 0,
        "model": {"layers": [*workload.layers, output]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": RATE},
        "train": {"epochs": 10**9, "batch_size": workload.batch},
    }
