"""Output of JSON, tables and prose, and input from files or standard input."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from nnreg._utils import json_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(printable(json_text.dumps(value, indent=2, ensure_ascii=False)))


def printable(text: str) -> str:
    """Escape control characters as JSON does, so that a file cannot control the terminal."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json_text.dumps(c)[1:-1] for c in text)


def print_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str = "",
    *,
    min_columns: int | None = None,
) -> None:
    """Print a table, with numeric columns aligned to the right.

    If the terminal is too narrow, the last columns are dropped, but at least `min_columns` are
    shown. Without `min_columns`, or if these are still too wide, each row becomes a list of cells.
    """
    from rich.console import Console

    cells = [[printable(cell) for cell in row] for row in rows]
    console = Console(highlight=False)
    needed = _width_of([list(head), *cells])
    piped = not (console.is_terminal or "COLUMNS" in os.environ)
    while not piped and needed > console.width and len(head) > (min_columns or len(head)):
        head, cells = head[:-1], [row[:-1] for row in cells]
        needed = _width_of([list(head), *cells])
    if piped:
        console.width = max(console.width, needed)
    draw = _as_lists if needed > console.width else _columns
    show(console, *draw(head, cells, title))


def show(console: Console, *parts: RenderableType) -> None:
    """Print with rich, without trailing spaces."""
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


WIDE_COLUMN = 24
"""The column width, in characters, above which cells are wrapped rather than widened."""


def _width_of(rows: Sequence[Sequence[str]]) -> int:
    """Return the line width, in characters, that the columns need."""
    longest = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return sum(min(width, WIDE_COLUMN) + 3 for width in longest) + 1


def _columns(
    head: Sequence[str], rows: Sequence[Sequence[str]], title: str
) -> Iterator[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if title:  # rich would wrap the title of a table to the table's width
        yield Text(title, "italic")
    table = Table(box=box.SIMPLE_HEAD)
    for index, name in enumerate(head):
        numeric = all(_numeric(row[index]) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    yield table


def _as_lists(
    head: Sequence[str], rows: Sequence[Sequence[str]], title: str
) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    if title:
        yield Text(title, "italic")
    for first, *others in rows:
        yield Text(f"\n{first}", "bold")
        cells = Table.grid(padding=(0, 2))
        for name, cell in zip(head[1:], others, strict=True):
            cells.add_row(Text(name), Text(cell))
        yield Padding(cells, (0, 0, 0, 2))
    yield Text()


def print_prose(text: str, style: str = "") -> None:
    """Print prose, wrapped to the width of the terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    show(console, Text(wrapped(printable(text), sys.stdout), style))


COMMAND_PREFIXES = ("usage: ", "help: ", "run: ", "next: ", "resume: ")
"""The prefixes of lines with a command to copy, which are not wrapped."""


def wrapped(text: str, stream: TextIO) -> str:
    """Wrap prose to the width of the terminal.

    Lines that are indented, or contain a command, are not wrapped.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(
        line
        if line.startswith((" ", *COMMAND_PREFIXES))
        else textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def _numeric(text: str) -> bool:
    return not text.strip("0123456789.,-+e *") or text in ("", "nan")


@contextmanager
def data_file(path: str, suffix: str) -> Iterator[Path]:
    """Yield the path of a data file; for `-`, of a temporary copy of standard input."""
    if path != "-":
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / f"standard-input{suffix}"
        with file.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield file
