"""`nnreg.compare`: runs side by side, and groups of runs with the same settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nnreg.comparison.collection import Collection, collect, unfinished
from nnreg.comparison.compared import ComparedRuns
from nnreg.comparison.groups import Difference, Group, differences_of, group_runs, overlap_of_runs
from nnreg.comparison.sides import directions, sides_of
from nnreg.data.split import SPLITS
from nnreg.errors import UsageError
from nnreg.reports.run_record import RunRecord


class Comparison(ComparedRuns):
    """Several runs, and groups of those with the same settings; a notebook shows it as a card."""

    def _repr_html_(self) -> str:
        """Return the card that a notebook shows."""
        from nnreg.comparison.card import comparison_card  # only notebooks need it

        return comparison_card(self)


def compare(
    *runs: str | os.PathLike[str],
    split: str | None = None,
    reference: str | None = None,
) -> Comparison:
    """Return runs side by side, and groups of runs whose specs differ in their seeds alone.

    Each path is a run, a cross-validation, or a directory that contains runs. Among several paths,
    a cross-validation is one of the sides, with its mean, and one group, with its folds as runs.
    The groups have the metrics of the split that each run reports, or of `split`. They are compared
    with the best group, or with that of the run or the name `reference`.

    Raises `UsageError` for a path without runs, a `split` that is none of the three, and a
    `reference` that is in no group.
    """
    if split not in (None, *SPLITS):
        raise UsageError(f"split: expected one of {', '.join(SPLITS)}, found {split!r}")
    return compare_collected(collect([Path(run) for run in runs]), split, reference)


def compare_collected(
    found: Collection, split: str | None = None, reference: str | None = None
) -> Comparison:
    """Return the comparison of runs that have been read; see `compare`."""
    sides, best = sides_of(found.runs if len(found.means) == 1 else found.means)
    excluded = {**found.unreadable, **dict(unfinished(found.runs))}
    finished = {name: one for name, one in found.runs.items() if name not in excluded}
    groups, repeated = group_runs(finished, split)
    known = directions(finished)
    metrics = dict.fromkeys(name for group in groups for name in group.metrics)
    comparable = {one: known[key] for one in metrics if (key := one.split(" ", 1)[-1]) in known}
    comparison = Comparison(sides, best, groups, {}, comparable, {**excluded, **repeated},
                            _main_metric(finished, [*metrics]))  # fmt: skip
    chosen = None if reference is None else _named(groups, reference)
    return _with_differences(comparison, finished, chosen)


def _with_differences(
    comparison: Comparison, finished: Mapping[str, RunRecord], chosen: Group | None
) -> Comparison:
    """Return a comparison with the differences of each metric to the chosen or the best group."""
    references = dict[str, str]()
    found: dict[str, dict[str, Difference]] = {group.name: {} for group in comparison.groups}
    for metric in comparison.higher_is_better:
        groups = comparison.ranked(metric)
        reference = chosen or groups[0]
        if metric not in reference.metrics:
            continue
        references[metric] = reference.name
        overlap = overlap_of_runs(finished, groups, metric)
        for name, difference in differences_of(groups, reference, metric, overlap).items():
            found[name][metric] = difference
    groups = [replace(group, differences=found[group.name]) for group in comparison.groups]
    return replace(comparison, groups=groups, references=references)


def _named(groups: Sequence[Group], name: str) -> Group:
    """Return the group of a name, or of a run given by its name or its path."""
    for group in groups:
        if name == group.name or name in group.runs or Path(name).name in group.runs:
            return group
    known = "; ".join(group.name for group in groups[:10])
    raise UsageError(f"{name}: not the name of a group or of a run in one; the groups are: {known}")


def _main_metric(records: Mapping[str, RunRecord], metrics: Sequence[str]) -> str | None:
    """Return the metric that the runs compare with their baseline, or the first, or the loss."""
    for record in records.values():
        verdict = record.summary.get("verdict")
        compared = verdict.get("metric") if isinstance(verdict, Mapping) else None
        for metric in metrics:
            if metric.split(" ", 1)[-1] == compared:
                return metric
    return next((one for one in metrics if not one.endswith("loss")), next(iter(metrics), None))
