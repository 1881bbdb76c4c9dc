"""The training loop of the tasks with PyTorch whose inputs and targets are one array each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.tasks import Data, Split


def fit(
    torch: Any,
    network: Any,
    loss_fn: Callable[[Any, Any], Any],
    data: Data,
    *,
    epochs: int,
    optimizer: Any = None,
) -> Any:
    """Train, by default with the Adam of the spec, and return the outputs for the test split."""
    if optimizer is None:
        rate = data.spec["optimizer"]["learning_rate"]
        optimizer = torch.optim.Adam(network.parameters(), rate)
    x, t = tensors(torch, data.train)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(data.batch_size):
            loss = loss_fn(network(x[rows]), t[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        return network(tensors(torch, data.test)[0])


def tensors(torch: Any, split: Split) -> tuple[Any, Any]:
    """Return the inputs and the targets of a split."""
    return torch.from_numpy(split.inputs), torch.from_numpy(split.targets)
