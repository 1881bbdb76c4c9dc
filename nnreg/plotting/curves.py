"""Charts of a training: what was measured by epoch, of one run or of several over each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nnreg._types import Array
from nnreg.plotting.chart import DOTTED, Chart, Curve, Dash, fit, short_name, spans_decades
from nnreg.plotting.palette import INK, RUNS, TRAINING, VALIDATION

Columns = Mapping[str, Array]
"""The columns of a history, with `epoch`."""

DASHES: tuple[Dash, ...] = ((), (9, 3), (6, 2, 2, 2))
"""For the lines of more runs than there are colours."""

PARTS = {"training": TRAINING, "validation": VALIDATION}

MAX_VALUE = 1e100
"""The size of a value, as in a run that diverged, beyond which it is not drawn."""


def metrics_of(runs: Iterable[Columns]) -> list[str]:
    """Return what was measured by epoch, without `val_`."""
    names = (name.removeprefix("val_") for columns in runs for name in columns)
    return [name for name in dict.fromkeys(names) if name != "epoch"]


def by_epoch(runs: Mapping[str, Columns], name: str, best: Mapping[str, int | None]) -> Chart:
    """Return the chart of a metric: dotted in training, solid on the validation part.

    A run without a validation part has a solid line. `best` has the epoch of each run to mark.
    """
    several, curves, mark = len(runs) > 1, [], None
    for index, (run, columns) in enumerate(runs.items()):
        held_out = f"val_{name}" in columns
        for part, key in (("training", name), ("validation", f"val_{name}")):
            if key not in columns:
                continue
            main, chosen = held_out == (part == "validation"), best.get(run)
            colour = RUNS[index % len(RUNS)] if several else PARTS[part]
            dash = DASHES[index // len(RUNS) % len(DASHES)] if main else DOTTED
            label = part if not several else short_name(run) if main else ""
            curves.append(
                Curve(
                    label,
                    columns["epoch"],
                    clip_for_drawing(columns[key]),
                    INK if name == "learning_rate" and not several else colour,
                    dash,
                    dot=chosen - 1 if main and chosen is not None else None,
                )
            )
            if main and chosen is not None and not several:
                mark = float(chosen), f"best epoch {chosen}"
    values = [curve.y for curve in curves]
    logarithmic = (name == "loss" or name.endswith("error")) and spans_decades(values)
    across = fit("epoch", [curve.x for curve in curves], integer=True, margin=0.02)
    up = fit(short_name(name.replace("_", " ")), values, logarithmic=logarithmic)
    return Chart(across, up, curves, mark=mark)


def clip_for_drawing(values: Array) -> Array:
    """Return values with a gap where one is so large that arithmetic with it overflows."""
    return np.where(np.abs(values) < MAX_VALUE, values, np.nan)
