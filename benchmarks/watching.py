"""The cost of progress output: the same epochs without output, with a live line, with plain lines.

    python -m benchmarks.watching [--quick]

The networks are small, with epochs of about a millisecond, for which the relative cost is highest.
Output goes to the null device; measurements are interleaved, with a second of epochs each.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from unittest import mock

from rich.console import Console

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.single import measure_and_print
from benchmarks.workloads import NAMED, Workload
from nnreg.cli import _progress as progress
from nnreg.runs.run import prepare_run

NETWORKS = ("4-16-8-3", "64-128-64-10")
WAYS = ("unseen", "live", "lines", "json")
SECONDS = 1.0
"""The duration of each measurement."""

STEPS = 64
"""The steps of an epoch: few, as output comes once per epoch."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each network: the time of an epoch with each kind of output."""
    for name in NETWORKS:
        count = _epochs(NAMED[name])
        samplers = {way: _trainer(NAMED[name], way, count) for way in WAYS}
        samples, left_out = interleave(samplers, effort)
        yield Row(name, "µs", samples, left_out)


def _spec(workload: Workload, epochs: int) -> dict[str, object]:
    output = {"type": "dense", "units": "classes", "activation": "softmax"}
    return {
        "model": {"layers": [*workload.layers, output]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "metrics": ["accuracy"],
        "train": {"epochs": epochs, "batch_size": workload.batch, "threads": 1},
    }


def _epochs(workload: Workload) -> int:
    """Return the number of epochs that take `SECONDS`."""
    return max(int(SECONDS / _trainer(workload, "unseen", 50)()), 10)


def _trainer(workload: Workload, way: str, epochs: int) -> Callable[[], float]:
    """Return a function that trains from the start and returns the seconds per epoch."""

    def train() -> float:
        run = prepare_run(_spec(workload, epochs), data=workload.examples(STEPS * workload.batch))
        options = {"every": None, "quiet": way == "unseen", "as_json": way == "json"}
        with _null_device(), mock.patch.object(progress, "animated", return_value=way == "live"):
            began = time.perf_counter()
            with progress.showing_progress(run, **options) as (on_epoch, _):
                run.train(on_epoch)
            return (time.perf_counter() - began) / epochs

    return train


@contextlib.contextmanager
def _null_device() -> Iterator[None]:
    """Redirect output to the null device, which is treated as a terminal."""
    with (
        open(os.devnull, "w") as null,
        contextlib.redirect_stdout(null),
        contextlib.redirect_stderr(null),
        mock.patch.object(Console, "is_terminal", True),
    ):
        yield


TABLE = Table(
    "watching",
    "an epoch with different progress output (µs)",
    WAYS,
    tuple(Ratio(way, ("unseen",), (way,)) for way in WAYS[1:]),
    measure,
    plotted=False,
)


if __name__ == "__main__":
    measure_and_print(TABLE, measure, __doc__, rounds=15)
