"""What processes cost that train together: messages, sums of gradients, and steps."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks.harness import Effort, Ratio, Row, Table, UnavailableError, interleave
from benchmarks.processes import limited, python, run

COLUMNS = ("two ranks", "two threads", "one thread")

ROWS = {
    "short message": "message of 8 bytes, one way, ms",
    "long message": "message of 4 MB, one way, ms",
    "exchange": "exchange of the losses, ms",
    "sum of 10000": "sum of two gradients of 10⁴ values, ms",
    "sum of 100000": "sum of two gradients of 10⁵ values, ms",
    "sum of 1000000": "sum of two gradients of 10⁶ values, ms",
    "sum of 10000000": "sum of two gradients of 10⁷ values, ms",
    "step of 256": "step of dense 784-512-256-10, batch 256, ms",
    "step of 2048": "step of dense 784-512-256-10, batch 2048, ms",
}
"""The measurements of `benchmarks.mpi_job`."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each measurement; needs `--threads 2`, and mpi4py with an mpiexec."""
    jobs = {
        "two ranks": partial(_measured, effort, ranks=2),
        "two threads": partial(_measured, effort, threads=2),
        "one thread": partial(_measured, effort),
    }
    samples, left_out = interleave(jobs, effort)
    for key, name in ROWS.items():
        columns = {
            column: [one[key] for one in found]
            for column, found in samples.items()
            if found and key in found[0]
        }
        yield Row(name, "ms", columns, left_out)


def _measured(effort: Effort, *, ranks: int = 1, threads: int = 1) -> Mapping[str, float]:
    """Return the seconds of each measurement in a job of this number of processes."""
    if max(ranks, threads) > effort.threads:
        raise UnavailableError("needs two cores: --threads 2")
    command = python("-m", "benchmarks.mpi_job", str(effort.seconds), str(threads))
    if ranks > 1:
        beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
        program = beside or shutil.which("mpiexec")
        if program is None:
            raise UnavailableError("no mpiexec: pip install mpi4py mpich")
        command = [program, "-n", str(ranks), *command]
    found: Mapping[str, float] = json.loads(run(command, limited(1)).output)
    return found


TABLE = Table(
    "mpi",
    "training on several processes",
    COLUMNS,
    (Ratio("two ranks", ("two ranks",), ("one thread",)),),
    measure,
    plotted=False,
)
