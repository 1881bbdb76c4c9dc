"""nnreg, through its public interface."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nnreg  # before NumPy, like its command line: it sets how long OpenBLAS threads spin

# isort: split
import numpy as np

from benchmarks.peers import RATE, Job
from benchmarks.workloads import Workload

DIGITS = Path(__file__).resolve().parents[2] / "models" / "digits.json"


class Nnreg:
    """nnreg with one set of kernels, or with several that combine."""

    def __init__(self, kernels: str | list[str]) -> None:
        self.kernels = kernels

    def train(self, workload: Workload) -> Job:
        """Train with nnreg's trainer, with all features of a normal run."""
        x, y = workload.examples()
        model = self._model(workload, x, y)
        epochs = model.trainer(model.examples(x, y)).epochs()
        return lambda: next(epochs)

    def train_weighted(self, workload: Workload) -> Job:
        """Train with a weight for each example."""
        x, y = workload.examples()
        model = self._model(workload, x, y)
        weights = np.random.default_rng(1).uniform(0.5, 1.5, len(x))
        examples = model.with_sample_weights(model.examples(x, y, training=True), x, weights)
        epochs = model.trainer(examples).epochs()
        return lambda: next(epochs)

    def train_on_new(self, workload: Workload) -> Job:
        """Train on other examples in each pass."""
        model = self._model(workload, *workload.examples())
        passes = itertools.cycle([workload.examples(seed=seed) for seed in range(20)])
        return lambda: model.fit(*next(passes), epochs=1)

    def train_layers(
        self, layers: list[Any], shape: list[int], steps: int, settings: dict[str, Any]
    ) -> Job:
        """Train layers, with settings of `train`, in epochs of this many steps."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(steps * settings["batch_size"], *shape)).astype("f4")
        y = rng.normal(size=(len(x), layers[-1]["units"])).astype("f4")
        spec = {
            "model": {"layers": layers},
            "loss": "mean_squared_error",
            "optimizer": "adam",
            "train": {"epochs": 10**6, "kernels": self.kernels, **settings},
        }
        model = nnreg.build(spec, data=(x, y))
        epochs = model.trainer(model.examples(x, y)).epochs()
        return lambda: next(epochs)

    def predict(self, workload: Workload, rows: int) -> Job:
        """Predict with `model.predict`, which checks the rows first."""
        model = self._model(workload, *workload.examples())
        x, _ = workload.examples(rows)
        return lambda: model.predict(x)

    def save(self, workload: Workload, directory: str) -> Job:
        """Save a model that has been trained for an epoch, with the state for resuming."""
        model = self.trained(workload)
        return lambda: nnreg.save(model, Path(directory) / "model.h5")

    def run(self, directory: str | None, epochs: int, workload: Workload | None = None) -> Job:
        """Train a network, by default on the digits; write each run's directory in a directory."""
        numbers, train = itertools.count(), self.training(epochs, workload)

        def job() -> None:
            out = Path(directory) / f"run-{os.getpid()}-{next(numbers)}" if directory else None
            train(out)
            if out:
                shutil.rmtree(out)

        return job

    def training(
        self, epochs: int, workload: Workload | None = None
    ) -> Callable[[Path | None], object]:
        """Return a function that trains a network, by default on the digits, with a directory."""
        spec, data = DIGITS, None
        if workload is not None:
            spec, data = self._spec(workload), workload.examples(64 * workload.batch)
        changes = [f"train.epochs={epochs}", "train.early_stopping=null"]
        changes.append(f"train.kernels={json.dumps(self.kernels)}")
        return lambda out: nnreg.run(spec, out=out, overrides=changes, data=data)

    def trained(self, workload: Workload) -> Any:
        """Return a model that has been trained for an epoch."""
        x, y = workload.examples()
        model = self._model(workload, x, y)
        model.fit(x, y, epochs=1)
        return model

    def _model(self, workload: Workload, x: Any, y: Any) -> Any:
        return nnreg.build(self._spec(workload), data=(x, y))

    def _spec(self, workload: Workload) -> dict[str, Any]:
        output = {"type": "dense", "units": workload.classes, "activation": "softmax"}
        return {
            "model": {"layers": [*workload.layers, output], "members": workload.members},
            "loss": "cross_entropy",
            "optimizer": {"type": "adam", "learning_rate": RATE},
            "train": {
                "epochs": 10**9, "batch_size": workload.batch, "shuffle": False,
                "kernels": self.kernels,
            },
        }  # fmt: skip
