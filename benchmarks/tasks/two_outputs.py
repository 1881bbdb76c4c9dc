"""Price and heating of flats with PyTorch: two outputs of one hidden layer."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data
from benchmarks.tasks._fit import fit


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/two_outputs.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    functional = torch.nn.functional

    def loss(outputs: Any, targets: Any) -> Any:
        price = functional.huber_loss(outputs["price"], targets["price"])
        return 2 * price + functional.cross_entropy(outputs["heating"], targets["heating"])

    network = _network(torch, data.train.inputs.shape[1])
    outputs = fit(torch, network, loss, data, epochs=epochs)
    probabilities = outputs["heating"].softmax(-1).numpy()
    return data.metrics({"price": outputs["price"].numpy(), "heating": probabilities})


def _network(torch: Any, features: int) -> Any:
    """Return the untrained network."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = torch.nn.Linear(features, 16)
            self.price = torch.nn.Linear(16, 1)
            self.heating = torch.nn.Linear(16, 3)

        def forward(self, x: Any) -> Any:
            hidden = self.trunk(x).tanh()
            return {"price": self.price(hidden), "heating": self.heating(hidden)}

    return Network()
