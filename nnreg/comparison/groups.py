"""Groups of runs of the same settings, their metrics, and the differences between groups."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nnreg.comparison.settings import (
    Conditions,
    Settings,
    conditions_of,
    differing,
    overlap_of,
    settings_of,
    short,
    short_value,
    value_text,
    without_seeds,
)
from nnreg.comparison.statistics import (
    bootstrap_interval,
    differences_needed,
    holm,
    paired_test,
    unpaired_test,
)
from nnreg.reports.run_record import RunRecord

MIN_BOOTSTRAP = 3
"""The fewest runs whose mean gets a bootstrap interval; that of two is the two values."""

MIN_PLANNED = 5
"""The fewest differences by which the number of needed runs is estimated."""


@dataclass(frozen=True)
class Estimate:
    """A metric of a group: the value of each run, their mean, and how much they vary.

    `std` is the sample standard deviation (with n - 1), None for one run. `interval` is the 95 %
    bootstrap interval of the mean, None for fewer than three runs.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """The mean of a metric in a group, minus that in the reference group.

    `low` and `high` are its 95 % interval; `p` is the probability of a difference this large if
    there were none, and `adjusted_p` that for the number of groups (Holm 1979). They are those of a
    t-test of `count` differences of runs that share the seed and the rows, if it is `paired`, and
    of Welch's test otherwise. `overlap` is the correction for several splits of the same rows
    (Nadeau and Bengio 2003), 0 if all runs have the same split. `needed` is the number of
    differences that would make the interval exclude 0 if their mean and deviation stayed as they
    are: None if there are too few to estimate it, if the interval excludes 0 already, or if no
    number would (`undecidable`).
    """

    mean: float
    low: float
    high: float
    p: float
    adjusted_p: float
    count: int
    paired: bool
    overlap: float
    needed: int | None
    undecidable: bool

    @property
    def within_noise(self) -> bool:
        """Whether the interval includes 0, or would for as many comparisons as there are."""
        return self.low <= 0 <= self.high or self.adjusted_p >= 0.05


@dataclass(frozen=True)
class Group:
    """Runs with the same settings, seeds and folds aside.

    `settings` are those that differ between the groups, by their paths in the spec; `name` has
    their values. `metrics` has each metric of the held-out rows, as `test accuracy`.
    `differences` has for each metric the difference to the reference group.
    """

    name: str
    settings: Mapping[str, Any]
    runs: tuple[str, ...]
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    differences: Mapping[str, Difference] = field(default_factory=dict)
    conditions: tuple[Conditions, ...] = ()

    @property
    def splits(self) -> int:
        """The number of different splits of the rows."""
        return len({one.split for one in self.conditions})


def group_runs(
    records: Mapping[str, RunRecord], split: str | None
) -> tuple[list[Group], dict[str, str]]:
    """Return finished runs in groups, and those that repeat another one, with the reason.

    The metrics are those of the reported split of each run unless `split` names one.
    """
    settings = {name: settings_of(record) for name, record in records.items()}
    members: dict[str, dict[Conditions, str]] = {}
    repeated = {}
    for name, own in settings.items():
        of_group = members.setdefault(repr(sorted(without_seeds(own).items())), {})
        first = of_group.setdefault(conditions_of(own), name)
        if first != name:
            repeated[name] = f"has the spec and the seeds of {first}, which is counted once"
    firsts = [without_seeds(settings[next(iter(one.values()))]) for one in members.values()]
    paths = differing(firsts)
    names = short(paths)
    titles = [_title(own, names, short_value) for own in firsts]
    if len(set(titles)) < len(titles):
        titles = [_title(own, names, value_text) for own in firsts]
    groups = []
    for title, own, one in zip(titles, firsts, members.values(), strict=True):
        chosen = {path: own.get(path) for path in paths}
        metrics = _estimates([metrics_of(records[name], split) for name in one.values()])
        runs, conditions = tuple(one.values()), tuple(one)
        groups.append(Group(title or "all runs", chosen, runs, metrics, {}, conditions))
    return groups, repeated


