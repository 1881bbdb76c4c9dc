"""A run directory and its files.

* `spec.json` as it was given, byte for byte; `resolved.json` with every default, which can be run
* `environment.json`: versions, machine, data and command, and those of each earlier part of the run
* `metrics.jsonl` with one record per epoch, `gradients.jsonl` with the norm of each layer's last
  gradient in it; `summary.json`
* `checkpoints/last.h5` for resuming, `checkpoints/best.h5` for inference, earlier checkpoints if
  the spec asks for them
* `lock` while a process writes to it
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnreg._utils import json_text
from nnreg._utils.atomic_files import locked, replace_text
from nnreg._utils.os_errors import explain_os_error
from nnreg.checkpoint.inspect import read_object
from nnreg.checkpoint.paths import fold_directories
from nnreg.errors import NnregWarning, UsageError
from nnreg.spec.document import Document
from nnreg.spec.resolve import resolved

METRICS = "metrics.jsonl"
GRADIENTS = "gradients.jsonl"
ENVIRONMENT = "environment.json"
SUMMARY = "summary.json"


class RunDirectory:
    """The directory of one run, or of the runs of a cross-validation.

    With a `name`, `path` is only proposed: if another process has created it meanwhile, `create`
    takes the next number of this name.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self._name = name
        self._stamp = _stamp(self.last)
        self._warning = ""

    @property
    def last(self) -> Path:
        """The checkpoint for resuming."""
        return self.path / "checkpoints" / "last.h5"

    @property
    def best(self) -> Path:
        """The checkpoint for inference."""
        return self.path / "checkpoints" / "best.h5"

    @property
    def has_run(self) -> bool:
        """Whether it already has a run."""
        begun = self.last.exists() or fold_directories(self.path)
        return bool(begun) or (self.path / "spec.json").exists()

    def refuse_if_run(self) -> None:
        """Raise `UsageError` if it already has a run."""
        if self.has_run:
            problem = "already has a run; choose another directory or resume it"
            raise UsageError(f"{self.path}: {problem}")

    def refuse_if_locked(self) -> None:
        """Raise `UsageError` if another process has locked it."""
        with suppress(OSError), locked(self.path):
            pass

    def refuse_if_changed(self) -> None:
        """Raise `UsageError` if its last checkpoint was replaced since this object was created."""
        if _stamp(self.last) != self._stamp:
            raise UsageError(
                f"{self.path}: another process has trained this run in the meantime; resume again, "
                "or choose another directory"
            )

    def create(self) -> None:
        """Create a directory with a `name`, under a number that no other process has taken."""
        while self._name is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.path.mkdir()
            except FileExistsError:
                self.path = next_directory(self._name, self.path.parent)
            else:
                return

    def read_summary(self) -> Mapping[str, Any]:
        """Return the summary; empty if there is none that can be read."""
        return read_object(self.path / SUMMARY)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the summary, or warn."""
        try:
            write_json(self.path / SUMMARY, summary)
        except OSError as error:
            self.warn(f"{self.path / SUMMARY}: cannot write: {explain_os_error(error)}")

    def warn(self, problem: str) -> None:
        """Warn of a problem, unless it is that of the last warning."""
        if problem != self._warning:
            self._warning = problem
            warnings.warn(problem, NnregWarning, stacklevel=3)

    def clear_warning(self) -> None:
        """Warn again of the same problem if it comes back."""
        self._warning = ""


def next_directory(name: str, parent: Path = Path("runs")) -> Path:
    """Return the first of `runs/name-001`, `runs/name-002`, … that does not exist."""
    number = 1
    while (parent / f"{name}-{number:03}").exists():
        number += 1
    return parent / f"{name}-{number:03}"


def create_numbered(name: str, parent: Path = Path("runs")) -> RunDirectory:
    """Return the next numbered directory of a name, which no other process gets too."""
    return RunDirectory(next_directory(name, parent), name)


def write_spec(document: Document, directory: Path) -> None:
    """Write a spec as it was given, unless there is one, and with every default."""
    if not (directory / "spec.json").exists():
        replace_text(directory / "spec.json", document.text)
    write_json(directory / "resolved.json", resolved(document, directory))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object atomically. Raises OSError."""
    replace_text(path, json_text.dumps(value, indent=2) + "\n")


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return values that change when a file is replaced; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
