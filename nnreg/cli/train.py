"""Commands that train: run, resume."""

from __future__ import annotations

import functools
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnreg.cli._complete import complete_run
from nnreg.cli._help import command
from nnreg.cli._options import (
    allow_changed_option,
    check_option,
    overrides_option,
    plugin_option,
    spec_argument,
)
from nnreg.cli._output import print_lines
from nnreg.cli._progress import SIGNALS, print_json_line, showing_progress
from nnreg.cli._registry import registry_with
from nnreg.cli._summary import (
    describe_failed_run,
    describe_finished_run,
    describe_stopped_run,
    print_folds,
    print_result,
    suggest_lower_learning_rate,
)
from nnreg.cli.report import write_cross_validation_report, write_report
from nnreg.cli.sweep import jobs_option, list_runs, on_option, plan_of_options, train_sweep
from nnreg.cli.validate import dry_run_option, preview
from nnreg.errors import UsageError

if TYPE_CHECKING:
    from nnreg.runs.cross_validation import CrossValidation
    from nnreg.runs.run import Run


out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The directory to write. [default: runs/NAME-001]",
)
every_option = click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Print a line every N epochs. [default: a live line on a terminal, else every epoch]",
)
report_option = click.option(
    "--no-report", "draw", is_flag=True, flag_value=False, default=True,
    help="Write no report.html and no plots.",
)  # fmt: skip
quiet_option = click.option("--quiet", is_flag=True, help="Print no progress.")
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one line of JSON per epoch, and a last one with the summary.",
)


@command()
@spec_argument
@overrides_option
@plugin_option
@out_option
@dry_run_option
@every_option
@quiet_option
@report_option
@check_option
@json_option
@click.option(
    "--seeds",
    metavar="N",
    help="Train a sweep with N seeds, from that of SPEC on, or those given, as 0,3,7.",
)
@click.option(
    "--grid", multiple=True, metavar="PATH=A,B,…",
    help="Train a sweep with each of these values; may be repeated, for all combinations.",
)  # fmt: skip
@jobs_option
@on_option
def run(
    spec: str,
    overrides: tuple[str, ...],
    files: tuple[Path, ...],
    out: Path | None,
    dry_run: bool,
    every: int | None,
    quiet: bool,
    draw: bool,
    check: bool,
    as_json: bool,
    seeds: str | None,
    grid: tuple[str, ...],
    jobs: int | None,
    on: str,
) -> None:
    """Train the network of SPEC (- for standard input).

    The plugin nnregfile.py beside SPEC is loaded, if there is one that only you can write.

    The first Ctrl-C saves and stops, and `nnreg resume` continues; a second one stops at once.
    With --json each line of output is an object whose "event" is "epoch" or, in the last line,
    "end". With train.folds the network is trained once for each fold, in a subdirectory of the
    run; each "epoch" then has its "fold", and each fold ends with the event "fold".

    \b
    nnreg example penguins
    nnreg run penguins.json
    nnreg run penguins.json --set train.epochs=5 --out runs/short
    nnreg run penguins.json --set train.folds=5
    nnreg run penguins.json --seeds 5 --grid optimizer.learning_rate=0.01,0.001
    """
    from nnreg.ranks.launcher import launched_ranks
    from nnreg.runs.api import prepare
    from nnreg.runs.directory import create_numbered, next_directory
    from nnreg.spec.document import read_spec

    if grid or seeds is not None:
        plan = plan_of_options(
            spec,
            grid,
            seeds,
            overrides,
            registry_with(files),
            run_plugin_file=not dry_run,
            check=check,
        )
        directory = out or next_directory(plan.name, Path("sweeps"))
        if dry_run:
            list_runs(plan, directory, as_json=as_json)
        else:
            train_sweep(plan, directory, jobs, on, quiet=quiet, as_json=as_json, check=check)
        return
    with launched_ranks().together():
        registry = registry_with(files)
        document = read_spec(spec, overrides, registry=registry, run_plugin_file=not dry_run)
        if dry_run:
            preview(document, as_json=as_json, check=check)
            return
        prepared = prepare(document, out=out or create_numbered(document.name), check=check)
        _train(prepared, every, quiet, as_json, draw=draw)


