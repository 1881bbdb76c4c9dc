"""A self-test: a small network, from its data to its predictions."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nnreg.checkpoint.inspect import read_arrays
from nnreg.checkpoint.save_load import load
from nnreg.doctor.environment import Finding
from nnreg.model.model import Model
from nnreg.registry.registry import Registry, discover
from nnreg.runs.run import prepare_resume, prepare_run
from nnreg.spec.document import read_spec
from nnreg.testing.finite_differences import central_difference

EPOCHS = 20
CENTRES = {"left": (-2.0, 0.0), "middle": (0.0, 2.0), "right": (2.0, 0.0)}
"""The mean of the points of each class; their standard deviation is 0.5."""

SPEC: dict[str, Any] = {
    "data": {"source": "csv", "path": "points.csv", "target": "class", "split": {"test": 0.2}},
    "model": {
        "layers": [
            {"type": "dense", "units": 16, "activation": "tanh"},
            {"type": "batch_norm"},
            {"type": "dropout", "rate": 0.1},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ],
        "dtype": "float64",
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.02},
    "metrics": ["accuracy"],
    "train": {"epochs": EPOCHS},
}

GRADIENT_STRIDE = 7
"""The gradient is checked for every seventh weight."""

TOLERANCE = 1e-5


def self_test(registry: Registry) -> Iterator[Finding]:
    """Train a small network in a temporary directory, and yield the result of each step."""
    with tempfile.TemporaryDirectory(prefix="nnreg-") as directory:
        test = _SelfTest(Path(directory), _without_event_plugins(registry))
        steps: dict[str, Callable[[], str]] = {
            "training": test.trains,
            "gradients": test.computes_gradients,
            "checkpoint": test.saves_and_loads,
            "resuming": test.resumes_bit_identically,
            "predicting": test.predicts,
        }
        for subject, step in steps.items():
            began = time.perf_counter()
            try:
                found = step()
            except Exception as error:  # any library may fail
                yield Finding(subject, "failed", f"{type(error).__name__}: {error}", FIX)
            else:
                seconds = time.perf_counter() - began
                yield Finding(subject, "ok", f"{found} ({seconds:.2f} s)")


def _without_event_plugins(registry: Registry) -> Registry:
    """Return a registry without the plugins that receive the events of runs."""
    event_plugins = [
        plugin.name
        for plugin in registry.plugins.values()
        if any(hook.startswith(("nnreg_run", "nnreg_epoch")) for hook in plugin.hooks)
    ]
    selection = registry.selection
    return discover(replace(selection, blocked=(*selection.blocked, *event_plugins)))


FIX = "try without plugins (NNREG_PLUGINS= nnreg doctor), then in a new virtual environment"


class _SelfTest:
    """A network trained in a directory, and its checks. Each returns what it found, or raises."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self._directory = directory
        rng = np.random.default_rng(0)
        rows = [
            f"{x},{y},{name}"
            for name, centre in CENTRES.items()
            for x, y in rng.normal(centre, 0.5, (60, 2))
        ]
        (directory / "points.csv").write_text("\n".join(["x,y,class", *rows]), encoding="utf-8")
        self._document = read_spec(SPEC, directory=directory, registry=registry)
        self._model: Model

    def trains(self) -> str:
        run = prepare_run(self._document, out=self._directory / "full")
        self._model = run.train()
        accuracy = run.summary["verdict"]["value"]
        _require(accuracy > 0.8, f"the test accuracy on three groups of points is {accuracy:.0%}")
        return f"{EPOCHS} epochs, test accuracy {accuracy:.0%}"

    def computes_gradients(self) -> str:
        x = {"x": np.linspace(-2, 2, 12), "y": np.linspace(1, -1, 12)}
        y = {"class": list(CENTRES) * 4}
        _, gradients = self._model.gradients(x, y)
        found = np.concatenate([gradient.ravel() for gradient in gradients.values()])
        some = slice(None, None, GRADIENT_STRIDE)
        slopes = central_difference(
            lambda: self._model.evaluate(x, y)["loss"], self._model.network.vector[some]
        )
        worst = float(np.max(np.abs(slopes - found[some])))
        _require(worst < TOLERANCE, f"a gradient differs from finite differences by {worst:.1e}")
        return f"equal to finite differences within {worst:.0e}"

    def saves_and_loads(self) -> str:
        best = load(self._directory / "full" / "checkpoints" / "best.h5")
        same = best.predict(_points()).tobytes() == self._model.predict(_points()).tobytes()
        _require(same, "a loaded checkpoint and the model that was saved predict different values")
        return "saved and loaded, its predictions are bit-identical"

    def resumes_bit_identically(self) -> str:
        half = self._directory / "half"
        prepare_run(self._document, out=half, overrides=[f"train.epochs={EPOCHS // 2}"]).train()
        prepare_resume(half, overrides=[f"train.epochs={EPOCHS}"]).train()
        runs = [
            read_arrays(f / "checkpoints" / "last.h5") for f in (self._directory / "full", half)
        ]
        names = [name for name in runs[0] if name.startswith("parameters/")]
        same = all(runs[0][name].tobytes() == runs[1][name].tobytes() for name in names)
        _require(same, "a stopped and resumed run has different weights from an uninterrupted one")
        return "stopped and resumed, a run is bit-identical"

    def predicts(self) -> str:
        predicted = self._model.classify(_points()).tolist()
        _require(
            predicted == list(CENTRES), f"the centres {list(CENTRES)} are predicted as {predicted}"
        )
        return "rows in, class names out"


def _points() -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in CENTRES.values()]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
