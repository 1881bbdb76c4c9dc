"""A spec's tree from its files, the environment, and --set, and where each value came from.

Only a file that someone names is composed. A tree from elsewhere, such as a checkpoint's, is taken
as it is: whatever it says, it opens no file and reads no environment variable.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnreg._utils.os_errors import explain_os_error
from nnreg.errors import Change, Problem, SpecError, UsageError
from nnreg.spec import jsonc
from nnreg.spec.source_text import Text, child, parent

EXTENDS = "extends"

SUFFIXES = ("", ".json", ".jsonc")
"""How the name of a spec ends."""

MOST_FILES = 50
"""The most files that a spec may be made of, each counted as often as it is extended."""

FILES = (
    "$.data.path",
    "$.data.split.validation",
    "$.data.split.test",
    "$.train.start_from",
    "$.train.start_from.checkpoint",
)
"""Where a spec names files; a relative name begins at the folder of the file that it is in."""

NAMED_BY_USER = ("$.data.columns", "$.data.class_weights")
"""Objects whose keys are the user's own, so that one named `type` means nothing special."""

_VARIABLE = re.compile(r"\$?\$\{env:(?P<inside>[^}]*)(?P<end>\}?)")
_REFERENCE = re.compile(r"(?P<name>[A-Za-z_]\w*)(?::-(?P<default>.*))?", re.S | re.A)


@dataclass
class Origins:
    """What gave each value of a tree: a text, or a change that was asked for beside it.

    What was noted last of a value, or of one that holds it, is what gave it; what had been noted
    before of anything in it no longer counts.
    """

    notes: dict[str, tuple[int, Text | Change]] = field(default_factory=dict)
    count: int = 0

    def note(self, path: str, origin: Text | Change) -> None:
        """Note that the value at a path, and all in it, came from there."""
        self.count += 1
        self.notes[path] = (self.count, origin)

    def of(self, path: str) -> Text | Change | None:
        """Return what gave the value at a path; None where the tree was never a text."""
        last: tuple[int, Text | Change | None] = (0, None)
        while True:
            last = max(last, self.notes.get(path, last), key=lambda note: note[0])
            if path == "$":
                return last[1]
            path = parent(path)

    def copy(self) -> Origins:
        """Return origins to which other notes may be added."""
        return Origins(dict(self.notes), self.count)

    def located(self, problem: Problem) -> Problem:
        """Return a problem with the place where its value was written."""
        origin = self.of(problem.path)
        if origin is None or problem.place is not None:
            return problem
        if isinstance(origin, Change):
            return dataclasses.replace(problem, place=origin)
        inside = (f"{problem.path}.", f"{problem.path}[")
        changes = [
            str(change)
            for path, (_, change) in self.notes.items()
            if isinstance(change, Change) and path.startswith(inside)
        ]
        message = f"{problem.message} (with {', '.join(changes)})" if changes else problem.message
        place = origin.find(problem.path, problem.of_key)
        return dataclasses.replace(problem, message=message, place=place)

    @contextmanager
    def locating(self, where: str) -> Iterator[None]:
        """Say of a `SpecError` that is raised meanwhile where it is and its problems are."""
        try:
            yield
        except SpecError as error:
            error.locate(self.located, where)
            raise


@dataclass(frozen=True)
class Composed:
    """A tree, what gave its values, and the texts it is made of, the spec's own the last."""

    tree: Any
    origins: Origins
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class _Part:
    """One file of a spec; `folder` leads from the spec's own folder to that of this file."""

    text: Text
    tree: dict[str, Any]
    folder: Path


def compose(path: str) -> Composed:
    """Read a spec from a file (`-` for standard input), with all that it extends.

    Raises `UsageError` for a file that cannot be read, `SpecError` for what is wrong within.
    """
    if path == "-":
        text, start = _read(None, "standard input"), Path.cwd()
    else:
        text, start = _read(Path(path), path), Path(path).parent
    whole, origins = _parsed(text), Origins()
    origins.note("$", text)  # which is to give what none of the others gives
    if not isinstance(whole, dict):
        return Composed(whole, origins, (text,))
    parts = list(_gather(_Part(text, whole, Path()), start, ()))
    tree: dict[str, Any] = {}
    if len(parts) == 1:
        tree = whole  # with its nulls, since there is nothing that they could take away
    else:
        for part in parts:
            _merge(tree, part.tree, "$", part.text, origins)
    tree.pop(EXTENDS, None)
    return Composed(_settled(tree, parts, origins), origins, tuple(part.text for part in parts))


