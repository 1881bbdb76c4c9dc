"""Whether a file that is read in parts is still the same one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nnreg._utils.os_errors import explain_os_error
from nnreg.errors import DataError


@dataclass(frozen=True)
class FileState:
    """A file with its size in bytes, and the time of its last change in nanoseconds."""

    path: Path
    size: int
    changed_at: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the state of a file now."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    @property
    def problem(self) -> str:
        """What has happened to the file since; empty if nothing has."""
        same = FileState.of(self.path) == self
        return "" if same else "the file has changed since it was opened; restore it"

    def check(self) -> None:
        """Raise `DataError` if the file has changed."""
        try:
            problem = self.problem
        except OSError as error:
            problem = f"cannot read the data: {explain_os_error(error, self.path)}"
        if problem:
            raise DataError(f"{self.path}: {problem}")

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Raise `DataError` if the file changes, in place of the errors that follow from it."""
        self.check()
        try:
            yield
        except Exception:
            self.check()
            raise
        self.check()
