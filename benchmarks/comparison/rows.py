"""The lines of the comparison: sizes, times, memory, bit-identical weights, confirmed facts."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.comparison.environments import PACKAGES, installed_bytes, python
from benchmarks.comparison.facts import FACTS
from benchmarks.harness import Effort, Row, UnavailableError, interleave
from benchmarks.processes import ROOT, Finished, limited, run

LIBRARIES = tuple(PACKAGES)
IMPORTS = {
    "nnreg": "import nnreg",
    "scikit-learn": "from sklearn.neural_network import MLPClassifier",
    "Keras": "import keras",
    "Ludwig": "from ludwig.api import LudwigModel",
}
STEPS = {"4-16-8-3": 100, "784-512-256-10": 30, "cnn 28x28": 10}
"""The networks that are timed, and how many batches each epoch has."""

LARGE = "784-512-256-10"
PLAIN, DROPOUT = "64-128-64-10", "64-128-64-10 with dropout"
CONFIG = "benchmarks/comparison/penguins.yaml"


@dataclass(frozen=True)
class Environments:
    """The directory of the environments, and a directory for what the processes write."""

    directory: Path
    scratch: Path
    numbers: Iterator[int]

    def run(self, library: str, *arguments: str, threads: int = 1, **variables: str) -> Finished:
        """Run the Python of a library in the root of the repository."""
        interpreter = python(self.directory, library)
        if not Path(interpreter).exists():
            raise UnavailableError("it is not installed")
        return run([interpreter, *arguments], {**limited(threads), **variables}, ROOT)

    def fresh(self) -> Path:
        """Return a path where nothing is yet."""
        return self.scratch / str(next(self.numbers))

    def train(self, library: str, network: str, *arguments: str, **options: int) -> dict[str, Any]:
        """Train a network with a library, and return what the process prints and its peak."""
        command = ("-m", "benchmarks.comparison.training", library, network, *arguments)
        finished = self.run(library, *command, **options)
        return {**json.loads(finished.output), "peak": finished.peak}


def measure(directory: Path, effort: Effort) -> Iterator[Row]:
    """Yield the rows that have numbers."""
    with TemporaryDirectory(prefix="nnreg-comparison-") as scratch:
        where = Environments(directory, Path(scratch), count())
        yield sizes(where)
        seconds, left_out = interleave(each(partial(start, where)), effort)
        yield Row("import", "s", seconds, left_out)
        yield from penguins(where, effort)
        for network in STEPS:
            yield from training(where, network, effort)


def each(sample: Callable[[str], Any]) -> dict[str, Callable[[], Any]]:
    """Return a function of one library as a sampler for each."""
    return {library: partial(sample, library) for library in LIBRARIES}


def sizes(where: Environments) -> Row:
    """Return the size of what pip installed, in bytes."""
    once = Effort(1, 0.0, 1)
    taken, left_out = interleave(each(partial(_size, where)), once)
    return Row("installed size", "MB", taken, left_out)


def _size(where: Environments, library: str) -> int:
    where.run(library, "-c", "")
    return installed_bytes(where.directory, library)[0]


def start(where: Environments, library: str) -> float:
    """Return the processor's seconds of a process that imports a library."""
    return where.run(library, "-c", IMPORTS[library]).processor


def penguins(where: Environments, effort: Effort) -> Iterator[Row]:
    """Yield processor's seconds from a CSV file to a trained model, accuracy and epochs."""
    taken, left_out = interleave(each(partial(job, where)), effort)
    for name, unit in (("penguins", "s"), ("accuracy", "%"), ("epochs", "")):
        samples = {library: [one[name] for one in found] for library, found in taken.items()}
        yield Row(NAMES[name], unit, samples, left_out, compared=name == "penguins")


NAMES = {
    "penguins": "penguins, from CSV to model",
    "accuracy": "penguins, held-out accuracy",
    "epochs": "penguins, epochs",
}


