"""The errors of nnreg. Each message gives the location, what is wrong, and how to fix it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

MAX_PROBLEMS_SHOWN = 50
"""The maximum number of problems that the text of an error lists."""

MAX_EXCERPTS = 10
"""The maximum number of problems shown with an excerpt of their line."""


class NnregError(Exception):
    """The base class of errors that a user can fix. `exit_code` is that of the command line.

    Its arguments are the lines of the message. A name in one of them may contain line breaks, so
    the command line prints `lines`, not the text.
    """

    exit_code: ClassVar[int] = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the message."""
        return tuple(map(str, self.args))

    def __str__(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Problem:
    """A problem of a spec: the JSON path of a value, what is wrong with it, and how to fix it.

    `location` is where the value was written, once known; `of_key` is True if the key is wrong, not
    the value.
    """

    path: str
    message: str
    of_key: bool = False
    location: SourceLocation | Override | None = None

    def __str__(self) -> str:
        if isinstance(self.location, Override) and self.location.sets(self.path):
            return f"{self.location}: {self.message}"
        text = f"{self.path}: {self.message}"
        return text if self.location is None else f"{self.location}: {text}"


class NnregWarning(UserWarning):
    """Information for the user that needs no fix; the command line prints it as a note."""


class DataDriftWarning(NnregWarning):
    """Rows that differ strongly from the training rows; given once per file or table.

    Numbers are far outside the range of training, or the fraction of missing values or of other
    categories is another.
    """


class SpecError(NnregError):
    """A spec that cannot be used. `problems` has everything that is wrong with it."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem], where: str = "spec") -> None:
        self.problems = tuple(problems)
        self.where = where
        super().__init__(where, self.problems)

    def locate(self, located: Callable[[Problem], Problem], where: str) -> None:
        """Set the name of the spec, add locations to the problems, and sort them by line."""
        self.problems = tuple(sorted(map(located, self.problems), key=_reading_order))
        self.where = where

    @property
    def caused_by_overrides(self) -> bool:
        """Whether all problems are those of overrides, as given by --set."""
        return all(isinstance(problem.location, Override) for problem in self.problems)

    @property
    def lines(self) -> tuple[str, ...]:
        """The number of problems, and each problem with an excerpt of its line."""
        count = len(self.problems)
        lines = [f"{self.where}: {count} problem{'s' if count != 1 else ''}"]
        for index, problem in enumerate(self.problems[:MAX_PROBLEMS_SHOWN]):
            lines.append(f"  {problem}")
            if isinstance(problem.location, SourceLocation) and index < MAX_EXCERPTS:
                lines += problem.location.excerpt()
        if count > MAX_PROBLEMS_SHOWN:
            lines.append(f"  and {count - MAX_PROBLEMS_SHOWN} more")
        return tuple(lines)


def _reading_order(problem: Problem) -> tuple[int, str, int, int]:
    """Return a sort key: file and line, then problems without a line, then those of overrides."""
    location = problem.location
    if isinstance(location, SourceLocation):
        return 0, location.file, location.line, location.column
    return (1 if location is None else 2), "", 0, 0


class ShapeError(NnregError):
    """An input shape that a layer does not support. The builder raises it as a `SpecError`."""

    def __init__(self, found: tuple[int, ...], expected: str) -> None:
        self.found = found
        self.expected = expected
        super().__init__(
            f"the input has shape {shape_text(found)}, but this layer takes {expected}"
        )


class UsageError(NnregError):
    """A call or a command with invalid arguments."""

    exit_code = 2


class PluginError(NnregError):
    """A plugin that cannot be loaded, or a component name that is ambiguous."""


class ComponentError(PluginError):
    """A component whose own code, such as its constructor, raised an exception."""


class MissingPluginError(PluginError):
    """A plugin that a spec or checkpoint needs is missing; `file` is the name of a plugin file."""

    exit_code = 4

    def __init__(self, message: str, file: str = "") -> None:
        super().__init__(message)
        self.file = file


class DataError(NnregError):
    """Data that cannot be read or do not fit the model."""


class FormatError(ValueError):
    """Content that a file format does not allow; the caller raises an error with the file's name.

    It is distinct from other ValueErrors, which are bugs.
    """


class CheckpointError(NnregError):
    """A file that is not a complete, valid checkpoint of nnreg."""


class UnsavedError(CheckpointError):
    """The final state of a run could not be saved. `model` still has it."""

    def __init__(self, message: str, model: Any) -> None:
        self.model = model
        super().__init__(message)


class ExportError(NnregError):
    """A model that cannot be exported in a format."""


class DivergedError(NnregError):
    """Training reached a loss that is not finite."""

    exit_code = 3


def shape_text(shape: tuple[int, ...]) -> str:
    """Format the shape of one example with its batch axis: `(batch, 8, 8)`."""
    return f"({', '.join(['batch', *map(str, shape)])})"


_SEPARATOR = re.compile(r"[.\[\]]+")
"""Separates the keys of a path."""

MAX_EXCERPT_WIDTH = 68
"""The maximum number of characters shown of a line; of a longer line, those around a location."""


@dataclass(frozen=True)
class SourceLocation:
    """A range within one line of a text; `line` and `column` count from 1, `text` is the line."""

    file: str
    line: int
    column: int
    width: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def excerpt(self) -> tuple[str, str]:
        """Return the line, and a second line with carets below the location."""
        start = self.column - 1
        first = max(0, min(start - MAX_EXCERPT_WIDTH // 3, len(self.text) - MAX_EXCERPT_WIDTH))
        shown = self.text[first : first + MAX_EXCERPT_WIDTH]
        before, marked = shown[: start - first], shown[start - first :][: self.width]
        left, right = "…" * (first > 0), "…" * (first + MAX_EXCERPT_WIDTH < len(self.text))
        line = f"{left}{shown.rstrip()}{right}".replace("\t", " ")
        blanks, carets = " " * _columns(left + before), "^" * max(_columns(marked), 1)
        return f"{self.line:>6} | {line}", f"{'':>6} | {blanks}{carets}"


@dataclass(frozen=True)
class Override:
    """An override of a value of a spec, as `--set train.epochs=5` gives it."""

    text: str

    def __str__(self) -> str:
        return f"--set {self.text}"

    @property
    def keys(self) -> list[str]:
        """The keys of the path that it sets, as in `["model", "layers", "0", "units"]`."""
        path = self.text.partition("=")[0].removeprefix("$.")
        return [key for key in _SEPARATOR.split(path) if key]

    def sets(self, path: str) -> bool:
        """Return True if it sets the value at this path itself, not just one that contains it."""
        return len(_SEPARATOR.split(path.removeprefix("$.").rstrip("]"))) <= len(self.keys)


def _columns(text: str) -> int:
    """Return the number of terminal columns of a text."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
