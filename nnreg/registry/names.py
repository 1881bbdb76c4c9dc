"""Which of the plugins that have a component's name provides it.

A qualified name, `nnreg-mish:mish`, is the component of that distribution: `nnreg:mish` the
built-in one, `mish.py:mish` that of a file.

An unqualified name, `mish`, means the first of these that exists:

1. what was asked for: that of a plugin file (`--plugin`, `nnregfile.py`), of `nnreg.register`, or
   of a distribution in the spec's `requires`, except `nnreg`, which is there for its version;
2. the built-in one;
3. that of an installed plugin.

If two of 1, or two of 3, have it, using it is an error that lists the qualified names: none of
them precedes the others. What `nnreg.register` registers again replaces what it registered before,
so that these are not two.

In a checkpoint, an unqualified name means that of the distribution which the checkpoint recorded.
If this does not have it, as after a plugin file became a distribution, it means what was asked for,
or else that of an installed plugin, if there is only one; the fingerprints of the checkpoint show
whether it computes the same. It never means a built-in one instead.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from nnreg._utils import references
from nnreg._utils.suggestions import suggest
from nnreg.errors import PluginError
from nnreg.interfaces.component import Component
from nnreg.registry.checks import Provided, check_component
from nnreg.registry.foreign_names import meant
from nnreg.registry.kinds import KINDS
from nnreg.registry.loading import BUILT_IN, Origin, canonical, described, running

SEPARATOR = ":"
"""What is between the distribution and the name of a component."""


@dataclass(frozen=True)
class Entry:
    """One component and the plugin that provides it.

    `provided` is its class, or a reference to it, whose module is imported when the class is first
    needed.
    """

    kind: str
    name: str
    provided: Provided
    plugin: str
    distribution: str
    version: str
    origin: Origin = "distribution"

    @functools.cached_property
    def cls(self) -> type[Component]:
        """The class. Raises `PluginError` if its module cannot be imported, or it is not valid."""
        if isinstance(self.provided, type):
            return self.provided
        try:
            with running(self.plugin):
                cls = references.resolve(self.provided)
            check_component(KINDS[self.kind][1], self.name, cls)
        except KeyboardInterrupt:
            raise
        except PluginError as error:
            raise PluginError(f"{self.provider} {error}") from error
        except BaseException as error:  # SystemExit too: a plugin must not end the program
            raise PluginError(
                f"{self.provider} registers {self.name!r} as {self.provided!r}, which cannot be "
                f"imported: {described(error)}"
            ) from error
        return cast(type[Component], cls)

    def has_class(self, cls: type) -> bool:
        """Return True if it is known to be the component of a class; imports nothing."""
        if isinstance(self.provided, str):
            return references.if_imported(self.provided) is cls
        return self.provided is cls

    @property
    def provider(self) -> str:
        """The distribution and its version, as in `nnreg-swish 1.0`."""
        return f"{self.distribution} {self.version}"

    @property
    def qualified(self) -> str:
        """The name that means this component in every spec, as in `nnreg-swish:swish`."""
        return f"{self.distribution}{SEPARATOR}{self.name}"

    def is_of(self, distribution: str) -> bool:
        """Return True if a distribution provides it; `nnreg_Swish` is `nnreg-swish`."""
        if self.origin == "distribution":
            return canonical(self.distribution) == canonical(distribution)
        return self.distribution == distribution


@dataclass(frozen=True)
class Preferences:
    """What a spec prefers among the components of one name.

    `required` are the distributions in its `requires`. `recorded` has the distribution of each
    kind and name, as the spec writes it, of a spec that has been read before.
    """

    required: tuple[str, ...] = ()
    recorded: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def asks_for(self, entry: Entry) -> bool:
        """Return True if the user, or the spec, asked for the plugin of a component."""
        if entry.origin != "distribution":
            return True
        return entry.plugin != BUILT_IN and any(map(entry.is_of, self.required))


def split(name: str) -> tuple[str, str]:
    """Return the distribution, or an empty string, and the unqualified name."""
    distribution, _, unqualified = name.rpartition(SEPARATOR)
    return distribution, unqualified


def meanings(name: str, same: Sequence[Entry], preferences: Preferences) -> list[Entry]:
    """Return what a name may mean, of all components of its kind and unqualified name.

    There are several if the name is ambiguous.
    """
    if not same:
        return []
    if SEPARATOR in name:
        return [entry for entry in same if entry.is_of(split(name)[0])]
    asked = [entry for entry in same if preferences.asks_for(entry)]
    built_in = [entry for entry in same if entry.plugin == BUILT_IN]
    installed = [entry for entry in same if entry.plugin != BUILT_IN]
    recorded = preferences.recorded.get((same[0].kind, name))
    if recorded is None:
        return asked or built_in or installed
    others = asked or installed
    return [entry for entry in same if entry.is_of(recorded)] or (
        others if len(others) == 1 else []
    )


def named(name: str, entries: Iterable[Entry]) -> list[Entry]:
    """Return all components that have a name, qualified or not, of all kinds and plugins."""
    distribution, unqualified = split(name)
    return [
        entry
        for entry in entries
        if entry.name == unqualified and (SEPARATOR not in name or entry.is_of(distribution))
    ]


def reference(entry: Entry, same: Sequence[Entry], preferences: Preferences) -> str:
    """Return the name to write for a component: qualified if the unqualified one means another.

    It is read with these preferences, or later without what they recorded, or elsewhere without
    the plugin files and what a program registers.
    """
    later = Preferences(preferences.required)
    elsewhere = [one for one in same if one.origin == "distribution"]
    means_it = (
        meanings(entry.name, same, preferences) == [entry]
        and meanings(entry.name, same, later) == [entry]
        and meanings(entry.name, elsewhere, later) in ([entry], [])
    )
    return entry.name if means_it else entry.qualified


def ambiguous(found: Sequence[Entry]) -> str:
    """Return an error message for a name that may mean several components."""
    first, forms = found[0], dict.fromkeys(entry.qualified for entry in found)
    providers = " and ".join(f"{entry.provider} (plugin {entry.plugin})" for entry in found)
    both = "both " if len(found) == 2 else ""
    fix = "write " + " or ".join(f'"{form}"' for form in forms)
    if len(forms) < len(found):
        fix = f"block one with nnreg -p no:{found[-1].plugin} …, or give it another name"
    return f"{first.kind} {first.name!r} is provided by {both}{providers}; {fix}"


def shadowed(entry: Entry, others: Iterable[Entry]) -> str:
    """Return a message that an unqualified name means a component, and not others."""
    rest = " or ".join(f'{other.provider} ("{other.qualified}")' for other in others)
    return (
        f'{entry.kind} {entry.name!r} means that of {entry.provider} ("{entry.qualified}"), not '
        f"that of {rest}; the names in parentheses mean one of them in every spec"
    )


def unknown(kind: str, name: str, entries: Iterable[Entry], *, hint: bool = True) -> str:
    """Return an error message for a name that no component of a kind has, with a suggestion.

    The kind may be any, `component`. The suggestion may be of another kind than the one expected.
    """
    known: dict[str, set[str]] = {}
    for entry in entries:
        known.setdefault(entry.kind, set()).add(entry.name)
    (distribution, unqualified), text = split(name), f"no {kind} {name!r}"
    entries = [entry for entry in entries if kind in ("component", entry.kind)]
    if SEPARATOR not in name:
        names = {entry.name for entry in entries}
        return text + ((meant(kind, name, known) or suggest(name, names)) if hint else "")
    own = {entry.qualified for entry in entries if entry.is_of(distribution)}
    same = {entry.qualified for entry in entries if entry.name == unqualified}
    if not own:
        text += f", as no plugin of {distribution!r} provides any"
    return text + (suggest(name, same or own) if hint else "")
