"""The registry: maps kind and name to class, plugin, distribution and version.

Plugins come from installed distributions, from files, and from the program itself. Each is loaded
separately, so that one that fails does not affect the others.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast, overload

import pluggy

from nnreg import hookspecs
from nnreg._utils.os_errors import os_errors_as
from nnreg._utils.suggestions import suggest
from nnreg._version import __version__
from nnreg.errors import PluginError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.schedule import Schedule
from nnreg.interfaces.source import Source
from nnreg.registry import plugin_file
from nnreg.registry.checks import check_components
from nnreg.registry.loading import (
    BUILT_IN,
    ENTRY_POINT_GROUP,
    PROGRAM,
    Origin,
    Plugin,
    Selection,
    canonical,
    digest,
    import_file,
    loading_plugin,
    newer_nnreg,
    note,
    source_and_digest,
)

KINDS: Mapping[str, tuple[str, type[Component]]] = {
    "activation": ("nnreg_activations", Activation),
    "loss": ("nnreg_losses", Loss),
    "layer": ("nnreg_layers", Layer),
    "optimizer": ("nnreg_optimizers", Optimizer),
    "schedule": ("nnreg_schedules", Schedule),
    "initializer": ("nnreg_initializers", Initializer),
    "metric": ("nnreg_metrics", Metric),
    "kernels": ("nnreg_kernels", Kernels),
    "source": ("nnreg_sources", Source),
}
"""For each kind, the hook that returns its components and their base class."""


@dataclass(frozen=True)
class Entry:
    """One component and the plugin that provides it."""

    kind: str
    name: str
    cls: type[Component]
    plugin: str
    distribution: str
    version: str

    @property
    def provider(self) -> str:
        """The distribution and its version, as in `nnreg-swish 1.0`."""
        return f"{self.distribution} {self.version}"


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

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind, sorted."""
        return sorted(name for k, name in self.entries if k == kind)

    def __iter__(self) -> Iterator[Entry]:
        for key in sorted(self.entries):
            yield from self.entries[key]

    def find(self, kind: str, name: str) -> Entry | None:
        """Return a component, or None. Raises `PluginError` if two plugins register the name."""
        entries = self.entries.get((kind, name), [])
        if len(entries) > 1:
            raise PluginError(_ambiguous(entries))
        return entries[0] if entries else None

    def ambiguities(self) -> list[str]:
        """Return a message for each name that several plugins register."""
        return [_ambiguous(entries) for entries in self.entries.values() if len(entries) > 1]

    def name_of(self, component: Component) -> str:
        """Return the name of a component in a spec."""
        for entry in self:
            if entry.cls is type(component):
                return entry.name
        raise PluginError(f"{type(component).__name__} is not registered; return it from a hook")

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
        distribution, version, requirements = "unknown", "?", []
        if point.dist is not None:
            metadata = point.dist.metadata  # parsed on each access
            distribution, version = metadata["Name"], metadata["Version"]
            requirements = metadata.get_all("Requires-Dist") or []
        record = self._enter(Plugin(point.name, distribution, version))
        record.blocked_by = self.selection.blocks(record)
        if record.blocked_by:
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
        return _discover_again, (self.selection, files)

    def remove(self, name: str) -> None:
        """Remove the plugin of this name, if there is one."""
        if self.plugins.pop(name, None) is None:
            return
        if self.manager.has_plugin(name):
            self.manager.unregister(name=name)
        for key, entries in list(self.entries.items()):
            others = [entry for entry in entries if entry.plugin != name]
            if others:
                self.entries[key] = others
            else:
                del self.entries[key]

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
        for caller in callers:
            if not caller.has_spec():
                record.fail(f"unknown hook {caller.name!r}{suggest(caller.name, HOOKS)}")
        for name in HOOKS - set(record.hooks):
            if hasattr(plugin, name):
                record.fail(f"{name} is missing the @hookimpl decorator")
        if not (record.hooks or record.failures):
            record.fail(f"implements no hook, such as {KINDS['activation'][0]}")
        for kind, (hook, base) in KINDS.items():
            for implementation in getattr(self.manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    with record.attempt(hook):
                        self._register_components(
                            record, kind, check_components(base, implementation.function())
                        )

    def _register_components(
        self, record: Plugin, kind: str, components: Mapping[str, type[Component]]
    ) -> None:
        """Register components, except under the name of a built-in."""
        for name, cls in components.items():
            entries = self.entries.setdefault((kind, name), [])
            if entries and entries[0].plugin == BUILT_IN:
                record.fail(
                    f"registers the {kind} {name!r}, which {entries[0].provider} has already",
                    f"give it another name in {record.distribution}; the built-in takes precedence",
                )
            else:
                entries.append(
                    Entry(kind, name, cls, record.name, record.distribution, record.version)
                )


HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith("nnreg_"))
"""The names of all hooks."""


