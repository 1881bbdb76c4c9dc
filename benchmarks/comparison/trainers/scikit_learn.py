"""scikit-learn: `MLPClassifier.partial_fit`, kept with pickle."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.peers import RATE
from benchmarks.workloads import Workload


def train(
    workload: Workload,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    checkpoint: Path | None,
    on_epoch: Callable[[], None],
) -> list[np.ndarray]:
    """Train by one `partial_fit` per epoch, which shuffles; the checkpoint is a pickle."""
    if not workload.dense:
        raise NotImplementedError("it has dense layers only")
    network = MLPClassifier(
        tuple(layer["units"] for layer in workload.layers),
        alpha=0,
        batch_size=workload.batch,
        learning_rate_init=RATE,
        random_state=0,
    )
    path = checkpoint / "network.pickle" if checkpoint else None
    if path and path.exists():
        network = pickle.loads(path.read_bytes())
    done = getattr(network, "t_", 0) // len(x)
    for _ in range(done, epochs):
        network.partial_fit(x, y, classes=np.arange(workload.classes))
        on_epoch()
    if path:
        path.write_bytes(pickle.dumps(network))
    return [*network.coefs_, *network.intercepts_]
