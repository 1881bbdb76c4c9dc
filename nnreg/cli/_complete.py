"""Shell completion of component names, specs, runs and files."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from nnreg.registry.names import Entry
    from nnreg.registry.registry import Registry


def complete_component(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the components whose name, `kind.name` or qualified name starts with the input."""
    registry = quiet_registry(context)
    kind = context.params["kind"]
    entries = [entry for entry in registry if kind in (None, entry.kind)]
    named = [(f"{e.kind}.{e.name}" if "." in incomplete else e.name, e) for e in entries]
    named += [(e.qualified, e) for e in entries if _is_shared(e, registry) or ":" in incomplete]
    return [
        CompletionItem(name, help=f"{entry.kind} of {entry.provider}")
        for name, entry in named
        if name.startswith(incomplete)
    ]


def complete_target(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the matching components and distributions, else the Python files."""
    registry = quiet_registry(context)
    names = {entry.name for entry in registry}
    names |= {e.qualified for e in registry if _is_shared(e, registry) or ":" in incomplete}
    names |= {plugin.distribution for plugin in registry.plugins.values()}
    items = [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]
    return items or _paths(incomplete, lambda path: path.suffix == ".py")


def complete_format(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the formats of exports whose name starts with the input."""
    entries = [entry for entry in quiet_registry(context) if entry.kind == "exporter"]
    return [CompletionItem(e.name) for e in entries if e.name.startswith(incomplete)]


def _is_shared(entry: Entry, registry: Registry) -> bool:
    """Return True if several plugins have a component of this kind and name."""
    return len(registry.entries[entry.kind, entry.name]) > 1


def quiet_registry(context: click.Context) -> Registry:
    """Return the registry of the command, without printing into the line being typed."""
    from nnreg.cli._registry import registry_with

    with contextlib.redirect_stderr(io.StringIO()):
        return registry_with(context.params.get("files", ()), context)


def complete_spec(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the spec files whose path starts with the input."""
    return _paths(incomplete, lambda path: path.suffix in (".json", ".jsonc"))


def complete_run(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the run directories and checkpoints whose path starts with the input."""
    return _paths(incomplete, lambda path: path.suffix == ".h5" or (path / "checkpoints").is_dir())


def complete_file(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete files."""
    return [CompletionItem(incomplete, type="file")]


def _paths(incomplete: str, matches: Callable[[Path], bool]) -> list[CompletionItem]:
    """Return the matching paths; if there are none, let the shell complete directories."""
    directory, prefix = os.path.split(incomplete)
    try:
        found = sorted(path for path in Path(directory).iterdir() if path.name.startswith(prefix))
    except OSError:
        found = []
    found = [path for path in found if path.name.isprintable()]  # a shell would print it as it is
    items = [CompletionItem(os.path.join(directory, path.name)) for path in found if matches(path)]
    return items or [CompletionItem(incomplete, type="dir")]
