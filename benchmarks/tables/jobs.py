"""Whole jobs, from the start of a process to its end: time, memory and accuracy."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.peers import NUMBA, NUMPY
from benchmarks.processes import ROOT, Finished, limited, python, run

JOBS = ("penguins", "digits")
ROUNDS = 3
"""Fewer than of other tables: a round takes 25 seconds."""
SCRIPTS = {
    "PyTorch": "benchmarks.jobs.pytorch",
    "Keras on JAX": "benchmarks.jobs.keras_on_jax",
    "scikit-learn": "benchmarks.jobs.scikit_learn",
}
MEASURED = (
    ("seconds", "s", True),
    ("processor's seconds", "s", True),
    ("peak memory, MB", "MB", True),
    ("held-out accuracy, %", "%", False),
    ("epochs", "", False),
)
"""The name and unit of each row, and whether smaller is better."""

WITHOUT = """
import importlib.metadata, runpy, sys
files = importlib.metadata.files
importlib.metadata.files = lambda name: None if name == "mkl" else files(name)
sys.modules["numba"] = None
runpy.run_module("nnreg", run_name="__main__", alter_sys=True)
"""
STARTS = {NUMPY: ("-c", WITHOUT), NUMBA: ("-m", "nnreg")}
"""How nnreg's command is started as if neither Numba nor oneMKL were installed, and with them."""


@dataclass(frozen=True)
class Outcome:
    """The results of one process, in the order of `MEASURED`."""

    seconds: float
    processor: float
    peak: float
    accuracy: float
    epochs: float


def measure(effort: Effort) -> Iterator[Row]:
    """Yield the rows of each job: `nnreg run` and the script of each library; then `predict`."""
    numbers = itertools.count()
    effort = replace(effort, rounds=min(effort.rounds, ROUNDS))
    with TemporaryDirectory(prefix="nnreg-jobs-") as name:
        directory = Path(name)
        for job in (job for job in JOBS if effort.only in job):
            samplers: dict[str, Callable[[], Outcome]] = {}
            for own in STARTS:
                samplers[own] = partial(_own, own, job, directory, numbers, effort)
            for peer, script in SCRIPTS.items():
                samplers[peer] = partial(_script, script, job, effort)
            outcomes, left_out = interleave(samplers, effort)
            for index, (title, unit, compared) in enumerate(MEASURED):
                samples = {p: [astuple(o)[index] for o in taken] for p, taken in outcomes.items()}
                yield Row(f"{job}: {title}", unit, samples, left_out, compared)
        if effort.only in JOBS[0]:
            predictors = {own: partial(_predict, own, directory / "0", effort) for own in STARTS}
            samples, left_out = interleave(predictors, effort)
            yield Row(f"{JOBS[0]}: predict, processor's seconds", "s", samples, left_out)


def _nnreg(own: str, *arguments: str, effort: Effort) -> Finished:
    return run(python(*STARTS[own], *arguments), limited(effort.threads))


def _own(own: str, job: str, directory: Path, numbers: Iterator[int], effort: Effort) -> Outcome:
    """Run nnreg's command line, which also saves checkpoints and a report."""
    out = str(directory / str(next(numbers)))
    spec = str(ROOT / "models" / f"{job}.json")
    finished = _nnreg(own, "run", spec, "--quiet", "--json", "--out", out, effort=effort)
    summary = json.loads(finished.output)
    return _outcome(finished, summary["test"]["accuracy"], summary["epochs"])


def _predict(own: str, trained: Path, effort: Effort) -> float:
    table = str(ROOT / "models" / "penguins.csv")
    return _nnreg(own, "predict", str(trained), table, effort=effort).processor


def _script(script: str, job: str, effort: Effort) -> Outcome:
    finished = run(python("-m", script, job), limited(effort.threads))
    return _outcome(finished, **json.loads(finished.output))


def _outcome(finished: Finished, accuracy: float, epochs: int) -> Outcome:
    return Outcome(finished.seconds, finished.processor, finished.peak, accuracy, epochs)


TABLE = Table(
    "jobs",
    "whole jobs, from the start of the process to the trained model",
    (*STARTS, *SCRIPTS),
    tuple(Ratio(name, (name,), tuple(SCRIPTS)) for name in STARTS),
    measure,
)
