"""Twenty short runs, four activations with five seeds, by a loop of the shell and as a sweep.

    python -m benchmarks.sweeping [--quick]

`training` is the sum of the runs' own times within the sweep. The last row is the preparation of a
run of models/fraud.json in a process that reads its data each time, and in one that keeps them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from benchmarks.harness import Effort, Row, Table, interleave
from benchmarks.processes import limited, python
from benchmarks.single import measure_and_print
from nnreg.data.loading import DataReader
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec

MODELS = Path(__file__).parent.parent / "models"
ACTIVATIONS, SEEDS = ("relu", "tanh", "mish", "silu"), 5
PATH = "model.layers.0.activation"
COLUMNS = ("shell loop", "1 job", "2 jobs", "training")


def measure(effort: Effort) -> Iterator[Row]:
    """Yield the elapsed and the processor time of twenty runs, and that of preparing one."""
    with TemporaryDirectory(prefix="nnreg-sweeping-") as name:
        directory = Path(name)
        for file in ("penguins.json", "penguins.csv"):
            shutil.copy(MODELS / file, directory)
        jobs = {
            "shell loop": partial(_loop, directory),
            "1 job": partial(_sweep, directory, 1),
            "2 jobs": partial(_sweep, directory, 2),
        }
        found, left_out = interleave(jobs, effort)
        training = _training(directory)
    for index, kind in enumerate(("elapsed", "processor")):
        samples = {column: [one[index] for one in times] for column, times in found.items()}
        shown = samples | ({"training": [training]} if kind == "elapsed" else {})
        yield Row(f"20 runs, {kind}, s", "s", shown, left_out, compared=False)
    reader = DataReader()
    _prepare(reader)
    samples, left_out = interleave(
        {"shell loop": _prepare, "1 job": partial(_prepare, reader)}, effort
    )
    yield Row("preparing a run, ms", "ms", samples, left_out, compared=False)


def _timed(run: Callable[[], None]) -> tuple[float, float]:
    """Return the elapsed time, and the processor time of the child processes."""
    before, began = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    run()
    elapsed, after = time.perf_counter() - began, getrusage(RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(directory: Path, *arguments: str) -> None:
    command = python("-m", "nnreg", "run", "penguins.json", "--quiet", *arguments)
    subprocess.run(command, cwd=directory, env=limited(1), check=True, capture_output=True)


def _loop(directory: Path) -> tuple[float, float]:
    def run() -> None:
        for activation in ACTIVATIONS:
            for seed in range(SEEDS):
                _run(directory, "--set", f"{PATH}={activation}", "--set", f"seed={seed}",
                     "--no-report")  # fmt: skip

    return _timed(run)


def _sweep(directory: Path, jobs: int) -> tuple[float, float]:
    shutil.rmtree(directory / "sweep", ignore_errors=True)
    grid = f"{PATH}={','.join(ACTIVATIONS)}"
    options = ("--grid", grid, "--seeds", str(SEEDS), "--jobs", str(jobs), "--out", "sweep")
    return _timed(partial(_run, directory, *options))


def _training(directory: Path) -> float:
    """Return the sum of the seconds that the runs of the last sweep took."""
    summaries = (directory / "sweep").glob("*/summary.json")
    return sum(json.loads(path.read_text())["seconds"] for path in summaries)


def _prepare(reader: DataReader | None = None) -> float:
    document = read_spec(str(MODELS / "fraud.json"))
    began = time.perf_counter()
    prepare_from_spec(document, None, reader)
    return time.perf_counter() - began


TABLE = Table("sweeping", "sweeps", COLUMNS, (), measure)


if __name__ == "__main__":
    measure_and_print(TABLE, measure, __doc__, 5)
