"""The registry: maps kind and name to class, plugin, distribution and version.

Plugins come from installed distributions, from files, and from the program itself. Each is loaded
separately, so that one that fails does not affect the others.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pluggy

from nnreg import hookspecs
from nnreg._utils.distributions import entry_points
from nnreg._utils.os_errors import os_errors_as
from nnreg._utils.suggestions import suggest
from nnreg._version import __version__
from nnreg.errors import PluginError
from nnreg.interfaces.component import Component
from nnreg.registry import names, plugin_file
from nnreg.registry.checks import Provided, check_components, hook_problems
from nnreg.registry.kinds import KINDS
from nnreg.registry.loading import (
    BUILT_IN,
    ENTRY_POINT_GROUP,
    Origin,
    Plugin,
    Selection,
    canonical,
    digest,
    import_file,
    newer_nnreg,
    note,
)
from nnreg.registry.names import Entry, Preferences


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("nnreg")
    manager.add_hookspecs(hookspecs)
    return manager


@dataclass
class Registry:
    """All components by kind and name, and all plugins: loaded, blocked or failed."""

    selection: Selection = Selection()
    entries: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)
    plugins: dict[str, Plugin] = field(default_factory=dict)
    manager: pluggy.PluginManager = field(default_factory=_manager)
    """All imported plugins, for calling their event hooks."""
    preferences: Preferences = Preferences()
    """Which components of one name the spec that is read with this registry prefers."""

    def preferring(self, preferences: Preferences) -> Registry:
        """Return a view of this registry, in which unqualified names mean what a spec prefers."""
        return replace(self, preferences=preferences)

    def __iter__(self) -> Iterator[Entry]:
        for key in sorted(self.entries):
            yield from self.entries[key]

    def find(self, kind: str, name: str) -> Entry | None:
        """Return the component that a name in a spec means, or None. `names` has the rules.

        Raises `PluginError` if it may mean several.
        """
        found = names.meanings(name, self._same(kind, name), self.preferences)
        if len(found) > 1:
            raise PluginError(names.ambiguous(found))
        return found[0] if found else None

    def shadowed(self, kind: str, name: str) -> str:
        """Return a warning if a name means a built-in by default, and plugins have it too."""
        same, recorded = self._same(kind, name), self.preferences.recorded
        entry = self.find(kind, name) if len(same) > 1 else None
        if entry is None or entry.plugin != BUILT_IN or name != entry.name:
            return ""
        others = [other for other in same if other is not entry]
        return "" if (kind, name) in recorded else names.shadowed(entry, others)

    def unknown(self, kind: str, name: str, *, hint: bool = True) -> str:
        """Return an error message for a name that means nothing, with a suggestion if `hint`."""
        recorded = self.preferences.recorded.get((kind, name))
        if recorded is not None and names.SEPARATOR not in name:
            name = f"{recorded}{names.SEPARATOR}{name}"
        return names.unknown(kind, name, self, hint=hint) + self.unavailable()

    def shared_names(self) -> list[str]:
        """Return what each name means that several plugins have, in a spec without `requires`."""
        messages = []
        for (_, name), same in self.entries.items():
            if len(same) > 1:
                found = names.meanings(name, same, Preferences())
                others = [entry for entry in same if entry not in found]
                one = len(found) == 1
                messages.append(names.shadowed(found[0], others) if one else names.ambiguous(found))
        return messages

    def reference(self, entry: Entry) -> str:
        """Return the name that means a component in a spec, qualified where that is necessary."""
        return names.reference(entry, self.entries[entry.kind, entry.name], self.preferences)

    def loaded(self, kind: str = "") -> list[Entry]:
        """Return all components, or those of a kind, after importing their modules.

        One whose class cannot be imported is removed, and becomes a failure of its plugin.
        """
        result = []
        for entry in [entry for entry in self if kind in ("", entry.kind)]:
            try:
                if entry.cls:
                    result.append(entry)
            except PluginError as error:
                self.plugins[entry.plugin].fail(f"{KINDS[entry.kind][0]}: {error}")
                self._remove([entry])
        return result

    def entry_of(self, component: Component) -> Entry:
        """Return the entry of a component's class. Raises `PluginError` if it is not registered."""
        if entry := self.entry_of_class(type(component)):
            return entry
        raise PluginError(f"{type(component).__name__} is not registered; return it from a hook")

    def entry_of_class(self, cls: type[Component]) -> Entry | None:
        """Return the entry of a class, or None if it is not registered."""
        names = sorted(name for kind, name in self.entries if kind == cls.kind)
        same_kind = (entry for name in names for entry in self.entries[cls.kind, name])
        if found := next((entry for entry in same_kind if entry.has_class(cls)), None):
            return found
        # a reference to it may be to another module than its own, which is not imported
        return next((entry for entry in self.loaded(cls.kind) if entry.cls is cls), None)

    def name_of(self, component: Component) -> str:
        """Return the name of a component in a spec, qualified where that is necessary."""
        return self.reference(self.entry_of(component))

    def _same(self, kind: str, name: str) -> list[Entry]:
        return self.entries.get((kind, names.split(name)[1]), [])

    def of_distribution(self, distribution: str) -> Plugin | None:
        """Return a plugin of a distribution, preferably one that is not fully loaded."""
        found = [p for p in self.plugins.values() if p.distribution == distribution]
        return max(found, key=lambda plugin: bool(plugin.why), default=None)

    def unavailable(self) -> str:
        """Return a list of the plugins that are not fully loaded, to append to an error message."""
        missing = [f"{p.distribution} ({p.state}: {p.why})" for p in self.plugins.values() if p.why]
        return f". Plugins that are not loaded: {'; '.join(missing)}" if missing else ""

    def add_plugin(
        self,
        name: str,
        plugin: object,
        distribution: str,
        version: str,
        origin: Origin = "distribution",
    ) -> Plugin:
        """Register everything that a plugin provides; it is a module or an object with hooks."""
        record = self._enter(Plugin(name, distribution, version, origin))
        with record.attempt():
            self._register(record, plugin)
        return record

    def add_entry_point(self, point: importlib.metadata.EntryPoint) -> Plugin:
        """Import and register the plugin of an entry point of an installed distribution."""
        record, requirements = Plugin.of_entry_point(point)
        self._enter(record).blocked_by = self.selection.blocks(record)
        if record.why:
            return record
        with record.attempt():
            if newer := newer_nnreg(requirements):
                record.fail(f"needs {newer}; this is {__version__}", "pip install -U nnreg")
                return record
            with record.timed():
                plugin = point.load()
            self._register(record, plugin)
        return record

    def add_file(self, path: Path, *, requested: bool = True, blocked_by: str = "") -> Plugin:
        """Execute a file and register it as a plugin. Its version is a digest of its content.

        `requested` is False for a file that the user did not name. Raises `PluginError` if it
        cannot be read.
        """
        if known := self.of_file(path):
            return known
        with os_errors_as(PluginError, path, "cannot read the plugin"):
            source = path.read_bytes()
        record = Plugin(path.name, path.name, digest(source), "file", path.resolve())
        self._enter(record, str(path))
        record.blocked_by = self.selection.blocks(record, requested=requested) or blocked_by
        if record.blocked_by:
            return record
        with record.attempt():
            with record.timed():
                plugin = import_file(path, source)
            self._register(record, plugin)
        return record

    def with_plugin_file(self, directory: Path, *, run: bool) -> Registry:
        """Return this registry, or a copy with the `nnregfile.py` of a directory, or `self`."""
        path = directory / plugin_file.NAME
        if not os.path.isfile(path) or self.of_file(path):  # False for an invalid name
            return self
        copy = Registry(self.selection)
        copy.entries = {key: list(entries) for key, entries in self.entries.items()}
        copy.plugins = dict(self.plugins)
        for name, plugin in self.manager.list_name_plugin():
            copy.manager.register(plugin, name)
        blocked_by = plugin_file.blocked_by(path, run=run)
        plugin_file.describe(copy.add_file(path, requested=False, blocked_by=blocked_by), path)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what was asked for, not the plugins: these are imported again."""
        files = [one.path for one in self.plugins.values() if one.path and not one.blocked_by]
        return _discover_again, (self.selection, files, self.preferences)

    def remove(self, name: str) -> None:
        """Remove the plugin of this name, if there is one."""
        if self.plugins.pop(name, None) is None:
            return
        if self.manager.has_plugin(name):
            self.manager.unregister(name=name)
        self._remove([entry for entry in self if entry.plugin == name])

    def _remove(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            same = self._same(entry.kind, entry.name)
            self.entries[entry.kind, entry.name] = [other for other in same if other != entry]
            if same == [entry]:
                del self.entries[entry.kind, entry.name]

    def remove_file(self, path: Path) -> None:
        """Remove the plugin of a file, if there is one."""
        if record := self.of_file(path):
            self.remove(record.name)

    def of_file(self, path: Path) -> Plugin | None:
        """Return the plugin of a file, if it was added."""
        found = (plugin for plugin in self.plugins.values() if plugin.path == path.resolve())
        return next(found, None)

    def _enter(self, record: Plugin, other_name: str = "") -> Plugin:
        """Add the record of a plugin, under another name if its own is taken."""
        if record.name in self.plugins:
            record.name = other_name or f"{record.distribution}:{record.name}"
        self.plugins[record.name] = record
        return record

    def _register(self, record: Plugin, plugin: object) -> None:
        """Register the hooks of a plugin and the components that they return."""
        try:
            self.manager.register(plugin, record.name)
        except pluggy.PluginValidationError as error:
            if self.manager.has_plugin(record.name):  # pluggy before 1.7 has registered a part
                self.manager.unregister(plugin)
            record.fail("; ".join(str(error).splitlines()[1:]))  # the first line names the plugin
            return
        callers = self.manager.get_hookcallers(plugin) or []
        record.hooks = tuple(sorted(caller.name for caller in callers if caller.has_spec()))
        for problem in hook_problems(plugin, callers):
            record.fail(problem)
        for kind, (hook, base) in KINDS.items():
            for implementation in getattr(self.manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    with record.attempt(hook):
                        components = check_components(base, implementation.function())
                        self._register_components(record, kind, components)

    def _register_components(
        self, record: Plugin, kind: str, components: Mapping[str, Provided]
    ) -> None:
        of = (record.name, record.distribution, record.version, record.origin)
        for name, provided in components.items():
            self.entries.setdefault((kind, name), []).append(Entry(kind, name, provided, *of))


def discover(selection: Selection) -> Registry:
    """Return a new registry with the built-ins and every installed plugin that may load."""
    from nnreg import builtin

    registry = Registry(selection)
    registry.add_plugin(BUILT_IN, builtin, "nnreg", __version__)
    points, damaged = entry_points(ENTRY_POINT_GROUP)
    for point in sorted(points, key=lambda point: point.name):
        registry.add_entry_point(point)
    for directory, error in damaged.items():
        registry._enter(Plugin.of_damaged(directory, error))
    known = {name for plugin in registry.plugins.values() for name in plugin.names} - {BUILT_IN}
    for name in selection.blocked:
        if canonical(name) not in known and not name.endswith(".py"):
            note(f"-p no:{name}: no such plugin{suggest(name, known)}")
    return registry


def _discover_again(selection: Selection, files: list[Path], preferences: Preferences) -> Registry:
    """Return the registry of this process, or one with another selection or more plugin files."""
    registry = installed()
    if selection != registry.selection or not all(map(registry.of_file, files)):
        registry = discover(selection)
        for path in files:
            registry.add_file(path)
    return registry if registry.preferences == preferences else registry.preferring(preferences)


@functools.cache
def installed() -> Registry:
    """Return the registry of this process, with all installed and registered plugins."""
    return discover(Selection.of_environment())
