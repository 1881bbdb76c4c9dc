"""How much of the variance of a metric each setting explains: the main effects of the settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import counted
from nnreg._utils.json_text import dumps
from nnreg.comparison.api import Comparison
from nnreg.comparison.statistics import variance_explained

MAX_LEVELS = 6
"""The most values of a numeric setting that are levels of their own; more are divided."""

INTERVALS = 4
"""The number of intervals, with about the same number of runs each, into which they are divided."""

MIN_RUNS_PER_LEVEL = 5
"""With fewer runs for each value of a setting, its importance is a hint at most."""


@dataclass(frozen=True)
class Effect:
    """The fraction of the variance that a setting explains alone, and the same without chance.

    See `statistics.variance_explained`. `levels` is the number of its values, or of the intervals
    of them.
    """

    setting: str
    explained: float
    corrected: float
    levels: int


@dataclass(frozen=True)
class Importance:
    """The effects of the settings on a metric over `runs`, the largest first.

    `noise` is the fraction of the variance within groups, between seeds; None without repeated
    runs. `warnings` say why the effects may mislead.
    """

    effects: Sequence[Effect]
    noise: float | None
    runs: int
    warnings: Sequence[str]


def importance(comparison: Comparison, metric: str) -> Importance:
    """Return how much each setting explains of the variance of a metric between the runs."""
    groups = [one for one in comparison.ranked(metric) if math.isfinite(one.metrics[metric].mean)]
    sizes = [len(group.runs) for group in groups]
    values = np.array([value for group in groups for value in group.metrics[metric].values])
    if len(values) < 2:
        return Importance([], None, len(values), [])
    effects, counts = [], []
    for path in groups[0].settings:
        levels = np.repeat(_levels([group.settings[path] for group in groups]), sizes)
        effects.append(Effect(path, *variance_explained(values, levels), len(np.unique(levels))))
        counts.append(len({dumps(group.settings[path]) for group in groups}))
    members = np.repeat(np.arange(len(groups)), sizes)
    noise = 1 - variance_explained(values, members)[1] if len(values) > len(groups) else None
    effects.sort(key=lambda one: -one.corrected)
    full = len(groups) == math.prod(counts)
    warnings = _warnings(effects, len(values), full=full, excluded=bool(comparison.excluded))
    return Importance(effects, noise, len(values), warnings)


def _levels(values: Sequence[Any]) -> Array:
    """Return the number of the level of each value; many numbers are divided into intervals."""
    names = [dumps(value) for value in values]
    known = {name: index for index, name in enumerate(dict.fromkeys(names))}
    numeric = all(type(value) in (int, float) for value in values)
    if not numeric or len(known) <= MAX_LEVELS:
        return np.array([known[name] for name in names])
    numbers = np.array(values, np.float64)
    inner = np.quantile(numbers, np.arange(1, INTERVALS) / INTERVALS)
    return np.searchsorted(inner, numbers)


def _warnings(effects: Sequence[Effect], runs: int, *, full: bool, excluded: bool) -> list[str]:
    found = []
    most = max((effect.levels for effect in effects), default=1)
    if runs < MIN_RUNS_PER_LEVEL * most:
        found.append(
            f"{counted(runs, 'run')} are few for settings of up to {most} values: this is a hint"
        )
    if not full:
        found.append(
            "the runs are not a full grid: settings that changed together share what they explain"
        )
    if excluded:
        found.append("runs that failed or have not ended are not included")
    return found
