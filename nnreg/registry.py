"""What is installed: kind and name to class, plugin, distribution and version.

Plugins are loaded one by one, so that one that fails takes no other down: its failure is kept
and told when a spec asks for something that is not there.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pluggy

import nnreg
from nnreg import hookspecs
from nnreg.errors import PluginError
from nnreg.interfaces import (
    Activation,
    Component,
    Initializer,
    Layer,
    Loss,
    Metric,
    Optimizer,
    Source,
)
from nnreg.kernels import Kernels

KINDS: Mapping[str, tuple[str, type[Component]]] = {
    "activation": ("nnreg_activations", Activation),
    "loss": ("nnreg_losses", Loss),
    "layer": ("nnreg_layers", Layer),
    "optimizer": ("nnreg_optimizers", Optimizer),
    "initializer": ("nnreg_initializers", Initializer),
    "metric": ("nnreg_metrics", Metric),
    "kernels": ("nnreg_kernels", Kernels),
    "source": ("nnreg_sources", Source),
}
"""For each kind, the hook that provides its components and the class they derive from."""

ENTRY_POINT_GROUP = "nnreg"


@dataclass(frozen=True)
class Entry:
    """One component and who provides it."""

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


@dataclass(frozen=True)
class Failure:
    """A plugin, or one hook of it, that could not be used."""

    plugin: str
    distribution: str
    version: str
    error: str


@dataclass
class Registry:
    """All components by kind and name, and what failed to load."""

    entries: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    plugins: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Each loaded plugin's distribution and version."""
    managers: dict[str, pluggy.PluginManager] = field(default_factory=dict)
    """For each loaded plugin a manager with its hooks alone, to tell it of events."""

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind, sorted."""
        return sorted(name for k, name in self.entries if k == kind)

    def __iter__(self) -> Iterator[Entry]:
        for key in sorted(self.entries):
            yield from self.entries[key]

    def find(self, kind: str, name: str) -> Entry | None:
        """Return the component, or None. Raises `PluginError` if two plugins offer the name."""
        offers = self.entries.get((kind, name), [])
        if len(offers) > 1:
            who = " and ".join(f"{entry.provider} (plugin {entry.plugin})" for entry in offers)
            raise PluginError(
                f"{kind} {name!r} is offered by {who}; uninstall one of these distributions"
            )
        return offers[0] if offers else None

    def name_of(self, component: Component) -> str:
        """Return the name by which a spec calls this component."""
        for entry in self:
            if entry.cls is type(component):
                return entry.name
        raise PluginError(f"{type(component).__name__} is not registered; return it from a hook")

    def add_plugin(self, name: str, plugin: object, distribution: str, version: str) -> None:
        """Register everything that a plugin, a module or an object with hooks, provides."""
        manager = pluggy.PluginManager("nnreg")
        manager.add_hookspecs(hookspecs)
        who = (name, distribution, version)
        try:
            manager.register(plugin, name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            self.failures.append(Failure(*who, str(error)))
            return
        self.plugins[name] = (distribution, version)
        self.managers[name] = manager
        for kind, (hook, base) in KINDS.items():
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                try:
                    offered = list(_checked(base, implementation.function()))
                    for key, cls in offered:
                        entry = Entry(kind, key, cls, *who)
                        self.entries.setdefault((kind, key), []).append(entry)
                except (Exception, SystemExit) as error:
                    self.failures.append(Failure(*who, f"{hook}: {_describe(error)}"))

    def add_entry_point(self, point: importlib.metadata.EntryPoint) -> None:
        """Import the plugin that an installed distribution names, and register it."""
        distribution, version = "unknown", "?"
        if point.dist is not None:
            distribution, version = point.dist.name, point.dist.version
        name = point.name
        if name in self.plugins:
            name = f"{distribution}:{name}"
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:
            self.failures.append(Failure(name, distribution, version, _describe(error)))
        else:
            self.add_plugin(name, plugin, distribution, version)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _checked(base: type[Component], offered: Any) -> Iterator[tuple[str, type[Component]]]:
    """Yield what a hook returned, or raise TypeError naming what is wrong with it."""
    if not isinstance(offered, Mapping):
        raise TypeError(f"returned {type(offered).__name__}; expected a mapping of name to class")
    for name, cls in offered.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"offers the name {name!r}; expected an identifier such as 'my_{name}'")
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise TypeError(f"offers {name!r} as {cls!r}; expected a subclass of {base.__name__}")
        parameters = vars(cls).get("__dataclass_params__")
        if parameters is None or not parameters.frozen:
            raise TypeError(f"offers {name!r}, which needs @dataclass(frozen=True)")
        yield name, cls


def default_kernels(registry: Registry) -> Kernels:
    """Return the kernels that a plugin provides, or NumPy's where none or several do."""
    offers = [e for e in registry if e.kind == "kernels" and e.cls is not Kernels]
    return cast(Kernels, offers[0].cls()) if len(offers) == 1 else Kernels()


@functools.cache
def installed() -> Registry:
    """Return the registry of the built-ins and of every installed plugin, loaded once."""
    from nnreg import builtin

    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", nnreg.__version__)
    for point in sorted(
        importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name
    ):
        registry.add_entry_point(point)
    return registry
