"""The registry of a command: installed plugins that are not blocked, and plugin files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnreg.cli._output import print_lines
from nnreg.errors import UsageError

if TYPE_CHECKING:
    from nnreg.registry.registry import Registry


def registry_with(files: Iterable[Path] = (), context: click.Context | None = None) -> Registry:
    """Return the registry with the installed, unblocked plugins and these plugin files.

    Raises `UsageError` for a file that does not exist.
    """
    from nnreg.registry.loading import Selection
    from nnreg.registry.registry import discover

    root = (context or click.get_current_context()).find_root()
    registry = discover(Selection.of_environment(root.params["blocked"]))
    for file in files:
        if not file.exists():
            raise UsageError(f"--plugin {file}: the file does not exist; check its path")
        plugin = registry.add_file(file)
        if plugin.failures:
            print_lines(f"note: plugin {file} failed: {plugin.why}", err=True)
    return registry
