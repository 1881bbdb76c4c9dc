"""Commands that list and describe components: schema, plugins, show."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from nnreg._utils.os_errors import os_errors_as
from nnreg.cli._complete import complete_component
from nnreg.cli._help import command
from nnreg.cli._options import json_option, plugin_option
from nnreg.cli._output import console, print_json, print_lines, print_prose, print_table
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.cli._plugin_commands import PluginCommand
    from nnreg.interfaces.activation import Activation
    from nnreg.interfaces.schedule import Schedule
    from nnreg.registry.loading import Plugin
    from nnreg.registry.names import Entry
    from nnreg.registry.registry import Registry

    Drawable: TypeAlias = Activation | Schedule

SLOW_IMPORT_SECONDS = 0.5
"""The seconds from which the import time of a plugin is shown."""


@command()
@click.option("--sweep", is_flag=True, help="Print the schema of a sweep file instead.")
@plugin_option
def schema(sweep: bool, files: tuple[Path, ...]) -> None:
    """Print the JSON Schema of a spec, with all installed components.

    \b
    nnreg schema > nnreg.schema.json
    nnreg schema --sweep > sweep.schema.json
    """
    if sweep:
        from nnreg.sweeps.json_schema import sweep_schema

        print_json(sweep_schema(registry_with(files)))
        return
    from nnreg.spec.json_schema import json_schema

    print_json(json_schema(registry_with(files)))


@command()
@plugin_option
@json_option
def plugins(files: tuple[Path, ...], as_json: bool) -> None:
    """List the plugins: what they provide, or why they failed.

    \b
    nnreg plugins --plugin ./mish.py
    """
    from nnreg.cli._plugin_commands import commands_of

    registry, program = registry_with(files), click.get_current_context().find_root().command
    registry.loaded()  # for what fails
    commands = commands_of(registry, program.commands if isinstance(program, click.Group) else ())
    rows = [_plugin_row(plugin, registry, commands) for plugin in registry.plugins.values()]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["plugin", "from", "state", "provides"],
        [[row["plugin"], f"{row['distribution']} {row['version']}", _state(row), _provided(row)]
         for row in rows],
    )  # fmt: skip
    for row in rows:
        for failure in row["failures"]:
            print_lines(f"{row['plugin']} failed: {failure['error']}", f"  fix: {failure['fix']}")
        if row["blocked_by"]:
            print_lines(f"{row['plugin']} is blocked by {row['blocked_by']}")
    for shared in registry.shared_names():
        print_lines(shared)


def _plugin_row(
    plugin: Plugin, registry: Registry, commands: Mapping[str, Sequence[PluginCommand]]
) -> dict[str, Any]:
    """Return the state, the components and the commands of a plugin, as JSON."""
    provides: dict[str, list[str]] = {}
    for entry in registry:
        if entry.plugin == plugin.name:
            provides.setdefault(entry.kind, []).append(entry.name)
    own = [name for name, found in commands.items() if any(one.plugin is plugin for one in found)]
    if own:
        provides["command"] = own
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


def _state(row: dict[str, Any]) -> str:
    seconds = row["import_seconds"]
    slow = seconds >= SLOW_IMPORT_SECONDS
    return f"{row['state']} in {seconds:.1f} s" if slow else str(row["state"])


def _provided(row: dict[str, Any]) -> list[str]:
    """Return what a plugin provides by kind, and the events it receives."""
    from nnreg.registry.kinds import KINDS

    lines = [f"{kind}: {', '.join(names)}" for kind, names in row["provides"].items()]
    events = (
        set(row["hooks"])
        - {hook for hook, _ in KINDS.values()}
        - {"nnreg_commands", "nnreg_report_sections"}
    )
    lines += ["report sections"] if "nnreg_report_sections" in row["hooks"] else []
    lines += [f"events: {', '.join(sorted(events))}"] if events else []
    return lines


@command()
@click.argument("name", shell_complete=complete_component)
@click.option("--kind", help="Show only components of this kind, as KIND.NAME does.")
@click.option(
    "--set",
    "options",
    multiple=True,
    metavar="OPTION=VALUE",
    help="Draw the activation or schedule with this option; may be repeated.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the activation or schedule to this SVG file.",
)
@plugin_option
@json_option
def show(
    name: str,
    kind: str | None,
    options: tuple[str, ...],
    plot: Path | None,
    files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show a component: its formula, options and origin.

    Draws an activation with its derivative, and a schedule over 60 epochs, in the terminal or to
    a file.

    \b
    nnreg show leaky_relu
    nnreg show loss.mean_squared_error
    nnreg show nnreg-mish:mish
    nnreg show elu --set alpha=2 --plot elu.svg
    nnreg show cosine --set restarts=3
    """
    from nnreg.spec.component_reference import describe

    registry = registry_with(files)
    entries = _find(name, kind, registry)
    drawable = [entry for entry in entries if entry.kind in ("activation", "schedule")]
    if (plot or options) and not drawable:
        raise click.UsageError(f"{name} is not an activation or schedule; only those are drawn")
    pictures = {entry: _instance(entry, options, registry) for entry in drawable}
    if plot:
        _write_svg(plot, drawable[0], pictures[drawable[0]], options)
    if as_json:
        print_json([describe(entry, registry) for entry in entries])
        return
    for index, entry in enumerate(entries):
        if index:
            print_lines("")
        _print_entry(describe(entry, registry), pictures.get(entry))


