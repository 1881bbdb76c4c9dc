"""The source text of a spec, and the line and column of each JSON path in it."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

from nnreg.errors import SourceLocation

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*+"?|//[^\n]*|/\*.*?(?:\*/|\Z)|[{}\[\]:,]|[^\s{}\[\]:,"/]+|/', re.S
)


@dataclass(frozen=True)
class SourceText:
    """A JSON text with comments, by the name that errors show; `path` is its file's, if any."""

    name: str
    text: str
    path: Path | None = None

    def find(self, path: str, of_key: bool = False) -> SourceLocation:
        """Return the place of a value, or of its key; of what holds it where it is not there."""
        keys, values = self._spans
        while path != "$" and path not in values:
            path = parent(path)
        start, end = values.get(path, (0, 1))
        return self.location(*keys.get(path, (start, end)) if of_key else (start, end))

    def location(self, start: int, end: int) -> SourceLocation:
        """Return the place of these characters; of the first, where they go over several lines."""
        line, begin = self._shown.count("\n", 0, start) + 1, self._shown.rfind("\n", 0, start) + 1
        stop = self._shown.find("\n", begin)
        text = self._shown[begin : len(self._shown) if stop < 0 else stop]
        width = end - start if end <= begin + len(text) else 1
        return SourceLocation(self.name, line, start - begin + 1, max(width, 1), text)

    @property
    def _shown(self) -> str:
        """The text without the mark that some editors put first."""
        return self.text.removeprefix("\ufeff")

    @functools.cached_property
    def _spans(self) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
        """Where each key and each value begins and ends, by the path of the value."""
        keys: dict[str, tuple[int, int]] = {}
        values: dict[str, tuple[int, int]] = {}
        holders: list[_OpenContainer] = []
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
                    holders.append(_OpenContainer(path, span[0], 0 if token == "[" else None))
                else:
                    values[path] = span
        return keys, values


@dataclass
class _OpenContainer:
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
