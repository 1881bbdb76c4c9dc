"""The list of runs, from the small files in their directories: no checkpoint is opened."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnreg._utils.atomic_files import is_locked
from nnreg._utils.os_errors import os_errors_as
from nnreg._utils.regular_files import MAX_RECORDS_BYTES
from nnreg.errors import UsageError
from nnreg.runs.read_files import read_object, read_text

OUTCOMES = {
    "epochs": "done",
    "early_stopping": "early stop",
    "by_plugin": "by plugin",
    "interrupted": "interrupted",
    "diverged": "diverged",
    "failed": "failed",
}
"""The outcome for each `stopped` in a summary; others are `running`, `crashed` and `corrupt`."""

ALL_OUTCOMES = (*OUTCOMES.values(), "running", "crashed", "corrupt")

SUMMARY_FILES = ("summary.json", "metrics.jsonl", "spec.json", "checkpoints")
"""The files of which a run directory has at least one."""


@dataclass(frozen=True)
class RunSummary:
    """A run as a list shows it; None for values that are unknown or not known yet.

    `when` is the time of its last activity, in seconds since 1970. `epochs` are done, out of
    `planned`; of a cross-validation, `folds` are. `measure` is the metric to compare by: the first
    one, or the loss. `training` and `validation` have the metrics of the best epoch, `test` those
    at the end; of a cross-validation, they are means. `problem` is what is corrupt.
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
    """Return the runs in a directory, or the run that it is with its folds, the latest last.

    Raises `UsageError` if it cannot be read.
    """
    with os_errors_as(UsageError, directory, "cannot read"):
        directories = [path for path in (directory, *directory.iterdir()) if path.is_dir()]
    runs = [
        describe(path)
        for path in directories
        if any(os.path.lexists(path / name) for name in SUMMARY_FILES)
    ]
    return sorted(runs, key=lambda run: (run.when, run.name))


def describe(directory: Path) -> RunSummary:
    """Return the summary of a run directory, from its small files."""
    name, when = directory.resolve().name, _when(directory)
    try:
        summary = read_object(directory / "summary.json")
        values = (
            _cross_validation_summary(directory, summary)
            if "folds" in summary
            else _run_summary(directory, summary)
        )
    except UsageError as error:
        values = {"outcome": "corrupt", "problem": str(error)}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
        values = {"outcome": "corrupt", "problem": problem}
    return RunSummary(name, directory, when=when, **values)


def _run_summary(directory: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    text = read_text(directory / "metrics.jsonl", MAX_RECORDS_BYTES)
    lines = text.split("\n")[:-1]  # the last may be incomplete
    running = is_locked(directory)
    ended = bool(summary) and not running and summary["epochs"] >= len(lines)
    best = summary["best_epoch"] if ended else _best_epoch(lines)
    record = _numbers(json.loads(lines[best - 1])) if best else {}
    training = {name: value for name, value in record.items() if not name.startswith("val_")}
    validation = {
        name.removeprefix("val_"): value
        for name, value in record.items()
        if name.startswith("val_")
    }
    test = _numbers(summary.get("test", {})) if ended else {}
    outcome = "running" if running else "crashed"
    return {
        "outcome": OUTCOMES.get(summary["stopped"], "corrupt") if ended else outcome,
        "epochs": len(lines),
        "planned": read_object(directory / "resolved.json").get("train", {}).get("epochs"),
        "best_epoch": best or None,
        "measure": _measure(summary, record),
        "training": training,
        "validation": validation,
        "test": test,
        "seconds": float(summary["seconds"]) if ended else None,
    }


def _best_epoch(lines: Sequence[str]) -> int:
    """Return the best epoch so far, or the last one if none was recorded as the best."""
    from nnreg.training.history import best_epoch  # needs NumPy, which `nnreg --help` does not

    return best_epoch([_numbers(json.loads(line)) for line in lines]) or len(lines)


def _cross_validation_summary(directory: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    metrics = _numbers(summary["mean"])
    ended = "done" if summary["done"] == summary["folds"] else "interrupted"
    return {
        "outcome": "running" if is_locked(directory) else ended,
        "folds": f"{summary['done']}/{summary['folds']}",
        "measure": _measure(summary, metrics),
        "seconds": float(summary["seconds"]),
        ("test" if summary["part"] == "test" else "validation"): metrics,
    }


def _measure(summary: Mapping[str, Any], values: Mapping[str, float]) -> str | None:
    """Return the metric of a baseline comparison, or else the first metric, or the loss.

    The losses of several outputs, `NAME_loss`, are parts of the loss, not metrics.
    """
    others = ("epoch", "loss", "learning_rate")
    metrics = [name for name in values if name not in others and not name.startswith("val_")]
    verdicts = [summary.get("verdict", {}), *summary.get("verdicts", {}).values()]
    compared = [one["metric"] for one in verdicts if one.get("metric") in metrics]
    plain = [name for name in metrics if not name.endswith("_loss")]
    return next(iter([*compared, *plain]), "loss" if values else None)


def _when(directory: Path) -> float:
    """Return the time when the run last wrote a record or its summary, or else when it began."""
    for names in (SUMMARY_FILES[:2], SUMMARY_FILES[2:]):
        times = [
            os.lstat(directory / name).st_mtime
            for name in names
            if os.path.lexists(directory / name)
        ]
        if times:
            return max(times)
    return 0.0


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """Return a record with all values as numbers."""
    return {name: float(value) for name, value in record.items()}
