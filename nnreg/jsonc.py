"""JSON as people write it, read strictly: comments and trailing commas are welcome.

Duplicate keys, NaN, numbers beyond a float, and broken text are problems, told with their path.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from nnreg.errors import Problem, SpecError

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[\]}])', re.S
)


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys came twice."""

    duplicates: tuple[str, ...] = ()


def loads(text: str, where: str = "spec") -> Any:
    """Parse a document. Raises `SpecError` with line and column, or with every problem's path."""
    try:
        tree = json.loads(_TOKEN.sub(_blank, text), object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise SpecError([Problem("$", f"not JSON: {error.msg} at {place}")], where) from error
    except RecursionError as error:
        raise SpecError([Problem("$", "nested too deep to be a spec")], where) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise SpecError([Problem("$", f"not JSON: {error}")], where) from error
    problems: list[Problem] = []
    tree = _clean(tree, "$", problems)
    if problems:
        raise SpecError(problems, where)
    return tree


def _blank(match: re.Match[str]) -> str:
    """Keep strings; turn comments and trailing commas into blanks, so that positions stay."""
    token = match.group()
    return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    result = _Object(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        result.duplicates = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return result


def _clean(value: Any, path: str, problems: list[Problem]) -> Any:
    """Return plain dicts and lists, noting what JSON does not allow."""
    if isinstance(value, _Object):
        problems += [Problem(f"{path}.{key}", "the key occurs twice") for key in value.duplicates]
        for key in value:
            _check_text(key, path, problems)
        return {key: _clean(item, f"{path}.{key}", problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, f"{path}[{i}]", problems) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(path, "NaN or an infinite number, which JSON does not have"))
    if isinstance(value, str):
        _check_text(value, path, problems)
    return value


def _check_text(text: str, path: str, problems: list[Problem]) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        problems.append(Problem(path, "half of a surrogate pair is not text"))
