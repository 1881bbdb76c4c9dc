"""The rows that a model takes, as a JSON Schema, and what is wrong with a row that it refuses."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nnreg._utils.suggestions import suggest
from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
from nnreg.interfaces.graph import INPUT
from nnreg.tables.cells import TRUTH, cell_text, number_text, parse_number

MAX = sys.float_info.max

MAX_SHOWN = 60
"""The length of a value in a message."""


class RowProblem(NamedTuple):
    """What is wrong with the value of a column; the column is None if it is all of the row."""

    column: str | None
    message: str


def row_schema(preprocessing: Preprocessing, columns: Columns) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a row as an object of values by column.

    Other columns are allowed, and ignored. Where rows are grouped to sequences or make up windows,
    it is that of one of these rows, and the columns that group and sort them belong to it.
    """
    parts = preprocessing.parts or {INPUT: preprocessing}
    found: dict[str, dict[str, Any]] = {}
    for key, part in parts.items():
        lists = key in preprocessing.steps and not columns.grouped
        for column in part.inputs:
            found[column.name] = _column(column, list_of_steps=lists, settings=columns)
    for name in _places(columns):
        found.setdefault(name, {"type": ["string", "number"], "description": "places the row"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": found,
        "required": list(found),
    }


def _places(columns: Columns) -> tuple[str, ...]:
    """Return the columns that say to which sequence or window a row belongs."""
    of_steps = columns.sequence_columns if columns.grouped else ()
    return (*of_steps, *(() if columns.windows is None else columns.windows.columns))


def _column(column: InputColumn, *, list_of_steps: bool, settings: Columns) -> dict[str, Any]:
    encoder = column.encoder
    if encoder.takes == "arrays":
        schema = _array(encoder.shape, "integer" if encoder.integer else "number")
    elif encoder.takes == "text":
        schema = _text(column)
    else:
        written = encoder.number_texts is not None
        schema = {"type": ["number", "string"] if written else "number", **_range(column)}
    if encoder.takes_lists:
        schema = {"type": ["string", "array"], "items": {"type": "string"}}
    replaced = column.fill is not None or (column.indicator and encoder.takes_missing)
    if replaced and settings.missing != "refuse" and encoder.takes != "arrays":
        schema = _or_null(schema)
    if list_of_steps and not encoder.makes_sequences:
        return {"type": "array", "items": schema, "minItems": 1}
    return schema


def _text(column: InputColumn) -> dict[str, Any]:
    """Return the schema of a text: one of those that the encoder knows if it refuses others.

    A number or a truth value may be given as such where the texts are those of these.
    """
    encoder = column.encoder
    known = [text for text in encoder.known_texts if text]
    others = [value for value in map(_value_of, known) if value is not None]
    kinds = dict.fromkeys("boolean" if isinstance(one, bool) else "number" for one in others)
    key = "enum" if encoder.refuses_unknown else "examples"
    schema = {"type": ["string", *kinds] if kinds else "string"}
    return {**schema, key: [*known, *others]} if known else schema


def _value_of(text: str) -> float | bool | None:
    """Return the number or truth value whose cell has this text."""
    if text in TRUTH:
        return text == TRUTH[1]
    value = parse_number(text)
    if math.isnan(value) or number_text(value) != text:
        return None
    return int(value) if value.is_integer() else value


def _range(column: InputColumn) -> dict[str, Any]:
    summary = column.summary
    if summary is None or summary.min is None or summary.max is None:
        return {}
    text = f"{summary.min:.6g} to {summary.max:.6g} in the training rows"
    return {"description": text}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    options = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [*kinds, "null"], **options}


def _array(shape: tuple[int, ...], kind: str) -> dict[str, Any]:
    """Return the schema of nested lists of this shape."""
    schema: dict[str, Any] = {"type": kind}
    for count in reversed(shape):
        schema = {"type": "array", "items": schema, "minItems": count, "maxItems": count}
    return schema


def row_problems(schema: Mapping[str, Any], row: Any) -> Iterator[RowProblem]:
    """Yield what is wrong with a row, as it is read from JSON, by the schema of `row_schema`."""
    if not isinstance(row, Mapping):
        yield RowProblem(None, f"expected an object of values by column, found {_shown(row)}")
        return
    for name, column in schema["properties"].items():
        if name not in row:
            others = [key for key in row if key not in schema["properties"]]
            yield RowProblem(
                name, f"the value is not given{suggest(name, others, _missing(column))}"
            )
        elif not _is_usual(column, row[name]) and (problem := _problem(column, row[name])):
            yield RowProblem(name, problem)


def _missing(column: Mapping[str, Any]) -> str:
    return "give null if it is missing" if "null" in _kinds(column) else "it is required"


def _is_usual(schema: Mapping[str, Any], value: Any) -> bool:
    """Return whether a value fits, of those of which most rows consist: this takes little time."""
    kind = type(value)
    if kind is float or kind is int:
        return "number" in schema["type"] and "enum" not in schema and -MAX <= value <= MAX
    if kind is str:
        return "string" in schema["type"] and value in schema.get("enum", (value,))
    return False


def _problem(schema: Mapping[str, Any], value: Any) -> str:
    """Return what is wrong with a value; empty if nothing is."""
    kinds = _kinds(schema)
    if not any(_is(kind, value) for kind in kinds):
        return f"expected {' or '.join(map(_NAMES.__getitem__, kinds))}, found {_shown(value)}"
    if "enum" in schema and value is not None and cell_text(value, "") not in schema["enum"]:
        known = [text for text in schema["enum"] if isinstance(text, str)]
        return f"found {_shown(value)}, no known category{suggest(str(value), known)}"
    if not isinstance(value, list):
        return ""
    low, high = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not low <= len(value) <= high:
        return f"expected a list of {low}{'' if low == high else ' or more'}, found {len(value)}"
    places = ((place, _problem(schema["items"], item)) for place, item in enumerate(value))
    return next((f"item {place}: {problem}" for place, problem in places if problem), "")


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema["type"]
    return kinds if isinstance(kinds, list) else [kinds]


def _is(kind: str, value: Any) -> bool:
    """Return whether a value is of a type of JSON; a truth value is not a number."""
    if kind == "null":
        return value is None
    if kind == "string":
        return isinstance(value, str)
    if kind == "array":
        return isinstance(value, list)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX:
        return False  # NaN too: it is not JSON
    return kind == "number" or float(value).is_integer()


_NAMES = {
    "null": "null", "string": "text", "array": "a list", "integer": "an integer",
    "number": "a number", "boolean": "true or false",
}  # fmt: skip


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
