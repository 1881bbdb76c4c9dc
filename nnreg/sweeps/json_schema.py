"""The JSON Schema of a sweep file with every registered component."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from nnreg.registry.registry import Registry, installed
from nnreg.spec.json_schema import SchemaWriter
from nnreg.spec.sections import SECTIONS, Spec
from nnreg.sweeps.settings import WAYS, Optuna, Random, Range, Sweep


def sweep_schema(registry: Registry | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a sweep file, with the components of a registry or all installed.

    A spec within the file may lack sections, which `overrides` may have.
    """
    sections = (*SECTIONS, Spec, Range, Random, Optuna)
    document = SchemaWriter(registry or installed()).document(Sweep, sections, "nnreg sweep")
    definitions, properties = document["$defs"], document["properties"]
    spec = definitions[Spec.__name__]
    spec["properties"]["$schema"] = properties["$schema"]
    del spec["required"]
    properties["spec"]["anyOf"] = [
        {"type": "string", "minLength": 1},
        {"$ref": f"#/$defs/{Spec.__name__}"},
    ]
    definitions[Range.__name__] |= {"minProperties": 1, "maxProperties": 1}
    document["not"] = {"anyOf": [{"required": list(pair)} for pair in combinations(WAYS, 2)]}
    return document
