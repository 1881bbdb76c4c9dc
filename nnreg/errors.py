"""The errors nnreg raises. Each message says where, what is wrong, and how to fix it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

MAX_PROBLEMS_SHOWN = 50
"""The most problems that the text of an error lists."""

MAX_EXCERPTS = 10
"""The most problems that it shows with the line they are on."""


class NnregError(Exception):
    """Any error that a user can cause and fix. `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: the JSON path of the place, and what to do about it.

    `location` is where that was written, once it is known; `of_key` says that it is the key that is
    wrong, not the value.
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
    """Something that a user should know and need not fix; the command line prints it as a note."""


class SpecError(NnregError):
    """A spec that cannot be used. `problems` holds everything that is wrong with it."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem], where: str = "spec") -> None:
        self.problems = tuple(problems)
        self.where = where
        super().__init__(where, self.problems)

    def locate(self, located: Callable[[Problem], Problem], where: str) -> None:
        """Say where the spec is, and where each problem is; put them in the order of lines."""
        self.problems = tuple(sorted(map(located, self.problems), key=_reading_order))
        self.where = where

    @property
    def caused_by_overrides(self) -> bool:
        """Whether what was asked for beside the spec, as by --set, is all that is wrong."""
        return all(isinstance(problem.location, Override) for problem in self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        lines = [f"{self.where}: {count} problem{'s' if count != 1 else ''}"]
        for index, problem in enumerate(self.problems[:MAX_PROBLEMS_SHOWN]):
            lines.append(f"  {problem}")
            if isinstance(problem.location, SourceLocation) and index < MAX_EXCERPTS:
                lines.append(problem.location.excerpt())
        if count > MAX_PROBLEMS_SHOWN:
            lines.append(f"  and {count - MAX_PROBLEMS_SHOWN} more")
        return "\n".join(lines)


def _reading_order(problem: Problem) -> tuple[int, str, int, int]:
    """Sort by file and line; what has none comes later, and what --set did comes last."""
    place = problem.location
    if isinstance(place, SourceLocation):
        return 0, place.file, place.line, place.column
    return (1 if place is None else 2), "", 0, 0


class ShapeError(NnregError):
    """A layer cannot take its input. The builder turns it into a `SpecError` with the path."""

    def __init__(self, found: tuple[int, ...], expected: str) -> None:
        self.found = found
        self.expected = expected
        super().__init__(
            f"the input has shape {shape_text(found)}, but this layer takes {expected}"
        )


class UsageError(NnregError):
    """A call or a command that asks for something that cannot be done as asked."""

    exit_code = 2


class PluginError(NnregError):
    """A plugin that cannot be loaded, or a component name that is ambiguous."""


class ComponentError(PluginError):
    """A component whose own code, such as its constructor, raised an exception."""


class MissingPluginError(PluginError):
    """A spec or a checkpoint needs a plugin that is not there; `file` is the name of one's file."""

    exit_code = 4

    def __init__(self, message: str, file: str = "") -> None:
        super().__init__(message)
        self.file = file


class DataError(NnregError):
    """Data that cannot be read, or that do not fit the model."""


class FormatError(ValueError):
    """Content that a file's format does not allow; the caller raises an error with the file's name.

    It marks what is wrong with a file, so that no other ValueError is taken for that.
    """


class CheckpointError(NnregError):
    """A file that is not a whole, well-formed checkpoint of this program."""


class UnsavedError(CheckpointError):
    """The end of a run could not be saved. `model` has it still."""

    def __init__(self, message: str, model: Any) -> None:
        self.model = model
        super().__init__(message)


class DivergedError(NnregError):
    """Training met a loss that is not finite."""

    exit_code = 3


def shape_text(shape: tuple[int, ...]) -> str:
    """Write the shape of one example as the documentation does: `(batch, 8, 8)`."""
    return f"({', '.join(['batch', *map(str, shape)])})"


_BETWEEN = re.compile(r"[.\[\]]+")
"""What stands between the keys of a path."""

MAX_EXCERPT_WIDTH = 68
"""The most characters of a line that are shown; of a longer one, those around the place."""


@dataclass(frozen=True)
class SourceLocation:
    """A stretch of one line of a text; `line` and `column` count from 1, `text` is the line."""

    file: str
    line: int
    column: int
    width: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def excerpt(self) -> str:
        """Return the line with carets under the place, as two lines."""
        start = self.column - 1
        first = max(0, min(start - MAX_EXCERPT_WIDTH // 3, len(self.text) - MAX_EXCERPT_WIDTH))
        shown = self.text[first : first + MAX_EXCERPT_WIDTH]
        before, marked = shown[: start - first], shown[start - first :][: self.width]
        left, right = "…" * (first > 0), "…" * (first + MAX_EXCERPT_WIDTH < len(self.text))
        line = f"{left}{shown.rstrip()}{right}".replace("\t", " ")
        blanks, carets = " " * _columns(left + before), "^" * max(_columns(marked), 1)
        return f"{self.line:>6} | {line}\n{'':>6} | {blanks}{carets}"


@dataclass(frozen=True)
class Override:
    """A value that was set beside the files, as `--set train.epochs=5` does."""

    text: str

    def __str__(self) -> str:
        return f"--set {self.text}"

    @property
    def keys(self) -> list[str]:
        """The keys of the path that it changes, as in `["model", "layers", "0", "units"]`."""
        path = self.text.partition("=")[0].removeprefix("$.")
        return [key for key in _BETWEEN.split(path) if key]

    def sets(self, path: str) -> bool:
        """Tell whether it says itself what is at this path, not only what holds it."""
        return len(_BETWEEN.split(path.removeprefix("$.").rstrip("]"))) <= len(self.keys)


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
