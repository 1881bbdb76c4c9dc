"""JSON with comments and trailing commas, otherwise parsed strictly.

Duplicate keys, NaN, numbers too large for a float, and invalid text are reported with their path.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nnreg.errors import Problem, SpecError
from nnreg.spec.source_text import SourceText, child

_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*+"?|//[^\n]*|/\*.*?(?:\*/|\Z)', re.S)
_TRAILING_COMMA = re.compile(r'"(?:[^"\\]|\\.)*+"?|,(?=\s*[\]}])', re.S)
"""Each matches strings first, so that their content is unchanged, and scans a text once."""

MAX_DEPTH = 100
"""The maximum nesting of lists and objects; a layer in a layer takes two levels."""

MAX_VALUES = 50_000
"""The approximate maximum number of values in a spec."""

UNPAIRED_SURROGATE = "unpaired surrogate"
"""The problem of text that is not UTF-8, such as the name of a file in another encoding."""

LINE_WIDTH = 100
"""The maximum number of characters of a written line that can be broken."""


class _Object(dict[str, Any]):
    """A JSON object that records duplicate keys."""

    duplicates: tuple[str, ...] = ()


def loads(text: str, where: str = "spec") -> Any:
    """Parse JSON with comments. Raises `SpecError` with line and column of every problem."""
    text = text.removeprefix("\ufeff")
    count = values(text)
    if count > MAX_VALUES:
        problem = f"too large: about {count:,} values; the maximum is {MAX_VALUES:,}"
        raise SpecError([Problem("$", problem)], where)
    try:
        return parse(_TRAILING_COMMA.sub(_blank, _COMMENT.sub(_blank, text)), where)
    except SpecError as error:
        error.problems = tuple(_with_locations(error, SourceText(where, text)))
        raise


def values(text: str) -> int:
    """Return an estimate of the number of values in a JSON text, without parsing it."""
    return text.count(",") + text.count("[") + text.count("{")


def parse(text: str, where: str) -> Any:
    """Parse JSON strictly. Raises `SpecError` with line and column, or with each path."""
    try:
        tree = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno} column {error.colno}"
        raise SpecError([Problem("$", f"not JSON: {error.msg} at {position}")], where) from error
    except RecursionError as error:
        raise SpecError([_TOO_DEEP], where) from error
    except ValueError as error:  # an integer with more digits than Python converts
        raise SpecError([Problem("$", f"not JSON: {error}")], where) from error
    problems: list[Problem] = []
    tree = _validated(tree, "$", problems)
    if problems:
        raise SpecError(problems, where)
    return tree


def _with_locations(error: SpecError, text: SourceText) -> Iterator[Problem]:
    """Yield each problem with its location in the text."""
    for problem in error.problems:
        if isinstance(error.__cause__, json.JSONDecodeError):
            end = len(text.text.rstrip())  # for a truncated text, where it ends
            start = min(error.__cause__.pos, end)
            location = text.location(start, start + 1)
            yield replace(problem, message=f"not JSON: {error.__cause__.msg}", location=location)
        elif problem.path == "$":  # about the text as a whole
            yield problem
        else:
            yield replace(problem, location=text.find(problem.path, problem.of_key))


_TOO_DEEP = Problem("$", f"nested too deep: more than {MAX_DEPTH} levels of lists and objects")


def _blank(match: re.Match[str]) -> str:
    """Keep strings; replace comments and trailing commas by blanks, so that positions are kept."""
    token = match.group()
    return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    result = _Object(pairs)
    if len(result) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        result.duplicates = tuple(key for key, count in counts.items() if count > 1)
    return result


def _validated(value: Any, path: str, problems: list[Problem], depth: int = 0) -> Any:
    """Return plain dicts and lists, and collect the problems that strict JSON forbids."""
    if depth > MAX_DEPTH:
        problems[:] = [_TOO_DEEP]
        return None
    if isinstance(value, _Object):
        message = "duplicate key"
        problems += [Problem(f"{path}.{key}", message, of_key=True) for key in value.duplicates]
        for key in value:
            _check_text(key, f"{path}.{ascii(key)[1:-1]}", problems)
        return {
            key: _validated(item, f"{path}.{key}", problems, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _validated(item, f"{path}[{i}]", problems, depth + 1) for i, item in enumerate(value)
        ]
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(path, "NaN or an infinite number, which JSON does not allow"))
    if isinstance(value, str):
        _check_text(value, path, problems)
    return value


def _check_text(text: str, path: str, problems: list[Problem]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        problems.append(Problem(path, UNPAIRED_SURROGATE))


def dumps(tree: Any, comments: Mapping[str, str]) -> str:
    """Write human-readable JSON: a value that fits is on one line, comments are above their values.

    `comments` maps paths to texts; each line of a text becomes a comment.
    """
    return _written(tree, comments, "$", "", "") + "\n"


def _written(value: Any, comments: Mapping[str, str], path: str, indent: str, key: str) -> str:
    """Return a value as it is written after `key` in a line with this indent."""
    flat = json.dumps(value, ensure_ascii=False)
    commented = any(one.startswith((f"{path}.", f"{path}[")) for one in comments)
    fits = len(indent) + len(key) + len(flat) < LINE_WIDTH
    if not isinstance(value, dict | list) or not value or (fits and not commented and path != "$"):
        return key + flat
    inner, lines = f"{indent}  ", []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    if path == "$":
        lines += _commented(comments, path, inner)
    for name, item in items:
        item_path = child(path, name)
        item_key = f"{json.dumps(name, ensure_ascii=False)}: " if isinstance(name, str) else ""
        lines += _commented(comments, item_path, inner)
        lines.append(f"{inner}{_written(item, comments, item_path, inner, item_key)},")
    lines[-1] = lines[-1].removesuffix(",")
    start, end = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([f"{key}{start}", *lines, f"{indent}{end}"])


def _commented(comments: Mapping[str, str], path: str, indent: str) -> list[str]:
    """Return the lines of the comment on a path."""
    width = LINE_WIDTH - len(indent) - len("// ")
    return [
        f"{indent}// {line}"
        for paragraph in comments.get(path, "").splitlines()
        for line in textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False)
    ]


def value_or_text(text: str) -> Any:
    """Return the value of a JSON text, as typed in a shell; the text itself if it is not JSON."""
    try:
        return parse(text, "value")
    except SpecError:
        return text
