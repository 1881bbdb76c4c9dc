"""Registration of components by a program, for its own specs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, overload

from nnreg import hookspecs
from nnreg.errors import PluginError
from nnreg.interfaces.component import Component
from nnreg.registry.kinds import KINDS
from nnreg.registry.loading import PROGRAM, Plugin, loading_plugin, source_and_digest
from nnreg.registry.registry import Registry, installed


@overload
def register(name: str, component: type[Component], /) -> None: ...
@overload
def register(plugin: object, /) -> None: ...


def register(plugin: object, component: type[Component] | None = None, /) -> None:
    """Register components for the specs of this program.

    `register("logish", Logish)` adds a component under a name; its class gives the kind.
    `register("logish.py")` executes a file with hooks, and `register(plugin)` takes a module or
    another object with hooks. A previous registration of the same name, file or object is replaced.
    The components are checked like those of an installed plugin; raises `PluginError` if they are
    not valid.
    """
    if loading_plugin():
        raise PluginError(
            f"nnreg.register cannot be called while plugin {loading_plugin()} is loading; return "
            "the component from a hook, as in @hookimpl def nnreg_activations(): "
            "return {'logish': Logish}"
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
    if record.why:
        registry.remove(record.name)
        raise PluginError(f"{record.name}: {record.why}")
