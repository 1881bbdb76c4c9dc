"""Digits that are turned and shifted in training with PyTorch: a convolutional network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.tasks import Data


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/mnist.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    network = _network(torch)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    images, classes = _images(torch, data.train.inputs), torch.from_numpy(data.train.targets)
    steps = epochs * -(-len(images) // data.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(data.batch_size):
            changed = _changed(torch, images[rows])
            loss = torch.nn.functional.cross_entropy(network(changed), classes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.inference_mode():
        return data.metrics(network(_images(torch, data.test.inputs)).softmax(-1).numpy())


def _images(torch: Any, images: np.ndarray) -> Any:
    """Return images with the channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def _changed(torch: Any, images: Any) -> Any:
    """Return images that are turned by up to 0.03 of a full turn and shifted by up to 0.08."""
    angle, row, column = (2 * torch.rand(3, len(images), 1) - 1).unbind()
    angle = angle * 0.03 * 2 * math.pi
    cosine, sine = angle.cos(), angle.sin()
    matrices = torch.stack(
        # `affine_grid` counts from -1 to 1, so that a shift by 0.08 of the width is 0.16.
        [torch.cat([cosine, -sine, 0.16 * column], 1), torch.cat([sine, cosine, 0.16 * row], 1)],
        1,
    )
    places = torch.nn.functional.affine_grid(matrices, images.shape, align_corners=False)
    return torch.nn.functional.grid_sample(
        images, places, padding_mode="border", align_corners=False
    )


def _network(torch: Any) -> Any:
    """Return the untrained network."""
    nn = torch.nn
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.4), nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    for layer in (network[0], network[3], network[8]):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return network
