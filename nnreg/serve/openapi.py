"""What the server says about itself: OpenAPI, and a short page."""

from __future__ import annotations

from html import escape
from typing import Any

from nnreg._utils import json_text
from nnreg._version import __version__
from nnreg.model.model import Model
from nnreg.serve.limits import Limits

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}</title>
<h1>{name}</h1>
<p>This is a model of nnreg {version}. Ask it for a prediction with one row, an object of values by
column, or with a list of rows:</p>
<pre>curl -H 'Content-Type: application/json' http://{host}/predict -d '{row}'</pre>
<p><a href="openapi.json">openapi.json</a> describes the columns, <a href="health">health</a> says
whether the server answers.</p>
</html>
"""


def openapi(model: Model, limits: Limits) -> dict[str, Any]:
    """Return the description of the server by OpenAPI 3.1, whose schemas are JSON Schema."""
    row = {key: value for key, value in model.input_schema.items() if key != "$schema"}
    ref = {"$ref": "#/components/schemas/Row"}
    prediction = {"type": "object", "description": "as a row of `nnreg predict --json`"}
    predicted = {
        "type": "object",
        "properties": {
            "prediction": prediction,
            "predictions": {"type": "array", "items": prediction},
        },
        "description": "a prediction for one row, or predictions for a list",
    }
    rows = {"type": "array", "items": ref, "minItems": 1, "maxItems": limits.rows}
    body = {"required": True, "content": _json({"oneOf": [ref, rows]})}
    errors = {
        "400": "the body is not JSON",
        "413": f"more than {limits.body:,} bytes, or more than {limits.rows:,} rows",
        "422": "rows that do not fit, with the row and the column of each problem",
        "503": f"no prediction within {limits.seconds:g} seconds",
    }
    error = _json({"$ref": "#/components/schemas/Error"})
    answers = {code: {"description": text, "content": error} for code, text in errors.items()}
    done = {"200": {"description": "the prediction of each row", "content": _json(predicted)}}
    asked = {"summary": "Predict rows", "requestBody": body, "responses": done | answers}
    health = {"summary": "Say that it answers", "responses": {"200": {"description": "it does"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": model.document.name, "version": __version__},
        "paths": {"/predict": {"post": asked}, "/health": {"get": health}},
        "components": {"schemas": {"Row": row, "Error": _ERROR}},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


_ERROR = {
    "type": "object",
    "properties": {
        "error": {"type": "string"},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "row": {"type": "integer", "description": "counted from 0"},
                    "column": {"type": ["string", "null"]},
                    "message": {"type": "string"},
                },
            },
        },
    },
    "required": ["error"],
}


def page(model: Model, host: str) -> str:
    """Return a page of HTML that says how to ask the server at an address."""
    row = json_text.dumps(example_row(model), ensure_ascii=False).replace("'", "'\\''")
    texts = {"name": model.document.name, "version": __version__, "host": host, "row": row}
    return PAGE.format(**{name: escape(text, quote=False) for name, text in texts.items()})


def example_row(model: Model) -> dict[str, Any]:
    """Return a row that fits, with a value of the middle of the training rows for a number."""
    summaries = {one.name: one.summary for one in model.preprocessing.inputs}
    found = {}
    for name, schema in model.input_schema["properties"].items():
        summary = summaries.get(name)
        found[name] = _example(schema)
        if found[name] == 0 and summary is not None and summary.quantiles:
            middle = summary.quantiles[len(summary.quantiles) // 2]
            found[name] = int(middle) if middle.is_integer() else middle
    return found


def _example(schema: dict[str, Any]) -> Any:
    for known in (schema.get("enum"), schema.get("examples")):
        if known:
            return known[0]
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if kinds[0] == "array":
        return [_example(schema["items"])] * schema["minItems"]
    return "text" if kinds[0] == "string" else 0
