"""The cost of training options: the time of a batch with each of them and without any.

    python -m benchmarks.options [--quick]

Measurements are interleaved, with half a second of epochs each, on one thread. Processor time is
measured, so that the load of the machine matters less. `batches` accumulates four batches per step;
`frozen` freezes two of the three layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import nnreg
from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.single import measure_and_print
from benchmarks.workloads import NAMED, Workload

NETWORKS = ("4-16-8-3", "64-128-64-10", "784-512-256-10")
WAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "constant": {"schedule": "constant"},
    "plateau": {"schedule": {"type": "reduce_on_plateau", "monitor": "loss"}},
    "cosine": {"schedule": "cosine"},
    "warmup": {"schedule": {"type": "warmup", "epochs": 10, "after": "cosine"}},
    "decay": {"train": {"weight_decay": 0.01}},
    "ema": {"train": {"ema": 0.999}},
    "batches": {"train": {"accumulate": 4}},
    "frozen": {"train": {"freeze": ["layers/0", "layers/1"]}},
}
SECONDS = 0.5
"""The duration of each measurement."""

STEPS = 64
"""The steps of an epoch."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each network: the time of a batch with each option."""
    for name in NETWORKS:
        samplers = {way: _trainer(NAMED[name], changes) for way, changes in WAYS.items()}
        samples, left_out = interleave(samplers, effort)
        yield Row(name, "µs", samples, left_out)


def _trainer(workload: Workload, changes: dict[str, Any]) -> Callable[[], float]:
    """Return a function that continues training and returns the seconds per batch."""
    output = {"type": "dense", "units": "classes", "activation": "softmax"}
    train = {"epochs": 10_000, "batch_size": workload.batch, "threads": 1}
    spec = {
        "model": {"layers": [*workload.layers, output]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        **changes,
        "train": {**train, **changes.get("train", {})},
    }
    data = workload.examples(STEPS * workload.batch)
    model = nnreg.build(spec, data=data)

    def epochs(count: int) -> float:
        began = time.process_time()
        model.fit(*data, epochs=count)
        return (time.process_time() - began) / (count * STEPS)

    epochs(2)
    count = max(int(SECONDS / (STEPS * epochs(2))), 1)
    return lambda: epochs(count)


TABLE = Table(
    "options",
    "a batch with a training option (µs)",
    tuple(WAYS),
    tuple(Ratio(way, ("none",), (way,)) for way in list(WAYS)[1:]),
    measure,
    plotted=False,
)


if __name__ == "__main__":
    measure_and_print(TABLE, measure, __doc__, rounds=7)
