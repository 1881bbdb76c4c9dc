"""The results of a sweep: those of each run, and of each point over its seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnreg._utils.formatting import number
from nnreg.sweeps.outcomes import DONE, ENDED, value_of
from nnreg.sweeps.settings import Point


@dataclass(frozen=True)
class RunResult:
    """How a run of a sweep ended.

    `point` has the values that it set, by their paths in the spec. `outcome` is "done", "pruned",
    "diverged", "failed", "interrupted", or "waiting" if it was not started; `reason` is why it is
    not done. `value` is the metric of the sweep, None for a run that is not done. `summary` is the
    content of its `summary.json`.
    """

    name: str
    directory: Path | None
    number: int
    point: Point
    seed: int
    outcome: str
    reason: str = ""
    value: float | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PointResult:
    """The metric of a point over its seeds.

    `values` are those of the runs that are done. `std` is the sample standard deviation, None for
    fewer than two of them.
    """

    number: int
    point: Point
    runs: Sequence[RunResult]

    @property
    def values(self) -> list[float]:
        """The metric of each run that is done."""
        return [run.value for run in self.runs if run.value is not None]

    @property
    def mean(self) -> float | None:
        """The mean of the metric; None if no run is done."""
        return mean(self.values)

    @property
    def std(self) -> float | None:
        """The sample standard deviation of the metric."""
        return deviation(self.values)

    def of(self, metric: str) -> list[float]:
        """Return another metric of the runs that are done, such as `test_accuracy`."""
        found = (_named(run.summary, metric) for run in self.runs if run.outcome == DONE)
        return [value for value in found if value is not None]


@dataclass(frozen=True)
class SweepResult:
    """The results of a sweep: its `runs`, and its `points`, the best first.

    `metric` is what points are compared by. A point is after those of which more runs are done.
    """

    metric: str
    higher_is_better: bool
    runs: Sequence[RunResult]
    directory: Path | None = None

    @property
    def points(self) -> list[PointResult]:
        """The points, the best first; those without a result last."""
        grouped: dict[int, list[RunResult]] = {}
        for run in self.runs:
            grouped.setdefault(run.number, []).append(run)
        found = [PointResult(number, runs[0].point, runs) for number, runs in grouped.items()]
        return sorted(found, key=self._order)

    @property
    def best(self) -> PointResult | None:
        """The best point; None if no run is done."""
        return next((point for point in self.points[:1] if point.values), None)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to run; a run that failed is tried again."""
        return all(run.outcome in ENDED for run in self.runs)

    def _order(self, point: PointResult) -> tuple[int, float, int]:
        mean = point.mean
        if mean is None or math.isnan(mean):
            return 0, 0.0, point.number
        return -len(point.values), -mean if self.higher_is_better else mean, point.number

    def __repr__(self) -> str:
        done = sum(run.outcome == DONE for run in self.runs)
        text = f"SweepResult({done} of {len(self.runs)} runs done"
        best = self.best
        if best is not None and best.mean is not None:
            text += f", best {self.metric} {number(best.mean)} with {dict(best.point)}"
        return f"{text})"


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None without values."""
    return statistics.fmean(values) if values else None


def deviation(values: Iterable[float]) -> float | None:
    """Return the sample standard deviation; None for fewer than two values."""
    values = list(values)
    if len(values) < 2:
        return None
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def _named(summary: Mapping[str, Any], metric: str) -> float | None:
    if metric.startswith("test_"):
        value = summary.get("test", {}).get(metric.removeprefix("test_"))
        return float(value) if isinstance(value, int | float) else None
    return value_of(summary, metric)
