"""Commands that look at a spec before it is trained: validate, and what `run --dry-run` prints."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.formatting import byte_size, duration
from nnreg.cli._complete import complete_spec
from nnreg.cli._help import command
from nnreg.cli._options import json_option, overrides_option, plugin_option
from nnreg.cli._output import print_json, printable
from nnreg.cli._registry import registry_with
from nnreg.errors import (
    DataError,
    NnregError,
    Override,
    Problem,
    SourceLocation,
    SpecError,
    UsageError,
)

if TYPE_CHECKING:
    from nnreg.registry.registry import Registry
    from nnreg.runs.estimate import Estimate
    from nnreg.runs.prepare import PreparedRun
    from nnreg.spec.document import Document


dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Print shapes, memory and an estimate of the time; write nothing.",
)

MEMORY = {
    "data": "the data",
    "parameters": "the parameters",
    "gradient": "their gradient",
    "optimizer": "what the optimizer remembers",
    "copies": "copies to go back to",
    "passes": "what the layers make of a batch",
}
"""What each part of the memory is for."""


@command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete_spec)
@overrides_option
@plugin_option
@json_option
def validate(
    specs: tuple[str, ...], overrides: tuple[str, ...], files: tuple[Path, ...], as_json: bool
) -> None:
    """Check specs, their data, and that every layer takes its input.

    SPEC may be - for standard input. Problems are printed as FILE:LINE:COLUMN; with --json an
    editor gets them as a list. Nothing is trained: `nnreg run SPEC --dry-run` makes a few steps
    and tells memory and time too.

    \b
    nnreg validate models/penguins.json --set model.layers.0.units=64
    nnreg validate models/digits.json models/xor.json
    """
    registry = registry_with(files)
    found: list[dict[str, Any]] = []
    codes = set()
    for spec in specs:
        try:
            prepared = _check(spec, overrides, registry)
        except NnregError as error:
            codes.add(error.exit_code)
            found += [{"spec": spec, **problem} for problem in _as_json(error)]
            if not as_json:
                click.echo(printable(f"error: {error}"), err=True)
        else:
            if not as_json:
                _describe(prepared)
                click.echo(nl=len(specs) > 1)
    if as_json:
        print_json({"valid": not codes, "problems": found})
    raise SystemExit(max(codes, default=0))


def _check(spec: str, overrides: tuple[str, ...], registry: Registry) -> PreparedRun:
    """Do all that comes before a training, and say of any error in which line it begins."""
    from nnreg.runs.cross_validation import check_folds
    from nnreg.runs.prepare import prepare_from_spec
    from nnreg.spec.document import read_spec

    document = read_spec(spec, overrides, registry=registry)
    section = "$.data"
    try:
        if document.spec.train.folds and not document.spec.train.fold:
            return check_folds(document)
        prepared = prepare_from_spec(document)
        section = "$.train"
        prepared.model.trainer(prepared.train, prepared.validation)
    except (DataError, UsageError) as error:
        problem = document.origins.with_location(Problem(section, str(error)))
        raise SpecError([problem], document.origin) from error
    return prepared


def _as_json(error: NnregError) -> list[dict[str, Any]]:
    """Return an error as an editor takes it: lines and columns count from 1."""
    problems = error.problems if isinstance(error, SpecError) else (Problem("$", str(error)),)
    return [_problem_as_json(problem) for problem in problems]


def _problem_as_json(problem: Problem) -> dict[str, Any]:
    place, where = problem.location, {}
    if isinstance(place, SourceLocation):
        start, end = place.column, place.column + place.width
        where = {"file": place.file, "line": place.line, "column": start, "end_column": end}
    elif isinstance(place, Override):
        where = {"set": place.text}
    return {**where, "path": problem.path, "message": problem.message}


def _describe(prepared: PreparedRun) -> None:
    """Print the layers with their shapes and parameters, and the rows of each part."""
    click.echo(f"{prepared.model.document.origin}: valid\n")
    click.echo(prepared.model.summary())
    rows = {name: f"{len(part):,} rows for {name}" for name, part in prepared.splits.items()}
    rows["train"] = f"{len(prepared.train):,} rows to train"
    train = prepared.model.spec.train
    of_fold = f"fold {train.fold or 1} of {train.folds}: " if train.folds else ""
    click.echo(of_fold + ", ".join(rows.values()))


def preview(document: Document, *, as_json: bool) -> None:
    """Print what a training would take, from a few steps of it that nothing is left of."""
    from nnreg.runs.estimate import estimate
    from nnreg.runs.prepare import prepare_from_spec
    from nnreg.spec.compose import set_options

    prepared = prepare_from_spec(document)
    with document.locating_errors():
        found = estimate(prepared)
    if as_json:
        print_json(_preview_as_json(prepared, found))
        return
    _describe(prepared)
    total = sum(found.memory.values())
    click.echo("\nmemory, besides what Python itself and reading the data take")
    for name, words in MEMORY.items():
        click.echo(f"{byte_size(found.memory[name]):>11}  {words}")
    click.echo(f"{byte_size(total):>11}  together")
    stops = prepared.model.spec.train.early_stopping is not None
    click.echo(
        f"\ntime, estimated from {found.steps:,} steps made just now\n"
        f"{_time(found.epoch_seconds)}  an epoch of {found.epoch_steps:,} steps\n"
        f"{_time(found.seconds)}  {found.epochs:,} epochs"
        f"{', or less where it stops early' if stops else ''}"
    )
    folds = _folds(prepared)
    if folds > 1:
        click.echo(f"{_time(found.seconds * folds)}  {folds} folds")
    click.echo("\nnothing was written")
    if document.texts[-1].path:
        options = set_options(document.overrides)
        click.echo(f"next: {shlex.join(['nnreg', 'run', document.origin, *options])}")


def _time(seconds: float) -> str:
    return f"{duration(seconds, milliseconds=True):>11}"


def _folds(prepared: PreparedRun) -> int:
    """Return how often the network will be trained."""
    train = prepared.model.spec.train
    return 1 if train.fold or not train.folds else train.folds


def _preview_as_json(prepared: PreparedRun, found: Estimate) -> dict[str, Any]:
    model = prepared.model
    return {
        "layers": [
            {"name": name, "type": kind, "output": shape, "parameters": size}
            for name, kind, shape, size in model.layer_table()
        ],
        "parameters": model.network.vector.size,
        "rows": {name: len(part) for name, part in prepared.splits.items()},
        "memory_bytes": {**found.memory, "total": sum(found.memory.values())},
        "steps_made": found.steps,
        "steps_per_epoch": found.epoch_steps,
        "epochs": found.epochs,
        "folds": _folds(prepared),
        "seconds_per_epoch": found.epoch_seconds,
        "seconds": found.seconds * _folds(prepared),
    }
