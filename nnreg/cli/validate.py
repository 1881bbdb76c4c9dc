"""Commands that check a spec before training: validate, and the output of `run --dry-run`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.formatting import byte_size, counted, duration
from nnreg.cli._complete import complete_spec
from nnreg.cli._help import command
from nnreg.cli._options import check_option, json_option, overrides_option, plugin_option
from nnreg.cli._output import print_json, print_lines, print_text
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
    help="Print shapes, and estimates of memory and time; write nothing.",
)

MEMORY = {
    "data": "data",
    "parameters": "parameters",
    "gradient": "gradients",
    "optimizer": "optimizer state",
    "copies": "snapshots",
    "passes": "activations",
}
"""The label of each use of memory."""


@command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete_spec)
@overrides_option
@plugin_option
@check_option
@json_option
def validate(
    specs: tuple[str, ...],
    overrides: tuple[str, ...],
    files: tuple[Path, ...],
    check: bool,
    as_json: bool,
) -> None:
    """Check specs, their data, and the input shape of every layer.

    SPEC may be - for standard input. Problems are printed as FILE:LINE:COLUMN, or with --json as a
    list for editors. Nothing is trained: `nnreg run SPEC --dry-run` runs a few steps to estimate
    memory and time.

    \b
    nnreg example penguins
    nnreg validate penguins.json --set model.layers.0.units=64
    nnreg validate penguins.json --json
    """
    registry = registry_with(files)
    problems: list[dict[str, Any]] = []
    codes = set()
    for spec in specs:
        try:
            prepared = _check(spec, overrides, registry, check=check)
        except NnregError as error:
            codes.add(error.exit_code)
            problems += [{"spec": spec, **problem} for problem in _as_json(error)]
            if not as_json:
                first, *others = error.lines
                print_lines(f"error: {first}", *others, err=True)
        else:
            if not as_json:
                _describe(prepared)
                if len(specs) > 1:
                    print_lines("")
    if as_json:
        print_json({"valid": not codes, "problems": problems})
    raise SystemExit(max(codes, default=0))


def _check(
    spec: str, overrides: tuple[str, ...], registry: Registry, *, check: bool
) -> PreparedRun:
    """Prepare training without running it; raise `SpecError` with the location of a problem."""
    from nnreg.runs.cross_validation import check_folds
    from nnreg.runs.prepare import prepare_from_spec
    from nnreg.spec.document import read_spec

    document = read_spec(spec, overrides, registry=registry)
    section = "$.data"
    try:
        if document.spec.train.folds and not document.spec.train.fold:
            return check_folds(document, check=check)
        prepared = prepare_from_spec(document)
        section = "$.train"
        prepared.model.trainer(prepared.train, prepared.validation, check=check)
    except (DataError, UsageError) as error:
        problem = document.origins.with_location(Problem(section, str(error)))
        raise SpecError([problem], document.origin) from error
    return prepared


def _as_json(error: NnregError) -> list[dict[str, Any]]:
    """Return the problems of an error for an editor, with lines and columns counted from 1."""
    problems = error.problems if isinstance(error, SpecError) else (Problem("$", str(error)),)
    return [_problem_as_json(problem) for problem in problems]


def _problem_as_json(problem: Problem) -> dict[str, Any]:
    location, where = problem.location, {}
    if isinstance(location, SourceLocation):
        start, end = location.column, location.column + location.width
        where = {"file": location.file, "line": location.line, "column": start, "end_column": end}
    elif isinstance(location, Override):
        where = {"set": location.text}
    return {**where, "path": problem.path, "message": problem.message}


def _describe(prepared: PreparedRun) -> None:
    """Print the layers with their shapes and parameters, and the rows of each split."""
    print_lines(f"{prepared.model.document.origin}: valid", "")
    print_text(prepared.model.summary())
    data = prepared.model.spec.data
    what = "windows" if data and data.windows else "rows"
    rows = [
        f"{len(split):,} {'training' if name == 'train' else name} {what}"
        f"{'' if split.holders is None else ' (out of fold)'}"
        for name, split in prepared.splits.items()
    ]
    train = prepared.model.spec.train
    of_fold = f"fold {train.fold or 1} of {train.folds}: " if train.folds else ""
    print_lines(of_fold + ", ".join(rows))


def preview(document: Document, *, as_json: bool, check: bool) -> None:
    """Print an estimate of memory and time, from a few steps that are then discarded."""
    from nnreg.provenance.environment import dependence_on_threads
    from nnreg.runs.estimate import estimate
    from nnreg.runs.prepare import prepare_from_spec
    from nnreg.spec.overrides import set_options

    prepared = prepare_from_spec(document)
    with document.locating_errors():
        found = estimate(prepared, check=check)
    if as_json:
        print_json(_preview_as_json(prepared, found))
        return
    _describe(prepared)
    total = sum(found.memory.values())
    print_lines("", "memory, excluding Python itself and reading the data")
    for name, label in MEMORY.items():
        print_lines(f"{byte_size(found.memory[name]):>11}  {label}")
    print_lines(f"{byte_size(total):>11}  total")
    early = prepared.model.spec.train.early_stopping is not None
    print_text(
        f"\ntime, estimated from {counted(found.steps, 'warm-up step')}\n"
        f"{_time(found.epoch_seconds)}  per epoch ({counted(found.epoch_steps, 'step')})\n"
        f"{_time(found.seconds)}  for {counted(found.epochs, 'epoch')}"
        f"{', or less if it stops early' if early else ''}"
    )
    folds = _folds(prepared)
    if folds > 1:
        print_lines(f"{_time(found.seconds * folds)}  for {folds} folds")
    print_lines("", f"results: {dependence_on_threads(found.division)}")
    print_lines("", "nothing was written")
    if document.texts[-1].path:
        options = set_options(document.overrides)
        print_lines(f"next: {shlex.join(['nnreg', 'run', document.origin, *options])}")


def _time(seconds: float) -> str:
    return f"{duration(seconds, milliseconds=True):>11}"


def _folds(prepared: PreparedRun) -> int:
    """Return how many times the network is trained."""
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
        "rows": {name: len(split) for name, split in prepared.splits.items()},
        "memory_bytes": {**found.memory, "total": sum(found.memory.values())},
        "steps_made": found.steps,
        "steps_per_epoch": found.epoch_steps,
        "epochs": found.epochs,
        "folds": _folds(prepared),
        **found.division,
        "seconds_per_epoch": found.epoch_seconds,
        "seconds": found.seconds * _folds(prepared),
    }
