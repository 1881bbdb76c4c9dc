"""Where a model's components come from, and whether they still compute the same.

A checkpoint records each component's distribution, version and probes. Where another version is
installed, they are run again. Numbers are compared with a tolerance, because those of matrix
products differ a little from machine to machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from nnreg.errors import FormatError, MissingPluginError
from nnreg.interfaces.component import Configurable
from nnreg.network.network import Network
from nnreg.provenance.fingerprints import Fingerprint, fingerprint
from nnreg.registry.loading import PROGRAM
from nnreg.registry.registry import KINDS, Entry, Registry
from nnreg.spec.document import Document

TOLERANCE = 1e-5
"""The largest change, relative to the largest number of an array, that counts as none."""

MAX_TEXT = 200
"""The characters that a name may have in a file; what is not printable might move the cursor."""

UNKNOWN = ("unknown", "?")
"""Versions that tell nothing."""

_Fingerprints: TypeAlias = dict[str, Fingerprint]
"""What a component computed, by its place in the spec."""


@dataclass(frozen=True)
class ComponentRecord(Configurable):
    """What a checkpoint says of one component."""

    kind: str
    name: str
    plugin: str
    distribution: str
    version: str
    probes: dict[str, Fingerprint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in (self.kind, self.name, self.plugin, self.distribution, self.version):
            if not text.isprintable() or len(text) > MAX_TEXT:
                raise ValueError(f"a component is described by {text[:40]!r}")

    @property
    def provider(self) -> str:
        """The distribution and its version, as in `nnreg-swish 1.0`."""
        return f"{self.distribution} {self.version}"


def describe(document: Document, network: Network) -> list[dict[str, Any]]:
    """Return what a checkpoint records of each component that the spec names."""
    found = _fingerprints(document, network)
    return [
        {
            "kind": entry.kind,
            "name": entry.name,
            "plugin": entry.plugin,
            "distribution": entry.distribution,
            "version": entry.version,
            "probes": found.get(entry.cls, {}),
        }
        for entry in document.components
    ]


def require(
    recorded: Iterable[ComponentRecord], registry: Registry, where: str, directory: str
) -> None:
    """Raise `MissingPluginError` for a component of the file `where` that nothing provides.

    A plugin that is a file is looked for in `folder` too. Raises `FormatError` for what cannot be
    the name of a component or a distribution.
    """
    for one in recorded:
        if one.kind not in KINDS:
            raise FormatError(f"{one.kind!r} is not a kind of component")
        if registry.find(one.kind, one.name) is not None:
            continue
        pinned = f"{one.distribution}=={one.version}"
        if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", pinned):  # it is shown as a command to type
            raise FormatError(f"{pinned} is not a distribution and version")
        needs = f"{where} needs the {one.kind} {one.name!r} of {one.provider}"
        there = registry.of_distribution(one.distribution)
        if there is not None and there.why:
            raise MissingPluginError(f"{needs}, which is {there.state}: {there.why}")
        if one.plugin.startswith(PROGRAM):
            raise MissingPluginError(f"{needs}, which a program registered; call {PROGRAM} first")
        if one.distribution.endswith(".py"):
            file = _plugin_file(one.distribution, directory)
            advice = f"if you trust it, give it with --plugin {file}, or {PROGRAM}('{file}')"
            raise MissingPluginError(f"{needs}, which is a file: {advice}", file)
        found = f"{there.version} is" if there else "is not"
        raise MissingPluginError(
            f"{needs}, which {found} installed; if you trust it, run: pip install {pinned}"
        )


def _plugin_file(name: str, directory: str) -> str:
    """Return where a plugin's file is: here, or where the spec was; otherwise its bare name."""
    for path in (Path(name), Path(directory) / name):
        if os.path.isfile(path):  # false for what cannot be a name
            inside = path.is_absolute() and path.is_relative_to(Path.cwd())
            return str(path.relative_to(Path.cwd()) if inside else path)
    return name


def changed_versions(
    recorded: Iterable[ComponentRecord], registry: Registry
) -> list[tuple[ComponentRecord, Entry]]:
    """Return the components that are not surely the ones recorded, with what there is now."""
    pairs = []
    for one in recorded:
        entry = registry.find(one.kind, one.name)
        same = (one.distribution, one.version)
        if entry and ((entry.distribution, entry.version) != same or one.version in UNKNOWN):
            pairs.append((one, entry))
    return pairs


def changes(
    pairs: Iterable[tuple[ComponentRecord, Entry]], document: Document, network: Network
) -> list[str]:
    """Say of each exchanged component that computes something else by how much."""
    found = _fingerprints(document, network)
    lines = []
    for one, entry in pairs:
        now = found.get(entry.cls, {})
        for path, figures in one.probes.items():
            difference = _difference(figures, now.get(path, {}))
            if difference:
                place = path if path in now else "the spec"
                lines.append(
                    f"{one.kind} {one.name!r} of {entry.provider}, saved with {one.provider}: "
                    f"{difference} (at {place})"
                )
                break
    return lines


def _fingerprints(document: Document, network: Network) -> dict[type, _Fingerprints]:
    """Return what each component computes, by its class."""
    found: dict[type, _Fingerprints] = {}
    for path, (component, figures) in fingerprint(document.spec, network).items():
        found.setdefault(type(component), {})[path] = figures
    return found


def _difference(old: Mapping[str, list[float]], new: Mapping[str, list[float]]) -> str:
    """Say what changed most, or nothing."""
    if not new:
        return "it can no longer be run on what it was probed with"
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
