"""Commands of plugins. A plugin is imported only if a command that is not built in is called.

`nnreg --help` shows the names in the metadata of the installed distributions, without an import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.distributions import DamagedError, entry_points, identity
from nnreg._utils.metadata_search import COMMANDS_GROUP
from nnreg.errors import PluginError, UsageError

if TYPE_CHECKING:
    from nnreg.registry.loading import Plugin
    from nnreg.registry.registry import Registry


@dataclass(frozen=True)
class PluginCommand:
    """A command and the plugin that it comes from."""

    command: click.Command
    plugin: Plugin


def declared(built_in: Collection[str]) -> list[tuple[str, str]]:
    """Return the commands that installed distributions declare, and the distribution of each.

    Those of distributions that `NNREG_PLUGINS` leaves out are omitted.
    """
    points, _ = entry_points(COMMANDS_GROUP)
    return sorted(
        (point.name, distribution)
        for point in points
        if point.name not in built_in
        for distribution in _distribution_of(point)
    )


def _distribution_of(point: Any) -> Iterator[str]:
    """Yield the name of an entry point's distribution, unless it is damaged or left out."""
    try:
        name = identity(point.dist).name
    except DamagedError:
        return
    if "NNREG_PLUGINS" in os.environ:
        from nnreg.registry.loading import ENTRY_POINT_GROUP, Plugin, Selection

        selection = Selection.of_environment()
        plugins = point.dist.entry_points.select(group=ENTRY_POINT_GROUP)
        if all(selection.blocks(Plugin(plugin.name, name, "?")) for plugin in plugins):
            return
    yield name


def commands_of(registry: Registry, built_in: Collection[str]) -> Mapping[str, list[PluginCommand]]:
    """Return the commands of all plugins by name; what is wrong with one is recorded with it."""
    found: dict[str, list[PluginCommand]] = {}
    for hook in registry.manager.hook.nnreg_commands.get_hookimpls():
        plugin = registry.plugins[hook.plugin_name]
        with plugin.attempt("nnreg_commands"):
            for name, command in _checked(hook.function(), built_in).items():
                found.setdefault(name, []).append(PluginCommand(command, plugin))
    return found


def _checked(commands: Any, built_in: Collection[str]) -> Mapping[str, click.Command]:
    """Return the commands of a plugin. Raises `PluginError` if they are not valid."""
    if not isinstance(commands, Mapping):
        found = type(commands).__name__
        raise PluginError(f"returned {found}; expected a mapping of name to click.Command")
    for name, command in commands.items():
        if not (isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9-]*", name)):
            raise PluginError(
                f"registers the command {name!r}; expected lowercase letters, digits and -"
            )
        if name in built_in:
            raise PluginError(f"registers the command {name!r}, which is built in; rename it")
        if not isinstance(command, click.Command):
            raise PluginError(
                f"registers the command {name!r} as {command!r}; expected a function with "
                "@click.command()"
            )
    return commands


def find(context: click.Context, name: str, built_in: Collection[str]) -> PluginCommand | None:
    """Import the plugins and return the command of this name, if one has it.

    Raises `UsageError` if several have it, and if the plugin that declares it is not loaded.
    """
    from nnreg.cli._complete import quiet_registry
    from nnreg.cli._registry import registry_with

    quiet = context.resilient_parsing
    registry = quiet_registry(context) if quiet else registry_with((), context)
    commands = commands_of(registry, built_in).get(name, [])
    if len(commands) > 1:
        first, *others = (one.plugin.name for one in commands)
        raise UsageError(
            f"the plugins {', '.join([first, *others])} have a command {name!r}; block all but "
            f"one: nnreg {' '.join(f'-p no:{other}' for other in others)} {name}"
        )
    if commands:
        return commands[0]
    points, _ = entry_points(COMMANDS_GROUP)
    if not quiet and name in {point.name for point in points}:
        raise UsageError(f"the command {name!r} is not available{registry.unavailable()}")
    return None
