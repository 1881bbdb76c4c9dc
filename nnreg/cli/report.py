"""Commands that draw runs: report, plot."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from nnreg._utils.atomic_files import Replace, replace_file, replace_regular
from nnreg._utils.os_errors import os_errors_as
from nnreg.cli._complete import complete_run
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, plugin_option
from nnreg.cli._output import console, print_lines, print_prose
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.comparison.collection import Collection
    from nnreg.plotting.chart import Chart
    from nnreg.runs.run import Run


FORMATS = (".svg", ".png", ".pdf")

NOTHING = "no epoch has finished yet; there is nothing to draw"

INSTALL = "pip install matplotlib (or nnreg's extra 'plot')"

run_type = click.Path(path_type=Path)
runs_argument = click.argument(
    "paths",
    metavar="RUN...",
    nargs=-1,
    required=True,
    type=run_type,
    shell_complete=complete_run,
)


@command()
@click.argument("path", metavar="RUN", type=run_type, shell_complete=complete_run)
@click.option("--open", "show", is_flag=True, help="Open it in a browser.")
@plugin_option
@allow_changed_option
def report(path: Path, show: bool, files: tuple[Path, ...], allow_changed: bool) -> None:
    """Write a report of a run: report.html and plots in its directory.

    The run may still be training, or have been stopped. Its best weights are evaluated on the
    held-out rows. In a directory that contains runs, report.html compares them.

    \b
    nnreg report runs/penguins-001 --open
    nnreg report runs/sweep-001
    """
    from nnreg.comparison.collection import runs_inside
    from nnreg.reports.report import report as write

    if runs_inside(path):
        page = _write_comparison(path)
    else:
        page = write(path, registry=registry_with(files), allow_changed=allow_changed)
    print_lines(page)
    if show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _write_comparison(directory: Path) -> Path:
    """Write the page that compares the runs in a directory, and return its path."""
    from nnreg.comparison.collection import collect
    from nnreg.comparison.page import comparison_page
    from nnreg.errors import UsageError
    from nnreg.reports.report import PAGE
    from nnreg.runs.directory import write_inside

    text = comparison_page(collect([directory]), directory, title=directory.resolve().name)
    with os_errors_as(UsageError, directory):
        write_inside(directory / PAGE, text, sync=False)
    return directory / PAGE


@command()
@runs_argument
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The .svg, .png or .pdf to write. [default: plots/curves.svg of one run, curves.svg of "
    "several]",
)
@click.option(
    "--by",
    type=click.Choice(["run", "group"]),
    help="Draw a line for each run, or the mean of each group of runs whose specs differ in their "
    "seeds alone. [default: group for more than 10 runs]",
)
@click.option("--text", is_flag=True, help="Draw the losses in the terminal instead.")
def plot(paths: tuple[Path, ...], out: Path | None, by: str | None, text: bool) -> None:
    """Draw the curves of runs in one figure, into a file.

    Each path is a run, a cross-validation, or a directory that contains runs. Solid lines are the
    validation split, dotted ones the training split. A group has a line, the mean of the
    validation split, and a band from its lowest to its highest run; of many groups, the best have
    colours. Files need matplotlib; --text does not.

    \b
    nnreg plot runs/penguins-001
    nnreg plot runs/penguins-* --out curves.png
    nnreg plot runs/sweep-001 --by group
    nnreg plot runs/penguins-001 --text
    """
    from nnreg.comparison.collection import collect

    found = collect(paths)
    if text:
        _print_losses(found, by)
        return
    if out is None and len(found.means) == 1:
        from nnreg.errors import UsageError
        from nnreg.runs.directory import make_plots

        (run,) = found.means.values()
        with os_errors_as(UsageError, run.path / "plots"):
            out = make_plots(run.path) / "curves.svg"
        draw_runs(found, out, replace_regular, by=by)
    else:
        draw_runs(found, out := out or Path("curves.svg"), by=by)
    print_lines(out)


def write_report(run: Run, stream: IO[str] | None) -> None:
    """Write the report of a run that has just ended, and print its path to a stream."""
    from nnreg.reports.report import report as write
    from nnreg.runs.summary import FINISHED_OUTCOMES

    assert run.directory is not None  # the command line always has one
    done = run.summary["stopped"] in FINISHED_OUTCOMES  # the model is the best one then
    registry, prepared = run.model.document.registry, run.prepared if done else None
    _write_and_report(
        functools.partial(write, run.directory, registry=registry, prepared=prepared), stream
    )


def write_cross_validation_report(directory: Path, stream: IO[str] | None) -> None:
    """Write the report of a cross-validation, after those of its folds, and print its path."""
    from nnreg.reports.report import report_folds

    _write_and_report(functools.partial(report_folds, directory), stream)


def _write_and_report(write: Callable[[], Path], stream: IO[str] | None) -> None:
    """Write a report and print its path. A failure is only a note: the run itself is complete."""
    from nnreg.errors import NnregError

    try:
        page = write()
    except NnregError as error:
        first, *others = error.lines
        print_lines(f"note: no report was written: {first}", *others, err=True)
    else:
        if stream is not None:
            print_lines(f"report: {page}", err=stream is sys.stderr)


def draw_runs(
    found: Collection, file: Path, replace: Replace = replace_file, *, by: str | None = None
) -> None:
    """Draw curves into a file, `by` run or group."""
    from nnreg.comparison.curves import charts_of
    from nnreg.errors import UsageError

    charts = charts_of(found, by)
    if not charts:
        raise UsageError(NOTHING)
    instead = "draw the losses with: nnreg plot RUN --text"
    draw_into(charts, file, instead, replace, shared=len(found.runs) > 1)


def draw_into(
    charts: Sequence[Chart],
    file: Path,
    instead: str,
    replace: Replace = replace_file,
    *,
    shared: bool = False,
) -> None:
    """Draw charts, `shared` ones with one legend; `instead` is the advice without matplotlib."""
    from nnreg.errors import UsageError

    if file.suffix not in FORMATS:
        raise UsageError(f"{file}: unknown plot format; use one of {', '.join(FORMATS)}")
    try:
        from nnreg.plotting import matplotlib_file
    except ModuleNotFoundError as error:
        advice = f"{INSTALL}, or {instead}"
        raise UsageError(f"plots need matplotlib; {advice}") from error
    with os_errors_as(UsageError, file):
        matplotlib_file.save(matplotlib_file.figure(charts, shared=shared), file, replace)


def _print_losses(found: Collection, by: str | None) -> None:
    """Draw the losses in the terminal: those of each run, or of all groups in one chart."""
    from nnreg.comparison.curves import MAX_LINES, loss_of_groups
    from nnreg.errors import UsageError
    from nnreg.plotting.curves import by_epoch

    if by == "group" or (by is None and len(found.runs) > MAX_LINES):
        title, chart = loss_of_groups(found)
        if not chart.curves:
            raise UsageError(NOTHING)
        _print_chart(title, chart)
        return
    for name, record in found.runs.items():
        if not len(record.history):
            raise UsageError(f"{name}: {NOTHING}")
        _print_chart(f"{name}: loss", by_epoch({name: record.history.columns}, "loss", {}))


def _print_chart(title: str, chart: Chart) -> None:
    from nnreg.plotting.braille import draw

    terminal = console()
    print_prose("", title)
    terminal.print(draw(chart, width=min(terminal.width, 100), height=14))
