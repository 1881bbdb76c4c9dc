"""A spec's tree from its files, environment variables and overrides, with the origin of each value.

Only a file that a user names is composed. A tree from elsewhere, such as a checkpoint's, is used
as it is: whatever it contains, no file is opened and no environment variable is read.
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
from nnreg._utils.remote import is_local
from nnreg.errors import Override, Problem, SpecError, UsageError
from nnreg.spec import jsonc
from nnreg.spec.source_text import SourceText, child, parent

EXTENDS = "extends"

SUFFIXES = ("", ".json", ".jsonc")
"""The file name extensions of specs."""

MAX_SPEC_FILES = 50
"""The maximum number of files of a spec, each counted as often as it is extended."""

FILE_PATHS = (
    "$.data.path",
    "$.data.split.validation",
    "$.data.split.test",
    "$.train.start_from",
    "$.train.start_from.checkpoint",
)
"""The paths at which a spec names files, relative to the directory of the spec file they are in."""

NAMED_BY_USER = (
    "$.data.columns",
    "$.data.class_weights",
    "$.train.regularize",
    "$.train.constrain",
    "$.train.learning_rates",
)
"""Objects whose keys the user chooses, so that a key `type` has no special meaning."""

_VARIABLE = re.compile(r"\$?\$\{env:(?P<inside>[^}]*)(?P<end>\}?)")
_REFERENCE = re.compile(r"(?P<name>[A-Za-z_]\w*)(?::-(?P<default>.*))?", re.S | re.A)


@dataclass
class Origins:
    """The origin of each value of a tree: a source text, or an override.

    The origin of a value is the latest note on its path or on a path above it; earlier notes on
    paths below it no longer apply.
    """

    notes: dict[str, tuple[int, SourceText | Override]] = field(default_factory=dict)
    count: int = 0

    def note(self, path: str, origin: SourceText | Override) -> None:
        """Record the origin of the value at a path and of everything in it."""
        self.count += 1
        self.notes[path] = (self.count, origin)

    def of(self, path: str) -> SourceText | Override | None:
        """Return the origin of the value at a path; None if the tree did not come from a text."""
        latest: tuple[int, SourceText | Override | None] = (0, None)
        while True:
            latest = max(latest, self.notes.get(path, latest), key=lambda note: note[0])
            if path == "$":
                return latest[1]
            path = parent(path)

    def copy(self) -> Origins:
        """Return an independent copy."""
        return Origins(dict(self.notes), self.count)

    def with_location(self, problem: Problem) -> Problem:
        """Return a problem with the source location of its value."""
        origin = self.of(problem.path)
        if origin is None or problem.location is not None:
            return problem
        if isinstance(origin, Override):
            return dataclasses.replace(problem, location=origin)
        prefixes = (f"{problem.path}.", f"{problem.path}[")
        overrides = [
            str(override)
            for path, (_, override) in self.notes.items()
            if isinstance(override, Override) and path.startswith(prefixes)
        ]
        message = problem.message
        if overrides:
            message = f"{message} (with {', '.join(overrides)})"
        location = origin.find(problem.path, problem.of_key)
        return dataclasses.replace(problem, message=message, location=location)

    @contextmanager
    def locating_errors(self, where: str) -> Iterator[None]:
        """Add source locations to a `SpecError` raised in this context."""
        try:
            yield
        except SpecError as error:
            error.locate(self.with_location, where)
            raise


@dataclass(frozen=True)
class ComposedSpec:
    """A tree, the origins of its values, and its source texts, with the spec's own text last."""

    tree: Any
    origins: Origins
    texts: tuple[SourceText, ...]


@dataclass(frozen=True)
class _SpecFile:
    """One file of a spec; `directory` is that of the file, relative to that of the spec."""

    text: SourceText
    tree: dict[str, Any]
    directory: Path


