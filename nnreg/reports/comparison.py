"""Runs side by side: the settings that differ, the metrics, and the best run for each metric."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnreg.checkpoint.paths import fold_directories
from nnreg.reports.run_record import RunRecord, read_mean, read_run
from nnreg.runs.run import leaves
from nnreg.spec.compose import FILE_PATHS
from nnreg.training.history import best_epoch

LOSS_SETTINGS = ("loss", "data.target", "data.target_scaling")
"""Losses are comparable only between runs that have the same values for these settings."""


@dataclass(frozen=True)
class Side:
    """One of the runs: the settings that differ between them, its metrics, and its outcome."""

    run: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    """Metrics, such as `test accuracy` of the kept weights, or `val_loss` in the best epoch."""
    std: Mapping[str, float]
    """The standard deviation over the folds of a cross-validation, whose metrics are means."""
    best_epoch: int | None
    epochs: int
    seconds: float | None
    parameters: int | None
    stopped: str | None
    """How it ended; None if it has not."""


@dataclass(frozen=True)
class Comparison:
    """Several runs, and the best runs for each metric."""

    sides: Sequence[Side]
    best: Mapping[str, list[str]]

    def _repr_html_(self) -> str:
        """Return the card that a notebook shows."""
        from nnreg.reports.comparison_card import comparison_card  # only notebooks need it

        return comparison_card(self.sides, self.best)


def compare(*runs: str | os.PathLike[str]) -> Comparison:
    """Return runs side by side: the settings that differ, the metrics, and the best run of each.

    A single cross-validation is compared by fold; among several runs, each by its mean.
    Raises `UsageError` for a path that is not that of a run.
    """
    paths = [Path(run) for run in runs]
    return compare_runs(records_of(paths) if len(paths) == 1 else _means(paths))


def records_of(paths: Iterable[Path]) -> dict[str, RunRecord]:
    """Return runs by name, with its folds in place of a cross-validation."""
    runs = dict.fromkeys(run for path in paths for run in fold_directories(path) or [path])
    return dict(zip(labels(runs), map(read_run, runs), strict=True))


def _means(paths: Iterable[Path]) -> dict[str, RunRecord]:
    """Return runs by name, with the mean of its folds in place of a cross-validation."""
    records = [
        read_mean(path, [read_run(fold) for fold in folds])
        if (folds := fold_directories(path))
        else read_run(path)
        for path in dict.fromkeys(paths)
    ]
    return dict(zip(labels(record.path for record in records), records, strict=True))


def compare_runs(records: Mapping[str, RunRecord]) -> Comparison:
    """Return the comparison of runs, given by name."""
    settings = {name: _settings(record) for name, record in records.items()}
    paths = list(dict.fromkeys(path for own in settings.values() for path in own))
    differ = [path for path in paths if len({repr(own.get(path)) for own in settings.values()}) > 1]
    started = [record for record in records.values() if len(record.history)]
    all_ended = all(record.split_metrics for record in started)
    sides = [
        Side(
            name,
            {path: settings[name].get(path) for path in differ},
            _metrics(record, by_epoch=not all_ended),
            {f"{record.split} {name}": std for name, std in _std(record).items()},
            _best_epoch(record),
            len(record.history),
            _of_type(record.summary.get("seconds"), int, float),
            _of_type(record.summary.get("parameters"), int),
            _of_type(record.summary.get("stopped"), str),
        )
        for name, record in records.items()
    ]
    higher = {
        metric
        for record in records.values()
        for metric in _of_type(record.summary.get("higher_is_better"), list) or ()
    }
    lower = {"loss"} | {
        metric
        for record in records.values()
        for metric in record.split_metrics
        if metric not in higher
    }
    if any(f"{path}.".startswith(f"{setting}.") for path in differ for setting in LOSS_SETTINGS):
        lower.discard("loss")
    return Comparison(sides, _best(sides, higher, lower))


def short(paths: Sequence[str]) -> dict[str, str]:
    """Return the shortest unique ending of each path."""
    result = {}
    for path in paths:
        keys = path.split(".")
        ends = (".".join(keys[-count:]) for count in range(1, len(keys) + 1))
        others = [other for other in paths if other != path]
        result[path] = next(
            end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)
        )
    return result


def _settings(record: RunRecord) -> dict[str, Any]:
    """Return a run's settings by path, with the paths of the files that it read made absolute.

    A component's name, whether given alone or as `type`, is at the path of the component.
    """
    found = {path.removesuffix(".type"): value for path, value in leaves(record.resolved)}
    for json_path in FILE_PATHS:
        path = json_path.removeprefix("$.")
        if isinstance(found.get(path), str):
            found[path] = str((record.path / found[path]).resolve())
    return found


def _metrics(record: RunRecord, *, by_epoch: bool) -> dict[str, float]:
    """Return the metrics at the end and, with `by_epoch`, those of the best epoch so far."""
    found = {f"{record.split} {name}": value for name, value in record.split_metrics.items()}
    epoch = _best_epoch(record)
    if by_epoch and epoch is not None:
        held_out = any(name.startswith("val_") for name in record.history.names)
        found |= {
            name: value
            for name, value in record.history[epoch - 1].items()
            if name.startswith("val_") == held_out and name not in ("epoch", "learning_rate")
        }
    return {name: float(v) for name, v in found.items() if type(v) in (int, float)}


def _std(record: RunRecord) -> Mapping[str, float]:
    return _of_type(record.summary.get("std"), dict) or {}


def _best_epoch(record: RunRecord) -> int | None:
    """Return the epoch whose weights were kept, or so far the one with the lowest loss."""
    if record.best_epoch is not None or not len(record.history):
        return record.best_epoch
    return best_epoch(record.history) or len(record.history)


def _best(sides: Sequence[Side], higher: set[str], lower: set[str]) -> dict[str, list[str]]:
    best = {}
    for name in dict.fromkeys(name for side in sides for name in side.metrics):
        values = {
            s.run: s.metrics[name] for s in sides if math.isfinite(s.metrics.get(name, math.nan))
        }
        metric = name.split(" ")[-1].removeprefix("val_")
        if len(values) > 1 and (metric in higher or metric in lower):
            optimum = max(values.values()) if metric in higher else min(values.values())
            best[name] = [run for run, value in values.items() if value == optimum]
    return best


def _of_type(value: Any, *types: type) -> Any:
    return value if type(value) in types else None


def labels(paths: Iterable[Any]) -> list[str]:
    """Return the directory names of runs, or their paths as given if the names are not unique."""
    given = list(paths)
    names = [path.resolve().name for path in given]
    return names if len(set(names)) == len(names) else [str(path) for path in given]
