"""JSON as people write it, read strictly: comments and trailing commas are welcome.

Duplicate keys, NaN, numbers beyond a float, and broken text are problems, told with their path.
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
"""Each takes strings first, so that what is in them stays, and passes over a text once."""

MAX_DEPTH = 100
"""The most lists and objects within each other; a layer within a layer takes two."""

MAX_VALUES = 50_000
"""About the most values in a spec."""

LINE_WIDTH = 100
"""The most characters of a line that is written, where it can be broken."""


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys came twice."""

    duplicates: tuple[str, ...] = ()


def loads(text: str, where: str = "spec") -> Any:
    """Parse JSON with comments. Raises `SpecError` with line and column of every problem."""
    text = text.removeprefix("\ufeff")
    count = values(text)
    if count > MAX_VALUES:
        problem = f"too large: about {count:,} values, of which {MAX_VALUES:,} are the most"
        raise SpecError([Problem("$", problem)], where)
    try:
        return parse(_TRAILING_COMMA.sub(_blank, _COMMENT.sub(_blank, text)), where)
    except SpecError as error:
        error.problems = tuple(_with_locations(error, SourceText(where, text)))
        raise


def values(text: str) -> int:
    """Return about how many values a JSON text has, without parsing it."""
    return text.count(",") + text.count("[") + text.count("{")


def parse(text: str, where: str) -> Any:
    """Parse JSON, strictly. Raises `SpecError` with line and column, or with each path."""
    try:
        tree = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise SpecError([Problem("$", f"not JSON: {error.msg} at {place}")], where) from error
    except RecursionError as error:
        raise SpecError([_TOO_DEEP], where) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise SpecError([Problem("$", f"not JSON: {error}")], where) from error
    problems: list[Problem] = []
    tree = _validated(tree, "$", problems)
    if problems:
        raise SpecError(problems, where)
    return tree


def _with_locations(error: SpecError, text: SourceText) -> Iterator[Problem]:
    """Say of each problem where in the text it is."""
    for problem in error.problems:
        if isinstance(error.__cause__, json.JSONDecodeError):
            end = len(text.text.rstrip())  # of a text cut short, where it was cut
            start = min(error.__cause__.pos, end)
            place = text.location(start, start + 1)
            yield replace(problem, message=f"not JSON: {error.__cause__.msg}", location=place)
        elif problem.path == "$":  # the whole text
            yield problem
        else:
            yield replace(problem, location=text.find(problem.path, problem.of_key))


_TOO_DEEP = Problem("$", f"nested too deep: more than {MAX_DEPTH} lists and objects in each other")


def _blank(match: re.Match[str]) -> str:
    """Keep strings; turn comments and trailing commas into blanks, so that positions stay."""
    token = match.group()
    return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    result = _Object(pairs)
    if len(result) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        result.duplicates = tuple(key for key, count in counts.items() if count > 1)
    return result


def _validated(value: Any, path: str, problems: list[Problem], depth: int = 0) -> Any:
    """Return plain dicts and lists, noting what JSON does not allow."""
    if depth > MAX_DEPTH:
        problems[:] = [_TOO_DEEP]
        return None
    if isinstance(value, _Object):
        twice = "the key occurs twice"
        problems += [Problem(f"{path}.{key}", twice, of_key=True) for key in value.duplicates]
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
        problems.append(Problem(path, "NaN or an infinite number, which JSON does not have"))
    if isinstance(value, str):
        _check_text(value, path, problems)
    return value


def _check_text(text: str, path: str, problems: list[Problem]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        problems.append(Problem(path, "half of a surrogate pair is not text"))


def dumps(tree: Any, comments: Mapping[str, str]) -> str:
    """Write JSON as people do: what fits on a line is on one, comments stand above their values.

    `comments` are by path; a text of several lines becomes as many comments.
    """
    return _written(tree, comments, "$", "", "") + "\n"


def _written(value: Any, comments: Mapping[str, str], path: str, indent: str, key: str) -> str:
    """Return a value as it stands behind `key` in a line that is indented so."""
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
        place = child(path, name)
        before = f"{json.dumps(name, ensure_ascii=False)}: " if isinstance(name, str) else ""
        lines += _commented(comments, place, inner)
        lines.append(f"{inner}{_written(item, comments, place, inner, before)},")
    lines[-1] = lines[-1].removesuffix(",")
    start, end = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([f"{key}{start}", *lines, f"{indent}{end}"])


def _commented(comments: Mapping[str, str], path: str, indent: str) -> list[str]:
    """Return the comment on a path as lines."""
    width = LINE_WIDTH - len(indent) - len("// ")
    return [
        f"{indent}// {line}"
        for paragraph in comments.get(path, "").splitlines()
        for line in textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False)
    ]


def value_or_text(text: str) -> Any:
    """Return the JSON value that a text typed in a shell is, or else the text itself."""
    try:
        return parse(text, "value")
    except SpecError:
        return text
