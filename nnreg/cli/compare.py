"""The command compare: runs side by side, or groups of them with the noise between seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnreg._utils.atomic_files import replace_text
from nnreg._utils.formatting import counted, number
from nnreg._utils.os_errors import os_errors_as
from nnreg.cli._help import command
from nnreg.cli._options import json_option
from nnreg.cli._output import print_json, print_lines, print_prose, print_table, print_text
from nnreg.cli.report import draw_runs, runs_argument

if TYPE_CHECKING:
    from nnreg.comparison.api import Comparison
    from nnreg.comparison.collection import Collection
    from nnreg.comparison.sides import Side
    from nnreg.comparison.tables import Table

FORMATS = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html"}
"""The formats of files by their suffixes."""

MAX_COLUMNS, MAX_TRANSPOSED_RUNS = 6, 5
"""A table with more columns, and at most this many runs, is transposed to fit 80 characters."""


@command()
@runs_argument
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric to compare the groups by, such as accuracy; repeatable. [default: the first]",
)
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    help="The split whose metrics are compared. [default: test, else validation]",
)
@click.option(
    "--reference",
    metavar="RUN",
    help="A run of the group that the others are compared with. [default: the best group]",
)
@click.option("--runs", "each", is_flag=True, help="Show each run, also of groups of several.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", *FORMATS.values()]),
    help="How the groups are written. [default: text, or that of the suffix of --out]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file: .md, .tex, .csv or .html.",
)
@click.option(
    "--plot",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw their curves into this file: .svg, .png or .pdf.",
)
@json_option
def compare(
    paths: tuple[Path, ...],
    metrics: tuple[str, ...],
    split: str | None,
    reference: str | None,
    each: bool,
    form: str | None,
    out: Path | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Compare runs, and groups of runs with the noise between seeds.

    Each path is a run, a cross-validation, or a directory that contains runs. Runs whose specs
    differ in the seeds alone are a group; with several runs in one, each group has a row with their
    mean, standard deviation, and difference to the best group. Runs that have not ended, or failed,
    are listed apart.

    Otherwise each run has a column or row, with a * at the best value of each metric; for runs that
    are still training, the metrics are those of the best epoch so far. A single cross-validation is
    a group of its folds.

    \b
    nnreg compare runs/penguins-001 runs/penguins-002
    nnreg compare runs/sweep-001 --metric accuracy --format latex
    nnreg compare runs/* --out page.html
    """
    from nnreg.comparison.api import compare_collected
    from nnreg.comparison.collection import collect

    form = _format_of(form, out)
    found = collect(paths)
    comparison = compare_collected(found, split, reference)
    if file is not None:
        draw_runs(found, file)
    if as_json:
        print_json(dataclasses.asdict(comparison))
        return
    if form == "text":
        _print(comparison, metrics, each=each)
        return
    chosen = _chosen(comparison, metrics)
    if form == "html":
        text = _page(found, comparison, chosen, out)
    else:
        text = _written(comparison, chosen, form)
    if out is None:
        print_text(text)
    else:
        _write(out, text)
        print_lines(out)


def _format_of(form: str | None, out: Path | None) -> str:
    """Return the format that was chosen, or else that of a file by its suffix."""
    from nnreg.errors import UsageError

    if out is None:
        return form or "text"
    found = form or FORMATS.get(out.suffix)
    if found is None or found == "text":
        known = ", ".join(FORMATS)
        raise UsageError(f"{out}: no format for a file; use one of {known}, or --format")
    return found


def _chosen(comparison: Comparison, metrics: Sequence[str]) -> list[str]:
    """Return the full names of the chosen metrics, such as `test accuracy`."""
    from nnreg._utils.suggestions import suggest
    from nnreg.errors import UsageError

    known = list(dict.fromkeys(name for group in comparison.groups for name in group.metrics))
    if not known:
        raise UsageError("no run has ended, so there are no groups to compare")
    if not metrics:
        return [comparison.main_metric or known[0]]
    chosen = []
    for metric in metrics:
        found = [name for name in known if metric in (name, name.split(" ", 1)[-1])]
        if not found:
            names = {name.split(" ", 1)[-1] for name in known}
            raise UsageError(f"no metric {metric!r} in these runs{suggest(metric, names)}")
        chosen += found
    return chosen


def _print(comparison: Comparison, metrics: Sequence[str], *, each: bool) -> None:
    """Print each run, or the groups if some have several runs; both if there is one group."""
    if each or len(comparison.groups) < 2 or not comparison.repeated:
        _print_sides(comparison)
    if comparison.repeated and not each:
        _print_groups(comparison, _chosen(comparison, metrics))
    else:
        _print_notes(comparison)


