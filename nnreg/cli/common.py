"""What several commands share: options, tables, files by name or from standard input."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg.cli.completing import complete_run, complete_spec

if TYPE_CHECKING:
    from nnreg.registry import Registry

overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change the spec, as in train.epochs=5; may be repeated.",
)
plugin_option = click.option(
    "--plugin",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Load a plugin from a file; may be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
allow_changed_option = click.option(
    "--allow-changed",
    is_flag=True,
    help="Load it although plugins compute something else than when it was saved.",
)
spec_argument = click.argument("spec", shell_complete=complete_spec)
checkpoint_argument = click.argument(
    "checkpoint", type=click.Path(path_type=Path), shell_complete=complete_run
)


def registry_with(files: Iterable[Path] = (), context: click.Context | None = None) -> Registry:
    """Return all that a command may use: what is installed and not blocked, and these files."""
    from nnreg.plugins import Selection
    from nnreg.registry import discover

    root = (context or click.get_current_context()).find_root()
    registry = discover(Selection.of_environment(root.params["blocked"]))
    for file in files:
        plugin = registry.add_file(file)
        if plugin.failures:
            click.echo(f"note: plugin {file} failed: {plugin.why}", err=True)
    return registry


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(printable(json.dumps(value, indent=2, ensure_ascii=False)))


def printable(text: str) -> str:
    """Escape, as JSON does, what a file might move the cursor or colour the terminal with."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table, its columns after the first aligned to the right where they are numbers."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for index, name in enumerate(head):
        numeric = all(_numeric(row[index]) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    Console(highlight=False).print(table)


def _numeric(text: str) -> bool:
    return not text.strip("0123456789.,-+e ") or text in ("", "nan")


def figure(value: float) -> str:
    """Write a number as people read it."""
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.5g}"


@contextmanager
def data_file(path: str, suffix: str) -> Iterator[Path]:
    """Give a data file by name; `-` is standard input, kept in a temporary file meanwhile."""
    if path != "-":
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"standard-input{suffix}"
        with file.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield file