def _parsed(text: Text) -> Any:
    """Parse a spec; of a file that is no JSON and is not called so, say how to make a spec."""
    try:
        return jsonc.loads(text.text, text.name)
    except SpecError as error:
        if text.path is None or text.path.suffix.lower() in SUFFIXES:
            raise
        raise UsageError(_no_spec(text.name)) from error


def _no_spec(name: str) -> str:
    return f"{name}: not JSON, as a spec is; for data, write one with: nnreg init {name}"


def _read(file: Path | None, name: str) -> Text:
    """Read a file, or standard input where there is none."""
    try:
        if file is None:
            return Text(name, sys.stdin.read())
        return Text(name, file.read_bytes().decode(), file.resolve())
    except OSError as error:
        raise UsageError(
            f"{name}: cannot read the spec: {explain_os_error(error, file)}"
        ) from error
    except UnicodeDecodeError as error:
        fix = f"{name}: byte {error.start} is not UTF-8; save it as UTF-8"
        is_spec = file is None or file.suffix.lower() in SUFFIXES
        raise UsageError(fix if is_spec else _no_spec(name)) from error


def _gather(part: _Part, start: Path, chain: tuple[_Part, ...]) -> Iterator[_Part]:
    """Yield all that a part extends, the most basic first, and then itself."""
    chain = (*chain, part)
    count = len(chain)
    for path, name in _bases(part):
        base = _base(part, path, start, name)
        if base.text.path in [one.text.path for one in chain]:
            names = " extends ".join(one.text.name for one in (*chain, base))
            raise _error(part, path, f"the files extend each other: {names}")
        for one in _gather(base, start, chain) if count <= MOST_FILES else [base]:
            count += 1
            if count > MOST_FILES:
                raise _error(part, path, f"the spec is made of more than {MOST_FILES} files")
            yield one
    yield part


def _bases(part: _Part) -> Iterator[tuple[str, str]]:
    """Yield the names of the files that a part extends, each with its path in the part."""
    path, value = child("$", EXTENDS), part.tree.get(EXTENDS, [])
    names = {path: value} if not isinstance(value, list) else {
        child(path, index): name for index, name in enumerate(value)
    }  # fmt: skip
    for place, name in names.items():
        if not isinstance(name, str) or not name:
            expected = 'must be the name of a spec, such as "base.json", or a list of names'
            raise _error(part, place, f"{expected}, found {json.dumps(name)}")
        try:
            yield place, str(_expanded(name))
        except ValueError as error:
            raise _error(part, place, str(error)) from error


def _base(part: _Part, path: str, start: Path, name: str) -> _Part:
    """Read a file that a part extends."""
    file = start / part.folder / name
    shown = os.path.normpath(file)
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise OSError("not a regular file")
        text = _read(file, shown)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _error(part, path, f"cannot read {shown}: {explain_os_error(error, file)}") from error
    tree = jsonc.loads(text.text, shown)
    if not isinstance(tree, dict):
        raise _error(part, path, f"{shown} must hold a JSON object with parts of a spec")
    tree.pop("$schema", None)
    return _Part(text, tree, part.folder / Path(name).parent)


def _error(part: _Part, path: str, message: str) -> SpecError:
    problem = Problem(path, message, place=part.text.find(path))
    return SpecError([problem], part.text.name)


def _merge(tree: Any, over: dict[str, Any], path: str, text: Text, origins: Origins) -> None:
    """Change a tree by what a file says, as JSON Merge Patch does (RFC 7396).

    Objects are merged, null takes a key away, all else replaces. A component of another type
    replaces too, so that it gets none of the options of the other; a component without a type
    changes options of the one that is there.
    """
    for key, value in over.items():
        place = child(path, key)
        below = _mergeable(tree.get(key), value, place) if isinstance(value, dict) else None
        if below is None:
            origins.note(place, text)
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict):
            tree[key] = {} if below is None else below
            _merge(tree[key], value, place, text, origins)
        else:
            tree[key] = value


