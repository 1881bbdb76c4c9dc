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
from nnreg.cli._output import print_json, print_prose, print_table
from nnreg.runs.listing import ALL_OUTCOMES, RunSummary, list_runs

COLUMNS = ("run", "outcome", "test", "validation", "measure", "epochs", "training", "when")
"""The columns, the first ones those that matter most in a narrow terminal."""


@command()
@click.argument("folder", default="runs", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice(ALL_OUTCOMES),
    help="Only those that ended so; may be repeated.",
)
@click.option(
    "--sort",
    type=click.Choice(["when", "name", "epochs"]),
    default="when",
    show_default=True,
    help="What to sort by; the last is next to the prompt.",
)
@json_option
def runs(folder: Path, outcomes: tuple[str, ...], sort: str, as_json: bool) -> None:
    """List the runs in a folder, the latest last.

    `test` is measured at the end, `validation` and `training` in the best epoch, all by the
    `measure`; --json has the other figures too. `epochs` tells the best of those that were done. A
    run without an end whose process is gone was `killed`; `nnreg resume` goes on with it.

    \b
    nnreg runs
    nnreg runs --outcome crashed --outcome interrupted
    nnreg runs experiments --sort name --json
    """
    found = list_runs(folder) if folder.exists() or folder != Path("runs") else []
    chosen = [run for run in found if not outcomes or run.outcome in outcomes]
    chosen.sort(key=lambda run: getattr(run, sort) or 0 if sort != "name" else run.name)
    if as_json:
        print_json([_as_json(run) for run in chosen])
    elif not found:
        click.echo(f"no runs in {folder}; nnreg run SPEC makes one")
    else:
        print_table(COLUMNS, [_row(run) for run in chosen], least=2)
        print_prose(_count(found, chosen))
        for run in chosen:
            if run.problem:
                print_prose(f"{run.name} is broken: {run.problem}")


def _as_json(run: RunSummary) -> dict[str, Any]:
    when = datetime.datetime.fromtimestamp(run.when, datetime.UTC)
    return {**dataclasses.asdict(run), "path": str(run.path), "when": when.isoformat()}


def _row(run: RunSummary) -> Sequence[str]:
    when = datetime.datetime.fromtimestamp(run.when).strftime("%Y-%m-%d %H:%M")
    measure = run.measure or ""
    test, validation, training = (
        number(figures[measure]) if measure in figures else ""
        for figures in (run.test, run.validation, run.training)
    )
    return run.name, run.outcome, test, validation, measure, _epochs(run), training, when


def _epochs(run: RunSummary) -> str:
    """Return which epoch was the best, or how many are done of those that are planned."""
    if run.folds:
        return f"{run.folds} folds"
    if run.outcome == "running" and run.planned:
        return f"{run.epochs}/{run.planned}"
    if run.best_epoch:
        return f"{run.best_epoch} of {run.epochs}"
    return "" if run.epochs is None else str(run.epochs)


def _count(found: Sequence[RunSummary], chosen: Sequence[RunSummary]) -> str:
    """Say how many runs there are of each outcome."""
    counts = {name: sum(run.outcome == name for run in found) for name in ALL_OUTCOMES}
    parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    shown = f"{len(chosen)} of " if len(chosen) < len(found) else ""
    return f"{shown}{counted(len(found), 'run')}: {parts}"
