"""A run: training by a spec, and the folder it leaves.

The folder has `spec.json`, `metrics.jsonl` (a record an epoch), `summary.json`,
`checkpoints/last.h5` to go on from and `checkpoints/best.h5` to predict with.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnreg.assembly import Assembled, assemble, reassemble
from nnreg.checkpoint import write_checkpoint
from nnreg.errors import CheckpointError, DivergedError, UsageError
from nnreg.evaluation import Examples
from nnreg.events import Listeners
from nnreg.model import Model
from nnreg.registry import Registry
from nnreg.saving import load, to_checkpoint
from nnreg.spec import SpecSource, read_spec
from nnreg.stored import Stored
from nnreg.trainer import Record

SAVING_SHARE = 0.03
"""The share of the time that saving may take: a checkpoint that cost 10 ms waits 0.3 s."""

OnEpoch = Callable[[Record], None]


def run(
    spec: SpecSource,
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Iterable[str] = (),
    data: tuple[Any, Any] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Model:
    """Train by a spec (a path or a mapping) and return the model with its best weights.

    `out` is the folder to write, nothing is written without; `overrides` are changes such as
    `train.epochs=5`; `data=(x, y)` takes the place of the spec's data files; `on_epoch` gets each
    record. Raises an `NnregError` for a bad spec or bad data before anything is written.
    """
    return start(spec, out=out, overrides=overrides, data=data).train(on_epoch)


def resume(
    path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Iterable[str] = (),
    allow_changed: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Model:
    """Go on with a run from its folder or from a checkpoint, as if it had never stopped.

    `allow_changed` goes on with plugins that compute something else than when it was saved.
    """
    restarted = restart(path, out=out, overrides=overrides, allow_changed=allow_changed)
    return restarted.train(on_epoch)


def start(
    spec: SpecSource,
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Iterable[str] = (),
    data: tuple[Any, Any] | None = None,
) -> Run:
    """Prepare a run: read, check and build everything, and write nothing."""
    folder = None if out is None else Path(out)
    if folder is not None and (folder / "spec.json").exists():
        raise UsageError(f"{folder}: there is a run already; choose another folder or resume it")
    return Run(assemble(read_spec(spec, overrides), data), folder)


def restart(
    path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Iterable[str] = (),
    registry: Registry | None = None,
    allow_changed: bool = False,
) -> Run:
    """Prepare to go on from a run's folder, in it, or from a checkpoint file."""
    file = Path(path)
    folder = None if out is None else Path(out)
    if file.is_dir():
        folder = folder or file
        file = file / "checkpoints" / "last.h5"
        if not file.exists():
            raise CheckpointError(f"{path}: the run has no checkpoints/last.h5 to go on from")
    elif folder is None and (file.parent.parent / "spec.json").exists():
        folder = file.resolve().parent.parent
    model = load(file, overrides, registry, allow_changed=allow_changed)
    if not model.resumable:
        raise UsageError(f"{file} holds the best weights only; resume its last.h5")
    return Run(reassemble(model), folder)