def _mergeable(there: Any, value: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return the object that another is merged into; None where it stands alone."""
    if isinstance(there, str):
        there = {"type": there}
    if not isinstance(there, dict):
        return None
    if path in NAMED_BY_USER or value.get("type", there.get("type")) == there.get("type"):
        return there
    return None


def _settled(tree: Any, parts: Iterable[_Part], origins: Origins) -> Any:
    """Return a tree with its variables replaced and its file names as seen from the spec's folder.

    Raises `SpecError` with every variable that is not set.
    """
    folders = {id(part.text): part.folder for part in parts}
    problems: list[Problem] = []

    def settle(path: str, text: str) -> Any:
        try:
            value = _expanded(text)
        except ValueError as error:
            problems.append(origins.located(Problem(path, str(error))))
            return text
        if path in FILES and isinstance(value, str) and value:
            return str(folders[id(origins.of(path))] / value)
        return value

    settled = replace_texts(tree, settle)
    if problems:
        raise SpecError(problems, next(reversed(list(parts))).text.name)
    return settled


def _expanded(text: str) -> Any:
    """Return a text with `${env:NAME}` and `${env:NAME:-default}` replaced; `$${env:` stays text.

    The default counts where the variable is not set or empty. A text that is nothing else becomes
    the JSON value that it then is, if it is one. Raises ValueError for a variable without a value.
    """
    whole = _VARIABLE.fullmatch(text)
    if whole and not text.startswith("$$"):
        return jsonc.value_or_text(_value(whole))
    return _VARIABLE.sub(lambda found: _value(found), text)


def _value(found: re.Match[str]) -> str:
    if found.group().startswith("$$"):
        return found.group()[1:]
    reference = _REFERENCE.fullmatch(found["inside"])
    if not reference or not found["end"]:
        raise ValueError(
            f"{found.group()!r} is no variable; write ${{env:NAME}} or ${{env:NAME:-default}}, "
            "or $${env: for the text itself"
        )
    name, default = reference["name"], reference["default"]
    value = os.environ.get(name, "")
    if value or (default is None and name in os.environ):
        return value
    if default is None:
        raise ValueError(
            f"the environment variable {name!r} is not set; set it, or give a default as in "
            f"${{env:{name}:-value}}"
        )
    return default


def literal(text: str) -> str:
    """Return what a file must hold so that it is read as this text, whatever the environment."""
    return text.replace("${env:", "$${env:")


def replace_texts(tree: Any, replace: Callable[[str, str], Any], path: str = "$") -> Any:
    """Return a tree with each text in it replaced by what a function makes of its path and it."""
    if isinstance(tree, dict):
        return {key: replace_texts(tree[key], replace, child(path, key)) for key in tree}
    if isinstance(tree, list):
        return [replace_texts(item, replace, child(path, i)) for i, item in enumerate(tree)]
    return replace(path, tree) if isinstance(tree, str) else tree


def each_of(overrides: Iterable[str]) -> tuple[str, ...]:
    """Return the changes of a spec, where one may have been given as it is."""
    return (overrides,) if isinstance(overrides, str) else tuple(overrides)


def override(tree: dict[str, Any], text: str, origins: Origins) -> None:
    """Make one `path=value` change; the value is JSON, or else text.

    A component that is only named may be given options: `activation.slope=0.1` makes `"leaky_relu"`
    an object. Raises `UsageError` for a path that leads nowhere.
    """
    change = Change(text)
    _, equals, value = text.partition("=")
    if not equals or not change.keys:
        raise UsageError(f"{change}: expected PATH=VALUE, as in train.epochs=5")
    holder: Any = {"$": tree}
    place: str | int = "$"
    where = "$"
    for key in change.keys:
        if isinstance(holder[place], str):
            holder[place] = {"type": holder[place]}
        elif holder[place] is None:
            holder[place] = {}
            origins.note(where, change)
        holder, place = holder[place], _place(holder[place], key, where, change)
        where = child(where, place)
        if isinstance(holder, dict) and place not in holder:
            holder[place] = None
            origins.note(where, change)
    holder[place] = jsonc.value_or_text(value)
    origins.note(where, change)


def _place(holder: Any, key: str, where: str, change: Change) -> str | int:
    """Return the place in a list or an object that a key of a --set means."""
    if isinstance(holder, dict):
        return key
    name = where.removeprefix("$.")
    if not isinstance(holder, list):
        raise UsageError(f"{change}: {name} is {json.dumps(holder)}, with nothing in it to set")
    if not key.isdecimal() or int(key) >= len(holder):
        numbers = f", numbered 0 to {len(holder) - 1}" if holder else ""
        raise UsageError(f"{change}: no item {key!r} in {name}, which has {len(holder)}{numbers}")
    return int(key)
