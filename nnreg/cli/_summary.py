"""The output at the end of a training run: results, where they are saved, the next command."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnreg._utils.formatting import duration, number
from nnreg.cli._output import print_lines, print_prose, print_table

if TYPE_CHECKING:
    from nnreg.runs.cross_validation import CrossValidation
    from nnreg.runs.run import Run
    from nnreg.spec.document import Document


LEARNING_RATE_DIVISOR = 10
"""The factor by which to lower the learning rate of a run that diverged."""


def print_result(run: Run) -> None:
    """Print the metrics of each split, the baseline, and the next command."""
    from nnreg.data.split import SPLITS
    from nnreg.provenance.environment import dependence_on_threads
    from nnreg.runs.baseline import describe

    summary: dict[str, Any] = run.summary
    splits = [name for name in SPLITS if name in summary]
    names = list(summary["train"])
    rows = [[split, *(number(summary[split][name]) for name in names)] for split in splits]
    comparison, base = summary.get("verdict"), summary.get("baseline")
    if comparison and base:
        values = [number(base[name]) if name in base else "" for name in names]
        rows.append([_baseline_label(run, comparison), *values])
    print_lines("")
    print_table(["", *names], rows, title=f"Results: {summary['name']}")
    for one in summary.get("verdicts", {"": comparison} if comparison else {}).values():
        print_prose(describe(one), style="bold green" if one["better"] else "bold yellow")
    if comparison and comparison["part"] == "train":
        print_prose("(evaluated on the training rows; data.split holds out others)")
    early = " (stopped early)" if summary["stopped"] == "early_stopping" else ""
    if "reason" in summary:
        print_prose(f"stopped by plugin {summary['stopped_by']}: {summary['reason']}")
    print_prose(
        f"best epoch {summary['best_epoch']} of {summary['epochs']}{early}, "
        f"{summary['parameters']:,} parameters, {duration(summary['seconds'])}"
    )
    depends = not summary["reproducible"] and run.model.spec.train.threads is None
    if summary["shards"] > 1 or depends:
        print_prose(dependence_on_threads(summary))
    print_lines(f"saved in {run.directory}", f"next: {next_command(run)}")
    if "reason" in summary:
        print_lines(_resume_command(run))


def _baseline_label(run: Run, comparison: Mapping[str, Any]) -> str:
    """Return the label of the baseline."""
    if run.model.spec.several:
        return "baseline"
    guess = comparison["guess"]
    if comparison.get("varies"):
        return f"baseline ({guess})"
    return f"baseline ({'mean' if run.model.classes is None else f'majority class {guess}'})"


def print_folds(validation: CrossValidation) -> None:
    """Print the metrics of each fold, their mean and deviation, and the next command."""
    from nnreg.spec.overrides import set_options

    summary: dict[str, Any] = validation.summary
    mean, std = summary["mean"], summary["std"]
    rows = [
        [str(one["fold"]), *(number(one[name]) for name in mean), str(one["best_epoch"])]
        for one in summary["runs"]
    ]
    rows.append(["mean", *(number(mean[name]) for name in mean), ""])
    rows.append(["std", *(number(std[name]) for name in mean), ""])
    title = f"{summary['name']}: {summary['folds']} folds"
    print_lines("")
    print_table(["fold", *mean, "best epoch"], rows, title=title)
    if summary["part"] == "test":
        print_prose("each fold is evaluated on its held-out rows")
    else:
        print_prose(
            "each fold is evaluated on its held-out rows, which also select its best epoch,",
            "so the reported score is optimistic; data.split.validation selects it on other rows",
        )
    document = validation.document
    spec = document.origin
    overrides = [text for text in document.overrides if "train.folds=" not in text]
    if not Path(spec).is_file():
        spec, overrides = f"{validation.directory}/resolved.json", []
    options = set_options([*overrides, "train.folds=null"])
    command = _command(document, "run", spec, *options)
    print_lines(f"saved in {validation.directory}", f"next, a network without folds: {command}")


def describe_finished_run(run: Run) -> str:
    """Return why a resumed run has finished already, and how to train longer."""
    settings, done = run.model.spec.train, run.model.training_state.epoch
    if settings.early_stopping and done < settings.epochs:
        why = f"the run stopped early, after epoch {done}"
        change = f"train.early_stopping.patience={2 * settings.early_stopping.patience}"
    else:
        why, change = f"all {done} epochs are done", f"train.epochs={2 * done}"
    return f"note: {why}; train longer with --set {change}"


def describe_stopped_run(run: Run, parent: Path | None = None) -> list[str]:
    """Return what was saved of a stopped run, and the command to resume it, or all its folds.

    `parent` is the directory of the cross-validation that the run is a fold of.
    """
    return [f"stopped; saved {run.saved}", _resume_command(run, parent)]


def _resume_command(run: Run, parent: Path | None = None) -> str:
    """Return the command to resume a run, or all folds of a cross-validation."""
    return f"resume: {_command(run.model.document, 'resume', str(parent or run.directory))}"


def describe_failed_run(run: Run) -> list[str]:
    """Return what was saved of a run that failed."""
    if not run.summary.get("epochs"):
        return []
    return [f"the run {run.saved} is in {run.directory}/checkpoints/last.h5"]


def suggest_lower_learning_rate(run: Run) -> str:
    """Return the command that resumes a diverged run with a lower learning rate."""
    rate = getattr(run.model.spec.optimizer, "learning_rate", None)
    change = "train.clip_norm=1"
    if isinstance(rate, float):
        change = f"optimizer.learning_rate={rate / LEARNING_RATE_DIVISOR:g}"
    command = _command(run.model.document, "resume", str(run.directory), "--set", change)
    return f"resume: {command}"


def next_command(run: Run) -> str:
    """Return a command that predicts or forecasts, for the spec's data file if it still exists."""
    document = run.model.document
    data = document.spec.data
    command = "forecast" if data and data.windows else "predict"
    path = document.directory / data.path if data else None
    if path is None or not path.exists():
        return f"{_command(document, command, str(run.directory))} DATA"
    data_file = min(str(path), os.path.relpath(path), key=len)
    return _command(document, command, str(run.directory), data_file)


def _command(document: Document, *args: str) -> str:
    """Return a command with the plugin files that the spec needs."""
    plugins = document.registry.plugins
    files = {plugins[entry.plugin].path for entry in document.components.values()}
    plugin_args = [arg for file in sorted(filter(None, files)) for arg in ("--plugin", str(file))]
    return shlex.join(["nnreg", *args, *plugin_args])