def _find(name: str, kind: str | None, registry: Registry) -> list[Entry]:
    """Return the components that `name` or `kind.name` refers to, of all plugins that have it."""
    from nnreg._utils.suggestions import suggest
    from nnreg.errors import UsageError
    from nnreg.registry import names
    from nnreg.registry.kinds import KINDS

    entries = names.named(name, registry)
    if "." in name and kind is None and not entries:  # a file has a dot in its name, too
        kind, name = name.split(".", 1)
    if kind is not None and kind not in KINDS:
        raise UsageError(f"no kind {kind!r}{suggest(kind, KINDS)}")
    of_kind = [entry for entry in registry if kind in (None, entry.kind)]
    entries = names.named(name, of_kind)
    if not entries:
        text = names.unknown(kind or "component", name, registry)
        raise UsageError(f"{text}{registry.unavailable()}")
    return entries


def _instance(entry: Entry, options: tuple[str, ...], registry: Registry) -> Drawable | None:
    """Return the component with these options, or None if one without a default is missing."""
    from nnreg.registry.kinds import KINDS
    from nnreg.spec.compose import Origins, apply_override
    from nnreg.spec.validation import Reader, read

    tree: dict[str, Any] = {"type": entry.name}
    alone = {(entry.kind, entry.name): [entry]}
    registry = dataclasses.replace(registry, entries={**registry.entries, **alone})
    origins = Origins()
    for option in options:
        apply_override(tree, option, origins)
    required = {
        field.name
        for field in dataclasses.fields(entry.cls)  # type: ignore[arg-type] # all are dataclasses
        if field.default is field.default_factory is dataclasses.MISSING
    }
    if required - tree.keys():
        return None
    base: Any = KINDS[entry.kind][1]
    with origins.locating_errors(entry.name):
        instance: Drawable = read(base, tree, Reader(registry))
    return instance


def _write_svg(
    path: Path, entry: Entry, component: Drawable | None, options: tuple[str, ...]
) -> None:
    from nnreg._utils.atomic_files import replace_text
    from nnreg.plotting.components import file
    from nnreg.spec.docstrings import parse_docstring

    if component is None:
        raise click.UsageError(f"{entry.name} has an option without a default; set it with --set")
    title = f"{entry.name} ({', '.join(options)})" if options else entry.name
    docstring = parse_docstring(entry.cls.__doc__)
    formula = docstring.formula.partition("\n")[0] or docstring.summary
    with os_errors_as(click.UsageError, path):
        replace_text(path, file(component, title, formula))


def _paragraphs(text: str) -> str:
    """Join the lines of each paragraph if the output is a terminal, which wraps them."""
    if not sys.stdout.isatty():
        return text
    blocks = text.split("\n\n")
    return "\n\n".join(b if "\n " in b or "\n* " in b else b.replace("\n", " ") for b in blocks)


def _print_entry(entry: dict[str, Any], component: Drawable | None) -> None:
    print_lines(f"{entry['kind']} {entry['name']}", "")
    documentation = _paragraphs(entry["documentation"]) or "No documentation."
    print_prose(*documentation.split("\n"))
    _print_options(entry["options"])
    for block in ("parameters", "buffers"):
        if entry[block]:
            rows = [[array["name"], array["shape"]] for array in entry[block]]
            print_table([block.removesuffix("s"), "shape"], rows)
    if entry["learned"]:
        rows = [[value["name"], value["meaning"]] for value in entry["learned"]]
        print_table(["learned", "meaning"], rows)
    if component is not None:
        _print_curve(component)
    print_lines(f"from {entry['distribution']} {entry['version']} (plugin {entry['plugin']})")
    if entry["spec_name"] != entry["name"]:
        print_lines(f'in a spec "{entry["spec_name"]}"')
    if entry["file"]:
        print_lines(f"code {entry['file']}:{entry['line']}")


def _print_options(options: list[dict[str, Any]]) -> None:
    """Print a table of the options, with their meaning where the docstring has lines of it."""
    if not options:
        print_lines("")
        return
    head = ["option", "type", "default", "meaning"]
    rows = [[o["name"], o["type"], _default_text(o["default"]), o["meaning"]] for o in options]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    print_table(head, rows)


def _print_curve(component: Drawable) -> None:
    from nnreg.plotting.braille import draw
    from nnreg.plotting.components import chart

    terminal = console()
    try:
        picture = draw(chart(component), width=min(terminal.width, 100), height=14)
    except Exception as error:  # a plugin's code
        why = f"{type(error).__name__}: {error}"
        print_lines(f"the curve cannot be drawn: {why}", "", err=True)
    else:
        terminal.print(picture)
        print_lines("")


def _default_text(value: Any) -> str:
    from nnreg._utils import json_text

    return value if isinstance(value, str) else json_text.dumps(value)