def job(where: Environments, library: str) -> dict[str, float]:
    """Train on the penguins by a library's command, or else by a script."""
    out = where.fresh()
    if library == "nnreg":
        command = ("-m", "nnreg", "run", "models/penguins.json", "--quiet", "--json")
        finished = where.run(library, *command, "--out", str(out))
        summary = json.loads(finished.output)
        accuracy, epochs = summary["test"]["accuracy"], summary["epochs"]
    elif library == "Ludwig":
        command = ("-m", "ludwig.cli", "experiment", "--config", CONFIG, "--random_seed", "0")
        table = shutil.copy(ROOT / "models" / "penguins.csv", where.scratch)  # it locks the file
        data = ("--dataset", str(table), "--skip_save_processed_input")
        options = ("--backend", "local", "--output_directory", str(out))
        finished = where.run(library, *command, *data, *options)
        accuracy, epochs = _ludwig_results(out)
    else:
        script = {"scikit-learn": "scikit_learn", "Keras": "keras_on_jax"}[library]
        backend = {"KERAS_BACKEND": "tensorflow"}
        finished = where.run(library, "-m", f"benchmarks.jobs.{script}", "penguins", **backend)
        accuracy, epochs = json.loads(finished.output).values()
    return {"penguins": finished.processor, "accuracy": accuracy, "epochs": epochs}


def _ludwig_results(out: Path) -> tuple[float, int]:
    """Return the held-out accuracy and the number of epochs."""
    test, history = (
        json.loads(next(out.glob(f"*/{name}_statistics.json")).read_text())
        for name in ("test", "training")
    )
    return test["species"]["accuracy"], len(history["training"]["combined"]["loss"])


def training(where: Environments, network: str, effort: Effort) -> Iterator[Row]:
    """Yield the processor's seconds per batch; of the large network the peak memory too."""
    steps = STEPS[network]
    sample = partial(_train, where, network, steps)
    taken, left_out = interleave(each(sample), effort)
    samples = {
        library: [seconds / steps for one in found for seconds in one["seconds"]]
        for library, found in taken.items()
    }
    yield Row(network, "ms", samples, left_out)
    if network == LARGE:
        peaks = {library: [one["peak"] for one in found] for library, found in taken.items()}
        yield Row(f"{network}, peak memory", "MB", peaks, left_out)


def _train(where: Environments, network: str, steps: int, library: str) -> dict[str, Any]:
    return where.train(library, network, "--steps", str(steps), "--epochs", "4")


def reproducibility(directory: Path, threads: int) -> dict[str, dict[str, str]]:
    """Return whether the same seed, and a resumed training, give bit-identical weights."""
    found: dict[str, dict[str, str]] = {"same seed": {}, "resumed": {}, "resumed, dropout": {}}
    with TemporaryDirectory(prefix="nnreg-comparison-") as scratch:
        where = Environments(directory, Path(scratch), count())
        for library in LIBRARIES:
            train = partial(_digest, where, library, threads)
            for name, network in (("resumed", PLAIN), ("resumed, dropout", DROPOUT)):
                try:
                    whole = train(network, 4)
                    if name == "resumed":
                        again = train(network, 4)
                        found["same seed"][library] = "yes" if whole == again else "no"
                    checkpoint = where.fresh()
                    checkpoint.mkdir()
                    train(network, 2, checkpoint)
                    resumed = train(network, 4, checkpoint)
                    found[name][library] = "yes" if resumed == whole else "no"
                except UnavailableError as reason:
                    found[name][library] = str(reason)
    return found


def _digest(
    where: Environments,
    library: str,
    threads: int,
    network: str,
    epochs: int,
    checkpoint: Path | None = None,
) -> str:
    options = ["--steps", "20", "--epochs", str(epochs)]
    if checkpoint:
        options += ["--checkpoint", str(checkpoint)]
    return str(where.train(library, network, *options, threads=threads)["digest"])


def confirmed(directory: Path) -> dict[str, dict[str, str]]:
    """Return the facts, each confirmed by its command where it has one."""
    found: dict[str, dict[str, str]] = {}
    with TemporaryDirectory(prefix="nnreg-comparison-") as scratch:
        where = Environments(directory, Path(scratch), count())
        for name, cells in FACTS.items():
            found[name] = {}
            for library, cell in cells.items():
                try:
                    if cell.here:
                        run([sys.executable, *cell.check], limited(1), ROOT)
                    elif cell.check:
                        where.run(library, *cell.check)
                    found[name][library] = cell.text
                except UnavailableError as reason:
                    found[name][library] = f"not confirmed ({reason})"
    return found
