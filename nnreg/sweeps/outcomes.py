"""The outcome of a run of a sweep, from the files in its directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnreg._utils.atomic_files import is_locked
from nnreg.checkpoint.paths import fold_directories
from nnreg.runs.read_files import read_metrics
from nnreg.runs.summary import FINISHED_OUTCOMES

DONE, PRUNED, DIVERGED, FAILED = "done", "pruned", "diverged", "failed"
INTERRUPTED, ELSEWHERE, WAITING = "interrupted", "elsewhere", "waiting"

ENDED = (DONE, PRUNED, DIVERGED)
"""The outcomes after which a run is not tried again: it would end in the same way."""

PRUNING = "optuna-pruning"
"""The name of the plugin that stops the runs of bad trials."""


def outcome_of(directory: Path) -> str:
    """Return the outcome of a run: that of a finished one, `interrupted` or `waiting`.

    It is `elsewhere` while a process trains it. One that failed is `interrupted` too, as it is
    tried again.
    """
    if not directory.is_dir():
        return WAITING
    if is_locked(directory):
        return ELSEWHERE
    summary = summary_of(directory)
    if "folds" in summary and summary.get("done") == summary["folds"]:
        return DONE
    folds = [summary_of(fold) for fold in fold_directories(directory)]
    if any(one.get("stopped") == "diverged" for one in (summary, *folds)):
        return DIVERGED
    if summary.get("stopped_by") == PRUNING:
        return PRUNED
    if summary.get("stopped") in FINISHED_OUTCOMES:
        return DONE
    return INTERRUPTED if begun(directory) else WAITING


def summary_of(directory: Path) -> Mapping[str, Any]:
    """Return the summary of a run; empty if there is none."""
    return read_metrics(directory / "summary.json")


def begun(directory: Path) -> bool:
    """Return whether a run has a checkpoint to resume from."""
    first, *_ = [*fold_directories(directory), directory]
    return (first / "checkpoints" / "last.h5").exists()


def value_of(summary: Mapping[str, Any], metric: str) -> float | None:
    """Return a metric of a run, such as `val_loss`; None if it has none.

    Of a cross-validation, it is the mean over the folds.
    """
    name = metric.removeprefix("val_")
    if "folds" in summary:
        return _number(summary.get("mean", {}).get(name))
    split = "validation" if metric.startswith("val_") else "train"
    return _number(summary.get(split, {}).get(name))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
