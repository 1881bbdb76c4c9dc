"""Where a model's components come from, and whether they still compute the same.

A checkpoint records each component's distribution, version and probes. Where another version is
installed, they are run again. Numbers are compared with a tolerance, because those of matrix
products differ a little from machine to machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nnreg.interfaces.component import Configurable
from nnreg.network.network import Network
from nnreg.provenance.fingerprints import Figures, probe
from nnreg.registry.registry import Entry, Registry
from nnreg.spec.document import Document

TOLERANCE = 1e-5
"""The largest change, relative to the largest number of an array, that counts as none."""

LONGEST = 200
"""The characters that a name may have in a file; what is not printable might move the cursor."""

UNKNOWN = ("unknown", "?")
"""Versions that tell nothing."""

_Probes: TypeAlias = dict[str, Figures]
"""What a component computed, by its place in the spec."""


@dataclass(frozen=True)
class Recorded(Configurable):
    """What a checkpoint says of one component."""

    kind: str
    name: str
    plugin: str
    distribution: str
    version: str
    probes: dict[str, Figures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in (self.kind, self.name, self.plugin, self.distribution, self.version):
            if not text.isprintable() or len(text) > LONGEST:
                raise ValueError(f"a component is described by {text[:40]!r}")

    @property
    def provider(self) -> str:
        """The distribution and its version, as in `nnreg-swish 1.0`."""
        return f"{self.distribution} {self.version}"


def describe(document: Document, network: Network) -> list[dict[str, Any]]:
    """Return what a checkpoint records of each component that the spec names."""
    found = _probes(document, network)
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


def exchanged(recorded: Iterable[Recorded], registry: Registry) -> list[tuple[Recorded, Entry]]:
    """Return the components that are not surely the ones recorded, with what there is now."""
    pairs = []
    for one in recorded:
        entry = registry.find(one.kind, one.name)
        same = (one.distribution, one.version)
        if entry and ((entry.distribution, entry.version) != same or one.version in UNKNOWN):
            pairs.append((one, entry))
    return pairs


def changes(
    pairs: Iterable[tuple[Recorded, Entry]], document: Document, network: Network
) -> list[str]:
    """Say of each exchanged component that computes something else by how much."""
    found = _probes(document, network)
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


def _probes(document: Document, network: Network) -> dict[type, _Probes]:
    """Return what each component computes, by its class."""
    found: dict[type, _Probes] = {}
    for path, (component, figures) in probe(document.spec, network).items():
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
