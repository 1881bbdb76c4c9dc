"""Handwritten digits with PyTorch: a dense network with dropout."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/digits.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    nn = torch.nn
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 10),
    )
    nn.init.kaiming_normal_(network[1].weight)
    outputs = fit(torch, network, nn.functional.cross_entropy, data, epochs=epochs)
    return data.metrics(outputs.softmax(-1).numpy())
