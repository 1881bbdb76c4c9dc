"""A run directory and its files.

* `spec.json` as it was given, byte for byte; `resolved.json` with every default, which can be run
* `environment.json`: versions, machine, data and command, and those of each earlier part of the run
* `metrics.jsonl` with one record per epoch, `gradients.jsonl` with the norm of each layer's last
  gradient in it; `summary.json`
* `checkpoints/last.h5` for resuming, `checkpoints/best.h5` for inference, earlier checkpoints if
  the spec asks for them
* `lock` while a process writes to it

The directory itself may be a symbolic link. Inside it, nothing else than regular files and real
directories is read or written (`regular_files`): a link that someone else put there would lead to
any file of the user.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnreg._utils import json_text
from nnreg._utils.atomic_files import (
    locked,
    remove_stale_temp_files,
    replace_regular,
    text_chunks,
)
from nnreg._utils.os_errors import explain_os_error, os_errors_as
from nnreg._utils.regular_files import (
    is_real_directory,
    is_regular,
    make_directory,
    make_real_directory,
    sync_directory,
)
from nnreg.checkpoint.paths import fold_directories
from nnreg.errors import NnregWarning, UsageError
from nnreg.runs.read_files import read_object, read_text
from nnreg.spec.document import Document
from nnreg.spec.resolve import resolved

METRICS = "metrics.jsonl"
GRADIENTS = "gradients.jsonl"
ENVIRONMENT = "environment.json"
SUMMARY = "summary.json"
FILES = ("spec.json", "resolved.json", ENVIRONMENT, METRICS, GRADIENTS, SUMMARY)
"""The files of a run beside `lock` and the checkpoints."""


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

    def refuse_if_run(self, spec: str) -> None:
        """Raise `UsageError` if it already has a run, or the `spec.json` of another spec.

        A cross-validation that was killed before its first save has only the text of its spec and
        `resolved.json`, and may be started again.
        """
        saved = [RunDirectory(fold).last for fold in fold_directories(self.path)]
        results = [self.path / name for name in (ENVIRONMENT, METRICS, SUMMARY)]
        given, complete = self.path / "spec.json", self.path / "resolved.json"
        has_spec = os.path.lexists(given)
        killed = os.path.lexists(complete) and not any(map(os.path.lexists, results))
        if any(map(os.path.lexists, [self.last, *saved])) or (has_spec and not killed):
            problem = "already has a run; choose another directory or resume it"
            raise UsageError(f"{self.path}: {problem}")
        if has_spec and read_text(given) != spec:
            problem = "has the spec.json of another run; choose another directory"
            raise UsageError(f"{self.path}: {problem}")

    def refuse_obstacles(self, subdirectories: Iterable[Path]) -> None:
        """Raise `UsageError` if something else has the name of what nnreg writes."""
        names = [self.path / name for name in FILES] + [self.last, self.best]
        for check, paths in ((is_real_directory, subdirectories), (is_regular, names)):
            for path in paths:
                with os_errors_as(UsageError, path):
                    check(path)
        self.read_summary()

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
        """Create the directory; with a `name`, under a number that no other process has taken."""
        make_directory(self.path.parent)
        while self._name is not None:
            try:
                self.path.mkdir()
            except FileExistsError:
                self.path = next_directory(self._name, self.path.parent)
            else:
                sync_directory(self.path.parent)
                return
        make_directory(self.path)

    def read_summary(self) -> Mapping[str, Any]:
        """Return the summary; empty if there is none."""
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
    while os.path.lexists(parent / f"{name}-{number:03}"):
        number += 1
    return parent / f"{name}-{number:03}"


def create_numbered(name: str, parent: Path = Path("runs")) -> RunDirectory:
    """Return the next numbered directory of a name, which no other process gets too."""
    return RunDirectory(next_directory(name, parent), name)


def write_spec(document: Document, directory: Path) -> None:
    """Write a spec with every default, and as it was given, unless there is one."""
    complete = resolved(document, directory)
    write_json(directory / "resolved.json", complete, sync=False)  # it follows from the other one
    if not is_regular(directory / "spec.json"):
        write_inside(directory / "spec.json", document.text)


def write_json(path: Path, value: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write a JSON object atomically, as `write_inside`. Raises OSError."""
    write_inside(path, json_text.dumps(value, indent=2) + "\n", sync=sync)


def write_inside(path: Path, text: str, *, sync: bool = True) -> None:
    """Write a text file of a run directory atomically, as `replace_regular`. Raises OSError."""
    replace_regular(path, text_chunks(text), sync=sync)


def make_plots(directory: Path) -> Path:
    """Create the subdirectory of drawings without stale temporary files. Raises OSError."""
    plots = directory / "plots"
    make_real_directory(plots)
    for place in (directory, plots):
        remove_stale_temp_files(place)
    return plots


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return values that change when a file is replaced; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