def _title(settings: Settings, names: Mapping[str, str], text: Callable[[Any], str]) -> str:
    return ", ".join(f"{name} {text(settings.get(path))}" for path, name in names.items())


def metrics_of(record: RunRecord, split: str | None = None) -> dict[str, float]:
    """Return the metrics of a split at the end of a run, by names such as `test accuracy`."""
    chosen = split or record.split
    found = record.summary.get(chosen) if chosen else None
    values = found.items() if isinstance(found, Mapping) else ()
    return {f"{chosen} {k}": float(v) for k, v in values if type(v) in (int, float)}


def _estimates(runs: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    """Return the estimate of each metric that all runs of a group have."""
    return {name: _estimate([one[name] for one in runs]) for name in runs[0]
            if all(name in one for one in runs)}  # fmt: skip


def _estimate(values: Sequence[float]) -> Estimate:
    if not all(map(math.isfinite, values)):
        return Estimate(tuple(values), math.nan, None, None)
    std = statistics.stdev(values) if len(values) > 1 else None
    interval = bootstrap_interval(values) if len(values) >= MIN_BOOTSTRAP else None
    return Estimate(tuple(values), statistics.fmean(values), std, interval)


def differences_of(
    groups: Sequence[Group], reference: Group, metric: str, overlap: float
) -> dict[str, Difference]:
    """Return the difference of each group to the reference, by the name of the group.

    Groups, or a reference, of a single run have none. `overlap` is that of runs on several splits.
    """
    found = {}
    for group in groups:
        if group is not reference and metric in group.metrics:
            difference = _difference(group, reference, metric, overlap)
            if difference is not None:
                found[group.name] = difference
    adjusted = holm([one.p for one in found.values()])
    return {
        name: replace(one, adjusted_p=p)
        for (name, one), p in zip(found.items(), adjusted, strict=True)
    }


def _difference(group: Group, reference: Group, metric: str, overlap: float) -> Difference | None:
    first, second = (
        dict(zip(one.conditions, one.metrics[metric].values, strict=True))
        for one in (group, reference)
    )
    if not all(map(math.isfinite, (*first.values(), *second.values()))):
        return None
    shared = [one for one in first if one in second]
    paired = len(shared) > 1 and 2 * len(shared) >= min(len(first), len(second))
    if paired:
        values, several = _by_split({one: first[one] - second[one] for one in shared})
        overlap = overlap if several else 0.0
        test, count = paired_test(values, overlap), len(values)
    else:
        (one, several_one), (other, several_other) = _by_split(first), _by_split(second)
        if min(len(one), len(other)) < 2:
            return None
        overlap = overlap if several_one or several_other else 0.0
        test, count = unpaired_test(one, other, overlap), min(len(one), len(other))
    includes_zero = test.low <= 0 <= test.high
    planned = paired and includes_zero and count >= MIN_PLANNED
    needed = differences_needed(values, overlap) if planned else None
    return Difference(
        test.mean, test.low, test.high, test.p, test.p, count, paired, overlap, needed,
        undecidable=planned and needed is None,
    )  # fmt: skip


def _by_split(values: Mapping[Conditions, float]) -> tuple[list[float], bool]:
    """Return values, and whether they are of several splits: then the mean for each of these."""
    splits: dict[Any, list[float]] = {}
    for conditions, value in values.items():
        splits.setdefault(conditions.split, []).append(value)
    if len(splits) == 1:
        return list(values.values()), False
    return [statistics.fmean(one) for one in splits.values()], True


def overlap_of_runs(
    records: Mapping[str, RunRecord], groups: Sequence[Group], metric: str
) -> float:
    """Return the largest fraction of evaluated to training rows among the runs of groups."""
    split = metric.partition(" ")[0]
    firsts = (settings_of(records[group.runs[0]]) for group in groups)
    return max((overlap_of(own, split) for own in firsts), default=0.0)
