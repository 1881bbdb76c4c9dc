"""The content of a run directory, read without plugins, also while the run is in progress."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnreg._utils.os_errors import explain_os_error
from nnreg.checkpoint.inspect import read_history
from nnreg.checkpoint.paths import refuse_folds
from nnreg.data.split import reported_split
from nnreg.errors import CheckpointError, UsageError
from nnreg.runs.directory import ENVIRONMENT, GRADIENTS
from nnreg.runs.read_files import read_lines, read_metrics, read_object, read_text
from nnreg.training.history import History


@dataclass(frozen=True)
class RunRecord:
    """The content of the files of a run directory; empty if a file does not exist yet."""

    path: Path
    spec: str
    """The text as it was given."""
    resolved: Mapping[str, Any]
    """The spec with all defaults."""
    environment: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: History
    gradients: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The name of the directory, such as `penguins-001`."""
        return self.path.resolve().name

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept, if it has been recorded."""
        epoch = self.summary.get("best_epoch")
        return epoch if type(epoch) is int and 0 < epoch <= len(self.history) else None

    @property
    def split(self) -> str | None:
        """The reported split of those evaluated at the end: test, else validation, else train."""
        return reported_split([k for k, v in self.summary.items() if isinstance(v, Mapping)])

    @property
    def split_metrics(self) -> Mapping[str, Any]:
        """The metrics of that split."""
        metrics: Mapping[str, Any] = self.summary[self.split] if self.split else {}
        return metrics


def read_run(path: str | os.PathLike[str]) -> RunRecord:
    """Return the content of a run directory; raise `UsageError` if it is not one.

    The directory of a cross-validation is refused; see `refuse_folds`.
    """
    directory = Path(path)
    refuse_folds(directory)
    try:
        os.listdir(directory)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot read the run: {explain_os_error(error, directory)}"
        ) from error
    if not os.path.lexists(directory / "metrics.jsonl"):
        raise UsageError(
            f"{path}: not a run directory (no metrics.jsonl); list runs with `nnreg runs`"
        )
    try:
        history = read_history(directory / "metrics.jsonl")
    except CheckpointError as error:
        raise UsageError(str(error)) from error
    return _read(directory, history)


def read_whole(directory: Path, folds: Sequence[RunRecord]) -> RunRecord:
    """Return the content of a cross-validation directory, with the environment of fold 1."""
    return replace(_read(directory, History([])), environment=folds[0].environment)


def read_mean(directory: Path, folds: Sequence[RunRecord]) -> RunRecord:
    """Return the content of a cross-validation directory as one run, whose metrics are means."""
    whole = read_whole(directory, folds)
    split, mean = whole.summary.get("part"), whole.summary.get("mean")
    if not isinstance(split, str) or not isinstance(mean, Mapping):  # it has not ended
        return whole
    of_first_fold = {k: folds[0].summary.get(k) for k in ("parameters", "higher_is_better")}
    of_all_folds = {k: whole.summary.get(k) for k in ("seconds", "std")}
    stopped = f"{len(folds)} folds"
    summary = {**of_first_fold, **of_all_folds, split: mean, "stopped": stopped}
    return replace(whole, summary=summary)


def _read(directory: Path, history: History) -> RunRecord:
    return RunRecord(
        directory,
        read_text(directory / "spec.json"),
        read_object(directory / "resolved.json"),
        read_object(directory / ENVIRONMENT),
        read_metrics(directory / "summary.json"),
        history,
        read_lines(directory / GRADIENTS),
    )
