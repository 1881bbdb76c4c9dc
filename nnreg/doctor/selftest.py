"""Whether nnreg does here what it promises: a small network from its data to its predictions."""

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
"""Where the points of each class are, with a deviation of one half."""

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

EVERY = 7
"""The gradient is measured by every seventh weight."""

TOLERANCE = 1e-5


def self_test(registry: Registry) -> Iterator[Finding]:
    """Train a small network in a temporary folder, and yield what held at each step."""
    with tempfile.TemporaryDirectory(prefix="nnreg-") as directory:
        trial = _SelfTest(Path(directory), _without_event_plugins(registry))
        steps: dict[str, Callable[[], str]] = {
            "training": trial.trains,
            "gradients": trial.computes_right_gradients,
            "checkpoint": trial.loads_what_it_saved,
            "resuming": trial.resumes_bit_identically,
            "predicting": trial.predicts,
        }
        for subject, step in steps.items():
            began = time.perf_counter()
            try:
                found = step()
            except Exception as error:  # of whatever library is not as it should be
                yield Finding(subject, "failed", f"{type(error).__name__}: {error}", FIX)
            else:
                seconds = time.perf_counter() - began
                yield Finding(subject, "ok", f"{found} ({seconds:.2f} s)")


def _without_event_plugins(registry: Registry) -> Registry:
    """Return a registry without the plugins that would hear of this run, and log it somewhere."""
    listeners = [
        plugin.name
        for plugin in registry.plugins.values()
        if any(hook.startswith(("nnreg_run", "nnreg_epoch")) for hook in plugin.hooks)
    ]
    selection = registry.selection
    return discover(replace(selection, blocked=(*selection.blocked, *listeners)))


FIX = "see whether it does so without plugins (NNREG_PLUGINS= nnreg doctor), and in a new venv"


class _SelfTest:
    """A network that is trained in a folder, and what must hold of it. Each check says what did."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self._folder = directory
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
        run = prepare_run(self._document, out=self._folder / "whole")
        self._model = run.train()
        accuracy = run.summary["verdict"]["value"]
        _require(
            accuracy > 0.8, f"three groups of points are told apart in {accuracy:.0%} of cases"
        )
        return f"{EPOCHS} epochs, {accuracy:.0%} of new points are told apart"

    def computes_right_gradients(self) -> str:
        x = {"x": np.linspace(-2, 2, 12), "y": np.linspace(1, -1, 12)}
        y = {"class": list(CENTRES) * 4}
        _, gradients = self._model.gradients(x, y)
        found = np.concatenate([gradient.ravel() for gradient in gradients.values()])
        some = slice(None, None, EVERY)
        slopes = central_difference(
            lambda: self._model.evaluate(x, y)["loss"], self._model.network.vector[some]
        )
        worst = float(np.max(np.abs(slopes - found[some])))
        _require(worst < TOLERANCE, f"a gradient is off by {worst:.1e}")
        return f"as by finite differences, within {worst:.0e}"

    def loads_what_it_saved(self) -> str:
        best = load(self._folder / "whole" / "checkpoints" / "best.h5")
        same = best.predict(_points()).tobytes() == self._model.predict(_points()).tobytes()
        _require(same, "a checkpoint predicts other bits than the model that was saved")
        return "saved and loaded, it predicts the same bits"

    def resumes_bit_identically(self) -> str:
        half = self._folder / "half"
        prepare_run(self._document, out=half, overrides=[f"train.epochs={EPOCHS // 2}"]).train()
        prepare_resume(half, overrides=[f"train.epochs={EPOCHS}"]).train()
        runs = [read_arrays(f / "checkpoints" / "last.h5") for f in (self._folder / "whole", half)]
        names = [name for name in runs[0] if name.startswith("parameters/")]
        same = all(runs[0][name].tobytes() == runs[1][name].tobytes() for name in names)
        _require(same, "a run that was stopped and resumed has other weights than one that was not")
        return "stopped and resumed, a run has the same bits"

    def predicts(self) -> str:
        answers = self._model.classify(_points()).tolist()
        _require(answers == list(CENTRES), f"the centres {list(CENTRES)} are taken for {answers}")
        return "rows in, class names out"


def _points() -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in CENTRES.values()]


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
