"""Runs side by side: the settings that differ, the metrics, and the best run for each metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnreg.comparison.settings import differing, settings_of
from nnreg.reports.run_record import RunRecord
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


def sides_of(records: Mapping[str, RunRecord]) -> tuple[list[Side], dict[str, list[str]]]:
    """Return runs side by side, given by name, and the best runs for each metric."""
    settings = {name: settings_of(record) for name, record in records.items()}
    differ = differing([*settings.values()])
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
    return sides, _best(sides, directions(records))


def directions(records: Mapping[str, RunRecord]) -> dict[str, bool]:
    """Return for each metric whether higher values are better; without a loss that differs."""
    higher = {
        metric
        for record in records.values()
        for metric in _of_type(record.summary.get("higher_is_better"), list) or ()
    }
    measured = {metric for record in records.values() for metric in record.split_metrics}
    found = {metric: metric in higher for metric in ("loss", *measured, *higher)}
    paths = differing([settings_of(record) for record in records.values()])
    if any(f"{path}.".startswith(f"{setting}.") for path in paths for setting in LOSS_SETTINGS):
        del found["loss"]
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


def _best(sides: Sequence[Side], higher: Mapping[str, bool]) -> dict[str, list[str]]:
    best = {}
    for name in dict.fromkeys(name for side in sides for name in side.metrics):
        values = {
            s.run: s.metrics[name] for s in sides if math.isfinite(s.metrics.get(name, math.nan))
        }
        metric = name.split(" ")[-1].removeprefix("val_")
        if len(values) > 1 and metric in higher:
            optimum = max(values.values()) if higher[metric] else min(values.values())
            best[name] = [run for run, value in values.items() if value == optimum]
    return best


def _of_type(value: Any, *types: type) -> Any:
    return value if type(value) in types else None
