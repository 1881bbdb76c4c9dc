"""Which kernels a network uses: those that a spec names, or by default those that pay."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import cast

from nnreg.errors import NnregWarning, Problem, SpecError
from nnreg.interfaces.kernels import Kernels, combine
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry

PATH = "$.train.kernels"
"""The path of the kernels, which a spec need not name."""

SEPARATOR = "+"
"""Between the names of sets that are combined."""

COMPILED = {"mkl": 1.0, "numba": 2.0}
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


def located(sets: Sequence[Kernels]) -> Iterator[tuple[str, Kernels]]:
    """Yield sets with their paths in a spec."""
    for number, one in enumerate(sets):
        yield PATH if len(sets) == 1 else f"{PATH}[{number}]", one


def combined(sets: Sequence[Kernels]) -> Kernels:
    """Return the kernels that a spec names.

    Raises `SpecError` for a set whose library is not installed, or that would not be used.
    """
    problems = [
        Problem(path, f"needs {what}, or use 'numpy'")
        for path, one in located(sets)
        if (what := one.missing())
    ]
    if problems:
        raise SpecError(problems)
    try:
        return combine(sets)
    except ValueError as error:
        raise SpecError([Problem(PATH, str(error))]) from error


def usable(sets: Sequence[Kernels], registry: Registry) -> Kernels:
    """Return the kernels that a checkpoint names, with NumPy's in place of those that are missing.

    Warns of these: results have other last bits.
    """
    for one in sets:
        if what := one.missing():
            name = registry.name_of(one)
            text = f"train.kernels: {name!r} needs {what}; other kernels are used instead"
            warnings.warn(f"{text}, which may change the last bits", NnregWarning, stacklevel=2)
    return combine([one for one in sets if not one.missing()] or [Kernels()])


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
