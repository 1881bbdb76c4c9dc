"""Prediction of one row and of 10,000 rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.peers import OWN, PREDICTORS
from benchmarks.processes import Workers
from benchmarks.workloads import CNN, SMALL_DENSE

COLUMNS = (*OWN, *PREDICTORS)
MEASURED = ((SMALL_DENSE, 1), (SMALL_DENSE, 10_000), (CNN, 10_000))
"""The networks and their rows; a quick run omits the last, of a second a call."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each, from and to NumPy arrays."""
    with Workers(effort) as workers:
        for workload, rows in MEASURED[: 2 if effort.quick else None]:
            if effort.only in workload.name:
                arguments = {"workload": workload.name, "rows": rows}
                samplers = {
                    peer: partial(workers.ask, peer, "predict", effort.seconds, **arguments)
                    for peer in COLUMNS
                }
                count = "one row" if rows == 1 else f"{rows:,} rows"
                yield Row(f"{workload.name}, {count}", "µs", *interleave(samplers, effort))


TABLE = Table(
    "predict",
    "prediction: microseconds",
    COLUMNS,
    tuple(Ratio(name, (name,), PREDICTORS) for name in OWN),
    measure,
)
