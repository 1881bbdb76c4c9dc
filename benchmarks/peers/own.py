"""nnreg, through its public interface."""

from __future__ import annotations

import importlib
import itertools
import os
from pathlib import Path
from typing import Any

import nnreg  # before NumPy, like its command line: it sets how long OpenBLAS threads spin

# isort: split
import numpy as np

from benchmarks.peers import RATE, Job
from benchmarks.workloads import Workload

DIGITS = Path(__file__).resolve().parents[2] / "models" / "digits.json"


class Nnreg:
    """nnreg with NumPy's kernels or with those of nnreg-numba."""

    def __init__(self, kernels: str) -> None:
        self.kernels = kernels

    def train(self, workload: Workload) -> Job:
        """Train with nnreg's trainer, with all features of a normal run."""
        x, y = workload.examples()
        model = self._model(workload, x, y)
        epochs = model.trainer(model.examples(x, y)).epochs()
        return lambda: next(epochs)

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

    def run(self, directory: str | None, epochs: int) -> Job:
        """Train on the digits; with a directory, write each run's directory in it."""
        numbers = itertools.count()
        changes = [f"train.epochs={epochs}", "train.early_stopping=null"]
        changes.append(f"train.kernels={self.kernels}")

        def job() -> None:
            out = Path(directory) / f"run-{os.getpid()}-{next(numbers)}" if directory else None
            nnreg.run(DIGITS, out=out, overrides=changes)

        return job

    def trained(self, workload: Workload) -> Any:
        """Return a model that has been trained for an epoch."""
        x, y = workload.examples()
        model = self._model(workload, x, y)
        model.fit(x, y, epochs=1)
        return model

    def _model(self, workload: Workload, x: Any, y: Any) -> Any:
        if self.kernels == "numba":
            importlib.import_module("nnreg_numba")  # for an error that names the missing package
        output = {"type": "dense", "units": workload.classes, "activation": "softmax"}
        spec = {
            "model": {"layers": [*workload.layers, output]},
            "loss": "cross_entropy",
            "optimizer": {"type": "adam", "learning_rate": RATE},
            "train": {"epochs": 10**9, "batch_size": workload.batch, "kernels": self.kernels},
        }
        return nnreg.build(spec, data=(x, y))
