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
    biases = [layer.bias for layer in (network[0], network[2])]
    weights = [layer.weight for layer in (network[0], network[2])]
    decay = 2 * data.spec["train"]["l2"]  # the derivative of l2 · w²
    optimizer = torch.optim.Adam(
        [{"params": weights, "weight_decay": decay}, {"params": biases}],
        data.spec["optimizer"]["learning_rate"],
    )
    outputs = fit(torch, network, nn.functional.mse_loss, data, epochs=epochs, optimizer=optimizer)
    return data.metrics(outputs.numpy())
