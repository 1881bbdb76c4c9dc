"""The cost of saving: in a run, and of one save compared with plain h5py."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from tempfile import TemporaryDirectory

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.processes import Workers
from benchmarks.workloads import LARGE, SMALL, Workload

EPOCHS = (80, 400)
"""Epochs for models/digits.json: those of the spec, and five times as many."""

PEERS = ("nnreg", "plain h5py")


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for the fraction of a short and a long run, and one for each size of file."""
    with TemporaryDirectory(prefix="nnreg-saving-") as directory:
        for epochs in EPOCHS[:1] if effort.quick else EPOCHS:
            yield _fraction(directory, epochs, effort)
        with Workers(effort.threads) as workers:
            yield _save(workers, directory, SMALL, "60 kB", effort)
            yield _save(workers, directory, LARGE, "100 MB", effort)


def _fraction(directory: str, epochs: int, effort: Effort) -> Row:
    """Train on the digits with and without checkpoints, interleaved, in separate processes."""
    with Workers(effort.threads) as saving, Workers(effort.threads) as plain:
        runs = {
            "nnreg": partial(saving.ask, "nnreg", "run", 0, directory=directory, epochs=epochs),
            "without": partial(plain.ask, "nnreg", "run", 0, directory=None, epochs=epochs),
        }
        samples, left_out = interleave(runs, effort)
    fractions = []
    if not left_out:
        pairs = zip(samples["nnreg"], samples["without"], strict=True)
        fractions = [1 - without / with_them for with_them, without in pairs]
    columns = {"nnreg": fractions} if fractions else {}
    name = f"fraction spent on saving, {epochs} epochs, %"
    return Row(name, "%", columns, left_out, compared=False)


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