def _ambiguous(entries: list[Entry]) -> str:
    plugins = " and ".join(f"{entry.provider} (plugin {entry.plugin})" for entry in entries)
    both = "both " if len(entries) == 2 else ""
    return (
        f"{entries[0].kind} {entries[0].name!r} is registered by {both}{plugins}; block one with "
        f"nnreg -p no:{entries[-1].plugin} …, or uninstall one of these distributions"
    )


def default_kernels(registry: Registry) -> Kernels:
    """Return the kernels that a plugin provides, or NumPy's if none or several do."""
    entries = [e for e in registry if e.kind == "kernels" and e.cls is not Kernels]
    return cast(Kernels, entries[0].cls()) if len(entries) == 1 else Kernels()


def discover(selection: Selection) -> Registry:
    """Return a new registry with the built-ins and every installed plugin that may load."""
    from nnreg import builtin

    registry = Registry(selection)
    registry.add_plugin(BUILT_IN, builtin, "nnreg", __version__)
    for point in sorted(
        importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name
    ):
        registry.add_entry_point(point)
    known = {name for plugin in registry.plugins.values() for name in plugin.names} - {BUILT_IN}
    for name in selection.blocked:
        if canonical(name) not in known and not name.endswith(".py"):
            note(f"-p no:{name}: no such plugin{suggest(name, known)}")
    return registry


def _discover_again(selection: Selection, files: list[Path]) -> Registry:
    """Return the registry of this process, or one with another selection or more plugin files."""
    here = installed()
    if selection == here.selection and all(map(here.of_file, files)):
        return here
    registry = discover(selection)
    for path in files:
        registry.add_file(path)
    return registry


@functools.cache
def installed() -> Registry:
    """Return the registry of this process, with all installed and registered plugins."""
    return discover(Selection.of_environment())


@overload
def register(name: str, component: type[Component], /) -> None: ...
@overload
def register(plugin: object, /) -> None: ...


def register(plugin: object, component: type[Component] | None = None, /) -> None:
    """Register components for the specs of this program.

    `register("mish", Mish)` adds a component under a name; its class gives the kind.
    `register("mish.py")` executes a file with hooks, and `register(plugin)` takes a module or
    another object with hooks. A previous registration of the same name, file or object is replaced.
    The components are checked like those of an installed plugin; raises `PluginError` if they are
    not valid.
    """
    if loading_plugin():
        raise PluginError(
            f"nnreg.register cannot be called while plugin {loading_plugin()} is loading; return "
            "the component from a hook, as in @hookimpl def nnreg_activations(): "
            "return {'mish': Mish}"
        )
    registry = installed()
    source: ModuleType | type
    if component is not None:
        label, source = str(plugin), component
        plugin = _hook_for(label, component)
    elif isinstance(plugin, str | Path):
        path = Path(plugin)
        registry.remove_file(path)
        _raise_failure(registry, registry.add_file(path))
        return
    else:
        source = plugin if isinstance(plugin, ModuleType | type) else type(plugin)
        label = source.__name__
    name = f"{PROGRAM} {label}"
    registry.remove(name)
    _raise_failure(
        registry, registry.add_plugin(name, plugin, *source_and_digest(source), "program")
    )


def _hook_for(name: str, component: Any) -> object:
    """Return a plugin with one hook, which returns this component."""
    hooks = (hook for hook, base in KINDS.values() if issubclass(component, base))
    hook = next(hooks, None) if isinstance(component, type) else None
    if hook is None:
        bases = ", ".join(base.__name__ for _, base in KINDS.values())
        raise PluginError(f"{component!r} is not a component; derive it from one of {bases}")
    return SimpleNamespace(**{hook: hookspecs.hookimpl(lambda: {name: component})})


def _raise_failure(registry: Registry, record: Plugin) -> None:
    """Raise `PluginError` and remove the plugin if what a program registered is not valid."""
    problem = record.why
    try:
        if not problem:
            for entry in [entry for entry in registry if entry.plugin == record.name]:
                registry.find(entry.kind, entry.name)
    except PluginError as error:
        problem = str(error)
    if problem:
        registry.remove(record.name)
        raise PluginError(f"{record.name}: {problem}")
