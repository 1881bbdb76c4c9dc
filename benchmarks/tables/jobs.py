"""Whole jobs, from the start of a process to a trained model: time, memory and accuracy."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.peers import OWN
from benchmarks.processes import ROOT, limited, python, run

JOBS = ("penguins", "digits")
SCRIPTS = {
    "PyTorch": "benchmarks.jobs.pytorch",
    "Keras on JAX": "benchmarks.jobs.keras_on_jax",
    "scikit-learn": "benchmarks.jobs.scikit_learn",
}
OTHERS = tuple(SCRIPTS)
MEASURED = (
    ("seconds", "s", True),
    ("peak memory, MB", "MB", True),
    ("held-out accuracy, %", "%", False),
    ("epochs", "", False),
)
"""The name and unit of each row, and whether smaller is better."""


@dataclass(frozen=True)
class Outcome:
    """The results of one process, in the order of `MEASURED`."""

    seconds: float
    peak: float
    accuracy: float
    epochs: float

    @property
    def figures(self) -> tuple[float, ...]:
        """All values."""
        return self.seconds, self.peak, self.accuracy, self.epochs


def measure(effort: Effort) -> Iterator[Row]:
    """Yield the rows of each job: `nnreg run` and the script of each library."""
    numbers = itertools.count()
    with TemporaryDirectory(prefix="nnreg-jobs-") as directory:
        jobs = JOBS[1:] if effort.quick else JOBS
        for job in (job for job in jobs if effort.only in job):
            samplers = {}
            for own, kernels in zip(OWN, ("numpy", "numba"), strict=True):
                samplers[own] = partial(_own, job, kernels, Path(directory), numbers, effort)
            for peer, script in SCRIPTS.items():
                samplers[peer] = partial(_script, script, job, effort)
            outcomes, left_out = interleave(samplers, effort)
            for index, (name, unit, compared) in enumerate(MEASURED):
                samples = {p: [o.figures[index] for o in taken] for p, taken in outcomes.items()}
                yield Row(f"{job}: {name}", unit, samples, left_out, compared)


def _own(
    job: str, kernels: str, directory: Path, numbers: Iterator[int], effort: Effort
) -> Outcome:
    """Run nnreg's command line, which also saves checkpoints."""
    finished = run(
        python(
            "-m", "nnreg", "run", str(ROOT / "models" / f"{job}.json"), "--quiet", "--json",
            "--set", f"train.kernels={kernels}", "--out", str(directory / str(next(numbers))),
        ),
        limited(effort.threads),
    )  # fmt: skip
    summary = json.loads(finished.output)
    accuracy, epochs = summary["test"]["accuracy"], summary["epochs"]
    return Outcome(finished.seconds, finished.peak, accuracy, epochs)


def _script(script: str, job: str, effort: Effort) -> Outcome:
    finished = run(python("-m", script, job), limited(effort.threads))
    return Outcome(finished.seconds, finished.peak, **json.loads(finished.output))


TABLE = Table(
    "jobs",
    "whole jobs, from the start of the process to the trained model",
    (*OWN, *OTHERS),
    (Ratio("nnreg", ("nnreg",), OTHERS), Ratio("nnreg +numba", ("nnreg+numba",), OTHERS)),
    measure,
)