def compose(path: str) -> ComposedSpec:
    """Read a spec from a file (`-` for standard input), with the files that it extends.

    Raises `UsageError` for a file that cannot be read, `SpecError` for problems in its content.
    """
    if path == "-":
        text, start = _read(None, "standard input"), Path.cwd()
    else:
        text, start = _read(Path(path), path), Path(path).parent
    own_tree, origins = _parsed(text), Origins()
    origins.note("$", text)  # the default for values that no other file gives
    if not isinstance(own_tree, dict):
        return ComposedSpec(own_tree, origins, (text,))
    files = list(_extended_files(_SpecFile(text, own_tree, Path()), start, ()))
    tree: dict[str, Any] = {}
    if len(files) == 1:
        tree = own_tree  # with its nulls: there is nothing for them to remove
    else:
        for file in files:
            _merge(tree, file.tree, "$", file.text, origins)
    tree.pop(EXTENDS, None)
    return ComposedSpec(
        _resolve_paths(tree, files, origins), origins, tuple(file.text for file in files)
    )


def _parsed(text: SourceText) -> Any:
    """Parse a spec; if a file is not JSON by content or name, suggest `nnreg init`."""
    try:
        return jsonc.loads(text.text, text.name)
    except SpecError as error:
        if text.path is None or text.path.suffix.lower() in SUFFIXES:
            raise
        raise UsageError(_not_a_spec(text.name)) from error


def _not_a_spec(name: str) -> str:
    return f"{name}: not JSON; if this is data, write a spec for it with: nnreg init {name}"


def _read(file: Path | None, name: str) -> SourceText:
    """Read a file, or standard input if it is None."""
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
    file: _SpecFile, start: Path, chain: tuple[_SpecFile, ...]
) -> Iterator[_SpecFile]:
    """Yield the files that a file extends, bases before what extends them, and then the file."""
    chain = (*chain, file)
    count = len(chain)
    for path, name in _bases(file):
        base = _base(file, path, start, name)
        if base.text.path in [one.text.path for one in chain]:
            names = " extends ".join(one.text.name for one in (*chain, base))
            raise _error(file, path, f"circular 'extends': {names}")
        for one in _extended_files(base, start, chain) if count <= MAX_SPEC_FILES else [base]:
            count += 1
            if count > MAX_SPEC_FILES:
                raise _error(file, path, f"the spec extends more than {MAX_SPEC_FILES} files")
            yield one
    yield file


def _bases(spec_file: _SpecFile) -> Iterator[tuple[str, str]]:
    """Yield the JSON path and the name of each file that a file extends."""
    path, value = child("$", EXTENDS), spec_file.tree.get(EXTENDS, [])
    names = {path: value} if not isinstance(value, list) else {
        child(path, index): name for index, name in enumerate(value)
    }  # fmt: skip
    for name_path, name in names.items():
        if not isinstance(name, str) or not name:
            expected = 'must be the name of a spec, such as "base.json", or a list of names'
            raise _error(spec_file, name_path, f"{expected}, found {json.dumps(name)}")
        try:
            yield name_path, str(_expand_variables(name))
        except ValueError as error:
            raise _error(spec_file, name_path, str(error)) from error


def _base(spec_file: _SpecFile, path: str, start: Path, name: str) -> _SpecFile:
    """Read a file that another one extends."""
    file = start / spec_file.directory / name
    shown = os.path.normpath(file)
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise OSError("not a regular file")
        text = _read(file, shown)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        message = f"cannot read {shown}: {explain_os_error(error, file)}"
        raise _error(spec_file, path, message) from error
    tree = jsonc.loads(text.text, shown)
    if not isinstance(tree, dict):
        raise _error(spec_file, path, f"{shown} must contain a JSON object with parts of a spec")
    tree.pop("$schema", None)
    return _SpecFile(text, tree, spec_file.directory / Path(name).parent)


def _error(spec_file: _SpecFile, path: str, message: str) -> SpecError:
    problem = Problem(path, message, location=spec_file.text.find(path))
    return SpecError([problem], spec_file.text.name)


def _merge(tree: Any, patch: dict[str, Any], path: str, text: SourceText, origins: Origins) -> None:
    """Merge the content of a file into a tree, as JSON Merge Patch does (RFC 7396).

    Objects are merged, null removes a key, any other value replaces. A component of another type
    replaces too, so that it inherits no options; a component without a type changes options of
    the existing one.
    """
    for key, value in patch.items():
        key_path = child(path, key)
        target = _merge_target(tree.get(key), value, key_path) if isinstance(value, dict) else None
        if target is None:
            origins.note(key_path, text)
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict):
            tree[key] = {} if target is None else target
            _merge(tree[key], value, key_path, text, origins)
        else:
            tree[key] = value


