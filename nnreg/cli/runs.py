"""The command that lists runs."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nnreg._utils.formatting import counted, number
from nnreg.cli._help import command
from nnreg.cli._options import json_option
from nnreg.cli._output import print_json, print_lines, print_prose, print_table
from nnreg.runs.listing import ALL_OUTCOMES, RunSummary, list_runs

COLUMNS = ("run", "outcome", "test", "validation", "metric", "epochs", "training", "when")
"""The columns, the most important first, which a narrow terminal shows."""


@command()
@click.argument("directory", default="runs", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice(ALL_OUTCOMES),
    help="Show only runs with this outcome; may be repeated.",
)
@click.option(
    "--sort",
    type=click.Choice(["when", "name", "epochs"]),
    default="when",
    show_default=True,
    help="The sort order; the latest, or largest, is last.",
)
@json_option
def runs(directory: Path, outcomes: tuple[str, ...], sort: str, as_json: bool) -> None:
    """List the runs in a directory, the latest last.

    `test`, `validation` and `training` are values of `metric`: `test` at the end of training, the
    others in the best epoch. --json has all metrics. `epochs` is the best epoch of those done.
    A run that did not end, and whose process is gone, has `crashed`; `nnreg resume` resumes it.

    \b
    nnreg runs
    nnreg runs --outcome crashed --outcome interrupted
    nnreg runs experiments --sort name --json
    """
    found = list_runs(directory) if directory.exists() or directory != Path("runs") else []
    chosen = [run for run in found if not outcomes or run.outcome in outcomes]
    chosen.sort(key=lambda run: getattr(run, sort) or 0 if sort != "name" else run.name)
    if as_json:
        print_json([_as_json(run) for run in chosen])
    elif not found:
        print_lines(f"no runs in {directory}; create one with nnreg run SPEC")
    else:
        print_table(COLUMNS, [_row(run) for run in chosen], min_columns=2)
        print_prose(_count(found, chosen))
        for run in chosen:
            if run.problem:
                print_prose(f"{run.name} is {run.outcome}: {run.problem}")


def _as_json(run: RunSummary) -> dict[str, Any]:
    when = datetime.datetime.fromtimestamp(run.when, datetime.UTC)
    return {**dataclasses.asdict(run), "path": str(run.path), "when": when.isoformat()}


def _row(run: RunSummary) -> Sequence[str]:
    when = datetime.datetime.fromtimestamp(run.when).strftime("%Y-%m-%d %H:%M")
    metric = run.measure or ""
    test, validation, training = (
        number(values[metric]) if metric in values else ""
        for values in (run.test, run.validation, run.training)
    )
    return run.name, run.outcome, test, validation, metric, _epochs(run), training, when


def _epochs(run: RunSummary) -> str:
    """Return the best epoch, or while running the number of epochs done and planned."""
    if run.folds:
        return f"{run.folds} folds"
    if run.outcome == "running" and run.planned:
        return f"{run.epochs}/{run.planned}"
    if run.best_epoch:
        return f"{run.best_epoch} of {run.epochs}"
    return "" if run.epochs is None else str(run.epochs)


def _count(found: Sequence[RunSummary], chosen: Sequence[RunSummary]) -> str:
    """Return the number of runs of each outcome, as text."""
    counts = {name: sum(run.outcome == name for run in found) for name in ALL_OUTCOMES}
    outcomes = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    shown = f"{len(chosen)} of " if len(chosen) < len(found) else ""
    return f"{shown}{counted(len(found), 'run')}: {outcomes}"
