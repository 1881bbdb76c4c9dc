"""Charts of metrics by epoch, for one run or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnreg._types import Array
from nnreg.plotting.chart import (
    DOTTED,
    Band,
    Chart,
    Curve,
    Dash,
    fit,
    short_name,
    spans_decades,
)
from nnreg.plotting.palette import GRID, INK, RUNS, TRAINING, VALIDATION

Columns = Mapping[str, Array]
"""The columns of a history, including `epoch`."""

DASHES: tuple[Dash, ...] = ((), (9, 3), (6, 2, 2, 2))
"""Line styles that distinguish runs if there are more runs than colours."""

SPLIT_COLOURS = {"training": TRAINING, "validation": VALIDATION}

MAX_NAMED_GROUPS = 5
"""The groups that have a colour and a name if there are more groups than colours."""

MAX_GROUP_NAME = 60
"""Characters of the name of a group in a legend."""

MAX_VALUE = 1e100
"""Larger values, as in a diverged run, are not drawn."""


def metrics_of(runs: Iterable[Columns]) -> list[str]:
    """Return the metrics by epoch, without the prefix `val_`."""
    names = (name.removeprefix("val_") for columns in runs for name in columns)
    return [name for name in dict.fromkeys(names) if name != "epoch"]


def by_epoch(runs: Mapping[str, Columns], name: str, best: Mapping[str, int | None]) -> Chart:
    """Return the chart of a metric: dotted for training, solid for validation.

    A run without validation has a solid line. `best` has the epoch to mark of each run.
    """
    several, curves, mark = len(runs) > 1, [], None
    for index, (run, columns) in enumerate(runs.items()):
        held_out = f"val_{name}" in columns
        for split, key in (("training", name), ("validation", f"val_{name}")):
            if key not in columns:
                continue
            main, best_epoch = held_out == (split == "validation"), best.get(run)
            colour = RUNS[index % len(RUNS)] if several else SPLIT_COLOURS[split]
            dash = DASHES[index // len(RUNS) % len(DASHES)] if main else DOTTED
            label = split if not several else short_name(run) if main else ""
            curves.append(
                Curve(
                    label,
                    columns["epoch"],
                    clip_for_drawing(columns[key]),
                    INK if name == "learning_rate" and not several else colour,
                    dash,
                    dot=best_epoch - 1 if main and best_epoch is not None else None,
                )
            )
            if main and best_epoch is not None and not several:
                mark = float(best_epoch), f"best epoch {best_epoch}"
    values = [curve.y for curve in curves]
    logarithmic = (name == "loss" or name.endswith("error")) and spans_decades(values)
    across = fit("epoch", [curve.x for curve in curves], integer=True, margin=0.02)
    up = fit(short_name(name.replace("_", " ")), values, logarithmic=logarithmic)
    return Chart(across, up, curves, mark=mark)


def clip_for_drawing(values: Array) -> Array:
    """Return values with NaN in place of those so large that arithmetic would overflow."""
    return np.where(np.abs(values) < MAX_VALUE, values, np.nan)


def by_group(groups: Mapping[str, Sequence[Columns]], name: str) -> Chart:
    """Return the chart of a metric with the mean of each group of runs, the best group first.

    A band is from the lowest to the highest run; it needs several runs. Of many groups, the first
    ones have colours, and the others are grey. The split is validation, or training without one. A
    group is drawn as far as half of its runs trained.
    """
    few = len(groups) <= len(RUNS)
    named = len(groups) if few else MAX_NAMED_GROUPS
    curves, bands = [], []
    for index, (group, runs) in enumerate(groups.items()):
        columns = [_metric_of(run, name) for run in runs]
        values = _table([one for one in columns if one is not None])
        if values is None or not values.size:
            continue
        colour = RUNS[index % len(RUNS)] if index < named else GRID
        label = _group_label(group, len(runs)) if index < named else ""
        if index == named:
            label = f"{len(groups) - named} other groups"
        epochs = np.arange(1.0, values.shape[1] + 1)
        width = 2 if index < named else 1
        curves.append(Curve(label, epochs, np.nanmean(values, axis=0), colour, width=width))
        if index < named and len(values) > 1:
            low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            bands.append(Band(epochs, low, high, colour))
    every = [curve.y for curve in curves] + [one for b in bands for one in (b.low, b.high)]
    logarithmic = (name == "loss" or name.endswith("error")) and spans_decades(every)
    across = fit("epoch", [curve.x for curve in curves], integer=True, margin=0.02)
    up = fit(short_name(name.replace("_", " ")), every, logarithmic=logarithmic)
    return Chart(across, up, curves, bands=bands)


def _group_label(name: str, runs: int) -> str:
    """Return the name of a group for a legend, with its number of runs."""
    short = name if len(name) <= MAX_GROUP_NAME else f"{name[: MAX_GROUP_NAME - 1]}…"
    return f"{short} ({runs} runs)" if runs > 1 else short


def _metric_of(columns: Columns, name: str) -> Array | None:
    """Return the validation values of a metric by epoch, or those of training without them."""
    found = columns.get(f"val_{name}", columns.get(name))
    return None if found is None else clip_for_drawing(found)


def _table(runs: Sequence[Array]) -> Array | None:
    """Return `(runs, epochs)`, NaN after the end of a run, up to where half of the runs end.

    None if there is no value.
    """
    ends = sorted(map(len, runs), reverse=True)
    epochs = ends[(len(ends) - 1) // 2] if ends else 0
    if not epochs:
        return None
    table = np.full((len(runs), epochs), np.nan)
    for row, values in zip(table, runs, strict=True):
        row[: len(values)] = values[:epochs]
    known = np.isfinite(table).any(axis=0)
    return table if known.all() else table[:, : int(known.argmin())]
