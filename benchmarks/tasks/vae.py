"""A variational autoencoder of digits with PyTorch: a code of ten numbers that is drawn."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/vae.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    network = _network(torch)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    images = torch.from_numpy(data.train.inputs)
    targets = torch.from_numpy(data.train.targets["again"])
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(data.batch_size):
            again, divergence = network(images[rows])
            loss = 8 * torch.nn.functional.mse_loss(again, targets[rows]) + divergence.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        again, divergence = network(torch.from_numpy(data.test.inputs))
    return data.metrics({"again": again.numpy(), "code.kl": divergence.numpy()})


def _network(torch: Any) -> Any:
    """Return the untrained network."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = torch.nn.Sequential(
                torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU(),
                torch.nn.Linear(64, 20),
            )  # fmt: skip
            self.decoder = torch.nn.Sequential(
                torch.nn.Linear(10, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64),
                torch.nn.Unflatten(1, (8, 8)),
            )  # fmt: skip

        def forward(self, images: Any) -> tuple[Any, Any]:
            mean, logs = self.encoder(images).chunk(2, -1)
            divergence = (mean**2 + logs.exp() - logs - 1).sum(-1, keepdim=True) / 2
            noise = (logs / 2).exp() * torch.randn_like(mean) if self.training else 0
            return self.decoder(mean + noise), divergence

    return Network()
