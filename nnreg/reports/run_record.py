"""A run as its folder tells of it: nothing here needs a plugin, or the run to have ended."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnreg._utils.os_errors import explain_os_error
from nnreg.checkpoint.inspect import read_history, read_lines, read_object, read_text
from nnreg.checkpoint.paths import refuse_folds
from nnreg.data.split import reported_split
from nnreg.errors import CheckpointError, UsageError
from nnreg.runs.directory import ENVIRONMENT, GRADIENTS
from nnreg.training.history import History


@dataclass(frozen=True)
class RunRecord:
    """What the files of a run's folder say, each empty where there is none yet."""

    path: Path
    spec: str
    """The text as it was given."""
    resolved: Mapping[str, Any]
    """The spec with every default."""
    environment: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: History
    gradients: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The folder's name, such as `penguins-001`."""
        return self.path.resolve().name

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept, as far as the run has said."""
        epoch = self.summary.get("best_epoch")
        return epoch if type(epoch) is int and 0 < epoch <= len(self.history) else None

    @property
    def split(self) -> str | None:
        """The part of the data that says most of those that were measured at the end."""
        return reported_split([k for k, v in self.summary.items() if isinstance(v, Mapping)])

    @property
    def split_metrics(self) -> Mapping[str, Any]:
        """The figures of that part."""
        figures: Mapping[str, Any] = self.summary[self.split] if self.split else {}
        return figures


def read_run(path: str | os.PathLike[str]) -> RunRecord:
    """Read a run's folder. Raises `UsageError` where there is no run, or see `refuse_folds`."""
    directory = Path(path)
    refuse_folds(directory)
    try:
        os.listdir(directory)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot read the run: {explain_os_error(error, directory)}"
        ) from error
    if not (directory / "metrics.jsonl").is_file():
        raise UsageError(
            f"{path}: not the folder of a run, which has a metrics.jsonl; `nnreg runs` lists runs"
        )
    try:
        history = read_history(directory / "metrics.jsonl")
    except CheckpointError as error:
        raise UsageError(str(error)) from error
    return _read(directory, history)


def read_whole(directory: Path, folds: Sequence[RunRecord]) -> RunRecord:
    """Read the folder of a cross-validation; its environment is that of its first fold."""
    return replace(_read(directory, History([])), environment=folds[0].environment)


def read_mean(directory: Path, folds: Sequence[RunRecord]) -> RunRecord:
    """Read the folder of a cross-validation as that of a run: its figures are means."""
    whole = read_whole(directory, folds)
    part, mean = whole.summary.get("part"), whole.summary.get("mean")
    if not isinstance(part, str) or not isinstance(mean, Mapping):  # it has not ended
        return whole
    one = {k: folds[0].summary.get(k) for k in ("parameters", "higher_is_better")}
    several = {k: whole.summary.get(k) for k in ("seconds", "std")}
    stopped = f"{len(folds)} folds"
    return replace(whole, summary={**one, **several, part: mean, "stopped": stopped})


def _read(directory: Path, history: History) -> RunRecord:
    return RunRecord(
        directory,
        read_text(directory / "spec.json"),
        read_object(directory / "resolved.json"),
        read_object(directory / ENVIRONMENT),
        read_object(directory / "summary.json"),
        history,
        read_lines(directory / GRADIENTS),
    )
