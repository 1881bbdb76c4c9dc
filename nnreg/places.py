"""Where the value at a path of a JSON tree was written: the line and column of a file, or a --set.

Nothing is noted while a text is parsed. It is searched when there is an error to place.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*+"?|//[^\n]*|/\*.*?(?:\*/|\Z)|[{}\[\]:,]|[^\s{}\[\]:,"/]+|/', re.S
)
_BETWEEN = re.compile(r"[.\[\]]+")
"""What stands between the keys of a path."""

WIDEST = 68
"""The most characters of a line that are shown; of a longer one, those around the place."""


@dataclass(frozen=True)
class Place:
    """A stretch of one line of a text; `line` and `column` count from 1, `text` is the line."""

    file: str
    line: int
    column: int
    width: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def picture(self) -> str:
        """Return the line with carets under the place, as two lines."""
        start = self.column - 1
        first = max(0, min(start - WIDEST // 3, len(self.text) - WIDEST))
        shown = self.text[first : first + WIDEST]
        before, marked = shown[: start - first], shown[start - first :][: self.width]
        left, right = "…" * (first > 0), "…" * (first + WIDEST < len(self.text))
        line = f"{left}{shown.rstrip()}{right}".replace("\t", " ")
        blanks, carets = " " * _columns(left + before), "^" * max(_columns(marked), 1)
        return f"{self.line:>6} | {line}\n{'':>6} | {blanks}{carets}"


@dataclass(frozen=True)
class Change:
    """A change that was asked for beside the files, as `--set train.epochs=5` does."""

    text: str

    def __str__(self) -> str:
        return f"--set {self.text}"

    @property
    def keys(self) -> list[str]:
        """The keys of the path that it changes, as in `["model", "layers", "0", "units"]`."""
        path = self.text.partition("=")[0].removeprefix("$.")
        return [key for key in _BETWEEN.split(path) if key]

    def names(self, path: str) -> bool:
        """Tell whether it says itself what is at this path, not only what holds it."""
        return len(_BETWEEN.split(path.removeprefix("$.").rstrip("]"))) <= len(self.keys)


@dataclass(frozen=True)
class Text:
    """A JSON text with comments, by the name that errors show; `path` is its file's, if any."""

    name: str
    text: str
    path: Path | None = None

    def find(self, path: str, of_key: bool = False) -> Place:
        """Return the place of a value, or of its key; of what holds it where it is not there."""
        keys, values = self._spans
        while path != "$" and path not in values:
            path = parent(path)
        start, end = values.get(path, (0, 1))
        return self.place(*keys.get(path, (start, end)) if of_key else (start, end))

    def place(self, start: int, end: int) -> Place:
        """Return the place of these characters; of the first, where they go over several lines."""
        line, begin = self._shown.count("\n", 0, start) + 1, self._shown.rfind("\n", 0, start) + 1
        stop = self._shown.find("\n", begin)
        text = self._shown[begin : len(self._shown) if stop < 0 else stop]
        width = end - start if end <= begin + len(text) else 1
        return Place(self.name, line, start - begin + 1, max(width, 1), text)

    @property
    def _shown(self) -> str:
        """The text without the mark that some editors put first."""
        return self.text.removeprefix("\ufeff")

    @functools.cached_property
    def _spans(self) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
        """Where each key and each value begins and ends, by the path of the value."""
        keys: dict[str, tuple[int, int]] = {}
        values: dict[str, tuple[int, int]] = {}
        holders: list[_Holder] = []
        for match in _TOKEN.finditer(self._shown):
            token, span = match.group(), match.span()
            holder = holders[-1] if holders else None
            if token == ":" or token.startswith(("//", "/*")):
                continue
            if token == ",":
                if holder:
                    holder.key = holder.key + 1 if isinstance(holder.key, int) else None
            elif token in "]}":
                if holder:
                    values[holder.path] = (holder.start, span[1])
                    holders.pop()
            elif holder and holder.key is None:
                holder.key = _text(token)
                keys[child(holder.path, holder.key)] = span
            else:
                path = child(holder.path, holder.key) if holder else "$"
                if token in "[{":
                    holders.append(_Holder(path, span[0], 0 if token == "[" else None))
                else:
                    values[path] = span
        return keys, values


@dataclass
class _Holder:
    """A list or an object that is open: where it began, the key or number of what comes next."""

    path: str
    start: int
    key: str | int | None


def child(path: str, key: str | int | None) -> str:
    """Return the path of what a list or an object at `path` holds."""
    return f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"


def parent(path: str) -> str:
    """Return the path of what holds the value at `path`."""
    return path[: max(path.rfind("."), path.rfind("["), 1)]


def _text(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
