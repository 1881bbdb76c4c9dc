"""Metadata of installed distributions; damaged metadata of one does not affect the others.

For what an interrupted installation leaves behind, `importlib.metadata` returns None or raises an
exception of any type, also while it searches the entry points of other distributions.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class DamagedError(Exception):
    """Metadata without what every distribution states, or that cannot be read."""


class Identity(NamedTuple):
    """What a distribution states of itself."""

    name: str
    version: str
    requirements: Sequence[str]


def identity(distribution: importlib.metadata.Distribution) -> Identity:
    """Return name, version and requirements. Raises `DamagedError` for damaged metadata."""
    values: dict[str, list[str]] = {}
    try:
        for key, value in _fields(distribution):
            values.setdefault(key, []).append(value)
    except Exception as error:
        raise DamagedError(f"cannot read its metadata: {error}") from error
    name, version = (values.get(key, [""])[0] for key in ("name", "version"))
    if not (name and version):
        raise DamagedError(f"its metadata has no {'version' if name else 'name'}")
    return Identity(name, version, values.get("requires-dist", []))


def _fields(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, str]]:
    """Yield the fields of the metadata on one line, before its description.

    Python parses all of it as an e-mail on each access, which takes fifty times as long.
    """
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    for line in text.splitlines():
        if not line:
            return
        if not line[0].isspace():
            key, _, value = line.partition(":")
            yield key.lower(), value.strip()


def directory_name(distribution: importlib.metadata.Distribution) -> str:
    """Return the name of the directory of the metadata, such as `numpy-2.3.0.dist-info`."""
    path = getattr(distribution, "_path", None)  # there is no public name for it
    return getattr(path, "name", "unknown")


def entry_points(group: str) -> tuple[list[importlib.metadata.EntryPoint], dict[str, str]]:
    """Return the entry points of a group, and errors by the directories that cannot be read.

    Of several distributions of one name, the first on Python's path counts.
    """
    points: list[importlib.metadata.EntryPoint] = []
    names: set[str] = set()
    damaged: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        directory = directory_name(distribution)
        try:
            if group not in (distribution.read_text("entry_points.txt") or ""):
                continue
            found = distribution.entry_points.select(group=group)
        except Exception as error:
            damaged[directory] = f"cannot read its entry points: {error}"
            continue
        name = directory.partition("-")[0].lower()
        if name not in names:
            points += found
            names.add(name)
    return points, damaged


def installed_version(name: str) -> str | None:
    """Return the version of a distribution; None if it is not installed or its metadata damaged."""
    found = installed(name)
    return found.version if found else None


def installed(name: str) -> Identity | None:
    """Return what a distribution states; None if it is not installed or its metadata damaged."""
    try:
        return identity(importlib.metadata.distribution(name))
    except Exception:  # PackageNotFoundError, or any other for damaged metadata
        return None