@command()
@click.argument(
    "path",
    metavar="RUN",
    type=click.Path(path_type=Path),
    shell_complete=complete_run,
)
@overrides_option
@plugin_option
@out_option
@allow_changed_option
@every_option
@quiet_option
@report_option
@check_option
@json_option
def resume(
    path: Path,
    overrides: tuple[str, ...],
    files: tuple[Path, ...],
    out: Path | None,
    allow_changed: bool,
    every: int | None,
    quiet: bool,
    draw: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Resume a run as if it had never stopped.

    RUN is its directory, or a last.h5. A cross-validation resumes with the remaining folds. --set
    may change the spec, for example to train longer.

    \b
    nnreg resume runs/penguins-001 --set train.epochs=200
    """
    from nnreg.ranks.launcher import launched_ranks
    from nnreg.runs.api import prepare_resumed
    from nnreg.runs.directory import create_numbered
    from nnreg.runs.run import run_folder
    from nnreg.sweeps.directory import is_sweep

    with launched_ranks().together():
        if is_sweep(path):
            command = shlex.join(["nnreg", "sweep", str(path)])
            raise UsageError(f"{path}: a directory of a sweep; continue it with: {command}")
        prepared = prepare_resumed(
            path,
            out=out if out or run_folder(path) else create_numbered(path.stem),
            overrides=overrides,
            registry=registry_with(files),
            allow_changed=allow_changed,
            check=check,
        )
        _train(prepared, every, quiet, as_json, draw=draw)


def _train(
    prepared: Run | CrossValidation, every: int | None, quiet: bool, as_json: bool, *, draw: bool
) -> None:
    from nnreg.ranks.launcher import launched_ranks
    from nnreg.runs.run import Run

    draw = draw and launched_ranks().is_first
    train = functools.partial(_train_run, every=every, quiet=quiet, as_json=as_json, draw=draw)
    if isinstance(prepared, Run):
        train(prepared)
        if not as_json:
            print_result(prepared)
        if draw:
            write_report(prepared, None if as_json else sys.stdout)
    else:
        _train_folds(prepared, train, as_json, draw=draw, announce=not (quiet or as_json))


def _train_folds(
    prepared: CrossValidation,
    train: Callable[..., None],
    as_json: bool,
    *,
    draw: bool,
    announce: bool,
) -> None:
    """Train the remaining folds, and print the results of all."""
    folds = prepared.document.spec.train.folds
    with closing(prepared.runs()) as runs:
        for run in runs:
            if announce:
                print_lines(f"fold {run.model.spec.train.fold} of {folds}", err=True)
            train(run, parent=prepared.directory)
            if draw:
                write_report(run, None)
    if as_json:
        print_json_line("end", {**prepared.summary, "directory": str(prepared.directory)})
    else:
        print_folds(prepared)
    if draw and prepared.directory:
        write_cross_validation_report(prepared.directory, None if as_json else sys.stdout)


def _train_run(
    run: Run,
    *,
    every: int | None,
    quiet: bool,
    as_json: bool,
    draw: bool,
    parent: Path | None = None,
) -> None:
    """Train, and print what was saved if training does not finish.

    For a fold, `parent` is the directory of the cross-validation.
    """
    from nnreg.errors import DataError, DivergedError

    if run.finished:
        print_lines(describe_finished_run(run), err=True)
    progress = showing_progress(run, every=every, quiet=quiet, as_json=as_json)
    try:
        with progress as (on_epoch, on_signal):
            report_signal = on_signal if run.ranks.is_first else None
            run.train(on_epoch, signals=SIGNALS, on_signal=report_signal)
    except DivergedError as error:
        if not run.saved:  # one of several processes, of which the first saves and reports
            raise
        if draw:
            write_report(run, None if as_json else sys.stderr)
        # All folds have the same learning rate, so none is suggested for one of them.
        advice = [suggest_lower_learning_rate(run)] if parent is None else []
        raise DivergedError(*error.lines, *describe_failed_run(run), *advice) from error
    except DataError as error:
        if not run.saved:
            raise
        raise DataError(*error.lines, *describe_failed_run(run)) from error
    except KeyboardInterrupt as stop:
        if not run.saved:
            raise
        with suppress(OSError):  # the terminal may be gone
            print_lines(*describe_stopped_run(run, parent), err=True)
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    finally:
        if as_json and run.summary:
            event = "end" if parent is None else "fold"
            print_json_line(event, {**run.summary, "directory": str(run.directory)})
