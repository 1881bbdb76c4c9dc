"""The description of a component, for `nnreg show` and for the reference in the docs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry
from nnreg.spec.docstrings import class_docstring
from nnreg.spec.json_schema import SchemaWriter


def describe(entry: Entry, registry: Registry) -> dict[str, Any]:
    """Return a component's documentation, options, arrays and origin.

    `nnreg show --json` prints them so.
    """
    docstring = class_docstring(entry.cls)
    body = SchemaWriter(registry).options(entry.cls)
    options = [
        {
            "name": name,
            "type": type_text(option),
            "default": option.get("default", "required" if name in body["required"] else None),
            "meaning": option.get("description", ""),
        }
        for name, option in body["properties"].items()
    ]
    file, line = _source(entry.cls)
    return {
        "name": entry.name,
        "spec_name": registry.reference(entry),
        "kind": entry.kind,
        "distribution": entry.distribution,
        "version": entry.version,
        "plugin": entry.plugin,
        "where": f"{entry.cls.__module__}.{entry.cls.__qualname__}",
        "file": file,
        "line": line,
        "documentation": docstring.prose,
        "formula": docstring.formula,
        "options": options,
        "parameters": [{"name": name, "shape": shape} for name, shape in docstring.parameters],
        "buffers": [{"name": name, "shape": shape} for name, shape in docstring.buffers],
        "learned": [{"name": name, "meaning": text} for name, text in docstring.learned],
    }


def _source(cls: type) -> tuple[str | None, int | None]:
    """Return the file and the line of a class; None for what is unknown."""
    try:
        return inspect.getsourcefile(cls), inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return None, None


def type_text(option: dict[str, Any], kind: Callable[[str], str] = str) -> str:
    """Format the JSON Schema of an option for a reader; `kind` formats the kind it refers to."""
    if "$ref" in option:
        return kind(option["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in option:
        return " or ".join(type_text(branch, kind) for branch in option["anyOf"])
    if "const" in option or "enum" in option:
        return " or ".join(f'"{value}"' for value in option.get("enum", [option.get("const")]))
    if "prefixItems" in option:
        return f"[{', '.join(type_text(item, kind) for item in option['prefixItems'])}]"
    if option.get("type") == "array":
        return f"list of {type_text(option.get('items', {}), kind)}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {_bound(option[key])}" for key, sign in signs.items() if key in option]
    return f"{option.get('type', 'any')} {' and '.join(bounds)}".rstrip()


def _bound(value: float) -> str:
    """Format a bound, that of a 64-bit integer as a power of 2."""
    return "2^64" if value == 2**64 else f"{value:g}"
