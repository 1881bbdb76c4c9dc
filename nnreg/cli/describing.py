"""Commands that tell what is there: validate, schema, plugins, show."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg.cli import cli
from nnreg.cli.common import (
    json_option,
    overrides_option,
    plugin_option,
    print_json,
    print_table,
    registry_with,
    spec_argument,
)

if TYPE_CHECKING:
    from nnreg.plugins import Plugin
    from nnreg.registry import Entry, Registry


@cli.command()
@spec_argument
@overrides_option
@plugin_option
@json_option
def validate(spec: str, overrides: tuple[str, ...], files: tuple[Path, ...], as_json: bool) -> None:
    """Check SPEC (- for standard input), its data, and that every layer takes its input.

    \b
    nnreg validate models/penguins.json --set model.layers.0.units=64
    """
    from nnreg.assembly import assemble
    from nnreg.errors import SpecError
    from nnreg.spec import read_spec

    try:
        assembled = assemble(read_spec(spec, overrides, registry=registry_with(files)))
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
@plugin_option
def schema(files: tuple[Path, ...]) -> None:
    """Print the JSON Schema of a spec, with everything that is installed now.

    \b
    nnreg schema > nnreg.schema.json
    """
    from nnreg.spec import json_schema

    print_json(json_schema(registry_with(files)))


@cli.command()
@plugin_option
@json_option
def plugins(files: tuple[Path, ...], as_json: bool) -> None:
    """List the plugins: what each provides, and what is wrong with one that failed.

    \b
    nnreg plugins --plugin ./mish.py
    """
    registry = registry_with(files)
    rows = [_plugin(plugin, registry) for plugin in registry.plugins.values()]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["plugin", "from", "state", "provides"],
        [[row["plugin"], f"{row['distribution']} {row['version']}", row["state"], _provided(row)]
         for row in rows],
    )  # fmt: skip
    for row in rows:
        for failure in row["failures"]:
            click.echo(f"{row['plugin']} failed: {failure['error']}\n  mend: {failure['mend']}")
        if row["blocked_by"]:
            click.echo(f"{row['plugin']} is blocked by {row['blocked_by']}")


def _plugin(plugin: Plugin, registry: Registry) -> dict[str, Any]:
    """Return all there is to know about a plugin."""
    provides: dict[str, list[str]] = {}
    for entry in registry:
        if entry.plugin == plugin.name:
            provides.setdefault(entry.kind, []).append(entry.name)
    return {
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "file": str(plugin.path) if plugin.path else None,
        "state": plugin.state,
        "blocked_by": plugin.blocked_by or None,
        "failures": [dataclasses.asdict(failure) for failure in plugin.failures],
        "provides": provides,
        "hooks": plugin.hooks,
        "import_seconds": plugin.seconds,
    }


def _provided(row: dict[str, Any]) -> str:
    """Write what a plugin provides; hooks that provide nothing are named themselves."""
    from nnreg.registry import KINDS

    lines = [f"{kind}: {', '.join(names)}" for kind, names in row["provides"].items()]
    events = set(row["hooks"]) - {hook for hook, _ in KINDS.values()}
    return "\n".join([*lines, *sorted(events)])


@cli.command()
@click.argument("name")
@plugin_option
@json_option
def show(name: str, files: tuple[Path, ...], as_json: bool) -> None:
    """Show a component: its formula, its options, who provides it.

    \b
    nnreg show leaky_relu
    """
    from nnreg.errors import UsageError, nearest

    registry = registry_with(files)
    entries = [entry for entry in registry if entry.name == name]
    if not entries:
        known = {entry.name for entry in registry}
        raise UsageError(f"no component {name!r}{nearest(name, known)}{registry.absent()}")
    if as_json:
        print_json([_described(entry, registry) for entry in entries])
        return
    for entry in entries:
        _print_entry(_described(entry, registry))


def _described(entry: Entry, registry: Registry) -> dict[str, Any]:
    from nnreg.schema import SchemaWriter

    body = SchemaWriter(registry).options(entry.cls)
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
