"""The command that trains a sweep, and the options by which `run` does."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.formatting import counted, number
from nnreg.cli._complete import complete_spec
from nnreg.cli._help import command
from nnreg.cli._options import check_option, plugin_option
from nnreg.cli._output import print_lines, print_prose, print_table
from nnreg.cli._progress import print_json_line
from nnreg.cli._registry import registry_with
from nnreg.errors import Problem, SpecError

if TYPE_CHECKING:
    from nnreg.registry.registry import Registry
    from nnreg.sweeps.plan import Plan
    from nnreg.sweeps.results import PointResult, SweepResult
    from nnreg.sweeps.settings import Point

MAX_POINTS = 10
"""The most points of the final table."""

MAX_FAILURES = 10
"""The most failed runs that are listed with their reasons."""

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many runs to train at a time. [default: one per core]",
)
on_option = click.option(
    "--on",
    metavar="EXECUTOR",
    default="processes",
    show_default=True,
    help="Where to train: processes, dask, dask:ADDRESS, slurm, slurm:PARTITION, one of a plugin, "
    "or JSON with its options.",
)


@command()
@click.argument("source", metavar="SWEEP", shell_complete=complete_spec)
@plugin_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The directory of the sweep. [default: sweeps/NAME]",
)
@click.option("--dry-run", is_flag=True, help="List the runs, and write nothing.")
@jobs_option
@on_option
@click.option("--quiet", is_flag=True, help="Print no progress.")
@check_option
@click.option(
    "--json", "as_json", is_flag=True,
    help="Print one line of JSON per run, and a last one with the results.",
)  # fmt: skip
def sweep(
    source: str,
    files: tuple[Path, ...],
    out: Path | None,
    dry_run: bool,
    jobs: int | None,
    on: str,
    quiet: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Train a spec with other values of its settings and other seeds.

    SWEEP is a file that names a spec and the values to try, all combinations or by a search, or
    the directory of a sweep. Each run is an ordinary one in that directory. A sweep that was
    stopped or killed continues with what is left if it is started again; a complete one does
    nothing. Runs that failed with an error are tried again, those that diverged are not.

    \b
    nnreg example penguins
    nnreg sweep penguins-sweep.json --dry-run
    nnreg sweep penguins-sweep.json --jobs 2
    nnreg run penguins.json --seeds 5 --grid optimizer.learning_rate=0.01,0.001
    """
    from nnreg.sweeps.api import plan_of

    plan, directory = plan_of(
        source, registry=registry_with(files), run_plugin_file=not dry_run, check=check
    )
    directory = out or directory
    if dry_run:
        list_runs(plan, directory, as_json=as_json)
    else:
        train_sweep(plan, directory, jobs, on, quiet=quiet, as_json=as_json, check=check)


def plan_of_options(
    spec: str,
    grid: Iterable[str],
    seeds: str | None,
    overrides: Sequence[str],
    registry: Registry,
    *,
    run_plugin_file: bool,
    check: bool,
) -> Plan:
    """Return the plan of `nnreg run SPEC --grid … --seeds …`."""
    from nnreg.sweeps.api import as_mapping
    from nnreg.sweeps.plan import plan_sweep

    tree: dict[str, Any] = {"spec": spec, "overrides": as_mapping(overrides)}
    axes = dict(map(_axis, grid))
    if axes:
        tree["grid"] = axes
    if seeds is not None:
        tree["seeds"] = _seeds(seeds)
    try:
        return plan_sweep(
            tree,
            registry=registry,
            name=Path(spec).stem,
            run_plugin_file=run_plugin_file,
            check=check,
        )
    except SpecError as error:
        raise SpecError([_of_option(one, axes) for one in error.problems], error.where) from error


def _of_option(problem: Problem, axes: Mapping[str, Sequence[Any]]) -> Problem:
    """Return a problem of a sweep at the option that gave its value."""
    from nnreg.sweeps.space import value_text

    for path, values in axes.items():
        for index, value in enumerate(values):
            if problem.path == f"$.grid.{path}[{index}]":
                return replace(problem, path=f"--grid {path}={value_text(value)}")
    named = problem.path.replace("$.seeds", "--seeds").replace("$.overrides.", "--set ")
    return replace(problem, path=named)


def _axis(text: str) -> tuple[str, list[Any]]:
    """Return the path and the values of `PATH=A,B,C`, which are those of `--set`."""
    from nnreg.spec.jsonc import value_or_text

    path, equals, values = text.partition("=")
    if not equals or not path:
        raise click.BadParameter(f"--grid {text}: expected PATH=VALUE,VALUE,…")
    return path.removeprefix("$."), [value_or_text(one) for one in split_values(values)]


def split_values(text: str) -> list[str]:
    """Split a text at the commas that are outside of brackets and quotes."""
    parts, depth, quoted = [""], 0, False
    for index, char in enumerate(text):
        if char == '"' and text[index - 1 : index] != "\\":
            quoted = not quoted
        if not quoted:
            depth += (char in "[{") - (char in "]}")
        if char == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def _seeds(text: str) -> int | list[int]:
    try:
        values = [int(one) for one in text.split(",")]
    except ValueError:
        problem = f"--seeds {text}: expected how many, as in 5, or the seeds, as in 0,3,7"
        raise click.BadParameter(problem) from None
    return values if "," in text else values[0]