def _merge_target(existing: Any, value: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return the object that another is merged into; None if the other replaces it."""
    if isinstance(existing, str):
        existing = {"type": existing}
    if not isinstance(existing, dict):
        return None
    if path in NAMED_BY_USER or value.get("type", existing.get("type")) == existing.get("type"):
        return existing
    return None


def _resolve_paths(tree: Any, files: Iterable[_SpecFile], origins: Origins) -> Any:
    """Return a tree with variables replaced and file names relative to the spec's directory.

    Raises `SpecError` with every variable that is not set.
    """
    directories = {id(file.text): file.directory for file in files}
    problems: list[Problem] = []

    def resolve(path: str, text: str) -> Any:
        try:
            value = _expand_variables(text)
        except ValueError as error:
            problems.append(origins.with_location(Problem(path, str(error))))
            return text
        if path in FILE_PATHS and isinstance(value, str) and is_local(value):
            return str(directories[id(origins.of(path))] / value)
        return value

    resolved = replace_texts(tree, resolve)
    if problems:
        raise SpecError(problems, next(reversed(list(files))).text.name)
    return resolved


def _expand_variables(text: str) -> Any:
    """Return a text with `${env:NAME}` and `${env:NAME:-default}` replaced; `$${env:` is escaped.

    The default is used if the variable is not set or empty. If the text is a single variable, its
    value is parsed as JSON where possible. Raises ValueError for a variable without a value.
    """
    match = _VARIABLE.fullmatch(text)
    if match and not text.startswith("$$"):
        return jsonc.value_or_text(_value(match))
    return _VARIABLE.sub(lambda match: _value(match), text)


def _value(match: re.Match[str]) -> str:
    if match.group().startswith("$$"):
        return match.group()[1:]
    reference = _REFERENCE.fullmatch(match["inside"])
    if not reference or not match["end"]:
        raise ValueError(
            f"{match.group()!r} is not a variable; write ${{env:NAME}} or ${{env:NAME:-default}}, "
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
    """Escape a text so that a file that contains it is read as this text, with no variables."""
    return text.replace("${env:", "$${env:")


def replace_texts(tree: Any, replace: Callable[[str, str], Any], path: str = "$") -> Any:
    """Return a tree with each text in it replaced by `replace(path, text)`."""
    if isinstance(tree, dict):
        return {key: replace_texts(tree[key], replace, child(path, key)) for key in tree}
    if isinstance(tree, list):
        return [replace_texts(item, replace, child(path, i)) for i, item in enumerate(tree)]
    return replace(path, tree) if isinstance(tree, str) else tree


def apply_override(tree: dict[str, Any], text: str, origins: Origins) -> None:
    """Apply an override `path=value` to a tree; the value is JSON, or else text.

    A component given by name alone becomes an object if an option of it is set, as `"leaky_relu"`
    by `activation.slope=0.1`. Raises `UsageError` for a path that does not exist.
    """
    override = Override(text)
    _, equals, value = text.partition("=")
    if not equals or not override.keys:
        raise UsageError(f"{override}: expected PATH=VALUE, as in train.epochs=5")
    container: Any = {"$": tree}
    index: str | int = "$"
    path = "$"
    for key in override.keys:
        if isinstance(container[index], str):
            container[index] = {"type": container[index]}
        elif container[index] is None:
            container[index] = {}
            origins.note(path, override)
        container, index = container[index], _resolve_key(container[index], key, path, override)
        path = child(path, index)
        if isinstance(container, dict) and index not in container:
            container[index] = None
            origins.note(path, override)
    container[index] = jsonc.value_or_text(value)
    origins.note(path, override)


def _resolve_key(container: Any, key: str, path: str, override: Override) -> str | int:
    """Return the key of an object or the index of a list that a key of an override refers to."""
    if isinstance(container, dict):
        return key
    name = path.removeprefix("$.")
    if not isinstance(container, list):
        found = json.dumps(container)
        raise UsageError(f"{override}: {name} is {found}, which has no items or keys to set")
    if not key.isdecimal() or int(key) >= len(container):
        count = len(container)
        numbers = f", numbered 0 to {count - 1}" if container else ""
        raise UsageError(f"{override}: no item {key!r} in {name}, which has {count}{numbers}")
    return int(key)
