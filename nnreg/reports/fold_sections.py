"""Sections of the page of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from nnreg.plotting.html import escape, format_value, table
from nnreg.reports.run_record import RunRecord


def mean_over_folds(record: RunRecord) -> str:
    """Return the mean of each metric over the folds, with its standard deviation."""
    summary = record.summary
    mean, std = _mapping(summary.get("mean")), _mapping(summary.get("std"))
    metrics = [
        f"{escape(name.replace('_', ' '))} {format_value(value)}"
        + (f" ± {format_value(std[name])}" if std.get(name) is not None else "")
        for name, value in mean.items()
    ]
    if not metrics:
        return "No fold has finished yet."
    done, count = format_value(summary.get("done", 0)), format_value(summary.get("folds", "?"))
    return f"Mean of {done} of {count} folds, on the held-out rows of each: {', '.join(metrics)}."


def fold_table(record: RunRecord, folds: Sequence[RunRecord]) -> str:
    """Return the metrics of each fold, their mean and deviation, and links to the fold pages."""
    summary = record.summary
    mean, std = _mapping(summary.get("mean")), _mapping(summary.get("std"))
    names = list(mean)
    rows = [
        [fold.name, *(fold.split_metrics.get(name, "") for name in names), fold.best_epoch or ""]
        for fold in folds
    ]
    rows.append(["mean", *(mean[name] for name in names), ""])
    rows.append(["standard deviation", *(std.get(name) or "" for name in names), ""])
    head = ["", *(name.replace("_", " ") for name in names), "best epoch"]
    links = ", ".join(
        f'<a href="{escape(quote(fold.name))}/report.html">{escape(fold.name)}</a>'
        for fold in folds
    )
    return f"{table(head, rows, 'metrics by fold')}\n<p>Reports of the folds: {links}.</p>"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
