"""One process of a job whose exchanges and training steps are measured; the first prints JSON.

    mpiexec -n 2 python -m benchmarks.mpi_job 0.5

with the seconds per measurement. Started alone, it measures the same sums and steps in one process;
a second argument is its number of threads.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from statistics import median

import numpy as np

import nnreg
from nnreg._utils.threads import blas_threads
from nnreg.ranks.gradient_sum import GradientSum
from nnreg.ranks.group import Purpose, Ranks
from nnreg.ranks.launcher import launched_ranks

VALUES = (10_000, 100_000, 1_000_000, 10_000_000)
"""The lengths of the gradients in float32 whose sum over two shards is measured."""

BATCHES = (256, 2048)
STEPS = 4
"""The steps of an epoch, whose duration is measured."""

LONG_MESSAGE = 4_000_000
"""The bytes of the message from which the bandwidth follows."""

MOST = 2_000
"""The most repetitions of a measurement."""


def seconds_of(action: Callable[[], object], seconds: float, ranks: Ranks) -> float:
    """Return the median duration of an action that all ranks repeat equally often."""
    action()
    began = time.perf_counter()
    action()
    one = ranks.of_first(lambda: time.perf_counter() - began)
    durations = []
    for _ in range(max(3, min(MOST, int(seconds / one)))):
        began = time.perf_counter()
        action()
        durations.append(time.perf_counter() - began)
    return median(durations)


def main() -> None:
    """Measure everything."""
    seconds, threads = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    ranks = launched_ranks()
    found: dict[str, float] = {}
    if ranks.size > 1:
        found |= _messages(seconds, ranks)
    found |= {f"sum of {size}": _sum(size, seconds, ranks) for size in VALUES}
    found |= {f"step of {batch}": _step(batch, threads, seconds, ranks) for batch in BATCHES}
    if ranks.is_first:
        print(json.dumps(found))


def _messages(seconds: float, ranks: Ranks) -> dict[str, float]:
    """Return the time of a short and of a long message one way, and of an exchange with headers."""
    from mpi4py import MPI

    world, found = MPI.COMM_WORLD, {}
    for name, size in (("short message", 8), ("long message", LONG_MESSAGE)):
        buffer = np.zeros(size, np.uint8)

        def there_and_back(buffer: np.ndarray = buffer) -> None:
            if ranks.is_first:
                world.Send(buffer, 1)
                world.Recv(buffer, 1)
            elif ranks.rank == 1:
                world.Recv(buffer, 0)
                world.Send(buffer, 0)

        found[name] = seconds_of(there_and_back, seconds, ranks) / 2
    loss = np.zeros(1)
    found["exchange"] = seconds_of(lambda: ranks.gather(Purpose.RESULTS, loss), seconds, ranks)
    return found


def _sum(size: int, seconds: float, ranks: Ranks) -> float:
    """Return the time of the sum of the gradients of two shards."""
    gradients = [np.zeros(size, np.float32) for _ in range(2)]
    if ranks.size == 1:
        return seconds_of(lambda: np.add(*gradients, out=gradients[0]), seconds, ranks)
    return seconds_of(GradientSum(ranks, ranks.size, gradients[:1]).run, seconds, ranks)


def _step(batch: int, threads: int, seconds: float, ranks: Ranks) -> float:
    """Return the time of a step of a dense network whose batches are divided into two shards."""
    rng = np.random.default_rng(0)
    rows = batch * STEPS
    x, y = rng.random((rows, 784), np.float32), rng.integers(0, 10, rows)
    layers = [{"type": "dense", "units": units, "activation": "relu"} for units in (512, 256)]
    spec = {
        "model": {"layers": [*layers, {"type": "dense", "units": 10, "activation": "softmax"}]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "train": {
            "epochs": 1000, "batch_size": batch, "shards": 2, "threads": threads,
            "kernels": "numpy",
        },
    }  # fmt: skip
    model = nnreg.build(spec, data=(x, y))
    trainer = model.trainer(model.examples(x, y), check=False, ranks=ranks)
    with blas_threads(1), closing(trainer.iterate(lambda: False)) as epochs:
        return seconds_of(lambda: next(epochs), seconds, ranks) / STEPS


if __name__ == "__main__":
    main()
