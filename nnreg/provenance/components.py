"""The origin of a model's components, and whether they still behave the same.

A checkpoint records the distribution, version and fingerprints of each component. When it is
loaded, the fingerprints are computed again and compared with a tolerance, because matrix products
differ slightly from machine to machine. They are compared whatever the version, because an editable
install, or a module beside a plugin file, keeps its version while its formulas change; only those
of built-in components of the same version are not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from nnreg.errors import FormatError, MissingPluginError
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.kernels import Kernels
from nnreg.network.network import Network
from nnreg.provenance.fingerprints import Fingerprint, fingerprint
from nnreg.registry.kinds import KINDS
from nnreg.registry.loading import BUILT_IN, PROGRAM
from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry
from nnreg.spec.document import Document
from nnreg.training import formulas

TOLERANCE = 1e-5
"""The largest change, relative to the largest number of an array, that is ignored."""

MAX_TEXT = 200
"""The maximum length of a name. Unprintable characters, which may move the cursor, are invalid."""

_Fingerprints: TypeAlias = dict[str, Fingerprint]
"""The fingerprints of a component, by its path in the spec."""


@dataclass(frozen=True)
class ComponentRecord(Configurable):
    """The record of a component in a checkpoint; `name` is as the spec writes it.

    With `default`, the spec does not name it: kernels of a plugin that were used because no other
    plugin has any. A reader does not need them; those it has must compute the same.
    """

    kind: str
    name: str
    plugin: str
    distribution: str
    version: str
    probes: dict[str, Fingerprint] = field(default_factory=dict)
    default: bool = False

    def __post_init__(self) -> None:
        for text in (self.kind, self.name, self.plugin, self.distribution, self.version):
            if not text.isprintable() or len(text) > MAX_TEXT:
                raise ValueError(f"not a valid description of a component: {text[:40]!r}")
        if self.default and self.kind != "kernels":
            raise ValueError(f"default: must be false for kind {self.kind!r}, which a spec names")

    @property
    def provider(self) -> str:
        """The distribution and its version, as in `nnreg-swish 1.0`."""
        return f"{self.distribution} {self.version}"


def describe(document: Document, network: Network) -> list[dict[str, Any]]:
    """Return the record of each component in the spec, and of a plugin's kernels."""
    used, default = dict(document.components), {}
    registry = document.registry
    for kernels in map(registry.entry_of, network.kernels.sets):
        if not document.spec.train.kernel_sets and kernels.plugin != BUILT_IN:
            used[kernels.kind, registry.reference(kernels)] = kernels
            default[kernels] = {"default": True}
    found = _fingerprints(document, network, {entry.cls for entry in used.values()})
    return [
        {
            "kind": kind,
            "name": name,
            "plugin": entry.plugin,
            "distribution": entry.distribution,
            "version": entry.version,
            "probes": found.get(entry.cls, {}),
            **default.get(entry, {}),
        }
        for (kind, name), entry in used.items()
    ]


def require(
    recorded: Iterable[ComponentRecord], registry: Registry, where: str, directory: str
) -> None:
    """Raise `MissingPluginError` for a component of the file `where` that is not installed.

    A plugin file is searched for in `directory` too. Raises `FormatError` for an invalid name of a
    component or distribution.
    """
    for one in recorded:
        if one.kind not in KINDS:
            raise FormatError(f"{one.kind!r} is not a kind of component")
        if one.default or registry.find(one.kind, one.name) is not None:
            continue
        pinned = f"{one.distribution}=={one.version}"
        if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", pinned):  # it is printed as part of a command
            raise FormatError(f"{pinned} is not a distribution and version")
        needs = f"{where} needs the {one.kind} {one.name!r} of {one.provider}"
        plugin = registry.of_distribution(one.distribution)
        if plugin is not None and plugin.why:
            raise MissingPluginError(f"{needs}, which is {plugin.state}: {plugin.why}")
        if one.plugin.startswith(PROGRAM):
            raise MissingPluginError(f"{needs}, which a program registered; call {PROGRAM} first")
        if one.distribution.endswith(".py"):
            file = _plugin_file(one.distribution, directory)
            advice = f"if you trust it, load it with --plugin {file}, or {PROGRAM}('{file}')"
            raise MissingPluginError(f"{needs}, which is a file: {advice}", file)
        found = f"{plugin.version} is" if plugin else "is not"
        raise MissingPluginError(
            f"{needs}, which {found} installed; if you trust it, run: pip install {pinned}"
        )


