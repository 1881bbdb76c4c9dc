"""Charts of metrics by epoch, for one run or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nnreg._types import Array
from nnreg.plotting.chart import DOTTED, Chart, Curve, Dash, fit, short_name, spans_decades
from nnreg.plotting.palette import INK, RUNS, TRAINING, VALIDATION

Columns = Mapping[str, Array]
"""The columns of a history, including `epoch`."""

DASHES: tuple[Dash, ...] = ((), (9, 3), (6, 2, 2, 2))
"""Line styles that distinguish runs if there are more runs than colours."""

SPLIT_COLOURS = {"training": TRAINING, "validation": VALIDATION}

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
