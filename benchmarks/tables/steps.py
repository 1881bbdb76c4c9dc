"""A training step of each network, and the fraction of it that the matrix products take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.peers import LIBRARIES, OTHERS, OWN
from benchmarks.processes import Workers
from benchmarks.workloads import LARGE_PRODUCT, STEPS, WORKLOADS, Workload


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each network, with interleaved times of the libraries and the products."""
    with Workers(effort.threads) as workers:
        for workload in WORKLOADS:
            if effort.only in workload.name:
                samplers = {
                    peer: partial(_step, workers, peer, workload, effort) for peer in LIBRARIES
                }
                if workload.dense:
                    samplers["own products"] = partial(
                        _step, workers, "own products", workload, effort
                    )
                    samplers["limit"] = partial(_limit, workers, workload, effort)
                samples, left_out = interleave(samplers, effort)
                yield Row(f"{workload.name}, {workload.batch}", "µs", samples, left_out)


def _step(workers: Workers, peer: str, workload: Workload, effort: Effort) -> float:
    return workers.ask(peer, "train", effort.seconds, workload=workload.name) / STEPS


def _limit(workers: Workers, workload: Workload, effort: Effort) -> float:
    """Return the seconds of a step's matrix products at the rate of a large product."""
    seconds = workers.ask("large product", "large_product", effort.seconds / 2)
    return seconds / (2 * LARGE_PRODUCT**3) * workload.flops


TABLE = Table(
    "steps",
    "training: microseconds per step (network, batch)",
    LIBRARIES,
    (
        Ratio("nnreg", ("nnreg",), OTHERS),
        Ratio("nnreg +numba", ("nnreg+numba",), OTHERS),
        Ratio("limit", OWN, ("limit",), percent=True),
        Ratio("own products", OWN, ("own products",), percent=True),
    ),
    measure,
)
