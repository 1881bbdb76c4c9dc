"""The check that every layer can be trained on the smallest batch of an epoch."""

from __future__ import annotations

from nnreg.errors import Problem, SpecError
from nnreg.network.network import Network


def check_batches(network: Network, size: int, rows: int) -> None:
    """Raise `SpecError` if a layer cannot be trained on the smallest batch, mostly the last one."""
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


def _smallest_batch(rows: int, size: int) -> int:
    return rows % size or min(rows, size)
