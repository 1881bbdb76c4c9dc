"""Prediction of one row and of 10,000 rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.peers import LIBRARIES, OTHERS
from benchmarks.processes import Workers
from benchmarks.workloads import PREDICTED

QUICK = 3
"""The number of networks that predict 10,000 rows in a quick run: the others take a second each."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield two rows for each network, from and to NumPy arrays."""
    with Workers(effort.threads) as workers:
        for rows, name in ((1, "one row"), (10_000, "10,000 rows")):
            networks = PREDICTED[:QUICK] if effort.quick and rows > 1 else PREDICTED
            for workload in networks:
                if effort.only in workload.name:
                    arguments = {"workload": workload.name, "rows": rows}
                    samplers = {
                        peer: partial(workers.ask, peer, "predict", effort.seconds / 4, **arguments)
                        for peer in LIBRARIES
                    }
                    samples, left_out = interleave(samplers, effort)
                    yield Row(f"{workload.name}, {name}", "µs", samples, left_out)


TABLE = Table(
    "predict",
    "prediction: microseconds",
    LIBRARIES,
    (Ratio("nnreg", ("nnreg",), OTHERS), Ratio("nnreg +numba", ("nnreg+numba",), OTHERS)),
    measure,
)
