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
from nnreg.errors import Override, Problem, SpecError, UsageError
from nnreg.spec import jsonc
from nnreg.spec.source_text import SourceText, child, parent

EXTENDS = "extends"

SUFFIXES = ("", ".json", ".jsonc")
"""How the name of a spec ends."""

MAX_SPEC_FILES = 50
"""The most files that a spec may be made of, each counted as often as it is extended."""

FILE_PATHS = (
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

    notes: dict[str, tuple[int, SourceText | Override]] = field(default_factory=dict)
    count: int = 0

    def note(self, path: str, origin: SourceText | Override) -> None:
        """Note that the value at a path, and all in it, came from there."""
        self.count += 1
        self.notes[path] = (self.count, origin)

    def of(self, path: str) -> SourceText | Override | None:
        """Return what gave the value at a path; None where the tree was never a text."""
        last: tuple[int, SourceText | Override | None] = (0, None)
        while True:
            last = max(last, self.notes.get(path, last), key=lambda note: note[0])
            if path == "$":
                return last[1]
            path = parent(path)

    def copy(self) -> Origins:
        """Return origins to which other notes may be added."""
        return Origins(dict(self.notes), self.count)

    def with_location(self, problem: Problem) -> Problem:
        """Return a problem with the place where its value was written."""
        origin = self.of(problem.path)
        if origin is None or problem.location is not None:
            return problem
        if isinstance(origin, Override):
            return dataclasses.replace(problem, location=origin)
        inside = (f"{problem.path}.", f"{problem.path}[")
        within = [
            str(override)
            for path, (_, override) in self.notes.items()
            if isinstance(override, Override) and path.startswith(inside)
        ]
        message = f"{problem.message} (with {', '.join(within)})" if within else problem.message
        place = origin.find(problem.path, problem.of_key)
        return dataclasses.replace(problem, message=message, location=place)

    @contextmanager
    def locating_errors(self, where: str) -> Iterator[None]:
        """Say of a `SpecError` that is raised meanwhile where it is and its problems are."""
        try:
            yield
        except SpecError as error:
            error.locate(self.with_location, where)
            raise


@dataclass(frozen=True)
class ComposedSpec:
    """A tree, what gave its values, and the texts it is made of, the spec's own the last."""

    tree: Any
    origins: Origins
    texts: tuple[SourceText, ...]


@dataclass(frozen=True)
class _SpecFile:
    """One file of a spec; `folder` leads from the spec's own folder to that of this file."""

    text: SourceText
    tree: dict[str, Any]
    folder: Path


def compose(path: str) -> ComposedSpec:
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
        return ComposedSpec(whole, origins, (text,))
    parts = list(_extended_files(_SpecFile(text, whole, Path()), start, ()))
    tree: dict[str, Any] = {}
    if len(parts) == 1:
        tree = whole  # with its nulls, since there is nothing that they could take away
    else:
        for part in parts:
            _merge(tree, part.tree, "$", part.text, origins)
    tree.pop(EXTENDS, None)
    return ComposedSpec(
        _resolve_paths(tree, parts, origins), origins, tuple(part.text for part in parts)
    )


def _parsed(text: SourceText) -> Any:
    """Parse a spec; of a file that is no JSON and is not called so, say how to make a spec."""
    try:
        return jsonc.loads(text.text, text.name)
    except SpecError as error:
        if text.path is None or text.path.suffix.lower() in SUFFIXES:
            raise
        raise UsageError(_not_a_spec(text.name)) from error


def _not_a_spec(name: str) -> str:
    return f"{name}: not JSON, as a spec is; for data, write one with: nnreg init {name}"


def _read(file: Path | None, name: str) -> SourceText:
    """Read a file, or standard input where there is none."""
    try:
        if file is None:
            return SourceText(name, sys.stdin.read())
        return SourceText(name, file.read_bytes().decode(), file.resolve())
    except OSError as error:
        raise UsageError(
            f"{name}: cannot read the spec: {explain_os_error(error, file)}"
        ) from error
    except UnicodeDecodeError as error:
        fix = f"{name}: byte {error.start} is not UTF-8; save it as UTF-8"
        is_spec = file is None or file.suffix.lower() in SUFFIXES
        raise UsageError(fix if is_spec else _not_a_spec(name)) from error


def _extended_files(
    part: _SpecFile, start: Path, chain: tuple[_SpecFile, ...]
) -> Iterator[_SpecFile]:
    """Yield all that a part extends, the most basic first, and then itself."""
    chain = (*chain, part)
    count = len(chain)
    for path, name in _bases(part):
        base = _base(part, path, start, name)
        if base.text.path in [one.text.path for one in chain]:
            names = " extends ".join(one.text.name for one in (*chain, base))
            raise _error(part, path, f"the files extend each other: {names}")
        for one in _extended_files(base, start, chain) if count <= MAX_SPEC_FILES else [base]:
            count += 1
            if count > MAX_SPEC_FILES:
                raise _error(part, path, f"the spec is made of more than {MAX_SPEC_FILES} files")
            yield one
    yield part


def _bases(part: _SpecFile) -> Iterator[tuple[str, str]]:
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
            yield place, str(_expand_variables(name))
        except ValueError as error:
            raise _error(part, place, str(error)) from error


def _base(part: _SpecFile, path: str, start: Path, name: str) -> _SpecFile:
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
    return _SpecFile(text, tree, part.folder / Path(name).parent)


def _error(part: _SpecFile, path: str, message: str) -> SpecError:
    problem = Problem(path, message, location=part.text.find(path))
    return SpecError([problem], part.text.name)


def _merge(tree: Any, over: dict[str, Any], path: str, text: SourceText, origins: Origins) -> None:
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


def _resolve_paths(tree: Any, parts: Iterable[_SpecFile], origins: Origins) -> Any:
    """Return a tree with its variables replaced and its file names as seen from the spec's folder.

    Raises `SpecError` with every variable that is not set.
    """
    directories = {id(part.text): part.folder for part in parts}
    problems: list[Problem] = []

    def settle(path: str, text: str) -> Any:
        try:
            value = _expand_variables(text)
        except ValueError as error:
            problems.append(origins.with_location(Problem(path, str(error))))
            return text
        if path in FILE_PATHS and isinstance(value, str) and value:
            return str(directories[id(origins.of(path))] / value)
        return value

    settled = replace_texts(tree, settle)
    if problems:
        raise SpecError(problems, next(reversed(list(parts))).text.name)
    return settled


def _expand_variables(text: str) -> Any:
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


def as_tuple(overrides: Iterable[str]) -> tuple[str, ...]:
    """Return overrides as a tuple; one alone may be given as text."""
    return (overrides,) if isinstance(overrides, str) else tuple(overrides)


def set_options(overrides: Iterable[str]) -> list[str]:
    """Return the options of a command line that make these overrides."""
    return [word for override in overrides for word in ("--set", override)]


def apply_override(tree: dict[str, Any], text: str, origins: Origins) -> None:
    """Set the value at a path, as `path=value` says; the value is JSON, or else text.

    A component that is only named may be given options: `activation.slope=0.1` makes `"leaky_relu"`
    an object. Raises `UsageError` for a path that leads nowhere.
    """
    override = Override(text)
    _, equals, value = text.partition("=")
    if not equals or not override.keys:
        raise UsageError(f"{override}: expected PATH=VALUE, as in train.epochs=5")
    holder: Any = {"$": tree}
    place: str | int = "$"
    where = "$"
    for key in override.keys:
        if isinstance(holder[place], str):
            holder[place] = {"type": holder[place]}
        elif holder[place] is None:
            holder[place] = {}
            origins.note(where, override)
        holder, place = holder[place], _resolve_key(holder[place], key, where, override)
        where = child(where, place)
        if isinstance(holder, dict) and place not in holder:
            holder[place] = None
            origins.note(where, override)
    holder[place] = jsonc.value_or_text(value)
    origins.note(where, override)


def _resolve_key(holder: Any, key: str, where: str, override: Override) -> str | int:
    """Return the place in a list or an object that a key of a --set means."""
    if isinstance(holder, dict):
        return key
    name = where.removeprefix("$.")
    if not isinstance(holder, list):
        raise UsageError(f"{override}: {name} is {json.dumps(holder)}, with nothing in it to set")
    if not key.isdecimal() or int(key) >= len(holder):
        numbers = f", numbered 0 to {len(holder) - 1}" if holder else ""
        raise UsageError(f"{override}: no item {key!r} in {name}, which has {len(holder)}{numbers}")
    return int(key)