def _plugin_file(name: str, directory: str) -> str:
    """Return the path of a plugin file in the current or the spec's directory, or else its name."""
    for path in (Path(name), Path(directory) / name):
        if os.path.isfile(path):  # False for an invalid name
            inside = path.is_absolute() and path.is_relative_to(Path.cwd())
            return str(path.relative_to(Path.cwd()) if inside else path)
    return name


def possibly_changed(
    recorded: Iterable[ComponentRecord], registry: Registry, network: Network
) -> list[tuple[ComponentRecord, Entry]]:
    """Return the components that may differ from the recorded ones, with the current ones."""
    pairs = []
    for one in recorded:
        entry = registry.find(one.kind, one.name)
        if one.default or (entry and issubclass(entry.cls, Kernels) and entry.cls.missing()):
            sets = [registry.entry_of(kernels) for kernels in network.kernels.sets]
            same = (found for found in sets if found.name == one.name)
            entry = next(same, sets[0])
        if entry and (entry.plugin != BUILT_IN or entry.provider != one.provider):
            pairs.append((one, entry))
    return pairs


def changes(
    pairs: Iterable[tuple[ComponentRecord, Entry]], document: Document, network: Network
) -> list[str]:
    """Return a line for each component that behaves differently, with the difference."""
    pairs = list(pairs)
    methods = {
        method
        for one, _ in pairs
        if one.kind == "kernels"
        for recorded in one.probes.values()
        for method in recorded
    }
    found = _fingerprints(document, network, {entry.cls for _, entry in pairs}, methods)
    lines = []
    for one, entry in pairs:
        same = entry.provider == one.provider
        before = "changed under the same version" if same else f"saved with {one.provider}"
        now, needs_autograd = found.get(entry.cls, {}), formulas.lacks_derivative(entry.cls)
        for path, recorded in one.probes.items():
            numbers = now.get(path, {})
            if needs_autograd:  # to compute gradients
                recorded = {name: old for name, old in recorded.items() if name in numbers}
            difference = _difference(recorded, numbers)
            if difference:
                location = path if path in now else "the spec"
                lines.append(
                    f"{one.kind} {one.name!r} of {entry.provider}, {before}: {difference} "
                    f"(at {location})"
                )
                break
    return lines


def _fingerprints(
    document: Document,
    network: Network,
    only: Collection[type],
    methods: Collection[str] | None = None,
) -> dict[type, _Fingerprints]:
    """Return the fingerprints of components of some classes, by their class."""
    found: dict[type, _Fingerprints] = {}
    for path, (component, numbers) in fingerprint(document.spec, network, only, methods).items():
        found.setdefault(type(component), {})[path] = numbers
    return found


def _difference(old: Mapping[str, list[float]], new: Mapping[str, list[float]]) -> str:
    """Return a description of the largest difference; empty if there is none."""
    if not new:
        return "it no longer accepts the inputs of its fingerprint"
    worst, text = TOLERANCE, ""
    for name, before in old.items():
        after = new.get(name, [])
        if len(after) != len(before):
            return f"its {name} has another shape" if name in new else f"it has no {name} any more"
        change = max((abs(a - b) for a, b in zip(after, before, strict=True)), default=0.0)
        scale = max(map(abs, [*before, *after]), default=0.0)
        if scale and change / scale > worst:
            worst = change / scale
            text = f"its {name} differs by up to {change:.3g}, {worst:.2%} of {scale:.3g}"
    return text
