"""A training step of each network, and the fraction of it that the matrix products take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.peers import MKL, NUMBA, NUMPY, OTHERS, OWN
from benchmarks.processes import Workers
from benchmarks.workloads import WORKLOADS, Workload

COLUMNS = (*OWN, *OTHERS)
PRODUCTS = ("products", "MKL products")


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each network, with interleaved times of the libraries and the products."""
    with Workers(effort) as workers:
        for workload in WORKLOADS:
            if effort.only in workload.name:
                names = (*COLUMNS, *(PRODUCTS if workload.products else ()))
                samplers = {name: partial(_step, workers, name, workload, effort) for name in names}
                yield Row(workload.title, "µs", *interleave(samplers, effort))


def _step(workers: Workers, peer: str, workload: Workload, effort: Effort) -> float:
    return workers.ask(peer, "train", effort.seconds, workload=workload.name) / workload.steps


TABLE = Table(
    "steps",
    "training: microseconds per step (network, batch)",
    COLUMNS,
    (
        *(Ratio(name, (name,), OTHERS) for name in OWN),
        Ratio("products", (NUMPY, NUMBA), ("products",), percent=True),
        Ratio("MKL products", (MKL,), ("MKL products",), percent=True),
    ),
    measure,
)
