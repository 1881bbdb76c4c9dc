"""The JSON Schema of a spec with every registered component."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, ClassVar, Final, cast

from pydantic.json_schema import PydanticJsonSchemaWarning

from nnreg.errors import NnregWarning, PluginError
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.graph import EntryKeys
from nnreg.interfaces.metric import NAME
from nnreg.interfaces.outputs import OutputLoss
from nnreg.registry.kinds import KINDS
from nnreg.registry.names import SEPARATOR, Entry
from nnreg.registry.registry import Registry, installed
from nnreg.spec.compose import EXTENDS
from nnreg.spec.docstrings import class_docstring, parse_docstring
from nnreg.spec.pydantic_models import model_of
from nnreg.spec.sections import SECTIONS, Spec
from nnreg.spec.validation import to_strict_json


def json_schema(registry: Registry | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a spec, with the components of a registry or all installed ones."""
    writer = SchemaWriter(registry or installed())
    return writer.document(Spec, SECTIONS, "nnreg spec")


class SchemaWriter:
    """Writes the JSON Schema of a section and of every registered component."""

    DIALECT: ClassVar[str] = "https://json-schema.org/draft/2020-12/schema"

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.definitions: dict[str, Any] = {}

    def document(
        self, root: type[Configurable], sections: Iterable[type[Configurable]], title: str
    ) -> dict[str, Any]:
        """Return the schema of a file; `sections` are the classes that `root` refers to."""
        for section in sections:
            self.definitions[section.__name__] = self.options(section)
        for kind in KINDS:
            self.definitions[kind] = self._kind(kind)
        self.definitions[OutputLoss.__name__] = self._output_loss()
        body = self.options(root)
        name = {"type": "string", "minLength": 1}
        body["properties"] = {
            "$schema": {"type": "string"},
            EXTENDS: {"anyOf": [name, {"type": "array", "items": name}]},
            **body["properties"],
        }
        body["anyOf"] = [{"required": body.pop("required")}, {"required": [EXTENDS]}]
        for schema in (body, *self.definitions.values()):
            for one in (schema, *schema.get("anyOf", ())):
                properties = one.get("properties", {})
                properties |= {key: _or_variable(value) for key, value in properties.items()}
        for kind in KINDS:
            self.definitions[kind]["anyOf"].append({"$ref": VARIABLE})
        self.definitions["variable"] = {"type": "string", "pattern": r"^\$\{env:[^}]*\}$"}
        return {"$schema": self.DIALECT, "title": title, **body, "$defs": self.definitions}

    def _kind(self, kind: str) -> Any:
        """Return the schema of a kind: a name if all options have defaults, or an object.

        A name is accepted for each component that has it, since a spec may prefer any, and so is
        its qualified form, as a pattern: editors then do not suggest it for every component. A
        component that cannot be described is omitted, with a warning.
        """
        short, bodies = [], []
        for entry in self.registry.loaded(kind):
            try:
                body = self.options(entry.cls)
            except PluginError as error:
                text = f"{kind} {entry.name!r} of {entry.provider} is omitted: {error}"
                warnings.warn(text, NnregWarning, stacklevel=4)
                continue
            if not body["required"]:
                short.append(entry)
            name = {"oneOf": [{"const": entry.name}, _qualified([entry])]}
            body["properties"] = {"type": name, **body["properties"]}
            body["required"] = ["type", *body["required"]]
            body["description"] = (
                f"{parse_docstring(entry.cls.__doc__).prose}\n\nFrom {entry.provider}."
            )
            bodies.append(body)
        if kind == "layer":
            bodies = self._entries(bodies)
        if kind == "metric":
            named = {NAME: {"type": "string", "description": "the name in records and reports"}}
            bodies = [{**one, "properties": {**one["properties"], **named}} for one in bodies]
        names = list(dict.fromkeys(entry.name for entry in short))
        qualified = [_qualified(short)] if short else []
        return {"anyOf": [{"enum": names}, *qualified, *bodies]}

    def _output_loss(self) -> Any:
        """Return the schema of a loss with the keys of an entry of several outputs."""
        keys = self.options(OutputLoss)["properties"]
        entry = {name: keys[name] for name in ("weight", "target")}
        return {"anyOf": [
            {**one, "properties": {**one["properties"], **entry}} if "properties" in one else one
            for one in self.definitions["loss"]["anyOf"]
        ]}  # fmt: skip

    def _entries(self, layers: Iterable[Any]) -> list[Any]:
        """Return the schemas of entries of a list of layers, with the use of an earlier one."""
        use = {**self.options(EntryKeys), "required": ["use"]}
        keys = {key: use["properties"][key] for key in ("name", "inputs")}
        entries = [{**layer, "properties": {**layer["properties"], **keys}} for layer in layers]
        return [*entries, use]

    def _default(self, cls: type[Any], name: str, value: Any) -> Any:
        try:
            return to_strict_json(value, self.registry)
        except (TypeError, ValueError) as error:
            raise PluginError(
                f"the default of {cls.__qualname__}.{name} is {value!r}, which is not JSON"
            ) from error

    def options(self, cls: type[Any]) -> dict[str, Any]:
        """Return the schema of a JSON object with the fields of a dataclass.

        The lines of the docstring's block of options are their descriptions.
        """
        # Defaults are written here, because pydantic cannot write components, of which it warns.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
            schema = model_of(cast(Hashable, cls)).model_json_schema(by_alias=True)
        schema = _inline(schema, schema.pop("$defs", {}))
        meanings = dict(class_docstring(cls).options)
        for field in dataclasses.fields(cls):
            body = schema.get("properties", {}).get(field.name, {})
            body.pop("default", None)
            body.pop("title", None)
            if field.name in meanings:
                body["description"] = meanings[field.name]
            if field.default is not dataclasses.MISSING:
                body["default"] = self._default(cls, field.name, field.default)
            elif field.default_factory is not dataclasses.MISSING:
                body["default"] = self._default(cls, field.name, field.default_factory())
        schema.pop("title", None)
        schema.setdefault("properties", {})
        schema.setdefault("required", [])
        return cast(dict[str, Any], _references(schema))


