"""Quantiles of the visitors of a day with PyTorch: a hidden layer beside the inputs themselves."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit

QUANTILES = (0.1, 0.5, 0.9)


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/forecast.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    network = _network(torch, data.train.inputs.shape[1])
    quantiles = torch.tensor(QUANTILES)

    def pinball(outputs: Any, targets: Any) -> Any:
        difference = targets - outputs
        return torch.maximum(quantiles * difference, (quantiles - 1) * difference).mean()

    return data.metrics(fit(torch, network, pinball, data, epochs=epochs).numpy())


def _network(torch: Any, features: int) -> Any:
    """Return the untrained network."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(features, 8)
            self.dense = torch.nn.Linear(8 + features, len(QUANTILES))

        def forward(self, x: Any) -> Any:
            return self.dense(torch.cat([self.hidden(x).relu(), x], -1))

    return Network()