def list_runs(plan: Plan, directory: Path, *, as_json: bool) -> None:
    """Print the runs of a plan, and what is known of those in the directory."""
    from nnreg.sweeps.directory import continued
    from nnreg.sweeps.outcomes import outcome_of

    plan = continued(plan, directory)
    names = _axis_names(plan)
    states = [outcome_of(directory / run.name) for run in plan.runs]
    if as_json:
        for run, state in zip(plan.runs, states, strict=True):
            content = {"name": run.name, "point": run.point, "seed": run.seed, "outcome": state}
            print_json_line("run", content)
        return
    rows = [
        [run.name, *_cells(run.point, plan.paths), str(run.seed), state]
        for run, state in zip(plan.runs, states, strict=True)
    ]
    if rows:
        print_table(["run", *names, "seed", "state"], rows)
    if plan.settings.optuna:
        trials = counted(plan.settings.optuna.trials, "trial")
        print_prose(f"{trials}, whose points Optuna chooses one after another: {', '.join(names)}")
    print_prose(f"{counted(plan.count, 'run')}; nothing was written")


def train_sweep(
    plan: Plan,
    directory: Path,
    jobs: int | None,
    on: str,
    *,
    quiet: bool,
    as_json: bool,
    check: bool,
) -> None:
    """Execute a plan, show its progress, and print its results."""
    from nnreg.cli._progress import SIGNALS
    from nnreg.cli._sweep_progress import SweepProgress
    from nnreg.sweeps.api import execute, executor_of

    executor = executor_of(on, plan.document.registry)
    progress = SweepProgress(quiet=quiet, as_json=as_json)
    try:
        with progress:
            found = execute(
                plan,
                directory,
                executor,
                jobs,
                check=check,
                on_start=progress.start,
                on_result=progress.result,
                on_note=progress.note,
                signals=SIGNALS,
                on_signal=progress.stop,
            )
    except KeyboardInterrupt as stop:
        with suppress(OSError):  # the terminal may be gone
            print_lines(f"stopped; {progress.count()}", _continue_command(directory), err=True)
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    failed = [run for run in found.runs if run.outcome == "failed"]
    if as_json:
        print_json_line("end", _as_json(found))
    else:
        if not progress.executed:
            print_prose("the sweep is complete; nothing was left to run")
        print_results(plan, found)
        print_lines(f"saved in {directory}")
        if failed:
            print_lines(f"try again: {shlex.join(['nnreg', 'sweep', str(directory)])}")
        print_lines(f"next: {shlex.join(['nnreg', 'compare', str(directory)])}")
    if failed:
        sys.exit(1)


def _continue_command(directory: Path) -> str:
    return f"resume: {shlex.join(['nnreg', 'sweep', str(directory)])}"


def print_results(plan: Plan, found: SweepResult) -> None:
    """Print the best points with means and deviations, and the runs that failed."""
    points, names = found.points, _axis_names(plan)
    test = _test_metric(found)
    rows = []
    for point in points[:MAX_POINTS]:
        cells = [str(point.number), *_cells(point.point, plan.paths)]
        cells += _mean_and_deviation(point, found.metric)
        cells.append(f"{len(point.values)} of {len(point.runs)}")
        rows.append([*cells, *(_mean_and_deviation(point, test) if test else [])])
    needed = ["point", *names, found.metric, "std"]
    head = [*needed, "done", *([test, "std"] if test else [])]
    print_lines("")
    print_table(head, rows, title=f"Results: {plan.name}", min_columns=len(needed))
    if len(points) > MAX_POINTS:
        print_prose(f"the {MAX_POINTS} best of {len(points)} points, by {found.metric}")
    others = [run for run in found.runs if run.outcome in ("failed", "diverged")]
    for run in others[:MAX_FAILURES]:
        print_prose(f"{run.name} {run.outcome}: {run.reason}")
    if len(others) > MAX_FAILURES:
        print_prose(f"and {len(others) - MAX_FAILURES} more that failed or diverged")


def _mean_and_deviation(point: PointResult, metric: str) -> list[str]:
    from nnreg.sweeps.results import deviation, mean

    values = point.of(metric)
    return ["" if one is None else number(one) for one in (mean(values), deviation(values))]


def _test_metric(found: SweepResult) -> str:
    """Return the metric of the test rows to show: the first one, or the loss."""
    summaries = (run.summary for run in found.runs)
    tested: Iterable[str] = next((one["test"] for one in summaries if "test" in one), ())
    names = [name for name in tested if name != "loss"] or list(tested)
    return f"test_{names[0]}" if names else ""


def _axis_names(plan: Plan) -> list[str]:
    from nnreg.sweeps.space import short_names

    return list(short_names(plan.paths).values())


def _cells(point: Point, paths: Iterable[str]) -> list[str]:
    from nnreg.sweeps.space import label

    return [label(point[path]) if path in point else "" for path in paths]


def _as_json(found: SweepResult) -> dict[str, Any]:
    """Return the points for programs, the best first."""
    return {
        "directory": str(found.directory),
        "metric": found.metric,
        "points": [
            {"number": one.number, "point": dict(one.point), "values": one.values,
             "mean": one.mean, "std": one.std}
            for one in found.points
        ],
        "failed": {
            run.name: run.reason for run in found.runs if run.outcome in ("failed", "diverged")
        },
    }  # fmt: skip
