"""The curves of runs: a line for each, or the mean and a band for each group of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnreg.comparison.api import Comparison, compare_collected
from nnreg.comparison.collection import Collection
from nnreg.comparison.groups import group_runs
from nnreg.plotting.chart import Chart
from nnreg.plotting.curves import Columns, by_epoch, by_group, metrics_of
from nnreg.plotting.palette import RUNS
from nnreg.reports.run_record import RunRecord

MAX_LINES = 10
"""The most runs that have a line each; more are drawn as groups."""


def charts_of(found: Collection, by: str | None = None) -> list[Chart]:
    """Return a chart for each metric by epoch: `by` run or group, or None for what is legible."""
    if by == "run" or (by is None and len(found.runs) <= MAX_LINES):
        runs = {name: record.history.columns for name, record in found.runs.items()}
        best = {name: record.best_epoch for name, record in found.runs.items()}
        return [by_epoch(runs, name, best) for name in metrics_of(runs.values())]
    groups = grouped_columns(found.runs, compare_collected(found))
    names = metrics_of(columns for runs in groups.values() for columns in runs)
    return [by_group(groups, name) for name in names if name != "learning_rate"]


def loss_of_groups(found: Collection) -> tuple[str, Chart]:
    """Return the chart of the losses of groups for a terminal, the best of many, and its title."""
    groups = grouped_columns(found.runs, compare_collected(found))
    shown = dict(list(groups.items())[: len(RUNS)])
    of = "each group" if len(shown) == len(groups) else f"the best {len(shown)} of {len(groups)}"
    title = f"loss: mean of {of}, and from its lowest to its highest run"
    return title, by_group(shown, "loss")


def grouped_columns(
    records: Mapping[str, RunRecord], comparison: Comparison
) -> dict[str, Sequence[Columns]]:
    """Return the histories of all runs by group, also those that have not ended; the best first."""
    groups, _ = group_runs({name: one for name, one in records.items() if len(one.history)}, None)
    metric = comparison.main_metric
    ranks = [] if metric is None else [one.runs[0] for one in comparison.ranked(metric)]
    order = {run: rank for rank, run in enumerate(ranks)}
    groups.sort(key=lambda group: min(order.get(run, len(order)) for run in group.runs))
    return {one.name: [records[run].history.columns for run in one.runs] for one in groups}
