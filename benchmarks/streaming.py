"""An epoch over data streamed from an HDF5 file, compared with the same epoch in memory.

    python -m benchmarks.streaming [--quick]

The file has float32 without chunks (`plain`) or in chunks, or bytes in compressed chunks (`gzip`).
Measurements are interleaved. Before each `from disk`, the file is dropped from the system's cache;
for the others it is in the cache. The last columns are the times relative to those in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np

from benchmarks import report
from benchmarks.environment import describe, environment
from benchmarks.harness import Effort, Ratio, Row, Table, UnavailableError, interleave
from benchmarks.workloads import NAMED, Workload
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec

BYTES = 2**26
"""The size of the inputs, as float32: four windows."""

NETWORKS = ("64-128-64-10", "784-512-256-10", "cnn 28x28")
STORAGE: dict[str, dict[str, Any]] = {
    "plain": {},
    "chunks": {"chunks": True},
    "gzip": {"chunks": True, "compression": "gzip", "shuffle": True, "dtype": "u1"},
}
"""The arguments of h5py's `create_dataset` for the inputs."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each network."""
    for name in NETWORKS:
        if effort.only in name and not (effort.quick and name == NETWORKS[-1]):
            with TemporaryDirectory(prefix="nnreg-streaming-") as directory:
                yield _row(NAMED[name], Path(directory), effort)


def _row(workload: Workload, directory: Path, effort: Effort) -> Row:
    x, y = workload.examples(BYTES // (4 * int(np.prod(workload.shape))))
    samplers: dict[str, Callable[[], float]] = {}
    for number, (name, storage) in enumerate(STORAGE.items()):
        path = directory / f"{number}.h5"
        kind = storage.get("dtype", "f4")
        with h5py.File(path, "w") as file:
            values = np.clip(x * 32 + 128, 0, 255) if kind == "u1" else x
            file.create_dataset("x", data=values.astype(kind), **storage)
            file["y"] = y
        if not samplers:
            samplers["memory"] = _epochs(workload, path, effort.threads, stream=False)
            samplers["from disk"] = partial(
                _uncached, path, _epochs(workload, path, effort.threads, stream=True)
            )
        samplers[name] = _epochs(workload, path, effort.threads, stream=True)
    samples, left_out = interleave(samplers, effort)
    return Row(workload.name, "s", samples, left_out)


def _epochs(workload: Workload, path: Path, threads: int, *, stream: bool) -> Callable[[], float]:
    """Return a function that trains one epoch and returns the seconds, after a first epoch."""
    output = {"type": "dense", "units": "classes", "activation": "softmax"}
    source = {"type": "hdf5", "stream": stream}
    spec = {
        "data": {"source": source, "path": str(path), "target": "y"},
        "model": {"layers": [*workload.layers, output]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "train": {"epochs": 10_000, "batch_size": workload.batch, "threads": threads},
    }
    prepared = prepare_from_spec(read_spec(spec))
    epochs = prepared.model.trainer(prepared.train).epochs()
    next(epochs)

    def epoch() -> float:
        began = time.perf_counter()
        next(epochs)
        return time.perf_counter() - began

    return epoch


def _uncached(path: Path, epoch: Callable[[], float]) -> float:
    """Return the seconds of an epoch after the file is dropped from the system's cache."""
    if not hasattr(os, "posix_fadvise"):
        raise UnavailableError("this system does not support dropping a file from its cache")
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return epoch()


STREAMED = ("from disk", *STORAGE)
TABLE = Table(
    "streaming",
    f"an epoch over {BYTES / 1e6:.0f} MB streamed from a file (s)",
    ("memory", *STREAMED),
    tuple(Ratio(name, ("memory",), (name,)) for name in STREAMED),
    measure,
    plotted=False,
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds, and no convolution")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    options = parser.parse_args()
    rounds = 3 if options.quick else 7
    effort = Effort(rounds, 0.0, options.threads, quick=options.quick, only=options.only)
    about = environment()
    print(describe(about, options.threads), report.heading(TABLE), sep="\n", flush=True)
    rows = []
    for row in measure(effort):
        rows.append(row)
        print(report.line(TABLE, row), flush=True)
    print(report.left_out(rows))
    options.out.mkdir(parents=True, exist_ok=True)
    document = {"environment": about, "tables": [report.as_json(TABLE, rows)]}
    path = options.out / "streaming.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
