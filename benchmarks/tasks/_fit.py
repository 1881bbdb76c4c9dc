"""The training loop of the tasks with PyTorch: inputs and targets are arrays, one or several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.tasks import Arrays, Data, Split


def fit(
    torch: Any,
    network: Any,
    loss_fn: Callable[[Any, Any], Any],
    data: Data,
    *,
    epochs: int,
    optimizer: Any = None,
) -> Any:
    """Train, by default with Adam and the l2 of the spec; return the outputs for the test split."""
    if optimizer is None:
        decay = 2 * data.spec["train"].get("l2", 0)  # the derivative of l2 · w²
        weights = [w for w in network.parameters() if w.ndim > 1]
        biases = [w for w in network.parameters() if w.ndim == 1]
        optimizer = torch.optim.Adam(
            [{"params": weights, "weight_decay": decay}, {"params": biases}],
            data.spec["optimizer"]["learning_rate"],
        )
    x, t = tensors(torch, data.train)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.train)).split(data.batch_size):
            loss = loss_fn(network(_at(x, rows)), _at(t, rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        return network(tensors(torch, data.test)[0])


def tensors(torch: Any, split: Split) -> tuple[Any, Any]:
    """Return the inputs and the targets of a split."""
    return _tensors(torch, split.inputs), _tensors(torch, split.targets)


def _tensors(torch: Any, arrays: Arrays) -> Any:
    if isinstance(arrays, dict):
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
    return torch.from_numpy(arrays)


def _at(values: Any, rows: Any) -> Any:
    """Return some rows of a tensor, or of several by name."""
    if isinstance(values, dict):
        return {name: value[rows] for name, value in values.items()}
    return values[rows]
