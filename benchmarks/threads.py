"""The cost of results that have the same bits on any number of threads.

    python -m benchmarks.threads [--quick] [--threads N]

Each network is trained as one batch at a time with the threads of the BLAS ("whole"), as it is by
default, and with `train.reproducible`, each on one thread and on N, in a process of its own. The
time of a training step is measured; measurements are interleaved. On a machine that does other
work, threads wait for each other, and the ratios of the last columns mean nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks import report
from benchmarks.environment import describe, environment
from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.processes import Worker

STEPS = 8
"""The steps of an epoch."""

FORMS: dict[str, dict[str, Any]] = {
    "whole": {"shards": 1, "reproducible": False},
    "default": {},
    "asked": {"reproducible": True},
}


def _dense(*units: int) -> list[Any]:
    hidden = [{"type": "dense", "units": one, "activation": "relu"} for one in units[:-1]]
    return [*hidden, {"type": "dense", "units": units[-1]}]


def _convolution(between: list[Any]) -> list[Any]:
    block = [{"type": "conv2d", "filters": 32, "padding": "same"}, *between,
             {"type": "activation", "activation": "relu"}]  # fmt: skip
    return [*block, "max_pool2d", *block, "global_average_pool", *_dense(1)]


NETWORKS = {
    "dense 4-16-8-3": (_dense(16, 8, 3), (4,), 32),
    "dense 784-512-256-10": (_dense(512, 256, 10), (784,), 128),
    "dense 1024-2048-2048-1000": (_dense(2048, 2048, 1000), (1024,), 256),
    "convolution 24x24": (_convolution([]), (24, 24, 3), 64),
    "convolution, batch norm": (_convolution(["batch_norm"]), (24, 24, 3), 64),
}
"""The layers, the shape of an example, and the batch."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each network."""
    for name, (layers, shape, batch) in NETWORKS.items():
        with ExitStack() as stack:
            samplers = {}
            for form, train in FORMS.items():
                for column, threads in (("1", 1), ("N", effort.threads)):
                    settings = {**train, "threads": threads, "batch_size": batch}
                    worker = Worker("nnreg", threads)
                    stack.callback(worker.close)
                    samplers[f"{form} {column}"] = partial(
                        _seconds_per_step, worker, effort.seconds, layers, shape, settings
                    )
            yield Row(f"{name}, {batch}", "ms", *interleave(samplers, effort))


def _seconds_per_step(
    worker: Worker,
    seconds: float,
    layers: list[Any],
    shape: tuple[int, ...],
    train: dict[str, Any],
) -> float:
    arguments = {"layers": layers, "shape": shape, "steps": STEPS, "settings": train}
    return worker.ask("train_layers", seconds, **arguments) / STEPS


COLUMNS = tuple(f"{form} {column}" for form in FORMS for column in ("1", "N"))
TABLE = Table(
    "threads",
    "a training step (ms): one batch as a whole, by default, and as asked by train.reproducible",
    COLUMNS,
    tuple(
        Ratio(f"{form} {threads} / best whole", whole, (f"{form} {threads}",))
        for form in ("default", "asked")
        for threads, whole in (("1", ("whole 1",)), ("N", ("whole 1", "whole N")))
    ),
    measure,
    plotted=False,
)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.threads", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--threads", type=int, default=2, help="the number N of threads")
    options = parser.parse_args()
    effort = Effort(3 if options.quick else 9, 0.3, options.threads)
    print(describe(environment(), options.threads), report.heading(TABLE), sep="\n", flush=True)
    for row in measure(effort):
        print(report.line(TABLE, row), flush=True)


if __name__ == "__main__":
    main()
