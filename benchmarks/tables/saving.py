"""The cost of saving: in a run, and of one save compared with plain h5py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.processes import Workers, limited, python, run
from benchmarks.workloads import LARGE, SMALL, Workload

RUNS: dict[str, dict[str, Any]] = {
    "digits, 400 epochs": {"epochs": 400},
    "25 MB of weights, 3 epochs": {"epochs": 3, "workload": LARGE.name},
}
"""Runs of more than a second: models/digits.json, five times as long, and a wide network."""

PEERS = ("nnreg", "plain h5py")


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for the fraction of a short and a long run, and one for each size of file."""
    with TemporaryDirectory(prefix="nnreg-saving-") as directory:
        for name, arguments in RUNS.items():
            yield _fraction(directory, name, arguments, effort)
        with Workers(effort) as workers:
            yield _save(workers, directory, SMALL, "50 kB", effort)
            yield _save(workers, directory, LARGE, "75 MB", effort)


def _fraction(directory: str, name: str, arguments: dict[str, Any], effort: Effort) -> Row:
    """Train with checkpoints, in processes that measure how much of their time these take.

    Of the processor's time, also how much h5py alone takes for as many bytes.
    """
    command = python("-m", "benchmarks.saving_job", json.dumps(arguments), directory)

    def shares() -> dict[str, float]:
        found: dict[str, float] = json.loads(run(command, limited(effort.threads)).output)
        return found

    samples, left_out = interleave({"nnreg": shares}, effort)
    taken = samples.get("nnreg", [])
    shown = {"nnreg": "elapsed"}
    if effort.processor:
        shown = {"nnreg": "processor", "plain h5py": "plain h5py"}
    columns = {name: [one[share] for one in taken] for name, share in shown.items() if taken}
    return Row(f"fraction spent on saving, {name}, %", "%", columns, left_out, compared=False)


def _save(workers: Workers, directory: str, workload: Workload, size: str, effort: Effort) -> Row:
    samplers = {
        peer: partial(
            workers.ask,
            peer,
            "save",
            effort.seconds / 4,
            workload=workload.name,
            directory=directory,
        )
        for peer in PEERS
    }
    samples, left_out = interleave(samplers, effort)
    return Row(f"one save of {size}, ms", "ms", samples, left_out)


TABLE = Table(
    "saving", "checkpoints", PEERS, (Ratio("nnreg", ("nnreg",), ("plain h5py",)),), measure
)
