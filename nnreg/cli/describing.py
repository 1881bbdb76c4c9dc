"""Commands that tell what is there: validate, schema, plugins, show."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import click

from nnreg.cli import cli
from nnreg.cli.common import (
    json_option,
    overrides_option,
    print_json,
    print_table,
    spec_argument,
)

if TYPE_CHECKING:
    from nnreg.registry import Entry


@cli.command()
@spec_argument
@overrides_option
@json_option
def validate(spec: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check SPEC (- for standard input), its data, and that every layer takes its input.

    \b
    nnreg validate models/penguins.json --set model.layers.0.units=64
    """
    from nnreg.assembly import assemble
    from nnreg.errors import SpecError
    from nnreg.spec import read_spec

    try:
        assembled = assemble(read_spec(spec, overrides))
    except SpecError as error:
        if not as_json:
            raise
        problems = [dataclasses.asdict(problem) for problem in error.problems]
        print_json({"valid": False, "problems": problems})
        raise SystemExit(error.exit_code) from None
    if as_json:
        print_json({"valid": True, "problems": []})
        return
    click.echo(f"{assembled.model.document.origin}: valid\n")
    click.echo(assembled.model.summary())
    parts = (("train", assembled.train), ("validation", assembled.validation),
             ("test", assembled.test))  # fmt: skip
    click.echo(", ".join(f"{len(part)} rows to {name}" if name == "train" else
                         f"{len(part)} for {name}" for name, part in parts if part))  # fmt: skip


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a spec, with everything that is installed now.

    \b
    nnreg schema > nnreg.schema.json
    """
    from nnreg.spec import json_schema

    print_json(json_schema())


@cli.command()
@json_option
def plugins(as_json: bool) -> None:
    """List the plugins that are installed and what they provide."""
    from nnreg.registry import KINDS, installed

    registry = installed()
    rows: list[dict[str, Any]] = [
        {
            "plugin": name,
            "distribution": distribution,
            "version": version,
            "state": "loaded",
            "provides": {
                kind: [
                    entry.name for entry in registry if entry.plugin == name and entry.kind == kind
                ]
                for kind in KINDS
            },
        }
        for name, (distribution, version) in registry.plugins.items()
    ]
    rows += [
        {
            "plugin": failure.plugin,
            "distribution": failure.distribution,
            "version": failure.version,
            "state": f"failed: {failure.error}",
            "provides": {},
        }
        for failure in registry.failures
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["plugin", "distribution", "state", "provides"],
        [
            [row["plugin"], f"{row['distribution']} {row['version']}", row["state"],
             "\n".join(f"{kind}: {', '.join(n)}" for kind, n in row["provides"].items() if n)]
            for row in rows
        ],
    )  # fmt: skip


@cli.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a component: its formula, its options, who provides it.

    \b
    nnreg show leaky_relu
    """
    from nnreg.errors import UsageError, nearest
    from nnreg.registry import installed

    registry = installed()
    entries = [entry for entry in registry if entry.name == name]
    if not entries:
        known = {entry.name for entry in registry}
        raise UsageError(f"no component {name!r}{nearest(name, known)}")
    if as_json:
        print_json([_described(entry) for entry in entries])
        return
    for entry in entries:
        _print_entry(_described(entry))


def _described(entry: Entry) -> dict[str, Any]:
    from nnreg.registry import installed
    from nnreg.schema import SchemaWriter

    body = SchemaWriter(installed()).options(entry.cls)
    options = [
        {
            "name": name,
            "type": _type_text(option),
            "default": option.get("default", "required" if name in body["required"] else None),
        }
        for name, option in body["properties"].items()
    ]
    return {
        "name": entry.name,
        "kind": entry.kind,
        "distribution": entry.distribution,
        "version": entry.version,
        "plugin": entry.plugin,
        "where": f"{entry.cls.__module__}.{entry.cls.__qualname__}",
        "documentation": inspect.cleandoc(entry.cls.__doc__ or ""),
        "options": options,
    }


def _print_entry(entry: dict[str, Any]) -> None:
    click.echo(f"{entry['kind']} {entry['name']}\n")
    click.echo(f"{entry['documentation']}\n")
    if entry["options"]:
        rows = [[o["name"], o["type"], _default_text(o["default"])] for o in entry["options"]]
        print_table(["option", "type", "default"], rows)
    click.echo(f"from {entry['distribution']} {entry['version']}, {entry['where']}")


def _default_text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _type_text(option: dict[str, Any]) -> str:
    """Write a JSON Schema of an option in words."""
    if "$ref" in option:
        return str(option["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in option:
        return " or ".join(_type_text(branch) for branch in option["anyOf"])
    if "const" in option or "enum" in option:
        return " or ".join(f'"{value}"' for value in option.get("enum", [option.get("const")]))
    if "prefixItems" in option:
        return f"[{', '.join(_type_text(item) for item in option['prefixItems'])}]"
    if option.get("type") == "array":
        return f"list of {_type_text(option.get('items', {}))}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {option[key]:g}" for key, sign in signs.items() if key in option]
    return " ".join([str(option.get("type", "any")), *bounds])
