"""Pairs of digits with PyTorch: the distance of their codes by one tower."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/siamese.json` and return its metrics on the test split."""
    torch.manual_seed(seed)

    def contrastive(distance: Any, same: Any) -> Any:  # "different" is class 0
        return (same * distance**2 + (1 - same) * (1 - distance).clamp(min=0) ** 2).mean()

    return data.metrics(fit(torch, _network(torch), contrastive, data, epochs=epochs).numpy())


def _network(torch: Any) -> Any:
    """Return the untrained network."""
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = nn.Sequential(
                nn.Unflatten(1, (1, 8)),  # the images have no channels
                nn.Conv2d(1, 16, 3, padding="same"),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(16, 32, 3, padding="same"),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(512, 16),
            ).to(memory_format=torch.channels_last)  # its fastest on a processor

        def forward(self, pair: Any) -> Any:
            difference = self.tower(pair["left"]) - self.tower(pair["right"])
            return ((difference**2).sum(-1, keepdim=True) + 1e-12).sqrt()

    return Network()
