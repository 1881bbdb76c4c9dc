"""The requirements of a spec: distributions and versions, as `pip install` takes them."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING, Any

from nnreg._utils.distributions import installed_version
from nnreg._version import __version__
from nnreg.errors import MissingPluginError, Problem, SpecError
from nnreg.registry.loading import canonical
from nnreg.registry.registry import Registry

PART_OF_NNREG = ("nnreg-numba",)
"""Distributions that specs may require and nnreg now contains."""

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def check(requires: Any, origin: str) -> list[str]:
    """Return the names of the distributions that a spec requires.

    Raises `SpecError` for an invalid requirement, `MissingPluginError` with the command to run if
    one is not met.
    """
    texts = requires if isinstance(requires, list) else []  # anything else fails validation
    needed = [_parse(text, index, origin) for index, text in enumerate(texts)]
    needed = [one for index, one in enumerate(needed) if _applies(one, index, origin)]
    needed = [one for one in needed if canonical(one.name) not in PART_OF_NNREG]
    missing = [f"{one} ({found})" for one in needed if (found := unmet(one))]
    if missing:
        command = shlex.join(["pip", "install", *(str(one) for one in needed if unmet(one))])
        raise MissingPluginError(f"{origin}: requires {', '.join(missing)}; run: {command}")
    return [one.name for one in needed]


def check_blocked(names: list[str], registry: Registry, origin: str) -> None:
    """Raise `MissingPluginError` if the plugin of a required distribution is blocked."""
    required = {canonical(name) for name in names}
    for plugin in registry.plugins.values():
        if plugin.blocked_by and canonical(plugin.distribution) in required:
            raise MissingPluginError(
                f"{origin}: requires {plugin.distribution}, which is blocked {plugin.why}"
            )


def _parse(text: Any, index: int, origin: str) -> Requirement:
    from packaging.requirements import InvalidRequirement, Requirement  # few specs have any

    with contextlib.suppress(InvalidRequirement):
        requirement = Requirement(str(text))
        if isinstance(text, str) and requirement.url is None:
            return requirement
    problem = f'must be a name and versions, as in "nnreg-mish>=1.2", found {text!r}'
    raise SpecError([Problem(f"$.requires[{index}]", problem)], origin)


def _applies(requirement: Requirement, index: int, origin: str) -> bool:
    """Return True if a requirement has no marker, or one that holds in this environment."""
    try:
        return requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    except ValueError as error:  # a comparison that packaging cannot make
        raise SpecError([Problem(f"$.requires[{index}]", str(error))], origin) from error


def unmet(requirement: Requirement) -> str:
    """Return what is installed instead of a requirement; empty if the requirement is met."""
    found = installed_version(requirement.name)
    if found is None:
        if canonical(requirement.name) != "nnreg":
            return "not installed"
        found = __version__  # run from a source tree
    met = requirement.specifier.contains(found, prereleases=True)
    return "" if met else f"{found} is installed"
