"""The peak memory of a process that trains a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.peers import NUMBA, NUMPY
from benchmarks.processes import Worker
from benchmarks.workloads import NAMED

NETWORKS = ("784-512-256-10", "1024-2048-2048-1000", "cnn 28x28")
PEERS = ("PyTorch", "JAX scan", "Keras on JAX", "scikit-learn")
COLUMNS = (NUMPY, NUMBA, *PEERS)
ROUNDS = 3
"""Fewer than for times: peaks vary little, and each needs a new process."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each network: a few passes over its examples in a new process."""
    fewer = replace(effort, rounds=min(effort.rounds, ROUNDS))
    for name in NETWORKS[:1] if effort.quick else NETWORKS:
        if effort.only in name:
            samplers = {peer: partial(_peak, peer, name, effort) for peer in COLUMNS}
            samples, left_out = interleave(samplers, fewer)
            yield Row(f"{name}, {NAMED[name].batch}", "MB", samples, left_out)


def _peak(peer: str, workload: str, effort: Effort) -> float:
    worker = Worker(peer, effort.threads)
    try:
        worker.ask("train", 0.05, workload=workload)
    finally:
        peak = worker.close()
    return peak


TABLE = Table(
    "memory",
    "peak memory in training: megabytes (network, batch)",
    COLUMNS,
    tuple(Ratio(name, (name,), PEERS) for name in (NUMPY, NUMBA)),
    measure,
)
