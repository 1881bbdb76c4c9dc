"""Progression of diabetes with PyTorch: a regression with a penalty on the weights."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/diabetes.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    nn = torch.nn
    network = nn.Sequential(nn.Linear(data.train.inputs.shape[1], 16), nn.Tanh(), nn.Linear(16, 1))
    outputs = fit(torch, network, nn.functional.mse_loss, data, epochs=epochs)
    return data.metrics(outputs.numpy())