class Run:
    """A training run about to begin or to go on; `train` does it."""

    def __init__(self, assembled: Assembled, folder: Path | None) -> None:
        self.assembled = assembled
        self.folder = folder
        self.summary: dict[str, Any] = {}
        self._trainer = assembled.model.trainer(assembled.train, assembled.validation)
        self._saver = None if folder is None else _Saver(assembled.model, folder)

    @property
    def model(self) -> Model:
        """The model that is trained."""
        return self.assembled.model

    @property
    def name(self) -> str:
        """The folder's name, or the spec's where nothing is written."""
        return self.folder.resolve().name if self.folder else self.model.document.name

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as JSON; a copy."""
        return copy.deepcopy(self.model.document.tree)

    def train(self, on_epoch: OnEpoch | None = None) -> Model:
        """Train to the end, tell plugins of it, and return the model with its best weights."""
        if self._saver:
            self._saver.begin()
        listeners = Listeners(self, self.model.document.registry)
        try:
            listeners.started()
            self._train(listeners, on_epoch)
        finally:
            listeners.ended(self.summary.get("stopped", "failed"))
        return self.model

    def _train(self, listeners: Listeners, on_epoch: OnEpoch | None) -> None:
        began = time.perf_counter()
        stopped = "failed"
        try:
            for record in self._trainer.epochs():
                if self._saver:
                    self._saver.epoch(record)
                listeners.epoch(record)
                if on_epoch:
                    on_epoch(record)
            done = self.model.progress.epoch >= self.model.spec.train.epochs
            stopped = "epochs" if done else "early_stopping"
        except KeyboardInterrupt:
            stopped = "interrupted"
            raise
        except DivergedError:
            stopped = "diverged"
            raise
        finally:
            if self._saver and self.model.progress.epoch:
                self._saver.save()
            if stopped in ("epochs", "early_stopping"):
                self.model.use_best()
            self.summary = self._summarize(stopped, time.perf_counter() - began)
            if self._saver:
                self._saver.end(self.summary)

    def _summarize(self, stopped: str, seconds: float) -> dict[str, Any]:
        model = self.model
        parts = {
            "train": self.assembled.train,
            "validation": self.assembled.validation,
            "test": self.assembled.test,
        }
        measured = {
            name: model.evaluation.measure(model.network, part)
            for name, part in parts.items()
            if part is not None and stopped not in ("diverged", "failed")
        }
        held_out = self.assembled.test or self.assembled.validation or self.assembled.train
        return {
            "name": model.document.name,
            "stopped": stopped,
            "epochs": model.progress.epoch,
            "best_epoch": model.progress.best_epoch,
            "parameters": model.network.vector.size,
            "threads": self._trainer.threads or "all",
            "divided": self._trainer.divided,
            "streamed": isinstance(self.assembled.train.x, Stored),
            "kernels": model.document.registry.name_of(model.network.kernels),
            **measured,
            "baseline": baseline(model, self.assembled.train, held_out),
            "seconds": round(seconds, 3),
        }


def baseline(model: Model, train: Examples, part: Examples) -> dict[str, float]:
    """Return the metrics of one constant guess: the majority class, or the mean."""
    if model.classes is not None:
        guess = np.full(part.truth.shape, np.bincount(train.truth.reshape(-1)).argmax())
    else:
        guess = np.broadcast_to(train.truth.mean(axis=0), part.truth.shape)
    metrics = model.evaluation.named_metrics
    return {name: metric.compute(guess, part.truth) for name, metric in metrics.items()}


class _Saver:
    """Writes a run's folder."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self._next_save = 0.0
        self._saved_best = 0

    def begin(self) -> None:
        """Make the folder, with the records of the epochs that were done before."""
        try:
            (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            self._write("spec.json", json.dumps(self.model.document.tree, indent=2) + "\n")
            self._write("metrics.jsonl", "".join(map(_line, self.model.history)))
        except OSError as error:
            raise UsageError(f"{self.folder}: cannot write: {error.strerror}") from error

    def epoch(self, record: Record) -> None:
        """Note an epoch, and save if saving has not taken its share of the time yet."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(_line(record))
        if time.perf_counter() >= self._next_save:
            self.save()

    def save(self) -> None:
        """Write `last.h5`, and `best.h5` where there is a better one."""
        began = time.perf_counter()
        write_checkpoint(self.folder / "checkpoints" / "last.h5", to_checkpoint(self.model))
        best = self.model.progress.best_epoch
        if best != self._saved_best:
            checkpoint = to_checkpoint(self.model, best=True)
            write_checkpoint(self.folder / "checkpoints" / "best.h5", checkpoint)
            self._saved_best = best
        ended = time.perf_counter()
        self._next_save = ended + (ended - began) / SAVING_SHARE

    def end(self, summary: dict[str, Any]) -> None:
        """Write the summary."""
        self._write("summary.json", json.dumps(summary, indent=2) + "\n")

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")


def _line(record: Any) -> str:
    return json.dumps(dict(record)) + "\n"


def next_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Return the first of `runs/name-001`, `runs/name-002`, … that is not there yet."""
    number = 1
    while (parent / f"{name}-{number:03}").exists():
        number += 1
    return parent / f"{name}-{number:03}"


def build(spec: SpecSource, *, data: tuple[Any, Any] | None = None) -> Model:
    """Return the untrained model of a spec, its shapes taken from the spec's data or `(x, y)`."""
    return assemble(read_spec(spec), data).model
