"""Which runs there are, from the small files of their folders: no checkpoint is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnreg._utils.atomic_files import is_locked, read_regular
from nnreg._utils.os_errors import explain_os_error, os_errors_as
from nnreg.errors import UsageError
from nnreg.training.history import best_epoch

OUTCOMES = {
    "epochs": "done",
    "early_stopping": "early stop",
    "interrupted": "interrupted",
    "diverged": "diverged",
    "failed": "failed",
}
"""What `stopped` in a summary is called; beside `running`, `killed` and `broken`."""

ALL_OUTCOMES = (*OUTCOMES.values(), "running", "killed", "broken")

SUMMARY_FILES = ("summary.json", "metrics.jsonl", "spec.json", "checkpoints")
"""What makes a folder a run's."""


@dataclass(frozen=True)
class RunSummary:
    """A run as a list shows it; None stands for what it does not tell, or not yet.

    `when` is the time of its last sign of life, in seconds since 1970. `epochs` are done, out of
    `planned`; of a cross-validation, `folds` are. `measure` is the figure that says most: the first
    metric, or the loss. `training` and `validation` have the figures of the best epoch, `test`
    those of the end; over folds they are means. `problem` says what is broken.
    """

    name: str
    path: Path
    outcome: str
    when: float
    epochs: int | None = None
    planned: int | None = None
    best_epoch: int | None = None
    folds: str | None = None
    measure: str | None = None
    training: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    problem: str | None = None


def list_runs(directory: Path) -> list[RunSummary]:
    """Return the runs in a folder, or the one that it is with its folds, the latest last.

    Raises `UsageError` where it cannot be read.
    """
    with os_errors_as(UsageError, directory, "cannot read"):
        directories = [path for path in (directory, *directory.iterdir()) if path.is_dir()]
    runs = [
        describe(path)
        for path in directories
        if any((path / part).exists() for part in SUMMARY_FILES)
    ]
    return sorted(runs, key=lambda run: (run.when, run.name))


def describe(directory: Path) -> RunSummary:
    """Return what the small files of a run's folder say."""
    name, when = directory.resolve().name, _when(directory)
    try:
        summary = _object(directory / "summary.json")
        told = (
            _cross_validation_summary(directory, summary)
            if "folds" in summary
            else _run_summary(directory, summary)
        )
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        is_os_error = isinstance(error, OSError)
        problem = explain_os_error(error) if is_os_error else f"{type(error).__name__}: {error}"
        told = {"outcome": "broken", "problem": problem}
    return RunSummary(name, directory, when=when, **told)


def _run_summary(directory: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    lines = _bytes(directory / "metrics.jsonl").split(b"\n")[:-1]  # the last may be half written
    running = is_locked(directory)
    ended = bool(summary) and not running and summary["epochs"] >= len(lines)
    records = [] if ended else [_figures(json.loads(line)) for line in lines]
    best = summary["best_epoch"] if ended else best_epoch(records) or len(records)
    record = _figures(json.loads(lines[best - 1])) if best else {}
    parts: dict[bool, dict[str, float]] = {False: {}, True: {}}
    for name, value in record.items():
        parts[name.startswith("val_")][name.removeprefix("val_")] = value
    test = _figures(summary.get("test", {})) if ended else {}
    outcome = "running" if running else "killed"
    return {
        "outcome": OUTCOMES.get(summary["stopped"], "broken") if ended else outcome,
        "epochs": len(lines),
        "planned": _object(directory / "resolved.json").get("train", {}).get("epochs"),
        "best_epoch": best or None,
        "measure": _measure(summary, record),
        "training": parts[False],
        "validation": parts[True],
        "test": test,
        "seconds": float(summary["seconds"]) if ended else None,
    }


def _cross_validation_summary(directory: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    figures = _figures(summary["mean"])
    ended = "done" if summary["done"] == summary["folds"] else "interrupted"
    return {
        "outcome": "running" if is_locked(directory) else ended,
        "folds": f"{summary['done']}/{summary['folds']}",
        "measure": _measure(summary, figures),
        "seconds": float(summary["seconds"]),
        ("test" if summary["part"] == "test" else "validation"): figures,
    }


def _measure(summary: Mapping[str, Any], figures: Mapping[str, float]) -> str | None:
    """Return the metric that the verdict is by, or the first there is, or the loss."""
    others = ("epoch", "loss", "learning_rate")
    metrics = [name for name in figures if name not in others and not name.startswith("val_")]
    decisive = summary.get("verdict", {}).get("metric")
    if decisive in metrics:
        return str(decisive)
    return metrics[0] if metrics else "loss" if figures else None


def _when(directory: Path) -> float:
    """Return when the run last wrote a record or its summary, or else when it began."""
    for names in (SUMMARY_FILES[:2], SUMMARY_FILES[2:]):
        times = [
            (directory / name).stat().st_mtime for name in names if (directory / name).exists()
        ]
        if times:
            return max(times)
    return 0.0


def _object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, an empty one where there is no file."""
    text = _bytes(path)
    value = json.loads(text) if text else {}
    if not isinstance(value, dict):
        raise TypeError(f"{path.name} holds no object")
    return value


def _figures(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a record by their names."""
    return {name: float(value) for name, value in record.items()}


def _bytes(path: Path) -> bytes:
    """Return the content of a file, nothing where there is none."""
    try:
        return read_regular(path)
    except FileNotFoundError:
        return b""