def _qualified(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the schema of the qualified names of components."""
    by_distribution: dict[str, list[str]] = {}
    for entry in entries:
        by_distribution.setdefault(entry.distribution, []).append(entry.name)
    forms = [
        f"{_escaped(distribution)}{SEPARATOR}({'|'.join(names)})"
        for distribution, names in by_distribution.items()
    ]
    return {"type": "string", "pattern": f"^({'|'.join(forms)})$"}


def _escaped(text: str) -> str:
    """Escape a text for a pattern of JSON Schema, which refuses some escapes of `re.escape`."""
    return re.sub(r"[\^$\\.*+?()\[\]{}|/]", r"\\\g<0>", text)


VARIABLE: Final = "#/$defs/variable"
"""The schema of an environment variable, which may replace any value that is not text."""


def _or_variable(schema: Any) -> Any:
    """Return the schema of an option that may also be an environment variable."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"$ref": VARIABLE}]}
    if "enum" not in schema and schema.get("type") not in ("number", "integer", "boolean"):
        return schema
    outer = {key: schema[key] for key in ("default", "description") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in outer}
    return {**outer, "anyOf": [inner, {"$ref": VARIABLE}]}


def _inline(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Replace references to definitions of a class, such as an Enum, by these."""
    if isinstance(node, dict):
        name = str(node.get("$ref", "")).removeprefix("#/$defs/")
        if name in definitions:
            others = {key: value for key, value in definitions.items() if key != name}
            rest = {key: value for key, value in node.items() if key != "$ref"}
            node = {**_inline(definitions[name], others), **rest}
        return {key: _inline(value, definitions) for key, value in node.items()}
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    return node


def _references(node: Any) -> Any:
    """Replace the markers of `Configurable` by references to definitions."""
    if isinstance(node, dict):
        if "nnreg" in node:
            rest = {key: value for key, value in node.items() if key != "nnreg"}
            return {"$ref": f"#/$defs/{node['nnreg']}", **rest}
        return {key: _references(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_references(item) for item in node]
    return node
