"""What is said when a training ends: the result, where it is, and what to type next."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.formatting import duration, number
from nnreg.cli._output import print_table, say

if TYPE_CHECKING:
    from nnreg.runs.cross_validation import CrossValidation
    from nnreg.runs.run import Run
    from nnreg.spec.document import Document


CALMER = 10
"""How many times smaller a learning rate is proposed to a run that diverged."""


def print_result(run: Run) -> None:
    """Print what was learned, against a constant guess, and what to type next."""
    from nnreg.runs.baseline import in_words

    summary: dict[str, Any] = run.summary
    parts = [name for name in ("train", "validation", "test") if name in summary]
    names = list(summary["train"])
    rows = [[part, *(number(summary[part][name]) for name in names)] for part in parts]
    verdict, base = summary["verdict"], summary["baseline"]
    if base:
        guess = f"always {verdict['guess']}"
        rows.append([guess, *(number(base[name]) if name in base else "" for name in names)])
    print_table(["", *names], rows, title=f"\n{summary['name']}: what was learned")
    say(in_words(verdict), "bold green" if verdict["better"] else "bold yellow")
    if verdict["part"] == "train":
        say("(on the rows it was trained on; data.split holds some out)")
    early = " (stopped early)" if summary["stopped"] == "early_stopping" else ""
    say(
        f"best epoch {summary['best_epoch']} of {summary['epochs']}{early}, "
        f"{summary['parameters']:,} parameters, {duration(summary['seconds'])}"
    )
    click.echo(f"saved in {run.folder}")
    click.echo(f"next: {next_command(run)}")


def print_folds(validation: CrossValidation) -> None:
    """Print what the folds came to, each and together, and what to type next."""
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
        say("each is measured on the rows that it held out")
    else:
        say(
            "each is measured on the rows that it held out, and chose its best epoch by them,\n"
            "which flatters it; with data.split.validation, a share of the others chooses"
        )
    click.echo(f"saved in {validation.folder}")
    document = validation.document
    spec, changes = document.origin, [c for c in document.changes if "train.folds=" not in c]
    if not Path(spec).is_file():
        spec, changes = f"{validation.folder}/resolved.json", []
    options = [part for change in (*changes, "train.folds=null") for part in ("--set", change)]
    command = _command(document, "run", spec, *options)
    click.echo(f"next, a network without folds: {command}")


def nothing_left(run: Run) -> str:
    """Say why a run that is resumed has nothing left to do, and how to train longer."""
    settings, done = run.model.spec.train, run.model.progress.epoch
    if settings.early_stopping and done < settings.epochs:
        why = f"the run stopped early, after epoch {done}"
        change = f"train.early_stopping.patience={2 * settings.early_stopping.patience}"
    else:
        why, change = f"all {done} epochs are done", f"train.epochs={2 * done}"
    return f"note: {why}; --set {change} trains on"


def stopped(run: Run, whole: Path | None = None) -> str:
    """Say what is saved of a run that was stopped, and how to go on: with it, or `whole` folds."""
    command = _command(run.model.document, "resume", str(whole or run.folder))
    return f"stopped; saved {run.saved}\ngo on: {command}"


def kept(run: Run) -> str:
    """Say what is left of a run that failed."""
    if not run.summary.get("epochs"):
        return ""
    return f"\nthe run {run.saved} is in {run.folder}/checkpoints/last.h5"


def calmer(run: Run) -> str:
    """Say how to go on with a run that diverged."""
    rate = getattr(run.model.spec.optimizer, "learning_rate", None)
    change = "train.clip_norm=1"
    if isinstance(rate, float):
        change = f"optimizer.learning_rate={rate / CALMER:g}"
    return f"\ngo on: {_command(run.model.document, 'resume', str(run.folder), '--set', change)}"


def next_command(run: Run) -> str:
    """Return a command that predicts: the spec's own rows, where their file is still there."""
    document = run.model.document
    data = document.spec.data
    path = document.folder / data.path if data else None
    if path is None or not path.exists():
        return f"{_command(document, 'predict', str(run.folder))} DATA"
    data_file = min(str(path), os.path.relpath(path), key=len)
    return _command(document, "predict", str(run.folder), data_file)


def _command(document: Document, *words: str) -> str:
    """Return a command, with the plugin files that a spec needs."""
    plugins = document.registry.plugins
    files = {plugins[entry.plugin].path for entry in document.components}
    needed = [word for file in sorted(filter(None, files)) for word in ("--plugin", str(file))]
    return shlex.join(["nnreg", *words, *needed])
