"""References to a class of a module that may not be imported yet, as in `nnreg_mish:Mish`."""

from __future__ import annotations

import importlib
import operator
import sys
from collections.abc import Callable, Iterable
from typing import Any


def is_reference(text: str) -> bool:
    """Return True if a text has the form of a reference, `package.module:Class`."""
    module, colon, name = text.partition(":")
    parts = [*module.split("."), *name.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def resolve(reference: str) -> Any:
    """Import the module of a reference and return the class."""
    module, _, name = reference.partition(":")
    return operator.attrgetter(name)(importlib.import_module(module))


def if_imported(reference: str) -> Any:
    """Return the class of a reference if its module is imported already, else None."""
    module, _, name = reference.partition(":")
    value = sys.modules.get(module)
    for part in name.split(".") if value else ():
        value = getattr(value, part, None)
    return value


def importing(package: str, references: Iterable[str]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package, which imports a class from the module that has it."""
    by_name = {reference.partition(":")[2]: reference for reference in references}

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in by_name:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return resolve(by_name[name])

    return __getattr__
