"""An autoencoder of digits with PyTorch: dense layers to a code of ten numbers and back."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/autoencoder.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    network = _network(torch)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    images = torch.from_numpy(data.train.inputs)
    targets = torch.from_numpy(data.train.targets["again"])
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(data.batch_size):
            loss = torch.nn.functional.mse_loss(network(images[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        return data.metrics({"again": network(torch.from_numpy(data.test.inputs)).numpy()})


def _network(torch: Any) -> Any:
    """Return the untrained network."""
    return torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(64, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 10),
        torch.nn.Linear(10, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 64),
        torch.nn.Unflatten(1, (8, 8)),
    )
