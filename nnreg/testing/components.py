"""The conformance checks of components of any kind."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from nnreg.interfaces.component import Component
from nnreg.registry.checks import unannotated
from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry
from nnreg.spec.validation import Reader, read, to_json


def documented(cls: type[Component]) -> None:
    """The docstring starts with a summary line and names every option."""
    text = cls.__doc__ or ""
    if text.startswith(f"{cls.__name__}(") or not text.strip().splitlines():
        raise AssertionError(
            f"{cls.__name__}: no docstring; start it with a summary line and the formula"
        )
    everywhere = " ".join(base.__doc__ or "" for base in cls.__mro__ if base is not object)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # components are dataclasses
        if not re.search(rf"\b{re.escape(field.name)}\b", everywhere):
            raise AssertionError(
                f"{cls.__name__}: its docstring does not describe the option {field.name!r}"
            )


def annotated(cls: type[Component]) -> None:
    """Every attribute of the class that looks like an option has an annotation."""
    for name, value in unannotated(cls).items():
        raise AssertionError(
            f"{cls.__name__}: {name} has no annotation, so that it is not an option; write "
            f"{name}: {type(value).__name__} = {value!r}, or ClassVar[…] for a constant"
        )


def round_trip(component: Component, registry: Registry) -> None:
    """It is equal after a round trip through JSON, as in a checkpoint."""
    registry = with_class(registry, type(component))
    tree = to_json(component, registry)
    base: Any = next(base for base in type(component).__mro__ if "kind" in vars(base))
    again = read(base, tree, Reader(registry))
    if again != component:
        raise AssertionError(f"{component}: a round trip through the JSON {tree} gave {again}")


def with_class(registry: Registry, cls: type[Component]) -> Registry:
    """Return the registry, with this class added where it is missing."""
    if registry.entry_of_class(cls):
        return registry
    name = "component_under_test"
    entry = Entry(cls.kind, name, cls, name, name, "0")
    # not copy.copy, which gives the registry of this process itself
    return dataclasses.replace(registry, entries={**registry.entries, (cls.kind, name): [entry]})