def _written(comparison: Comparison, metrics: Sequence[str], form: str) -> str:
    """Return the tables of the groups in a format other than that of a terminal."""
    from nnreg.comparison import table_formats
    from nnreg.comparison.conclusions import conclusions, excluded_lines
    from nnreg.comparison.tables import group_table

    tables = {metric: group_table(comparison, metric) for metric in metrics}
    if form == "csv":
        if lines := excluded_lines(comparison):
            print_lines(*lines, err=True)
        return table_formats.csv_text(tables.items())
    write = table_formats.latex if form == "latex" else table_formats.markdown
    parts = [write(table, conclusions(comparison, one)) for one, table in tables.items()]
    if lines := excluded_lines(comparison):
        mark = "% " if form == "latex" else ""
        parts.append("\n".join(f"{mark}{' '.join(line.split())}" for line in lines))
    return "\n\n".join(parts)


def _page(
    found: Collection, comparison: Comparison, metrics: Sequence[str], out: Path | None
) -> str:
    from nnreg.comparison.page import comparison_page

    directory = Path() if out is None else out.parent
    title = f"Comparison of {counted(len(found.runs), 'run')}"
    return comparison_page(found, directory, title=title, metrics=metrics, comparison=comparison)


def _write(file: Path, text: str) -> None:
    from nnreg.errors import UsageError

    with os_errors_as(UsageError, file):
        replace_text(file, f"{text}\n")


def _print_groups(comparison: Comparison, metrics: Sequence[str]) -> None:
    """Print the table of the groups for each metric, what it shows, and the excluded runs."""
    from nnreg.comparison.conclusions import conclusions, excluded_lines
    from nnreg.comparison.tables import group_table

    for index, metric in enumerate(metrics):
        if index:
            print_lines("")
        _print_group_table(group_table(comparison, metric))
        if notes := conclusions(comparison, metric):
            print_prose(*(f"* {line}" for line in notes))
    if lines := excluded_lines(comparison):
        print_lines("", *lines)


def _print_notes(comparison: Comparison) -> None:
    """Print why runs side by side say nothing about noise, and which could not be read."""
    from nnreg.comparison.conclusions import NO_NOISE

    if len(comparison.groups) > 1 and not comparison.repeated:
        print_prose(NO_NOISE)
    shown = {side.run for side in comparison.sides}
    for name, reason in comparison.excluded.items():
        if name not in shown:
            print_lines(f"{name}: {reason}")


def _print_group_table(table: Table) -> None:
    """Print a table, without the intervals of means and numbers of runs if there is no room."""
    rows = [[cell.text for cell in row] for row in table.rows]
    optional = [table.head.index(name) for name in ("95 % interval", "runs")]
    print_table(table.head, rows, table.title, optional=optional)


def _print_sides(comparison: Comparison) -> None:
    """Print a table with one row per run, or one column per run if there are many columns."""
    from nnreg.comparison.settings import short, short_value

    sides, best = comparison.sides, comparison.best
    settings = short(list(sides[0].settings)) if sides else {}
    names = list(dict.fromkeys(name for side in sides for name in side.metrics))
    head = ["run", *settings.values(), *names, "best epoch", "seconds", "ended"]
    rows = [
        [
            side.run,
            *(short_value(side.settings[path]) for path in settings),
            *(_metric_cell(side, name, best) for name in names),
            f"{side.best_epoch or '?'} of {side.epochs}" if side.epochs else "",
            "" if side.seconds is None else f"{side.seconds:.1f}",
            (side.stopped or "unfinished").replace("_", " "),
        ]
        for side in sides
    ]
    head = [name.replace("_", " ") for name in head]
    if len(head) > MAX_COLUMNS and len(sides) <= MAX_TRANSPOSED_RUNS:
        head, *rows = map(list, zip(head, *rows, strict=True))
    print_table(head, rows)
    if not settings and len(sides) > 1:
        print_lines("the specs are identical")


def _metric_cell(side: Side, name: str, best: Mapping[str, list[str]]) -> str:
    """Return a metric as text, followed by * if it is the best."""
    if name not in side.metrics:
        return ""
    spread = f" ± {number(side.std[name])}" if name in side.std else ""
    mark = "*" if side.run in best.get(name, ()) else " "
    return f"{number(side.metrics[name])}{spread}{mark}"
