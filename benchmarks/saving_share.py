"""The share of runs of several lengths that saving takes, by the size of the weights.

    python -m benchmarks.saving_share [--quick]

The time within everything that writes to the run directory, and within the checks before, is
measured in the run itself: the difference of two runs has much noise. `processor` and `elapsed` are
shares of the run's processor time and of its duration, `plain h5py` the share of its processor time
in which h5py alone then writes as many bytes, without a digest. A row also names the bytes written.
That the first run of a process imports h5py is not counted.

Where a virtual machine gives memory that it has not used for seconds back to its host, as some do,
plain h5py takes several times as long after seconds of training as in a loop of saves: the pages of
its file must be fetched from the host again. Checkpoints are written without the page cache.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np

import nnreg
from benchmarks.harness import Effort, Row, Table
from benchmarks.single import measure_and_print
from nnreg._utils import atomic_files
from nnreg._utils.hdf5 import h5py
from nnreg.runs import run as runs
from nnreg.runs.directory import RunDirectory
from nnreg.runs.writer import RunWriter
from nnreg.training.trainer import Trainer

MEGABYTES = (1, 10, 25, 100)
SECONDS = (1.0, 3.0, 10.0)

BATCH = 32

PLACES: tuple[tuple[Any, str], ...] = (
    (runs, "check_saveable"), (runs.Run, "_metadata"), (RunDirectory, "create"),
    (RunWriter, "__init__"), (RunWriter, "begin"), (RunWriter, "epoch"), (RunWriter, "save"),
    (RunWriter, "close"), (RunWriter, "write_best"), (RunWriter, "write_records"),
    (RunDirectory, "write_summary"), (Trainer, "gradient_norms"),
)  # fmt: skip
"""The functions whose time is that of saving: all that a run without a directory does not call."""


class Spent:
    """Processor time, elapsed time and bytes that the functions at `PLACES` take."""

    def __init__(self) -> None:
        self.processor = self.elapsed = 0.0
        self.bytes = 0
        self._depth = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count within the context."""
        with ExitStack() as stack:
            for owner, name in PLACES:
                stack.enter_context(patch.object(owner, name, self._timed(getattr(owner, name))))
            write = atomic_files._write

            def counted(file: int, offset: int | None, data: bytes | memoryview) -> None:
                self.bytes += len(data)
                write(file, offset, data)

            stack.enter_context(patch.object(atomic_files, "_write", counted))
            yield

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            processor, elapsed = time.process_time(), time.perf_counter()
            self._depth += 1
            try:
                return function(*args, **options)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.processor += time.process_time() - processor
                    self.elapsed += time.perf_counter() - elapsed

        return timed


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each size and length; the runs are interleaved."""
    with TemporaryDirectory(prefix="nnreg-saving-") as directory:
        _shares(MEGABYTES[0], 1, Path(directory) / "first")
        paces = {megabytes: _pace(megabytes) for megabytes in MEGABYTES}
        samples: dict[tuple[int, float], dict[str, list[float]]] = {}
        written: dict[tuple[int, float], int] = {}
        for number in range(effort.rounds):
            for megabytes, pace in paces.items():
                for seconds in SECONDS:
                    out = Path(directory) / f"{number}-{megabytes}-{seconds:g}"
                    found, size = _shares(megabytes, max(1, round(seconds / pace)), out)
                    row = samples.setdefault((megabytes, seconds), defaultdict(list))
                    for name, share in found.items():
                        row[name].append(share)
                    written[megabytes, seconds] = size
    for (megabytes, seconds), row in samples.items():
        size = written[megabytes, seconds] / 1e6
        name = f"{megabytes} MB of weights for {seconds:g} s, {size:,.0f} MB written"
        yield Row(name, "%", row, compared=False)


def _spec(megabytes: int, epochs: int) -> tuple[dict[str, Any], tuple[Any, Any]]:
    """Return a network of two layers with float32 weights of this size, and its data."""
    width = round((megabytes * 1e6 / 4 / 2) ** 0.5)
    layers = [
        {"type": "dense", "units": width, "activation": "relu"},
        {"type": "dense", "units": width},
    ]
    spec = {
        "model": {"layers": layers},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": epochs, "batch_size": BATCH, "threads": 1, "kernels": "numpy"},
    }
    rows = BATCH * round(64 / megabytes**0.5)  # an epoch takes some tenths of a second
    x = np.random.default_rng(0).standard_normal((rows, width), dtype=np.float32)
    return spec, (x, x)


def _pace(megabytes: int) -> float:
    """Return the processor time of an epoch."""
    times: list[float] = []
    spec, data = _spec(megabytes, 3)
    nnreg.run(spec, data=data, on_epoch=lambda record: times.append(time.process_time()))
    return times[2] - times[1]


def shares(train: Callable[[Path], object], out: Path) -> tuple[dict[str, float], int]:
    """Train with a run directory, and return the shares and the bytes written."""
    spent, processor, elapsed = Spent(), time.process_time(), time.perf_counter()
    with spent.counting():
        train(out)
    processor, elapsed = time.process_time() - processor, time.perf_counter() - elapsed
    found = {
        "processor": spent.processor / processor,
        "elapsed": spent.elapsed / elapsed,
        # before files are removed: the memory that they free is quicker to write to than other
        "plain h5py": _seconds_of_h5py(spent.bytes, out / "plain.h5") / processor,
    }
    for file in out.rglob("*.h5"):
        file.unlink()
    return found, spent.bytes


def _shares(megabytes: int, epochs: int, out: Path) -> tuple[dict[str, float], int]:
    spec, data = _spec(megabytes, epochs)
    return shares(lambda out: nnreg.run(spec, data=data, out=out), out)


def _seconds_of_h5py(size: int, path: Path) -> float:
    """Return the processor time in which h5py writes an array of this many bytes."""
    values = np.ones(size, np.uint8)
    began = time.process_time()
    with h5py.File(path, "w") as file:
        file["values"] = values
    seconds = time.process_time() - began
    path.unlink()
    return seconds


TABLE = Table("saving_share", "saving by size", ("processor", "elapsed", "plain h5py"), (), measure)


if __name__ == "__main__":
    measure_and_print(TABLE, measure, __doc__, 5)
