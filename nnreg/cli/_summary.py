"""What is said when a training ends: the result, where it is, and what to type next."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.formatting import duration, number
from nnreg.cli._output import print_prose, print_table

if TYPE_CHECKING:
    from nnreg.runs.cross_validation import CrossValidation
    from nnreg.runs.run import Run
    from nnreg.spec.document import Document


LEARNING_RATE_DIVISOR = 10
"""How many times smaller a learning rate is proposed to a run that diverged."""


def print_result(run: Run) -> None:
    """Print what was learned, against a constant guess, and what to type next."""
    from nnreg.data.split import SPLITS
    from nnreg.runs.baseline import describe

    summary: dict[str, Any] = run.summary
    parts = [name for name in SPLITS if name in summary]
    names = list(summary["train"])
    rows = [[part, *(number(summary[part][name]) for name in names)] for part in parts]
    verdict, base = summary["verdict"], summary["baseline"]
    if base:
        guess = f"always {verdict['guess']}"
        rows.append([guess, *(number(base[name]) if name in base else "" for name in names)])
    print_table(["", *names], rows, title=f"\n{summary['name']}: what was learned")
    print_prose(describe(verdict), "bold green" if verdict["better"] else "bold yellow")
    if verdict["part"] == "train":
        print_prose("(on the rows it was trained on; data.split holds some out)")
    early = " (stopped early)" if summary["stopped"] == "early_stopping" else ""
    print_prose(
        f"best epoch {summary['best_epoch']} of {summary['epochs']}{early}, "
        f"{summary['parameters']:,} parameters, {duration(summary['seconds'])}"
    )
    click.echo(f"saved in {run.directory}")
    click.echo(f"next: {next_command(run)}")


def print_folds(validation: CrossValidation) -> None:
    """Print what the folds came to, each and together, and what to type next."""
    from nnreg.spec.compose import set_options

    summary: dict[str, Any] = validation.summary
    mean, std = summary["mean"], summary["std"]
    rows = [
        [str(one["fold"]), *(number(one[name]) for name in mean), str(one["best_epoch"])]
        for one in summary["runs"]
    ]
    rows.append(["mean", *(number(mean[name]) for name in mean), ""])
    rows.append(["std", *(number(std[name]) for name in mean), ""])
    title = f"\n{summary['name']}: {summary['folds']} folds"
    print_table(["fold", *mean, "best epoch"], rows, title=title)
    if summary["part"] == "test":
        print_prose("each is measured on the rows that it held out")
    else:
        print_prose(
            "each is measured on the rows that it held out, and chose its best epoch by them,\n"
            "which flatters it; with data.split.validation, a share of the others chooses"
        )
    click.echo(f"saved in {validation.directory}")
    document = validation.document
    spec = document.origin
    overrides = [text for text in document.overrides if "train.folds=" not in text]
    if not Path(spec).is_file():
        spec, overrides = f"{validation.directory}/resolved.json", []
    options = set_options([*overrides, "train.folds=null"])
    command = _command(document, "run", spec, *options)
    click.echo(f"next, a network without folds: {command}")


def describe_finished_run(run: Run) -> str:
    """Say why a run that is resumed has nothing left to do, and how to train longer."""
    settings, done = run.model.spec.train, run.model.training_state.epoch
    if settings.early_stopping and done < settings.epochs:
        why = f"the run stopped early, after epoch {done}"
        change = f"train.early_stopping.patience={2 * settings.early_stopping.patience}"
    else:
        why, change = f"all {done} epochs are done", f"train.epochs={2 * done}"
    return f"note: {why}; --set {change} trains on"


def describe_stopped_run(run: Run, whole: Path | None = None) -> str:
    """Say what is saved of a run that was stopped, and how to go on: with it, or `whole` folds."""
    command = _command(run.model.document, "resume", str(whole or run.directory))
    return f"stopped; saved {run.saved}\ngo on: {command}"


def describe_failed_run(run: Run) -> str:
    """Say what is left of a run that failed."""
    if not run.summary.get("epochs"):
        return ""
    return f"\nthe run {run.saved} is in {run.directory}/checkpoints/last.h5"


def suggest_lower_learning_rate(run: Run) -> str:
    """Say how to go on with a run that diverged."""
    rate = getattr(run.model.spec.optimizer, "learning_rate", None)
    change = "train.clip_norm=1"
    if isinstance(rate, float):
        change = f"optimizer.learning_rate={rate / LEARNING_RATE_DIVISOR:g}"
    return f"\ngo on: {_command(run.model.document, 'resume', str(run.directory), '--set', change)}"


def next_command(run: Run) -> str:
    """Return a command that predicts: the spec's own rows, where their file is still there."""
    document = run.model.document
    data = document.spec.data
    path = document.directory / data.path if data else None
    if path is None or not path.exists():
        return f"{_command(document, 'predict', str(run.directory))} DATA"
    data_file = min(str(path), os.path.relpath(path), key=len)
    return _command(document, "predict", str(run.directory), data_file)


def _command(document: Document, *words: str) -> str:
    """Return a command, with the plugin files that a spec needs."""
    plugins = document.registry.plugins
    files = {plugins[entry.plugin].path for entry in document.components}
    needed = [word for file in sorted(filter(None, files)) for word in ("--plugin", str(file))]
    return shlex.join(["nnreg", *words, *needed])
