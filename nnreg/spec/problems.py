"""The texts of problems in a JSON value, from pydantic's errors."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from nnreg._utils.suggestions import suggest
from nnreg.interfaces.component import Component
from nnreg.interfaces.encoder import learned_fields
from nnreg.interfaces.graph import ENTRY_KEYS
from nnreg.interfaces.layer import Layer
from nnreg.registry.checks import unannotated
from nnreg.registry.foreign_options import option_meant, value_meant

MISSING: Final = "nnreg_missing"
"""The type of an error whose location ends with a missing key."""

UNKNOWN: Final = "nnreg_unknown"
"""The type of an error about a key, not about its value."""

ErrorType: TypeAlias = Literal["nnreg", "nnreg_missing", "nnreg_unknown"]


def problem(text: str, kind: ErrorType = "nnreg") -> PydanticCustomError:
    """Return an error with this text, for pydantic to locate."""
    return PydanticCustomError(kind, "{text}", {"text": text})


def problem_lines(error: ValidationError, cls: type[Any], value: Any) -> Iterable[InitErrorDetails]:
    """Yield pydantic's errors with nnreg's messages, those of a union's branches as one."""
    by_location: dict[tuple[int | str, ...], list[Any]] = {}
    for line in error.errors(include_url=False):
        loc, absent = line["loc"], line["type"] in ("missing", MISSING)
        location = (*_within(value, loc[:-1]), loc[-1]) if absent else _within(value, loc)
        by_location.setdefault(location, []).append(line)
    known = [field.name for field in dataclasses.fields(cls)]
    known += ENTRY_KEYS if issubclass(cls, Layer) else ()
    containing = {loc[:length] for loc in by_location for length in range(len(loc))}
    for loc, lines in by_location.items():
        if loc in containing:
            continue  # a consequence of an error inside it
        line, short = lines[0], any(one["type"] == "too_short" for one in lines)
        kind: ErrorType = "nnreg"
        if line["type"] in ("nnreg", MISSING, UNKNOWN):
            text, kind = line["msg"], line["type"]
        elif line["type"] == "extra_forbidden":
            key = str(loc[-1])
            hint = _why_unknown(cls, key) or option_meant(key, known)
            hint = hint or suggest(key, known) or "; there are no options"
            text, kind = f"unknown key {key!r}{hint}", UNKNOWN
        elif line["type"] == "missing":
            text, kind = "required, but not given", MISSING
        else:
            expected = [one["msg"].removeprefix("Input should be ") for one in lines]
            needed = "not be empty" if short else f"be {' or '.join(dict.fromkeys(expected))}"
            at = functools.reduce(lambda tree, key: tree[key], loc, value)
            text = f"must {needed}, found {shown(at)}"
            if "a valid array" in expected and not isinstance(at, list | dict | None):
                text += f"; write [{shown(at)}]"
            text += value_meant(str(loc[-1]), at) if loc else ""
        yield {"type": problem(text, kind), "loc": loc, "input": None}


def _why_unknown(cls: type[Any], key: str) -> str:
    """Return the reason why an attribute of a component's class is not an option, or nothing."""
    if key in learned_fields(cls):
        return ", which is learned from the training rows; remove it"
    found = unannotated(cls) if issubclass(cls, Component) else {}
    if key not in found:
        return ""
    name, value = type(found[key]).__name__, found[key]
    return (
        f"; {cls.__qualname__}.{key} has no annotation, so that it is not an option: its author "
        f"must write {key}: {name} = {value!r}"
    )


def _within(value: Any, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Remove the names of union branches, which are not keys of the value, from a location."""
    path: list[int | str] = []
    for index, key in enumerate(loc):
        if isinstance(value, dict) and isinstance(key, str):
            if key in value:
                value = value[key]
            elif index:
                continue
            path.append(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
            path.append(key)
        elif isinstance(value, dict | list) and index < len(loc) - 1:
            continue
    return tuple(path)


def json_path(loc: tuple[int | str, ...]) -> str:
    """Return the JSON path of one of pydantic's locations."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc)


def shown(value: Any) -> str:
    """Return a JSON value as text, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
