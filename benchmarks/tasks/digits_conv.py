"""Handwritten digits with PyTorch: a convolutional network."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/digits_conv.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    nn = torch.nn
    network = nn.Sequential(
        nn.Unflatten(1, (1, 8)),  # the images have no channels
        nn.Conv2d(1, 16, 3, padding="same"),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    ).to(memory_format=torch.channels_last)  # its fastest on a processor
    for layer in (network[1], network[3], network[8]):
        nn.init.kaiming_normal_(layer.weight)
    outputs = fit(torch, network, nn.functional.cross_entropy, data, epochs=epochs)
    return data.metrics(outputs.softmax(-1).numpy())
