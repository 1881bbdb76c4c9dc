"""Rare fraud with PyTorch: a focal loss of a single probability."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/fraud.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    nn = torch.nn
    network = nn.Sequential(nn.Linear(data.train.inputs.shape[1], 16), nn.ReLU(), nn.Linear(16, 1))

    def focal(logits: Any, targets: Any) -> Any:
        entropy = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        weights = 0.75 * targets + 0.25 * (1 - targets)
        return (weights * (1 - torch.exp(-entropy)) ** 2 * entropy).mean()

    outputs = fit(torch, network, focal, data, epochs=epochs)
    return data.metrics(outputs.sigmoid().numpy())
