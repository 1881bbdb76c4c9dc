"""Ratings of films with PyTorch: the scalar product of two embeddings, and a level of each."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/recommender.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    network = _network(torch)
    outputs = fit(torch, network, torch.nn.functional.mse_loss, data, epochs=epochs)
    return data.metrics(outputs.numpy())


def _network(torch: Any) -> Any:
    """Return the untrained network."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.user_code, self.film_code = (torch.nn.Embedding(n, 8) for n in (120, 80))
            self.user_level, self.film_level = (torch.nn.Embedding(n, 1) for n in (120, 80))
            for weight in self.parameters():
                torch.nn.init.uniform_(weight, -0.05, 0.05)  # normal ones learn much slower

        def forward(self, x: Any) -> Any:
            user, film = x["user"][:, 0], x["film"][:, 0]
            match = (self.user_code(user) * self.film_code(film)).sum(-1, keepdim=True)
            return match + self.user_level(user) + self.film_level(film)

    return Network()
