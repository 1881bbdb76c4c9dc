"""The checks that layers and optimizer can be trained on batches of this size."""

from __future__ import annotations

import warnings

from nnreg.errors import NnregWarning, Problem, SpecError
from nnreg.interfaces.optimizer import Optimizer
from nnreg.network.network import Network
from nnreg.training.settings import Train


def check_batches(network: Network, optimizer: Optimizer, settings: Train, rows: int) -> None:
    """Raise `SpecError` if a layer cannot be trained on the smallest batch, mostly the last one.

    Warns if the optimizer is meant for all examples at once.
    """
    if optimizer.full_batch:
        _warn_of_batches(settings.step_size, rows)
    size = settings.batch_size
    smallest = _smallest_batch(rows, size)
    layer = network.untrainable_on(smallest)
    if layer is None:
        return
    path, needed = layer
    other = next((n for n in range(size + 1, rows + 1) if _smallest_batch(rows, n) >= needed), None)
    fix = "add training rows" if other is None else f"set it to {other}, for example"
    problem = (
        f"found {size}, so that {rows} training rows leave a batch of {smallest}, but the layer "
        f"{path.removeprefix('$.')} needs {needed} rows or more in each batch; {fix}"
    )
    raise SpecError([Problem("$.train.batch_size", problem)])


def _warn_of_batches(size: int, rows: int) -> None:
    if size < rows:
        warnings.warn(
            f"the optimizer is meant for the gradient of all {rows} training rows, but each step "
            f"has {size}; set train.batch_size to {rows} or more",
            NnregWarning,
            stacklevel=4,
        )


def _smallest_batch(rows: int, size: int) -> int:
    return rows % size or min(rows, size)
