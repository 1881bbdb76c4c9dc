"""A U-net for the pixels of discs with PyTorch: two sizes down, two up, joined at each size."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tasks import Data


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/unet.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    network = _network(torch)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    images, discs = (
        _channels_first(torch, each) for each in (data.train.inputs, data.train.targets)
    )
    steps = epochs * -(-len(images) // data.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(data.batch_size):
            found, actual = network(images[rows]).sigmoid().flatten(1), discs[rows].flatten(1)
            both = (found * actual).sum(1)
            loss = (1 - 2 * both / (found.sum(1) + actual.sum(1))).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        found = network(_channels_first(torch, data.test.inputs)).sigmoid()
        return data.metrics(np.moveaxis(found.numpy(), 1, -1))


def _channels_first(torch: Any, images: np.ndarray) -> Any:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def _network(torch: Any) -> Any:
    """Return the untrained network."""
    nn = torch.nn

    def convolution(channels: int, filters: int) -> Any:
        layer = nn.Conv2d(channels, filters, 3, padding=1)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        return nn.Sequential(layer, nn.ReLU())

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine, self.middle = convolution(1, 8), convolution(8, 16)
            self.coarse = nn.Sequential(
                nn.MaxPool2d(2), convolution(16, 32), nn.ConvTranspose2d(32, 16, 2, 2)
            )
            self.larger = nn.Sequential(convolution(32, 16), nn.ConvTranspose2d(16, 8, 2, 2))
            self.last = nn.Sequential(convolution(16, 8), nn.Conv2d(8, 1, 1))
            self.smaller = nn.MaxPool2d(2)

        def forward(self, images: Any) -> Any:
            fine = self.fine(images)
            middle = self.middle(self.smaller(fine))
            larger = self.larger(torch.cat([self.coarse(middle), middle], 1))
            return self.last(torch.cat([larger, fine], 1))

    return Network()
