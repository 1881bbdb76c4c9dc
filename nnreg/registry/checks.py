"""Checks on the hooks of a plugin and on the components that they return."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

import pluggy

from nnreg import hookspecs
from nnreg._utils.references import is_reference
from nnreg._utils.suggestions import suggest
from nnreg.errors import PluginError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component
from nnreg.interfaces.encoder import COLUMN_KEYS, Encoder
from nnreg.interfaces.graph import ENTRY_KEYS
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import NAME, Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.schedule import Schedule
from nnreg.interfaces.source import Source
from nnreg.interfaces.trainable_activation import TrainableActivation
from nnreg.registry.kinds import KINDS

Provided: TypeAlias = type[Component] | str
"""What a hook returns for a name: the class of a component, or a reference to it."""

HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith("nnreg_"))
"""The names of all hooks."""

RENAMED: Mapping[type[Component], Mapping[str, str]] = {
    Activation: {
        "forward_buffered": "forward_inplace",
        "forward_biased": "forward_bias_inplace",
    },
    Loss: {
        "of_classes": "classification",
        "domain": "input_range",
        "link": "fused_activation",
        "forward_buffered": "forward_with_workspace",
    },
    Metric: {"of_classes": "classification"},
    Optimizer: {"slots": "state_names"},
    Schedule: {"watches": "monitored_metric"},
    Source: {"pieces": "iter_chunks"},
}
"""Attributes and methods renamed before 0.1.0: without a check, a class that still defines one of
them would be accepted and the attribute ignored."""


def check_components(base: type[Component], components: Any) -> Mapping[str, Provided]:
    """Return the components that a hook returned; raise `PluginError` if they are not valid.

    Of a reference, only the form is checked; its class is when it is imported.
    """
    if not isinstance(components, Mapping):
        found = type(components).__name__
        raise PluginError(f"returned {found}; expected a mapping of name to class")
    for name, provided in components.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise PluginError(
                f"registers the name {name!r}; expected an identifier such as 'my_name'"
            )
        if not (isinstance(provided, str) and is_reference(provided)):
            check_component(base, name, provided)
    return components


def check_component(base: type[Component], name: str, cls: Any) -> None:
    """Raise `PluginError` if the class of a component is not valid."""
    other = TrainableActivation if base is Layer else ()  # a layer too, but of another kind
    if not (isinstance(cls, type) and issubclass(cls, base)) or issubclass(cls, other):
        raise PluginError(
            f"registers {name!r} as {cls!r}; expected a subclass of {base.__name__}, or a "
            "reference to one, as in 'my_module:MyClass'"
        )
    parameters = vars(cls).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        raise PluginError(f"registers {name!r}, which needs @dataclass(frozen=True)")
    if issubclass(cls, Activation) and not _implements_its_kind(cls):
        either = "" if issubclass(cls, TrainableActivation) else "'formula' or "
        raise PluginError(f"registers {name!r}, which needs a method {either}'forward'")
    if issubclass(cls, Activation) and _builds_as_plain(cls):
        raise PluginError(
            f"registers {name!r}, which defines 'build'; for an activation with parameters, "
            "use the base class TrainableActivation"
        )
    if issubclass(cls, Loss) and cls.predicts_target and not cls.takes_target:
        raise PluginError(
            f"registers {name!r}, which takes no target; set predicts_target = False too"
        )
    _refuse_old_names(base, name, cls)
    _refuse_reserved_options(base, name, cls)


def hook_problems(plugin: object, callers: Iterable[pluggy.HookCaller]) -> Iterator[str]:
    """Yield what is wrong with the hooks that a plugin has, by their names."""
    known = {caller.name for caller in callers if caller.has_spec()}
    unknown = [caller.name for caller in callers if not caller.has_spec()]
    for name in unknown:
        yield f"unknown hook {name!r}{suggest(name, HOOKS)}"
    undecorated = [name for name in HOOKS - known if hasattr(plugin, name)]
    for name in undecorated:
        yield f"{name} is missing the @hookimpl decorator"
    if not (known or unknown or undecorated):
        yield f"implements no hook, such as {KINDS['activation'][0]}"


def _builds_as_plain(cls: type[Activation]) -> bool:
    """Return True if a class without parameters defines the method that declares some."""
    return not issubclass(cls, TrainableActivation) and callable(getattr(cls, "build", None))


def _implements_its_kind(cls: type[Activation]) -> bool:
    if issubclass(cls, TrainableActivation):
        return cls.forward is not TrainableActivation.forward
    return (cls.formula, cls.forward) != (Activation.formula, Activation.forward)


def _refuse_old_names(base: type[Component], name: str, cls: type[Component]) -> None:
    defined = {key for parent in cls.__mro__ for key in vars(parent)}
    options = {field.name for field in dataclasses.fields(cast(Any, cls))}
    for old, new in RENAMED.get(base, {}).items():
        if old in defined and old not in options:
            raise PluginError(f"registers {name!r}, which defines {old!r}; rename it to {new!r}")


def _refuse_reserved_options(base: type[Component], name: str, cls: type[Component]) -> None:
    own = {Layer: ENTRY_KEYS, Metric: (NAME,), Encoder: COLUMN_KEYS}
    reserved = ("type", "kind", *own.get(base, ()))
    for field in dataclasses.fields(cast(Any, cls)):
        if field.name in reserved or callable(getattr(base, field.name, None)):
            raise PluginError(
                f"registers {name!r}, whose option {field.name!r} has a name that nnreg uses for "
                f"something else in each {base.__name__}; give it another name"
            )


def unannotated(cls: type[Component]) -> dict[str, Any]:
    """Return the attributes that look like options, but are none because they have no annotation.

    Those that override an attribute of the kind, and constants with names in capitals, do not.
    """
    base = next(
        parent for parent in cls.__mro__ if parent.__module__.startswith("nnreg.interfaces")
    )
    found = {}
    for parent in cls.__mro__[: cls.__mro__.index(base)]:
        for name, value in vars(parent).items():
            plain = value is None or isinstance(value, bool | int | float | str | tuple)
            public = not name.startswith("_") and name.islower()
            if plain and public and not hasattr(base, name) and name not in _annotated(cls):
                found[name] = value
    return found


def _annotated(cls: type[Component]) -> set[str]:
    return {name for parent in cls.__mro__ for name in vars(parent).get("__annotations__", {})}
