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
    """A JSON text with comments, and the name that errors show; `path` is that of its file."""

    name: str
    text: str
    path: Path | None = None

    def find(self, path: str, of_key: bool = False) -> SourceLocation:
        """Return the location of a value or of its key; if missing, that of what contains it."""
        keys, values = self._spans
        while path != "$" and path not in values:
            path = parent(path)
        start, end = values.get(path, (0, 1))
        return self.location(*keys.get(path, (start, end)) if of_key else (start, end))

    def location(self, start: int, end: int) -> SourceLocation:
        """Return the location of a range of characters; of the first, if it spans several lines."""
        line, begin = self._shown.count("\n", 0, start) + 1, self._shown.rfind("\n", 0, start) + 1
        stop = self._shown.find("\n", begin)
        text = self._shown[begin : len(self._shown) if stop < 0 else stop]
        width = end - start if end <= begin + len(text) else 1
        return SourceLocation(self.name, line, start - begin + 1, max(width, 1), text)

    @property
    def _shown(self) -> str:
        """The text without a byte order mark."""
        return self.text.removeprefix("\ufeff")

    @functools.cached_property
    def _spans(self) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
        """The start and end of each key and of each value, by the path of the value."""
        keys: dict[str, tuple[int, int]] = {}
        values: dict[str, tuple[int, int]] = {}
        open_containers: list[_OpenContainer] = []
        for match in _TOKEN.finditer(self._shown):
            token, span = match.group(), match.span()
            container = open_containers[-1] if open_containers else None
            if token == ":" or token.startswith(("//", "/*")):
                continue
            if token == ",":
                if container:
                    container.key = container.key + 1 if isinstance(container.key, int) else None
            elif token in "]}":
                if container:
                    values[container.path] = (container.start, span[1])
                    open_containers.pop()
            elif container and container.key is None:
                container.key = _text(token)
                keys[child(container.path, container.key)] = span
            else:
                path = child(container.path, container.key) if container else "$"
                if token in "[{":
                    first = 0 if token == "[" else None
                    open_containers.append(_OpenContainer(path, span[0], first))
                else:
                    values[path] = span
        return keys, values


@dataclass
class _OpenContainer:
    """An open list or object: its start, and the key or index of its next value."""

    path: str
    start: int
    key: str | int | None


def child(path: str, key: str | int | None) -> str:
    """Return the path of a value in the list or object at `path`."""
    return f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"


def parent(path: str) -> str:
    """Return the path of the list or object that contains the value at `path`."""
    return path[: max(path.rfind("."), path.rfind("["), 1)]


def _text(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token
