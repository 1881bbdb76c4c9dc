"""Which kernels a network uses: those that a spec names, or by default those that pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from nnreg.errors import UsageError
from nnreg.interfaces.kernels import Kernels, combine
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry

SEPARATOR = "+"
"""Between the names of sets that are combined."""

COMPILED = {"mkl": 1.0, "numba": 1.5}
"""The built-in sets that are used by default where they pay, in this order, and the seconds that a
job must take NumPy: to load a library takes time."""


def name_of(kernels: Kernels, registry: Registry) -> str:
    """Return the names of the sets that are combined, such as `mkl+numba`."""
    return SEPARATOR.join(map(registry.name_of, kernels.sets))


def kernels_named(name: str, registry: Registry) -> Kernels | None:
    """Return the kernels of a name that `name_of` returned; None if one cannot be used here."""
    found = []
    for part in name.split(SEPARATOR):
        entry = registry.find("kernels", part)
        if entry is None or cast(type[Kernels], entry.cls).missing():
            return None
        found.append(cast(Kernels, entry.cls()))
    return combine(found)


def combined(sets: Sequence[Kernels]) -> Kernels:
    """Return the kernels that a spec names.

    Raises `UsageError` for a set whose library is not installed, or that would not be used.
    """
    for one in sets:
        if what := one.missing():
            raise UsageError(f"train.kernels: {one} needs {what}")
    try:
        return combine(sets)
    except ValueError as error:
        raise UsageError(f"train.kernels: {error}") from error


def default_kernels(registry: Registry, seconds: float = 0.0) -> Kernels:
    """Return the kernels of a job for which NumPy needs about `seconds`, if a spec names none.

    A plugin's come first, if just one plugin has any.
    """
    classes = [cast(type[Kernels], entry.cls) for entry in _of_plugins(registry)]
    classes = classes if len(classes) == 1 else []
    for name in COMPILED:
        entry = registry.find("kernels", name) if seconds >= COMPILED[name] else None
        if entry is not None:
            classes.append(cast(type[Kernels], entry.cls))
    return combine([*(cls() for cls in classes if cls.pays()), Kernels()])


def _of_plugins(registry: Registry) -> list[Entry]:
    """Return the kernels of plugins; nothing is imported if there are none."""
    if all(entry.plugin == BUILT_IN for entry in registry if entry.kind == "kernels"):
        return []
    return [entry for entry in registry.loaded("kernels") if entry.plugin != BUILT_IN]
