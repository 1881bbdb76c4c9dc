"""Species of penguins with PyTorch: a dense network on encoded columns."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/penguins.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    nn = torch.nn
    network = nn.Sequential(
        nn.Linear(data.train.inputs.shape[1], 32),
        nn.ReLU(),
        nn.Linear(32, 3),
    )
    nn.init.kaiming_normal_(network[0].weight)
    outputs = fit(torch, network, nn.functional.cross_entropy, data, epochs=epochs)
    return data.metrics(outputs.softmax(-1).numpy())
